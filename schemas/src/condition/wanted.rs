//! The parts of a document that an expression can look at. Answers of AWS are large and conditions look at little of
//! them; to make the rest ready for the interpreter costs more than most expressions.
//!
//! Invariant: what an expression finds in the wanted parts of a document is what it finds in the whole. So whatever shows
//! a value as a whole (a result, a comparison, whether it is true) wants all of it, and only steps to members want less.
//! Lists have no parts of their own: what is wanted of a list is wanted of each item. Only its size is its own, and so
//! that is wanted of members alone, whose place is certain.

use std::collections::BTreeMap;

use jmespath::ast::Ast;
use jmespath::{Rcvar, Variable};
use serde_json::Value;

use super::{limits, names, parse};

/// What of a value is looked at; without anything it is only seen that there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    all: bool,
    /// How many items or members there are.
    size: bool,
    members: BTreeMap<String, Wanted>,
}

impl Wanted {
    /// What expressions look at between them, whatever their names stand for. One that cannot be read looks at nothing.
    pub fn by<'e>(expressions: impl IntoIterator<Item = &'e str>) -> Self {
        let mut wanted = Self::default();
        for expression in expressions {
            let bind = names(expression).into_iter().map(|name| (name.to_owned(), Value::Null)).collect();
            if let Ok(parsed) = parse(expression, &bind) {
                wanted.add(&parsed.wanted);
            }
        }
        wanted
    }

    fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    fn add(&mut self, other: &Self) {
        if self.all || other.all {
            *self = Self::all();
            return;
        }
        self.size |= other.size;
        for (name, wanted) in &other.members {
            self.members.entry(name.clone()).or_default().add(wanted);
        }
    }

    /// These parts of a value, as JMESPath has it.
    pub(super) fn variable(&self, value: &Value) -> Rcvar {
        self.part(value, self.size)
    }

    /// The same; `sized` tells whether its size is looked at.
    fn part(&self, value: &Value, sized: bool) -> Rcvar {
        Rcvar::new(match value {
            Value::Null => Variable::Null,
            Value::Bool(flag) => Variable::Bool(*flag),
            Value::Number(number) => Variable::Number(number.clone()),
            Value::String(text) => Variable::String(text.clone()),
            Value::Array(list) => Variable::Array(list.iter().map(|item| self.part(item, false)).collect()),
            Value::Object(map) if self.all => {
                Variable::Object(map.iter().map(|(name, value)| (name.clone(), self.part(value, false))).collect())
            }
            Value::Object(map) if sized => {
                let nothing = || Rcvar::new(Variable::Null);
                let part = |(name, value): (&String, &Value)| {
                    (name.clone(), self.members.get(name).map_or_else(nothing, |wanted| wanted.variable(value)))
                };
                Variable::Object(map.iter().map(part).collect())
            }
            Value::Object(map) => {
                let there = self.members.iter().filter_map(|(name, wanted)| Some((name, wanted, map.get(name)?)));
                Variable::Object(there.map(|(name, wanted, value)| (name.clone(), wanted.variable(value))).collect())
            }
        })
    }
}

/// What an expression looks at in what it is applied to, where `wanted` is looked at in what it finds.
fn needed(ast: &Ast, wanted: &Wanted) -> Wanted {
    match ast {
        Ast::Identity { .. } | Ast::Index { .. } | Ast::Slice { .. } => wanted.clone(),
        Ast::Field { name, .. } => {
            Wanted { members: BTreeMap::from([(name.clone(), wanted.clone())]), ..Wanted::default() }
        }
        Ast::Subexpr { lhs, rhs, .. } | Ast::Projection { lhs, rhs, .. } => needed(lhs, &needed(rhs, wanted)),
        Ast::Flatten { node, .. } => needed(node, wanted),
        Ast::Condition { predicate, then, .. } => both(needed(predicate, &Wanted::all()), &needed(then, wanted)),
        // Whether what stands before it is true decides whether the last one is looked at.
        Ast::And { .. } | Ast::Or { .. } => {
            let mut operands = limits::chain(ast).map_or_else(Vec::new, |(_, operands)| operands);
            let last = operands.pop().map_or_else(Wanted::default, |last| needed(last, wanted));
            operands.into_iter().fold(last, |all, operand| both(all, &whole(operand)))
        }
        Ast::Comparison { lhs, rhs, .. } => both(whole(lhs), &whole(rhs)),
        Ast::Not { node, .. } | Ast::ObjectValues { node, .. } => whole(node),
        Ast::Function { name, args, .. } => match args.as_slice() {
            // Of a list only the number of items.
            [list] if name == "length" && is_list(list) => needed(list, &Wanted::default()),
            [member] if name == "length" && is_member(member) => {
                needed(member, &Wanted { size: true, ..Wanted::default() })
            }
            _ => args.iter().fold(Wanted::default(), |all, arg| both(all, &whole(arg))),
        },
        Ast::MultiList { elements, .. } => elements.iter().fold(Wanted::default(), |all, one| both(all, &whole(one))),
        Ast::MultiHash { elements, .. } => {
            elements.iter().fold(Wanted::default(), |all, pair| both(all, &whole(&pair.value)))
        }
        Ast::Literal { .. } => Wanted::default(),
        // Applied to what another argument finds, of which all is wanted.
        Ast::Expref { .. } => Wanted::default(),
    }
}

fn whole(ast: &Ast) -> Wanted {
    needed(ast, &Wanted::all())
}

fn both(mut one: Wanted, other: &Wanted) -> Wanted {
    one.add(other);
    one
}

