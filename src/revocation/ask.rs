//! What an operator asks over the socket, and how.
//!
//! JSON over HTTP: `POST /revoke` with a [`Question`], answered with an [`Answer`] or a [`Problem`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::revocation::Kind;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is to be revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The issuer's name; may be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What kind of thing.
    pub kind: Kind,
    /// Which; empty for [`Kind::Issuer`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Tokens issued before then; if it is left out, all that were issued until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
}

/// What was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The issuer's name.
    pub issuer: String,
    /// What kind of thing.
    pub kind: Kind,
    /// Which.
    pub value: String,
    /// Tokens issued at or before this second hold no more.
    pub issued_until: Timestamp,
    /// Until when it is remembered: no such token lives longer.
    pub keep_until: Timestamp,
    /// In how many seconds every replica knows it.
    pub replicas_within_seconds: u64,
}

/// Why nothing was revoked, or nobody knows that it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What went wrong.
    pub error: String,
    /// Whether another try may help.
    pub retry: bool,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there, or they hang up.
    #[error("nobody answers at `{}`: {}", path.display(), innermost(source))]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: reqwest::Error,
    },
    /// The service says no.
    #[error("{}", .0.error)]
    Refused(Problem),
    /// Whoever listens there isn't mcp-authz.
    #[error("`{}` answers {status}, which isn't an answer of mcp-authz", path.display())]
    Strange {
        /// The socket.
        path: PathBuf,
        /// The answer's status.
        status: u16,
    },
}

/// What is at the bottom of an error: the library's own words say nothing but where.
fn innermost(error: &reqwest::Error) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Asks the service behind a socket.
///
/// # Errors
/// [`AskError`].
pub async fn ask(path: &Path, question: &Question) -> Result<Answer, AskError> {
    let unreachable = |source| AskError::Unreachable {
        path: path.to_owned(),
        source,
    };
    let client = reqwest::Client::builder()
        .unix_socket(path)
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(unreachable)?;
    let request = client.post("http://mcp-authz/revoke").json(question);
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let text = response.text().await.map_err(unreachable)?;
    if status.is_success()
        && let Ok(answer) = serde_json::from_str(&text)
    {
        return Ok(answer);
    }
    match serde_json::from_str(&text) {
        Ok(problem) if !status.is_success() => Err(AskError::Refused(problem)),
        _ => Err(AskError::Strange {
            path: path.to_owned(),
            status: status.as_u16(),
        }),
    }
}
