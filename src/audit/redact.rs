//! How much of a client's values gets into a record.
//!
//! In come the arguments as the strict reader gave them and the session id; out comes what the settings allow.
//! Values are never in an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use quick_cache::sync::Cache;
use serde_json::value::RawValue;

use super::hex;
use super::record::{MAX_TEXT, clipped};
use super::settings::{AuditSettings, ShowArguments, ShowClaims, ShowSession};
use crate::exchange::printable;
use crate::identity::User;
use crate::mcp::json::{Number, Object, Value};

/// The fewest bytes of a key: those of the hash (RFC 2104 §3).
const MIN_KEY: usize = 32;

/// The most bytes of an argument's name; a longer one is omitted, since two cut names could be one.
const MAX_NAME: usize = 256;

/// Of how many users it is kept how their claims are written: who calls again and again. At most 4 kB each.
const CALLERS: usize = 1024;

/// Turns arguments and session ids into what a record may hold.
#[derive(Clone)]
pub struct Redactor {
    arguments: ShowArguments,
    max_bytes: usize,
    /// What users' claims were written as, by where the user lies in memory. `None` if they aren't recorded.
    written: Option<Arc<Written>>,
    session: ShowSession,
    key: Option<Arc<hmac::Key>>,
}

/// Claims with the user whose they are: as long as it is held, no other user lies in the same place.
type Written = Cache<usize, (Arc<User>, Arc<RawValue>)>;

/// Arguments as a record shows them.
#[derive(Debug, Clone)]
pub struct Redacted {
    /// The members, by name, as a text of JSON.
    pub arguments: String,
    /// How many members were left out for want of room.
    pub omitted: usize,
    /// Whether the members hold types, hashes or the values.
    pub shown: ShowArguments,
}

/// Why values can't be hashed as the settings ask.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// `hash` without a key.
    #[error("audit `arguments: hash` needs a key: set `key_file`")]
    NoKey,
    /// The key's file can't be read.
    #[error("cannot read the audit key `{}`", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key is too short to be a secret.
    #[error("the audit key `{}` has {length} bytes: it needs at least 32", path.display())]
    ShortKey {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
}

impl Redactor {
    /// A redactor as the settings ask for; reads the key.
    ///
    /// # Errors
    /// [`RedactError`] if a key is needed and missing, unreadable or short.
    pub fn new(settings: &AuditSettings) -> Result<Self, RedactError> {
        let key = settings.key_file.as_deref().map(read_key).transpose()?;
        if settings.arguments == ShowArguments::Hash && key.is_none() {
            return Err(RedactError::NoKey);
        }
        Ok(Self {
            arguments: settings.arguments,
            max_bytes: settings.max_argument_bytes,
            written: (settings.claims == ShowClaims::All).then(|| Arc::new(Cache::new(CALLERS))),
            session: settings.session,
            key: key.map(Arc::new),
        })
    }

    /// What a record may hold of these arguments.
    #[must_use]
    pub fn arguments(&self, arguments: &Object) -> Option<Redacted> {
        if self.arguments == ShowArguments::None {
            return None;
        }
        let mut text = String::from("{");
        let mut shown = 0_usize;
        for (name, value) in arguments.iter() {
            let before = text.len();
            if shown > 0 {
                text.push(',');
            }
            printable::push_quoted(&mut text, name);
            text.push(':');
            self.push_value(&mut text, value);
            if name.len() > MAX_NAME || text.len() > self.max_bytes {
                text.truncate(before);
            } else {
                shown = shown.saturating_add(1);
            }
        }
        text.push('}');
        let omitted = arguments.len().saturating_sub(shown);
        Some(Redacted {
            arguments: text,
            omitted,
            shown: self.arguments,
        })
    }

    /// What a record may hold of a user besides who it is.
    #[must_use]
    pub fn claims(&self, user: &Arc<User>) -> Option<Arc<RawValue>> {
        let written = self.written.as_ref()?;
        let place = Arc::as_ptr(user).addr();
        if let Some((_, claims)) = written.get(&place) {
            return Some(claims);
        }
        let claims = user.facts();
        written.insert(place, (Arc::clone(user), Arc::clone(&claims)));
        Some(claims)
    }

