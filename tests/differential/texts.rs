//! Every JSON text that docs/json-profile.md allows, and what becomes of one that is damaged.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Arrays and objects may be nested so deep.
pub(crate) const MAX_NESTING: usize = 64;

/// A JSON value with the spelling of its leaves.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// `null`, `true`, `false` or a number.
    Plain(String),
    /// A string: each character, and how it is spelt.
    Text(Vec<(char, String)>),
    Array(Vec<Told>),
    /// Keys are unique, as meant.
    Object(Vec<(Vec<(char, String)>, Told)>),
}

impl Told {
    /// How deep arrays and objects are nested.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Plain(_) | Self::Text(_) => 0,
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.iter().map(|(_, told)| told.depth()).max().unwrap_or(0),
        }
    }

    /// The text, with these white spaces between its tokens, over and over.
    pub(crate) fn text(&self, spaces: &[&'static str]) -> String {
        let mut spaces = spaces.iter().copied().cycle();
        let mut space = move || spaces.next().unwrap_or_default();
        let mut text = space().to_owned();
        self.write(&mut text, &mut space);
        text.push_str(space());
        text
    }

    fn write(&self, text: &mut String, space: &mut impl FnMut() -> &'static str) {
        match self {
            Self::Plain(plain) => text.push_str(plain),
            Self::Text(pieces) => text.push_str(&quoted(pieces)),
            Self::Array(items) => {
                text.push('[');
                for (place, item) in items.iter().enumerate() {
                    text.push_str(if place == 0 { "" } else { "," });
                    text.push_str(space());
                    item.write(text, space);
                    text.push_str(space());
                }
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (place, (key, value)) in members.iter().enumerate() {
                    text.push_str(if place == 0 { "" } else { "," });
                    text.push_str(space());
                    text.push_str(&quoted(key));
                    text.push_str(space());
                    text.push(':');
                    text.push_str(space());
                    value.write(text, space);
                    text.push_str(space());
                }
                text.push('}');
            }
        }
    }
}

fn quoted(pieces: &[(char, String)]) -> String {
    let inside: String = pieces.iter().map(|(_, spelling)| spelling.as_str()).collect();
    format!("\"{inside}\"")
}

/// What a string means.
pub(crate) fn meant(pieces: &[(char, String)]) -> String {
    pieces.iter().map(|(meant, _)| *meant).collect()
}

/// White space between tokens.
pub(crate) fn spaces() -> impl Strategy<Value = Vec<&'static str>> {
    let one = select(vec!["", "", "", " ", "\n", "\t", "\r\n", "  "]);
    prop_oneof![
        3 => Just(vec![]),
        1 => prop::collection::vec(one, 1..12),
    ]
}

/// Any JSON text that the profile allows.
pub(crate) fn text() -> impl Strategy<Value = String> {
    (value(), 0..=MAX_NESTING, any::<bool>(), spaces()).prop_map(|(mut told, deep, object, spaces)| {
        // Most are shallow; some are as deep as they may be.
        let levels = if deep % 8 == 0 { deep } else { deep % 4 };
        while told.depth() < levels {
            told = if object {
                Told::Object(vec![(vec![('k', "k".to_owned())], told)])
            } else {
                Told::Array(vec![told])
            };
        }
        told.text(&spaces)
    })
}

/// Any value, up to seven levels deep.
pub(crate) fn value() -> impl Strategy<Value = Told> {
    let leaf = prop_oneof![
        select(vec!["null", "true", "false"]).prop_map(|word| Told::Plain(word.to_owned())),
        number().prop_map(Told::Plain),
        string(0..12).prop_map(Told::Text),
        string(0..200).prop_map(Told::Text),
    ];
    leaf.prop_recursive(6, 48, 10, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..10).prop_map(Told::Array),
            members(inner).prop_map(Told::Object),
        ]
    })
}

/// An object with any members.
pub(crate) fn object() -> impl Strategy<Value = Told> {
    members(value()).prop_map(Told::Object)
}

fn members(value: impl Strategy<Value = Told>) -> impl Strategy<Value = Vec<(Vec<(char, String)>, Told)>> {
    let key = prop_oneof![
        4 => string(0..8),
        1 => select(vec!["__proto__", "constructor", "0", "10", "9", "-1", "toString"])
            .prop_map(|key| key.chars().map(|char| (char, char.to_string())).collect()),
    ];
    prop::collection::vec((key, value), 0..12).prop_map(|members| {
        let mut seen = HashSet::new();
        let first = |(key, _): &(Vec<(char, String)>, Told)| seen.insert(meant(key));
        members.into_iter().filter(first).collect()
    })
}

