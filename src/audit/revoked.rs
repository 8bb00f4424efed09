//! The line of a revocation: what holds no more, and who said so.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::record::{clipped, to_plain_json};

/// A revocation that holds. Fields are written in this order; an absent one is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "revoked")]
pub struct Revoked {
    /// When.
    #[serde(serialize_with = "microseconds")]
    pub time: Timestamp,
    /// The issuer, by its name.
    pub issuer: String,
    /// Who said so: `logout_token`, `push_not_before` or `logout` (the issuer), `operator`.
    pub source: &'static str,
    /// The operator's user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<u32>,
    /// What.
    pub revoked: Vec<What>,
    /// Tokens issued at or before then hold no more.
    pub issued_until: Timestamp,
    /// Until when it is remembered.
    pub keep_until: Timestamp,
}

/// A thing that tokens are revoked by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct What {
    /// `token`, `session`, `subject`, `client`, `issuer`.
    pub kind: &'static str,
    /// Its id; empty for `issuer`.
    #[serde(serialize_with = "bounded")]
    pub value: String,
}

impl Revoked {
    /// The revocation as one line, with its newline.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = to_plain_json(self);
        line.push(b'\n');
        line
    }
}

fn bounded<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&clipped(text))
}

fn microseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.6}"))
}