    /// What a record may hold of a session id.
    #[must_use]
    pub fn session(&self, id: &str) -> String {
        if self.session == ShowSession::Plain {
            return id.to_owned();
        }
        let hash = match &self.key {
            Some(key) => hex::of(hmac::sign(key, id.as_bytes()).as_ref()),
            None => hex::of(digest::digest(&digest::SHA256, id.as_bytes()).as_ref()),
        };
        hash.chars().take(16).collect()
    }

    fn push_value(&self, text: &mut String, value: &Value) {
        match (self.arguments, &self.key) {
            (ShowArguments::All, _) => push_json(text, value, Strings::Clipped, self.max_bytes),
            (ShowArguments::Hash, Some(key)) => {
                let mut canonical = String::new();
                push_json(&mut canonical, value, Strings::Whole, usize::MAX);
                text.push('"');
                text.push_str(&hex::of(hmac::sign(key, canonical.as_bytes()).as_ref()));
                text.push('"');
            }
            _ => printable::push_quoted(text, kind(value)),
        }
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("arguments", &self.arguments)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// How strings are written: as they are shown, or as they are hashed.
#[derive(Clone, Copy, PartialEq)]
enum Strings {
    /// Bounded, and disturbing characters escaped.
    Clipped,
    /// Canonical: members sorted, strings whole, only `"`, `\` and controls escaped (RFC 8785 §3.2.2.2), numbers as spelt.
    Whole,
}

/// Writes a value as compact JSON; stops early, with broken text, once it is longer than `limit`: the caller then
/// throws it away.
fn push_json(text: &mut String, value: &Value, strings: Strings, limit: usize) {
    if text.len() > limit {
        return;
    }
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => push_number(text, number, strings),
        Value::String(string) if strings == Strings::Clipped => {
            printable::push_quoted(text, &clipped(string));
        }
        Value::String(string) => push_canonical(text, string),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(text, index);
                push_json(text, item, strings, limit);
            }
            text.push(']');
        }
        Value::Object(object) => push_object(text, object, strings, limit),
    }
}

fn push_object(text: &mut String, object: &Object, strings: Strings, limit: usize) {
    let mut members: Vec<_> = object.iter().collect();
    if strings == Strings::Whole {
        members.sort_unstable_by_key(|(name, _)| *name);
    }
    text.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        separate(text, index);
        match strings {
            Strings::Clipped => printable::push_quoted(text, name),
            Strings::Whole => push_canonical(text, name),
        }
        text.push(':');
        push_json(text, value, strings, limit);
    }
    text.push('}');
}

fn separate(text: &mut String, index: usize) {
    if index > 0 {
        text.push(',');
    }
}

/// A number as spelt; shown as a string if common readers of the line couldn't hold it (1e400).
fn push_number(text: &mut String, number: &Number, strings: Strings) {
    let spelt = number.as_str();
    let readable = spelt.len() <= MAX_TEXT && spelt.parse::<f64>().is_ok_and(f64::is_finite);
    if strings == Strings::Whole || readable {
        text.push_str(spelt);
    } else {
        printable::push_quoted(text, &clipped(spelt));
    }
}

fn push_canonical(text: &mut String, string: &str) {
    text.push_str(&serde_json::Value::from(string).to_string());
}

/// The JSON type's name, as JSON Schema writes it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn read_key(path: &Path) -> Result<hmac::Key, RedactError> {
    let bytes = std::fs::read(path).map_err(|source| RedactError::Key {
        path: path.to_owned(),
        source,
    })?;
    let key = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let key = key.strip_suffix(b"\r").unwrap_or(key);
    if key.len() < MIN_KEY {
        return Err(RedactError::ShortKey {
            path: path.to_owned(),
            length: key.len(),
        });
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, key))
}

#[cfg(test)]
mod tests;
