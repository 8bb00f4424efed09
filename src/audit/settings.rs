//! What the audit writes, and where to.

use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::{optional, required};
use serde::{Deserialize, Serialize};

/// The audit's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    /// The file that records are appended to; created with mode 0600, its folder must exist. It is opened again
    /// when it was moved or removed, so logrotate needs no signal. Default: none, records go to standard output.
    pub file: Option<PathBuf>,
    /// When an answer is given: once its record is `queued` for the writer, or once it is on `disk` (`fdatasync`,
    /// for many answers at once; needs a `file`). Default: `queued`.
    pub durability: Durability,
    /// How many records may wait to be written, requests in flight included. When as many wait, requests wait too,
    /// and are denied at their deadline. Default: 8192.
    pub queue: usize,
    /// How often a failed write is tried again, and an idle journal looks whether its file was
    /// moved. Default: `1s`.
    #[serde(with = "required")]
    pub retry_interval: Duration,
    /// How often the chain's last line is named in the log and beside the file, where there are new ones.
    /// Default: `1m`.
    #[serde(with = "required")]
    pub checkpoint_interval: Duration,
    /// When the file is put aside and a new one begun.
    pub rotation: Rotation,
    /// When old files are removed.
    pub retention: Retention,
    /// What is recorded of a call's arguments: `none`; `names` (each name with its value's JSON type); `hash`
    /// (HMAC-SHA256 of each value, needs `key_file`); `all` (the values themselves). Default: `names`.
    pub arguments: ShowArguments,
    /// The most bytes of arguments in one record; members beyond it are counted in `arguments_omitted`.
    /// Default: 4096.
    pub max_argument_bytes: usize,
    /// What is recorded of a user besides issuer, subject and name: `none`; `all` (what policies read of them, but for the
    /// e-mail address: enough to ask the policies again). Default: `all`.
    pub claims: ShowClaims,
    /// What is recorded of `Mcp-Session-Id`: `fingerprint` (the first 16 hex digits of its SHA-256, keyed with
    /// `key_file` where there is one) or `plain`. Some servers accept a session id as a credential, so it is not
    /// written as it is unless asked for. Default: `fingerprint`.
    pub session: ShowSession,
    /// The secret for keyed hashes: the file's bytes without a newline at the end, at least 32. Read at start.
    /// Default: none.
    pub key_file: Option<PathBuf>,
}

/// When the file is put aside. Only a regular file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    /// Once it is as large, in bytes. Default: 100 MiB; none: never.
    pub max_bytes: Option<u64>,
    /// Once its first line is as old. Default: `24h`; none: never.
    #[serde(with = "optional")]
    pub max_age: Option<Duration>,
    /// Whether old files are compressed (gzip). Default: yes.
    pub compress: bool,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            max_bytes: Some(100 << 20),
            max_age: Some(Duration::from_hours(24)),
            compress: true,
        }
    }
}

/// When old files, the oldest first, are removed; the journal says so. Default: never.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Once all of their lines are as old.
    #[serde(with = "optional")]
    pub max_age: Option<Duration>,
    /// Once there are more than so many.
    pub max_files: Option<usize>,
    /// Once they have more than so many bytes together.
    pub max_bytes: Option<u64>,
}

/// Where a record must be before its answer is given.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// In the writer's queue: it is written within milliseconds, and lost with the process.
    #[default]
    Queued,
    /// On disk: whatever is killed or loses power, no answer is without its record.
    Disk,
}

/// What is recorded of arguments.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShowArguments {
    /// Nothing.
    None,
    /// Each name with the JSON type of its value.
    #[default]
    Names,
    /// Each name with a keyed hash of its value.
    Hash,
    /// Names and values.
    All,
}

impl ShowArguments {
    /// As the settings spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Names => "names",
            Self::Hash => "hash",
            Self::All => "all",
        }
    }
}

/// What is recorded of a user's claims.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShowClaims {
    /// Nothing.
    None,
    /// What policies read.
    #[default]
    All,
}

/// What is recorded of a session id.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShowSession {
    /// A short hash, enough to tell sessions apart.
    #[default]
    Fingerprint,
    /// The id as the client sent it.
    Plain,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            file: None,
            durability: Durability::default(),
            queue: 8192,
            retry_interval: Duration::from_secs(1),
            checkpoint_interval: Duration::from_mins(1),
            rotation: Rotation::default(),
            retention: Retention::default(),
            arguments: ShowArguments::default(),
            max_argument_bytes: 4096,
            claims: ShowClaims::default(),
            session: ShowSession::default(),
            key_file: None,
        }
    }
}
