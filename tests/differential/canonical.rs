//! One spelling for one value, in which no two kinds look alike: what the parsers of other languages print too.

use std::fmt::Write as _;

use mcp_authz::mcp::json::{Number, Value};

/// Whose numbers a spelling is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Integers of any size, and doubles; members in their order (Python).
    Exact,
    /// Doubles; members sorted (JavaScript).
    Doubles,
}

/// A value as the parsers print it.
pub(crate) fn of(value: &Value, numbers: Numbers) -> String {
    match value {
        Value::Null => "n".to_owned(),
        Value::Bool(true) => "t".to_owned(),
        Value::Bool(false) => "f".to_owned(),
        Value::Number(number) => of_number(number, numbers),
        Value::String(text) => of_text(text),
        Value::Array(items) => {
            let items: String = items.iter().map(|item| of(item, numbers)).collect();
            format!("[{items}]")
        }
        Value::Object(object) => {
            let mut members: Vec<_> = object
                .iter()
                .map(|(key, value)| (of_text(key), of(value, numbers)))
                .collect();
            if numbers == Numbers::Doubles {
                // Without its `;`, which is greater than any digit.
                members.sort_by(|(a, _), (b, _)| a.trim_end_matches(';').cmp(b.trim_end_matches(';')));
            }
            let members: String = members.into_iter().map(|(key, value)| key + &value).collect();
            format!("{{{members}}}")
        }
    }
}

fn of_text(text: &str) -> String {
    let mut hex = String::with_capacity(text.len() * 2 + 2);
    for byte in text.bytes() {
        write!(hex, "{byte:02x}").unwrap();
    }
    format!("s{hex};")
}

fn of_number(number: &Number, numbers: Numbers) -> String {
    let spelling = number.as_str();
    if number.is_integer() && numbers == Numbers::Exact {
        return if spelling == "-0" {
            "i0;".to_owned()
        } else {
            format!("i{spelling};")
        };
    }
    let double: f64 = spelling.parse().unwrap();
    format!("d{:016x};", double.to_bits())
}
