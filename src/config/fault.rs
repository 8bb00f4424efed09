//! Why a value can't be what its key needs: serde's words in those of the person who wrote the file.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::tree::Step;

/// The first thing that stopped the reading, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where; `None` until a list or map adds it.
    path: Option<Vec<Step>>,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// Nobody reads the key that the path ends with.
    UnknownKey { known: &'static [&'static str] },
    /// A word that is none of those to choose from.
    UnknownWord {
        word: String,
        known: &'static [&'static str],
    },
    /// A key that must be there isn't.
    Missing(&'static str),
    /// Anything else, and what to do about it.
    Other {
        message: String,
        help: Option<&'static str>,
    },
}

impl Fault {
    pub(super) fn new(what: What) -> Self {
        Self { path: None, what }
    }

    pub(super) fn other(message: String) -> Self {
        Self::new(What::Other { message, help: None })
    }

    /// The fault with its place, unless it is known more closely already.
    pub(super) fn at(mut self, path: impl FnOnce() -> Vec<Step>) -> Self {
        self.path.get_or_insert_with(path);
        self
    }

    pub(super) fn path(&self) -> &[Step] {
        self.path.as_deref().unwrap_or_default()
    }
}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::other(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let help = match (&found, expected.as_str()) {
            (
                Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) | Unexpected::Bool(_),
                wanted,
            ) if wanted.contains("string") && !wanted.contains("duration") => Some("put it in quotes"),
            (Unexpected::Str(_) | Unexpected::Unsigned(_), "a sequence") => Some("put it in brackets: `[…]`"),
            _ => None,
        };
        let message = format!("expected {}, found {}", wanted(&expected), Found(&found));
        Self::new(What::Other { message, help })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let message = format!(
            "expected {}, found {}",
            wanted(&expected.to_string()),
            Found(&found)
        );
        Self::other(message)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownWord {
            word: word.to_owned(),
            known,
        })
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownKey { known })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(What::Missing(key))
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::UnknownKey { .. } => f.write_str("unknown key"),
            What::UnknownWord { word, known } => {
                write!(f, "expected {}, found `{word}`", one_of(known))
            }
            What::Missing(key) => write!(f, "`{key}` is missing"),
            What::Other { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [first, second] => format!("{first} or {second}"),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

/// What a type expects, said without naming Rust's types.
fn wanted(expected: &str) -> String {
    let up_to = |most: u64| format!("a whole number from 0 to {most}");
    match expected {
        "u8" => up_to(u8::MAX.into()),
        "u16" => up_to(u16::MAX.into()),
        "u32" => up_to(u32::MAX.into()),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a string" | "path string" => "a text".to_owned(),
        "a map" => "a section of keys".to_owned(),
        duration if duration.contains("duration") => "a duration such as `200ms`, `5s` or `1h`".to_owned(),
        section if section.starts_with("struct ") => "a section of keys".to_owned(),
        other => other.to_owned(),
    }
}

/// What was found instead.
struct Found<'a>(&'a Unexpected<'a>);

impl Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(value) => write!(f, "`{value}`"),
            Unexpected::Unsigned(number) => write!(f, "the number {number}"),
            Unexpected::Signed(number) => write!(f, "the number {number}"),
            Unexpected::Float(number) => write!(f, "the number {number}"),
            Unexpected::Str(text) => write!(f, "the text `{text}`"),
            Unexpected::Unit | Unexpected::Option => f.write_str("nothing"),
            Unexpected::Seq => f.write_str("a list"),
            Unexpected::Map => f.write_str("a section of keys"),
            other => other.fmt(f),
        }
    }
}
