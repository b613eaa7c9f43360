//! What a plain YAML scalar means: the core schema of YAML 1.2, read as the serde_yaml family reads it.
//!
//! So `yes`, `no`, `on`, `off`, `0755` and dates are texts, `0o755`, `0x1f` and `0b1` are integers, and an integer
//! beyond 64 bits is an error instead of a rounded number.

/// The value of a scalar. A text is kept beside it, as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// `~`, `null` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer from 0 on.
    Unsigned(u64),
    /// An integer below 0.
    Negative(i64),
    /// Any other number, or `.inf`, `.nan`.
    Float(f64),
    /// Anything else.
    Text,
}

/// An integer that 64 bits do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooBig;

/// Resolves a plain scalar.
///
/// # Errors
/// An integer that 64 bits do not hold.
pub fn resolve(text: &str) -> Result<Resolved, TooBig> {
    let Some(first) = text.bytes().next() else { return Ok(Resolved::Null) };
    match first {
        b'~' | b'n' | b'N' => {
            return Ok(if matches!(text, "~" | "null" | "Null" | "NULL") { Resolved::Null } else { Resolved::Text });
        }
        b't' | b'T' | b'f' | b'F' => {
            return Ok(match text {
                "true" | "True" | "TRUE" => Resolved::Bool(true),
                "false" | "False" | "FALSE" => Resolved::Bool(false),
                _ => Resolved::Text,
            });
        }
        b'0'..=b'9' | b'+' | b'-' | b'.' => {}
        _ => return Ok(Resolved::Text),
    }
    let (negative, magnitude) = match first {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if magnitude.starts_with(['+', '-']) || has_leading_zero(magnitude) {
        return Ok(Resolved::Text);
    }
    let (radix, digits) = match magnitude.get(..2) {
        Some("0x") => (16, &magnitude[2..]),
        Some("0o") => (8, &magnitude[2..]),
        Some("0b") => (2, &magnitude[2..]),
        _ => (10, magnitude),
    };
    if !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)) {
        return integer(negative, digits, radix);
    }
    Ok(float(first, negative, magnitude))
}

/// `007` and `0755` are texts: YAML 1.2 does not say which number they would be.
fn has_leading_zero(magnitude: &str) -> bool {
    magnitude.len() > 1 && magnitude.starts_with('0') && magnitude.bytes().all(|b| b.is_ascii_digit())
}

fn integer(negative: bool, digits: &str, radix: u32) -> Result<Resolved, TooBig> {
    let Ok(magnitude) = u64::from_str_radix(digits, radix) else { return Err(TooBig) };
    if !negative || magnitude == 0 {
        return Ok(Resolved::Unsigned(magnitude));
    }
    0i64.checked_sub_unsigned(magnitude).map(Resolved::Negative).ok_or(TooBig)
}

fn float(first: u8, negative: bool, magnitude: &str) -> Resolved {
    match magnitude {
        ".inf" | ".Inf" | ".INF" => {
            return Resolved::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        ".nan" | ".NaN" | ".NAN" if first == b'.' => return Resolved::Float(f64::NAN),
        _ => {}
    }
    // Rust also reads `inf` and `nan`, which are texts here, and rounds what is too large to infinity.
    match magnitude.parse::<f64>() {
        Ok(number) if number.is_finite() => Resolved::Float(if negative { -number } else { number }),
        _ => Resolved::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traps_of_yaml_come_out_as_in_yaml_1_2() {
        use Resolved::*;
        for (text, expected) in [
            ("yes", Text),
            ("off", Text),
            ("0755", Text),
            ("-012", Text),
            ("0o755", Unsigned(493)),
            ("0x1F", Unsigned(31)),
            ("-0x10", Negative(-16)),
            ("0b101", Unsigned(5)),
            ("1e3", Float(1000.0)),
            ("1.", Float(1.0)),
            (".5", Float(0.5)),
            ("-.5", Float(-0.5)),
            ("+12", Unsigned(12)),
            ("-0", Unsigned(0)),
            ("", Null),
            ("~", Null),
            ("NULL", Null),
            ("nULL", Text),
            ("True", Bool(true)),
            ("-.inf", Float(f64::NEG_INFINITY)),
            ("+-1", Text),
            ("0x", Text),
            ("12:30:45", Text),
            ("2026-11-20", Text),
            ("1_000", Text),
            ("1.2.3", Text),
            (".", Text),
            ("1e400", Text),
            ("18446744073709551615", Unsigned(u64::MAX)),
            ("-9223372036854775808", Negative(i64::MIN)),
        ] {
            assert_eq!(resolve(text), Ok(expected), "{text}");
        }
        assert_eq!(resolve("18446744073709551616"), Err(TooBig));
        assert_eq!(resolve("-9223372036854775809"), Err(TooBig));
    }
}
