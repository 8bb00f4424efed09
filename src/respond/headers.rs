//! The audit headers that an MCP server sees on an allowed request.

use std::fmt::Write as _;

use crate::decide::Permit;

use super::About;

/// Every header of ours: each is written or removed, so that a client's own never gets through.
pub const NAMES: [&str; 7] = [
    "x-mcp-decision-id",
    "x-mcp-user",
    "x-mcp-tenant",
    "x-mcp-workload",
    "x-mcp-agent",
    "x-mcp-action",
    "x-mcp-policies",
];

/// The longest value that is written, in bytes after encoding. What is longer ends in `...`.
const LONGEST: usize = 1024;

/// Headers to set and names to remove.
pub type SetAndRemove = (Vec<(&'static str, String)>, Vec<&'static str>);

pub(super) fn audit(permit: &Permit, about: &About<'_>) -> SetAndRemove {
    let (mut set, mut remove) = (Vec::with_capacity(NAMES.len()), Vec::new());
    for name in NAMES {
        match value(name, permit, about) {
            Some(value) => set.push((name, value)),
            None => remove.push(name),
        }
    }
    (set, remove)
}

fn value(name: &str, permit: &Permit, about: &About<'_>) -> Option<String> {
    let caller = about.caller;
    match name {
        "x-mcp-decision-id" => Some(visible(about.decision_id)),
        "x-mcp-user" => caller.user.as_ref().map(|user| visible(&user.username)),
        "x-mcp-tenant" => caller
            .user
            .as_ref()
            .and_then(|user| list(user.tenants.iter().map(String::as_str))),
        "x-mcp-workload" => caller
            .workload
            .as_ref()
            .map(|workload| visible(workload.spiffe_id.as_str())),
        "x-mcp-agent" => caller.actor.as_ref().map(|actor| visible(actor.key())),
        "x-mcp-action" => Some(visible(about.action)),
        "x-mcp-policies" => list(permit.fired().iter().map(|policy| policy.id.as_str())),
        _ => None,
    }
}

/// Several values in one header, each encoded by itself so that a comma in one can't make two.
fn list<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut joined = String::new();
    for (index, value) in values.enumerate() {
        if index > 0 {
            joined.push(',');
        }
        let value = visible(value);
        if value.contains(',') {
            joined.push_str(&value.replace(',', "%2C"));
        } else {
            joined.push_str(&value);
        }
    }
    (!joined.is_empty()).then(|| bounded(joined))
}

/// A text as visible ASCII: anything else, `%` itself and spaces, is percent-encoded as UTF-8; bounded.
///
/// CR, LF or raw UTF-8 in a value of ours would make the gateway fail the call after it was recorded as allowed.
#[must_use]
pub fn visible(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    // Without a way out in the middle, many bytes are looked at at once.
    if text.len() <= LONGEST && text.bytes().fold(true, |all, byte| all & plain(byte)) {
        return text.to_owned();
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes().take(LONGEST) {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            let _infallible = write!(encoded, "{byte:02X}");
        }
    }
    if text.len() > LONGEST {
        encoded.push_str("...");
    }
    bounded(encoded)
}

fn bounded(mut text: String) -> String {
    if text.len() > LONGEST {
        // The text is ASCII here, so every index is a character boundary.
        text.truncate(LONGEST.saturating_sub(3));
        // A cut percent-encoding would decode to something else.
        while text.len().saturating_sub(text.rfind('%').unwrap_or(0)) < 3 && text.contains('%') {
            text.pop();
        }
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_visible_ascii_only_and_never_more_than_the_bound() {
        assert_eq!(visible("alice"), "alice");
        assert_eq!(visible("zoë\r\nx: y"), "zo%C3%AB%0D%0Ax:%20y");
        assert_eq!(visible("100%"), "100%25");
        let long = visible(&"ü".repeat(5_000));
        assert!(long.len() <= LONGEST && long.ends_with("..."), "{}", long.len());
        assert!(
            long.trim_end_matches("...").ends_with("%BC") || long.trim_end_matches("...").ends_with("%C3")
        );
    }

    #[test]
    fn a_comma_in_a_value_does_not_make_two() {
        assert_eq!(list(["a,b", "c"].into_iter()).as_deref(), Some("a%2Cb,c"));
        assert_eq!(list(std::iter::empty()), None);
    }
}
