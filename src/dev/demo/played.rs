//! What came of a scene, and whether it had to come so.

use serde_json::{Map, Value};

use super::journal::Entry;
use crate::dev::client::Answer;

/// What must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The server's own answer.
    Allowed,
    /// A JSON-RPC error.
    Denied {
        /// Its code.
        code: i32,
        /// The reason's code, as recorded.
        reason: &'static str,
    },
    /// A challenge: another token would do.
    Challenged {
        /// The reason's code, as recorded.
        reason: &'static str,
    },
    /// The gateway doesn't even talk.
    NoConnection,
    /// The issuer gives no token to call with.
    NoToken,
}

/// Who called what, and what came of it.
#[derive(Debug)]
pub struct Played {
    /// The person for whom it was called, or the account.
    pub user: String,
    /// The same, for people.
    pub who: String,
    /// What people should know of them, or of the token.
    pub note: String,
    /// The program that called.
    pub agent: &'static str,
    /// What people should know of it: its tier.
    pub tier: String,
    /// Which server.
    pub server: &'static str,
    /// Which of its tools.
    pub tool: &'static str,
    /// With what.
    pub arguments: Map<String, Value>,
    /// What had to come of it.
    pub expected: Expected,
    /// What the client saw.
    pub answer: Answer,
    /// What the audit says of it; nothing of what never came to a decision.
    pub entry: Option<Entry>,
    /// The actor of whom the server must have been told.
    pub actor: Option<String>,
}

impl Played {
    /// Whether it came as the policies of this repository have it.
    #[must_use]
    pub fn as_expected(&self) -> bool {
        let recorded = self
            .entry
            .as_ref()
            .map(|entry| (entry.outcome.as_str(), entry.reason.as_deref()));
        match (self.expected, &self.answer) {
            (Expected::Allowed, Answer::Result { is_error, seen, .. }) => {
                // Both sides of the gateway must agree on who it was and which decision let it through.
                let header = |name: &str| {
                    seen.get(name)
                        .and_then(|values| values.get(0))
                        .and_then(Value::as_str)
                };
                !is_error
                    && matches!(recorded, Some(("allowed", _)))
                    && header("x-mcp-user") == Some(&self.user)
                    && header("x-mcp-agent") == self.actor.as_deref()
                    && header("x-mcp-decision-id") == self.decision_id()
            }
            (Expected::Denied { code, reason }, Answer::Error { code: told, data, .. }) => {
                *told == code
                    && recorded == Some(("denied", Some(reason)))
                    && data.get("decision_id").and_then(Value::as_str) == self.decision_id()
            }
            (Expected::Challenged { reason }, Answer::Challenged { .. }) => {
                recorded == Some(("denied", Some(reason)))
            }
            (Expected::NoConnection | Expected::NoToken, Answer::Failed { .. }) => recorded.is_none(),
            _ => false,
        }
    }

    /// The decision's id, as recorded.
    #[must_use]
    pub fn decision_id(&self) -> Option<&str> {
        self.entry.as_ref().map(|entry| entry.decision_id.as_str())
    }

    /// Whether the call reached the server and did its work.
    #[must_use]
    pub fn allowed(&self) -> bool {
        matches!(self.answer, Answer::Result { .. })
    }
}
