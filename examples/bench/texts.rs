//! Texts for the JSON reader: one of many small objects, one of long strings.

use std::fmt::Write as _;

/// Rows as a tool would be sent them: six members, numbers, words, a nested object.
pub(crate) fn objects(bytes: usize) -> String {
    let mut text = String::from("[");
    while text.len() < bytes {
        let row = text.len();
        // Writing to a String doesn't fail.
        let _ = write!(
            text,
            r#"{{"id":{row},"name":"Ada","city":"London","amount":12.5,"open":true,"at":{{"line":7,"column":12}}}},"#
        );
    }
    text.push_str("null]");
    text
}

/// Pages of text, with an escape in every line as source code has them.
pub(crate) fn strings(bytes: usize) -> String {
    let line = "The quick brown fox jumps over the lazy dog, and nobody asks it why it does so.\\n";
    let page = line.repeat(200);
    let mut text = String::from("[");
    while text.len() < bytes {
        let _ = write!(text, "\"{page}\",");
    }
    text.push_str("null]");
    text
}