/// Any number that every parser can hold, in any spelling.
pub(crate) fn number() -> impl Strategy<Value = String> {
    let whole = prop_oneof![
        2 => Just("0".to_owned()),
        6 => "[1-9][0-9]{0,5}",
        3 => "[1-9][0-9]{12,24}",
        1 => "[1-9][0-9]{250,307}",
        1 => select(vec![
            "9007199254740991", "9007199254740993", "9223372036854775807", "9223372036854775808",
            "18446744073709551615", "18446744073709551616", "4300",
        ]).prop_map(str::to_owned),
    ];
    let fraction = prop_oneof![3 => Just(String::new()), 2 => "\\.[0-9]{1,20}", 1 => "\\.[0-9]{300,700}"];
    let exponent =
        prop_oneof![3 => Just(String::new()), 2 => "[eE][+-]?[0-9]{1,3}", 1 => "[eE][+-]?0{1,9}[0-9]{1,2}"];
    let any = ("-?", whole, fraction, exponent);
    let spelt =
        any.prop_map(|(sign, whole, fraction, exponent)| format!("{sign}{whole}{fraction}{exponent}"));
    let zero = select(vec!["-0", "0e9999999999", "-0.0E-9999999999", "0.000e5"]).prop_map(str::to_owned);
    prop_oneof![12 => spelt.prop_filter("held by every parser", |spelling| is_held(spelling)), 1 => zero]
}

/// The profile: no infinity, no zero that isn't one, at most 1,024 characters.
fn is_held(spelling: &str) -> bool {
    let double: f64 = spelling.parse().unwrap();
    let mantissa = spelling.split(['e', 'E']).next().unwrap();
    let zero = mantissa.bytes().all(|byte| b"-0.".contains(&byte));
    double.is_finite() && (double == 0.0) == zero && spelling.len() <= 1024
}

/// A string of so many characters, each in one of its spellings.
pub(crate) fn string(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(char, String)>> {
    let char = prop_oneof![
        6 => prop::char::range(' ', '~'),
        1 => any::<char>(),
        1 => select(vec!['"', '\\', '/', '\0', '\u{8}', '\u{c}', '\n', '\r', '\t', '\u{1f}', '\u{7f}']),
        1 => select(vec!['\u{2028}', '\u{2029}', '\u{feff}', '\u{fffd}', '\u{ffff}', '\u{10ffff}', 'ſ', 'é', '𝄞']),
    ];
    let piece = (char, 0..10_u8).prop_map(|(char, how)| (char, spelling(char, how)));
    prop::collection::vec(piece, length)
}

fn spelling(char: char, how: u8) -> String {
    let short = match char {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        '/' => Some("\\/"),
        '\u{8}' => Some("\\b"),
        '\u{c}' => Some("\\f"),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\t"),
        _ => None,
    };
    let must = char < ' ' || char == '"' || char == '\\';
    let escaped = |upper: bool| {
        let units = char.encode_utf16(&mut [0; 2]).to_vec();
        let escape = |unit: &u16| {
            if upper {
                format!("\\u{unit:04X}")
            } else {
                format!("\\u{unit:04x}")
            }
        };
        units.iter().map(escape).collect::<String>()
    };
    match (how, short) {
        (0, _) => escaped(true),
        (1, _) => escaped(false),
        (2..=4, Some(short)) => short.to_owned(),
        (_, Some(short)) if must => short.to_owned(),
        _ if must => escaped(false),
        _ => char.to_string(),
    }
}

/// What parsers are known to disagree about, to be put anywhere.
const SHARDS: [&str; 44] = [
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "\\udc00\\ud800",
    "\\u0000",
    "\0",
    "\u{1}",
    "\u{feff}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "1e-400",
    "-0",
    "01",
    "1.",
    ".5",
    "+1",
    "0x1",
    "1e",
    "1_000",
    "true",
    "True",
    "'",
    "//",
    "/**/",
    "\"a\":1,",
    "\"a\":1,\"\\u0061\":2,",
    "[[[[[[[[",
    "]]]]]]]]",
    "123456789012345678901234567890",
    "\u{b}",
    " ",
];

/// A text with something put in, taken out, changed or doubled, up to three times.
pub(crate) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change = (
        0..5_u8,
        any::<Index>(),
        any::<Index>(),
        any::<u8>(),
        select(SHARDS.to_vec()),
    );
    (text(), prop::collection::vec(change, 1..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (kind, place, length, byte, shard) in changes {
            let at = place.index(bytes.len() + 1);
            let end = (at + length.index(8)).min(bytes.len());
            match kind {
                0 => drop(bytes.splice(at..at, shard.bytes())),
                1 => drop(bytes.splice(at..end, shard.bytes())),
                2 => drop(bytes.splice(at..end, [])),
                3 => drop(bytes.splice(at..end, [byte])),
                _ => {
                    let copy = bytes[at..end].to_vec();
                    drop(bytes.splice(end..end, copy));
                }
            }
        }
        bytes
    })
}
