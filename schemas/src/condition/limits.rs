//! How large an expression may be. A plan may come from anywhere, and the interpreter of JMESPath knows no limits: it would
//! recurse until the stack ends, or multiply what it is given until the memory does.
//!
//! Invariant: what passes here is parsed and interpreted within a thread's ordinary stack, and what it finds is at most
//! so many times as large as what it looks at.

use jmespath::ast::Ast;
use jmespath::{Context, Rcvar, SearchResult, Variable};

/// Bytes; the longest of the fixtures has a sixth of that.
const LENGTH: usize = 8_192;
/// Brackets within brackets, and signs before signs.
const NESTED: usize = 32;
/// Projections: the parser goes one deeper with each.
const PROJECTED: usize = 64;
/// Steps within steps of what was parsed: a chain of `a.b.c` is as deep as it is long, one of `a && b && c` is not.
const DEPTH: usize = 96;
/// How many times over lists written as `[a, b]` may hold what is there.
const COPIES: usize = 10_000;

/// What is wrong with the size of an expression that is still to be parsed.
pub(super) fn text(expression: &str) -> Option<String> {
    if expression.len() > LENGTH {
        return Some(format!("it has {} bytes, at most {LENGTH} are allowed", expression.len()));
    }
    let (mut open, mut signs, mut projected, mut quote, mut escaped) = (0_usize, 0_usize, 0_usize, None, false);
    for c in expression.chars() {
        if let Some(until) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == until {
                quote = None;
            }
            continue;
        }
        match c {
            '\'' | '"' | '`' => quote = Some(c),
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        projected += usize::from(matches!(c, '[' | '*'));
        match c {
            '!' | '&' | '|' => signs += 1,
            c if c.is_whitespace() => {}
            _ => signs = 0,
        }
        if open > NESTED || signs > NESTED {
            return Some(format!("it is nested more than {NESTED} deep"));
        }
    }
    // A pair of brackets may hold a star.
    if projected > 2 * PROJECTED {
        return Some(format!("it has more than {PROJECTED} projections"));
    }
    None
}

/// What is wrong with the size of an expression that was parsed.
pub(super) fn tree(ast: &Ast) -> Option<String> {
    if depth(ast) > DEPTH {
        return Some(format!("it has more than {DEPTH} steps within steps"));
    }
    if copies(ast) > COPIES {
        return Some(format!("its lists would hold what is there more than {COPIES} times"));
    }
    None
}

fn depth(ast: &Ast) -> usize {
    let parts = chain(ast).map_or_else(|| inner(ast), |(_, operands)| operands);
    1 + parts.into_iter().map(depth).max().unwrap_or(0)
}

/// The operands of `a && b && c` (true) or `a || b || c` in their order, which the parser nests to the left.
pub(super) fn chain(ast: &Ast) -> Option<(bool, Vec<&Ast>)> {
    let all = matches!(ast, Ast::And { .. });
    let mut operands = Vec::new();
    let mut at = ast;
    loop {
        match at {
            Ast::And { lhs, rhs, .. } if all => {
                operands.push(&**rhs);
                at = lhs;
            }
            Ast::Or { lhs, rhs, .. } if !all => {
                operands.push(&**rhs);
                at = lhs;
            }
            _ if operands.is_empty() => return None,
            _ => break,
        }
    }
    operands.push(at);
    operands.reverse();
    Some((all, operands))
}

/// Interprets an expression; long chains of `&&` and `||` one operand after the other.
pub(super) fn interpret(document: &Rcvar, ast: &Ast, context: &mut Context<'_>) -> SearchResult {
    let Some((all, operands)) = chain(ast) else { return jmespath::interpret(document, ast, context) };
    let mut found = Rcvar::new(Variable::Null);
    for operand in operands {
        found = interpret(document, operand, context)?;
        if found.is_truthy() != all {
            break;
        }
    }
    Ok(found)
}

/// What stands side by side adds up, what is applied to what another step found multiplies it.
fn copies(ast: &Ast) -> usize {
    let inner = inner(ast).into_iter().map(copies);
    match ast {
        Ast::Subexpr { .. } | Ast::Projection { .. } | Ast::Condition { .. } => inner.fold(1, usize::saturating_mul),
        _ => inner.fold(0, usize::saturating_add).max(1),
    }
}

fn inner(ast: &Ast) -> Vec<&Ast> {
    match ast {
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } | Ast::Literal { .. } | Ast::Slice { .. } => {
            vec![]
        }
        Ast::Comparison { lhs, rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::Subexpr { lhs, rhs, .. } => vec![lhs, rhs],
        Ast::Condition { predicate, then, .. } => vec![predicate, then],
        Ast::Expref { ast, .. } => vec![ast],
        Ast::Flatten { node, .. } | Ast::Not { node, .. } | Ast::ObjectValues { node, .. } => vec![node],
        Ast::Function { args, .. } => args.iter().collect(),
        Ast::MultiList { elements, .. } => elements.iter().collect(),
        Ast::MultiHash { elements, .. } => elements.iter().map(|pair| &pair.value).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::{ConditionError, evaluate};

    fn refused(expression: &str) -> String {
        match evaluate(expression, &BTreeMap::new(), &json!({"a": [1, 2]})) {
            Err(ConditionError::Syntax { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_would_never_end_is_refused() {
        assert!(refused(&"(".repeat(4_000)).contains("nested"));
        assert!(refused(&format!("{}a", "!".repeat(4_000))).contains("nested"));
        assert!(refused(&format!("a{}", ".a".repeat(4_000))).contains("steps within steps"));
        assert!(refused(&format!("a{}", "[*]".repeat(2_000))).contains("more than 64 projections"));
        assert!(refused(&format!("@{}", " | [@, @]".repeat(40))).contains("more than 10000 times"));
        assert!(refused(&"a ".repeat(5_000)).contains("bytes"));
    }

    #[test]
    fn what_is_long_but_not_deep_is_evaluated() {
        let (none, list) = (BTreeMap::new(), json!({"a": [1, 2]}));
        let all = vec!["length(a) == `2`"; 300].join(" && ");
        assert_eq!(evaluate(&all, &none, &list), Ok(json!(true)));
        assert_eq!(evaluate(&format!("{all} && b"), &none, &list), Ok(json!(null)));
        let any = vec!["b"; 1_000].join(" || ");
        assert_eq!(evaluate(&format!("{any} || a && a[0] && `7` || c"), &none, &list), Ok(json!(7)));
        let chain = format!("a{}", ".a".repeat(90));
        assert_eq!(evaluate(&chain, &BTreeMap::new(), &json!({"a": 1})), Ok(json!(null)));
        assert_eq!(evaluate("'((((' == '(((('", &BTreeMap::new(), &json!(null)), Ok(json!(true)));
    }
}
