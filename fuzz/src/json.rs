//! Two readings of one JSON text, compared.

use serde_json::Value as Json;

/// Equal, but for the last places of doubles: `serde_json` doesn't round them exactly by default.
#[must_use]
pub fn alike(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| alike(a, b))
        }
        (Json::Object(ours), Json::Object(theirs)) => {
            let same = |((a, x), (b, y)): ((&String, &Json), (&String, &Json))| a == b && alike(x, y);
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
        }
        (Json::Number(ours), Json::Number(theirs)) if ours.is_f64() && theirs.is_f64() => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            // Subnormal doubles have fewer places.
            (ours - theirs).abs() <= theirs.abs() * 8.0 * f64::EPSILON + 2e-323
        }
        (ours, theirs) => ours == theirs,
    }
}

/// How deep arrays and objects are nested.
#[must_use]
pub fn nesting(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        Json::Object(object) => 1 + object.values().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}

/// A member as the laxest parser finds it: the last of that name, in any case.
///
/// # Panics
/// If it is there in another case: nothing with such a key is ever read.
#[must_use]
pub fn member<'a>(object: &'a Json, name: &str) -> Option<&'a Json> {
    let object = object.as_object()?;
    for key in object.keys() {
        assert!(
            key == name || !key.eq_ignore_ascii_case(name),
            "`{key}` passes for `{name}`"
        );
    }
    object.get(name)
}
