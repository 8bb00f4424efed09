//! Text of clients, made safe to stand in a line of a log, of the audit or on a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;

/// Whether a character could forge, hide or reorder what a reader of a line sees: controls (a newline, terminal
/// escapes, C1), line and paragraph separators, bidirectional controls (UAX #9 §2), invisible format
/// characters, variation selectors and tags, noncharacters.
#[must_use]
pub fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(
            u32::from(c),
            0x00AD
                | 0x034F
                | 0x061C
                | 0x115F..=0x1160
                | 0x17B4..=0x17B5
                | 0x180B..=0x180F
                | 0x200B..=0x200F
                | 0x2028..=0x202E
                | 0x2060..=0x206F
                | 0x3164
                | 0xFE00..=0xFE0F
                | 0xFEFF
                | 0xFFA0
                | 0xFFF0..=0xFFFB
                | 0xFFFE..=0xFFFF
                | 0xE0000..=0xE0FFF
        )
}

/// Appends the escape of a character as JSON spells it: `\u202e`, a surrogate pair above U+FFFF.
pub fn push_escape(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a String doesn't fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

/// Appends the text as a JSON string in which nothing disturbs a line.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    if stands_for_itself(text) {
        out.push_str(text);
    } else {
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if disturbs(c) => push_escape(out, c),
                c => out.push(c),
            }
        }
    }
    out.push('"');
}

/// Appends an address as `Display` writes it. Every record has two, nearly all of version 4, and the way through the formatter is
/// ten times as long.
pub fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        // Writing to a Vec doesn't fail.
        let _ = write!(out, "{address}");
        return;
    };
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| digit | b'0');
        let zeros = usize::from(octet < 100).saturating_add(usize::from(octet < 10));
        out.extend_from_slice(digits.get(zeros..).unwrap_or_default());
    }
}

/// Whether a text is of visible ASCII and spaces alone, and needs no escape in a string of JSON: nearly all are and need none.
/// Without a way out in the middle, many bytes are looked at at once.
#[must_use]
pub fn stands_for_itself(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
    text.bytes().fold(true, |all, byte| all & plain(byte))
}

/// The text with every disturbing character escaped.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().saturating_add(16));
    for c in text.chars() {
        if disturbs(c) {
            push_escape(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether nothing has to be escaped; visible ASCII is found so at the speed of a byte scan.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let visible = |byte: u8| matches!(byte, b' '..=b'~');
    // Without a way out in the middle, many bytes are looked at at once.
    text.bytes().fold(true, |all, byte| all & visible(byte)) || !text.chars().any(disturbs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_always_are() {
        let octets = |number: u8| [number, 0, 255 - number, 127];
        let some = (0..=255).map(|number| IpAddr::from(octets(number)));
        let others = ["::1", "::ffff:192.0.2.7", "2001:db8::a"].map(|text| text.parse().unwrap());
        for address in some.chain(others) {
            let mut written = Vec::new();
            push_address(&mut written, address);
            assert_eq!(String::from_utf8(written).unwrap(), address.to_string());
        }
    }

    #[test]
    fn a_quoted_text_is_the_same_with_and_without_something_that_is_escaped() {
        for byte in 0..0x80_u8 {
            let text = char::from(byte).to_string();
            let escaped = disturbs(char::from(byte)) || byte == b'"' || byte == b'\\';
            assert_eq!(stands_for_itself(&text), !escaped, "{text:?}");
            let mut quoted = String::new();
            push_quoted(&mut quoted, &text);
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        }
        assert!(!stands_for_itself("\u{e4}"));
    }

    #[test]
    fn escapes_what_disturbs_a_line_and_nothing_else() {
        assert_eq!(escape("Jürgen (日本)"), "Jürgen (日本)");
        assert_eq!(
            escape("a\nb\u{1b}[2J\u{9b}c\u{7f}"),
            r"a\u000ab\u001b[2J\u009bc\u007f"
        );
        assert_eq!(
            escape("\u{202e}\u{2066}\u{2028}\u{feff}"),
            r"\u202e\u2066\u2028\ufeff"
        );
        assert_eq!(escape("\u{e0041}"), r"\udb40\udc41");
    }
}
