//! Which directory the policies come from, and how often it is looked at.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where policies come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The policy directory. Default `policies`.
    pub directory: PathBuf,
    /// Whether a change of its files is loaded while serving. Default true.
    pub reload: bool,
    /// Milliseconds without a further change before a changed directory is loaded. Default 100.
    pub settle_ms: u64,
    /// Milliseconds after which a directory that goes on changing is loaded all the same. Default 1000.
    pub settle_at_most_ms: u64,
    /// Seconds between looks at the directory, for changes that no notification tells of (network file systems).
    /// Default 5.
    pub poll_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("policies"),
            reload: true,
            settle_ms: 100,
            settle_at_most_ms: 1000,
            poll_seconds: 5,
        }
    }
}