/// Whether an expression finds a list or nothing, whatever it is applied to.
fn is_list(ast: &Ast) -> bool {
    match ast {
        Ast::Projection { .. } | Ast::Flatten { .. } | Ast::MultiList { .. } | Ast::Slice { .. } => true,
        Ast::Subexpr { rhs, .. } => is_list(rhs),
        _ => false,
    }
}

/// Whether an expression finds a member of something, and that itself.
fn is_member(ast: &Ast) -> bool {
    match ast {
        Ast::Field { .. } => true,
        Ast::Subexpr { rhs, .. } => is_member(rhs),
        _ => false,
    }
}

/// An expression that was parsed, and what it looks at.
#[derive(Debug)]
pub(super) struct Parsed {
    /// What was parsed.
    pub text: String,
    pub ast: Ast,
    pub wanted: Wanted,
}

impl Parsed {
    pub fn new(text: String, ast: Ast) -> Self {
        Self { wanted: needed(&ast, &Wanted::all()), text, ast }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{Document, evaluate, evaluate_in};
    use super::*;

    fn wanted(expression: &str, document: &Value) -> Value {
        let wanted = Wanted::by([expression]);
        super::super::value(&wanted.variable(document)).unwrap()
    }

    #[test]
    fn only_what_is_looked_at_is_made_ready() {
        let answers = json!([{"services": [
            {"status": "ACTIVE", "tags": [{"key": "a", "value": "b"}], "events": [1, 2], "deployments": [
                {"id": "1", "status": "PRIMARY", "networkConfiguration": {"a": 1}}, {"id": "2", "status": "ACTIVE"}]}]}]);
        let seen = wanted("length([0].services[0].deployments[?status=='PRIMARY']) == `1`", &answers);
        assert_eq!(seen, json!([{"services": [{"deployments": [{"status": "PRIMARY"}, {"status": "ACTIVE"}]}]}]));
        let seen = wanted("[0].services[0].tags", &answers);
        assert_eq!(seen, json!([{"services": [{"tags": [{"key": "a", "value": "b"}]}]}]));
        let seen = wanted("length([0].services) == `1` && length([0].services[0].tags[0]) == `2`", &answers);
        assert_eq!(seen, json!([{"services": [{"tags": [{"key": "a", "value": "b"}]}]}]));
        let seen = wanted("length(a.b)", &json!({"a": {"b": {"c": [1], "d": 2}, "e": 3}}));
        assert_eq!(seen, json!({"a": {"b": {"c": null, "d": null}}}));
    }

    #[test]
    fn what_is_seen_as_a_whole_stays_whole() {
        let document = json!({"a": {"b": 1, "c": 2}, "d": []});
        for whole in
            ["@", "length(@)", "keys(@)", "*", "merge(@, {e: `1`})", "@ == `1`", "!@", "@ && d", "[@]", "{x: @}"]
        {
            assert_eq!(wanted(whole, &document), document, "{whole}");
        }
        let a = json!({"a": {"b": 1, "c": 2}});
        for whole in
            ["a", "to_string(a)", "a.*", "a && `1`", "a || `1`", "a == `1`", "!a", "values(a)", "sort_by([a], &b)"]
        {
            assert_eq!(wanted(whole, &document), a, "{whole}");
        }
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            Just(json!(true)),
            Just(json!(1)),
            Just(json!("a")),
            Just(json!({})),
            Just(json!([]))
        ];
        leaf.prop_recursive(4, 40, 3, |inner| {
            let members = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
            prop_oneof![
                prop::collection::vec(inner, 0..3).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn expressions() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![Just("@".to_owned()), Just("`1`".to_owned()), "[abc]".prop_map(String::from)];
        leaf.prop_recursive(4, 24, 2, |inner| {
            let two = (inner.clone(), inner.clone());
            prop_oneof![
                two.clone().prop_map(|(x, y)| format!("{x}.{{a: {y}, b: a}}.a")),
                two.clone().prop_map(|(x, y)| format!("({x})[?{y}]")),
                two.clone().prop_map(|(x, y)| format!("({x})[*].[{y}]")),
                two.clone().prop_map(|(x, y)| format!("({x})[].a | ({y})")),
                two.clone().prop_map(|(x, y)| format!("({x}) == ({y})")),
                two.clone().prop_map(|(x, y)| format!("({x}) && ({y})")),
                two.clone().prop_map(|(x, y)| format!("({x}) || ({y})")),
                two.prop_map(|(x, y)| format!("map(&({x}), [{y}][])")),
                (inner.clone(), "[abc]").prop_map(|(x, name)| format!("({x}).{name}")),
                (inner.clone(), "[abc]").prop_map(|(x, name)| format!("({x})[*].{name}")),
                (inner.clone(), 0..2).prop_map(|(x, at)| format!("({x})[{at}]")),
                inner.clone().prop_map(|x| format!("({x})[1:]")),
                inner.clone().prop_map(|x| format!("({x}).*")),
                inner.clone().prop_map(|x| format!("!({x})")),
                inner.clone().prop_map(|x| format!("length(({x})[])")),
                inner.clone().prop_map(|x| format!("length(({x})[?b])")),
                inner.clone().prop_map(|x| format!("length({x})")),
                (inner.clone(), "[abc]").prop_map(|(x, name)| format!("length(({x}).{name})")),
                inner.clone().prop_map(|x| format!("type({x})")),
                inner.clone().prop_map(|x| format!("keys({x})")),
                inner.prop_map(|x| format!("not_null({x}, a)")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_is_found_in_the_wanted_parts_is_what_is_found_in_the_whole(
            expression in expressions(),
            document in documents(),
        ) {
            let none = BTreeMap::new();
            let whole = Document::of(&document, &Wanted::all());
            prop_assert_eq!(evaluate(&expression, &none, &document), evaluate_in(&expression, &none, &whole));
        }
    }
}
