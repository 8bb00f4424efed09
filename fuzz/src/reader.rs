//! JSON text: what is read, `serde_json` reads the same way; what is refused as no JSON, it refuses too.

use mcp_authz::mcp::json::{Fault, FaultKind, read};
use serde_json::Value as Json;

use super::json::{alike, nesting};

const MAX_NESTING: usize = 64;

/// Reads the bytes and compares with `serde_json`.
///
/// # Panics
/// If the two don't agree.
pub fn check(bytes: &[u8]) {
    let theirs = serde_json::from_slice::<Json>(bytes);
    match read(bytes, MAX_NESTING) {
        Ok(ours) => {
            let theirs = theirs.expect("what is read is JSON");
            let again = ours.to_serde();
            assert!(alike(&again, &theirs), "{again}\n{theirs}");
            assert!(nesting(&theirs) <= MAX_NESTING, "too deep");
            let spelt = again.to_string();
            let reread = read(spelt.as_bytes(), MAX_NESTING).expect("what we hold can be spelt");
            assert_eq!(reread.to_serde(), again, "{spelt}");
        }
        Err(fault) => refused(bytes, fault, theirs.ok().as_ref()),
    }
}

/// Each fault is one: nothing that is allowed is refused under its name.
fn refused(bytes: &[u8], fault: Fault, theirs: Option<&Json>) {
    let rest = bytes.get(fault.at..).expect("a fault lies in the text");
    match fault.kind {
        FaultKind::ByteOrderMark
        | FaultKind::NotUtf8
        | FaultKind::NulByte
        | FaultKind::Syntax(_)
        | FaultKind::TrailingBytes
        | FaultKind::LoneSurrogate => assert!(theirs.is_none(), "JSON is refused: {fault:?}"),
        FaultKind::Nesting => {
            if let Some(theirs) = theirs {
                assert!(nesting(theirs) > MAX_NESTING, "not that deep");
            }
        }
        FaultKind::DuplicateKey => {
            assert_eq!(rest.first(), Some(&b'{'), "duplicate keys of what is no object");
            if let Some(theirs) = theirs {
                // Some object has fewer members than were written.
                assert_ne!(colons(bytes), members(theirs), "no key is there twice");
            }
        }
        FaultKind::NumberRange => {
            let spelling = number(rest);
            let double: f64 = spelling.parse().expect("a number");
            assert!(
                double.is_infinite() || double == 0.0 || spelling.len() > 1024,
                "{spelling}"
            );
        }
    }
}

/// The number that a text begins with (RFC 8259 §6).
fn number(text: &[u8]) -> &str {
    let after =
        |at: usize, signs: &[u8]| at + usize::from(text.get(at).is_some_and(|byte| signs.contains(byte)));
    let digits = |at: usize| {
        at + text
            .iter()
            .skip(at)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut end = digits(after(0, b"-"));
    if text.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if text.get(end).is_some_and(|byte| b"eE".contains(byte)) {
        end = digits(after(end + 1, b"+-"));
    }
    std::str::from_utf8(&text[..end]).expect("ASCII")
}

/// How many members are written: colons outside strings, of a text that is JSON.
fn colons(bytes: &[u8]) -> usize {
    let (mut quoted, mut escaped, mut count) = (false, false, 0);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b':' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

/// How many members are left after `serde_json` let the last of each name win.
fn members(value: &Json) -> usize {
    match value {
        Json::Array(items) => items.iter().map(members).sum(),
        Json::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        _ => 0,
    }
}
