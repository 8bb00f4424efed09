//! Which directory the policies come from, and how often it is looked at.

use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use serde::{Deserialize, Serialize};

/// Where policies come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The policy directory. Default `policies`.
    pub directory: PathBuf,
    /// Whether a change of its files is loaded while serving. Default true.
    pub reload: bool,
    /// How long nothing may change further before a changed directory is loaded. Default `100ms`.
    #[serde(with = "required")]
    pub settle: Duration,
    /// After how long a directory that goes on changing is loaded all the same. Default `1s`.
    #[serde(with = "required")]
    pub settle_at_most: Duration,
    /// Between looks at the directory, for changes that no notification tells of (network file systems); at least `1s`.
    /// Default `5s`.
    #[serde(with = "required")]
    pub poll_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("policies"),
            reload: true,
            settle: Duration::from_millis(100),
            settle_at_most: Duration::from_secs(1),
            poll_interval: Duration::from_secs(5),
        }
    }
}
