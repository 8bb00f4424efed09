//! Texts and plain values: what went and what came, with what can't be seen made visible.

use std::collections::BTreeMap;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::{Aspect, Change};
use crate::exchange::printable;

/// The most lines of a text that are shown.
const MAX_LINES: usize = 60;
/// The most characters of a value that are shown.
const MAX_VALUE: usize = 160;

/// How a text for people changed, and what in the new one can't be seen.
pub(super) fn description(
    old: Option<&Value>,
    new: Option<&Value>,
    aspect: Aspect,
    name: &str,
) -> Vec<Change> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let (was, is) = (text(old), text(new));
    let mut changes = Vec::new();
    if was != is {
        let words = match (&was, &is) {
            (None, _) => format!("{name}:"),
            (Some(_), None) => format!("{name} removed"),
            (Some(_), Some(_)) => format!("{name} changed"),
        };
        changes.push(Change {
            lines: lines(
                was.as_deref().unwrap_or_default(),
                is.as_deref().unwrap_or_default(),
            ),
            ..Change::new(aspect, words)
        });
    }
    let hidden = hidden(is.as_deref().unwrap_or_default());
    if !hidden.is_empty() {
        changes.push(Change::new(
            aspect,
            format!("{name} has characters that nobody sees: {hidden}"),
        ));
    }
    changes
}

/// The lines that went and came.
fn lines(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let mut lines: Vec<String> = Vec::new();
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => continue,
        };
        let text = printable::escape(change.value().trim_end_matches(['\n', '\r'])).into_owned();
        lines.push(format!("{sign} {text}"));
    }
    let more = lines.len().saturating_sub(MAX_LINES);
    lines.truncate(MAX_LINES);
    if more > 0 {
        lines.push(format!("… and {more} lines more"));
    }
    lines
}

/// The characters of a text that can't be seen or change the order of others, but for breaks of lines.
fn hidden(text: &str) -> String {
    let mut found = BTreeMap::<char, usize>::new();
    for c in text
        .chars()
        .filter(|c| printable::disturbs(*c) && !matches!(c, '\n' | '\r' | '\t'))
    {
        let count = found.entry(c).or_default();
        *count = count.saturating_add(1);
    }
    let each = found.iter().map(|(c, count)| match count {
        1 => format!("U+{:04X}", u32::from(*c)),
        _ => format!("U+{:04X} {count} times", u32::from(*c)),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// A value that was another, came or went.
pub(super) fn value(name: &str, old: Option<&Value>, new: Option<&Value>, aspect: Aspect) -> Change {
    let name = printable::escape(name);
    let words = match (old, new) {
        (None, Some(new)) => format!("`{name}`: {}", shown(new)),
        (Some(old), None) => format!("`{name}` removed: {}", shown(old)),
        (Some(old), Some(new)) => format!("`{name}`: {} → {}", shown(old), shown(new)),
        (None, None) => format!("`{name}`"),
    };
    Change::new(aspect, words)
}

/// A value as compact JSON of printable characters, cut where it is long.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let text = printable::escape(&text);
    match text.char_indices().nth(MAX_VALUE) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
