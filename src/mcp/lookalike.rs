//! Keys that some parsers take for another: Go's matches members without regard to case, C ends a name at NUL.

use super::Refusal;
use super::json::Object;

/// Members of a message, and of its params: what decides which call it is.
pub(super) const ENVELOPE: &[&str] = &[
    "jsonrpc",
    "method",
    "params",
    "id",
    "name",
    "arguments",
    "uri",
    "result",
    "error",
];

/// Members of params that are read, beside those of the envelope.
pub(super) const PARAMS: &[&str] = &[
    "_meta",
    "task",
    "taskId",
    "ref",
    "notifications",
    "protocolVersion",
    "inputResponses",
    "requestState",
];

/// Refuses a key that isn't one of the names in these lists but would pass for it.
pub(super) fn check(object: &Object, lists: &[&[&'static str]]) -> Result<(), Refusal> {
    for (key, _) in object.iter() {
        let mut names = lists.iter().copied().flatten().copied();
        if names.clone().any(|name| name == key) {
            continue;
        }
        if let Some(key) = names.find(|name| passes_for(key, name)) {
            return Err(Refusal::CaseVariantKey { key });
        }
    }
    Ok(())
}

/// `name` is ASCII. Beyond ASCII there are `ſ` (s), `ı` (i) and the Kelvin sign (k), all at most 3 bytes long.
pub(super) fn passes_for(key: &str, name: &str) -> bool {
    let end = key.find('\0').unwrap_or(key.len());
    let key = key.get(..end).unwrap_or(key);
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(name);
    }
    key.len() <= name.len().saturating_mul(3) && folded(key).eq(folded(name))
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}
