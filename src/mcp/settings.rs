//! Bounds on what is read.

use serde::{Deserialize, Serialize};

/// What a message may measure. Everything over a bound is refused, nothing is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest body in bytes (1048576). Keep it at or below the gateway's own maximum: what the gateway cuts further
    /// down can't be told from a whole body. One of exactly this size needs a `Content-Length`.
    pub max_body_bytes: usize,
    /// Deepest nesting of arrays and objects (64); never over 128, whatever is set.
    pub max_nesting: usize,
    /// Most messages in a batch (100); at least 1.
    pub max_batch: usize,
    /// Longest name of a method, tool, prompt or task, in bytes (1024).
    pub max_name_bytes: usize,
    /// Longest URI of a resource or a URI template, in bytes (8192).
    pub max_uri_bytes: usize,
    /// Longest string that is a request's id, in bytes (1024).
    pub max_id_bytes: usize,
    /// Longest `Mcp-Session-Id` and `Last-Event-ID`, in bytes (8192): gateways wrap the server's own in theirs.
    pub max_session_bytes: usize,
    /// Most resources that one `subscriptions/listen` may name (256, and no more).
    pub max_subscriptions: usize,
}

impl Limits {
    /// What `max_subscriptions` may be at most: each resource is asked about by itself, within one deadline.
    pub const MOST_SUBSCRIPTIONS: usize = 256;

    /// The bounds that can't be meant: the key, and what is wrong.
    #[must_use]
    pub fn unsound(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.max_batch == 0 {
            found.push(("max_batch", "a batch holds at least one message".to_owned()));
        }
        if self.max_subscriptions > Self::MOST_SUBSCRIPTIONS {
            let message = format!(
                "{} resources are more than the {} that one message is asked about",
                self.max_subscriptions,
                Self::MOST_SUBSCRIPTIONS
            );
            found.push(("max_subscriptions", message));
        }
        found
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            max_nesting: 64,
            max_batch: 100,
            max_name_bytes: 1024,
            max_uri_bytes: 8192,
            max_id_bytes: 1024,
            max_session_bytes: 8192,
            max_subscriptions: Self::MOST_SUBSCRIPTIONS,
        }
    }
}
