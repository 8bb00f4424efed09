//! Values of Cedar for people and for scripts.

use std::fmt;

use cedar_policy::{EntityUid, EvalResult};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::exchange::printable;

/// The most characters of a text that are shown.
const MAX_TEXT: usize = 64;
/// The most members of a set that are shown.
const MAX_MEMBERS: usize = 8;

/// A value that a condition met, or needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`
    Bool(bool),
    /// A `Long`.
    Number(i64),
    /// A `String`.
    Text(String),
    /// An entity: its type and its id.
    Entity(String, String),
    /// A `Set`, and a record's values likewise.
    Set(Vec<Value>),
    /// A time, an address, a decimal …, in words.
    Other(String),
}

impl Value {
    pub(super) fn of(result: &EvalResult) -> Self {
        match result {
            EvalResult::Bool(value) => Self::Bool(*value),
            EvalResult::Long(value) => Self::Number(*value),
            EvalResult::String(text) => Self::Text(text.clone()),
            EvalResult::EntityUid(uid) => Self::entity(uid),
            EvalResult::Set(set) => Self::Set(set.iter().map(Self::of).collect()),
            EvalResult::Record(record) => {
                Self::Set(record.iter().map(|(_, value)| Self::of(value)).collect())
            }
            EvalResult::ExtensionValue(call) => Self::Other(extension(call)),
        }
    }

    pub(in crate::policy) fn entity(uid: &EntityUid) -> Self {
        Self::Entity(uid.type_name().to_string(), uid.id().unescaped().to_owned())
    }

    /// The members of a set, else the value itself.
    #[must_use]
    pub fn members(&self) -> &[Self] {
        match self {
            Self::Set(members) => members,
            one => std::slice::from_ref(one),
        }
    }

    /// For scripts.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Bool(value) => json!(value),
            Self::Number(value) => json!(value),
            Self::Text(text) | Self::Other(text) => json!(text),
            Self::Entity(kind, id) => json!({ "type": kind, "id": id }),
            Self::Set(members) => members.iter().map(Self::to_json).collect(),
        }
    }
}

/// Bounded, on one line, and safe on a terminal.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(text) => write!(f, "\"{}\"", clipped(text)),
            Self::Other(text) => f.write_str(&clipped(text)),
            Self::Entity(kind, id) => write!(f, "{kind} \"{}\"", clipped(id)),
            Self::Set(members) if members.is_empty() => f.write_str("nothing"),
            Self::Set(members) => {
                for (number, member) in members.iter().take(MAX_MEMBERS).enumerate() {
                    let separator = if number == 0 { "" } else { ", " };
                    write!(f, "{separator}{member}")?;
                }
                match members.len().saturating_sub(MAX_MEMBERS) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
        }
    }
}

fn clipped(text: &str) -> String {
    let kept: String = text.chars().take(MAX_TEXT).collect();
    let cut = if kept.len() < text.len() { "…" } else { "" };
    format!("{}{cut}", printable::escape(&kept))
}

/// Cedar gives extension values as calls of their constructors: `duration("900000ms")`, a time as the offset from 1970 or as it
/// was written.
fn extension(call: &str) -> String {
    let texts: Vec<&str> = call.split('"').skip(1).step_by(2).collect();
    let (first, last) = (texts.first().copied().unwrap_or(call), texts.get(1).copied());
    let milliseconds = |text: &str| text.strip_suffix("ms")?.parse::<i64>().ok();
    let time = last
        .and_then(milliseconds)
        .and_then(|at| Timestamp::from_millisecond(at).ok());
    if let Some(time) = time {
        return time.to_string();
    }
    match milliseconds(first) {
        Some(length) => format!("{:#}", SignedDuration::from_millis(length)),
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_a_person_writes_them() {
        let text = |text: &str| Value::Text(text.to_owned());
        let cases = [
            (text("prod"), "\"prod\""),
            (text("a\u{202e}\n"), r#""a\u202e\u000a""#),
            (
                Value::Set(vec![text("dev"), text("staging")]),
                r#""dev", "staging""#,
            ),
            (Value::Set(Vec::new()), "nothing"),
            (
                Value::Entity("Role".to_owned(), "mcp-admin".to_owned()),
                r#"Role "mcp-admin""#,
            ),
            (Value::Other(extension("duration(\"900000ms\")")), "15m"),
            (Value::Other(extension("duration(\"15m\")")), "15m"),
            (
                Value::Other(extension(
                    "(datetime(\"1970-01-01\")).offset(duration(\"86400000ms\"))",
                )),
                "1970-01-02T00:00:00Z",
            ),
            (Value::Other(extension("ip(\"192.0.2.7/32\")")), "192.0.2.7/32"),
        ];
        for (value, expected) in cases {
            assert_eq!(value.to_string(), expected);
        }
        let long = text(&"x".repeat(100)).to_string();
        assert_eq!(long.chars().count(), 67);
        let many = Value::Set((0..20).map(Value::Number).collect());
        assert!(many.to_string().ends_with("7 and 12 more"));
    }
}
