//! Where Redis is, and how it is asked.

use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use redis::IntoConnectionInfo as _;
use serde::{Deserialize, Serialize};
use url::Url;

/// A Redis that replicas share: one server, not a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `redis://host:port/database`, `rediss://…` for TLS, `redis+unix:///path` for a socket. No password: see
    /// `password_file`.
    pub url: String,
    /// What each key begins with: deployments that share a Redis and nothing else have different ones.
    /// Default: `mcp-authz:`.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// Who we are to Redis. Default: its default user.
    #[serde(default)]
    pub user: Option<String>,
    /// The file of our password, read again at each attempt to connect. Default: none.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) of who may vouch for a `rediss` server, read again at each attempt to connect.
    /// Default: those that the system trusts.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long connecting, or an answer, may take before the connection is given up. A request waits no longer than
    /// its own deadline. Default: `500ms`.
    #[serde(default = "default_timeout", with = "required")]
    pub timeout: Duration,
    /// How long a revocation may take to reach every replica; after so long without news a replica doesn't know
    /// what is revoked. Asked for eight times as often. Default: `4s`.
    #[serde(default = "default_propagation", with = "required")]
    pub propagation: Duration,
}

impl Settings {
    /// What is wrong with them: the key, and why.
    #[must_use]
    pub fn unsound(&self) -> Option<(&'static str, String)> {
        let url = match Url::parse(&self.url) {
            Ok(url) => url,
            Err(error) => return Some(("url", error.to_string())),
        };
        if !["redis", "rediss", "redis+unix"].contains(&url.scheme()) {
            let message = format!("`{}` is none of redis, rediss, redis+unix", url.scheme());
            return Some(("url", message));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some(("url", "a password is no part of it".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Some(("url", "it has a query or a fragment".to_owned()));
        }
        if self.url.as_str().into_connection_info().is_err() {
            return Some(("url", "it names no host, or no database by its number".to_owned()));
        }
        if self.ca_file.is_some() && !self.is_tls() {
            return Some(("ca_file", "without `rediss` there is no TLS".to_owned()));
        }
        if self.user.is_some() && self.password_file.is_none() {
            return Some(("user", "a user needs a `password_file`".to_owned()));
        }
        if self.timeout.is_zero() {
            return Some(("timeout", "nothing answers in no time".to_owned()));
        }
        // Else a server that is merely slow would leave every replica without news.
        if self.propagation < self.timeout.saturating_mul(4) {
            return Some((
                "propagation",
                "it is shorter than four times `timeout`".to_owned(),
            ));
        }
        None
    }

    pub(super) fn is_tls(&self) -> bool {
        Url::parse(&self.url).is_ok_and(|url| url.scheme() == "rediss")
    }

    /// How often changes are asked for.
    pub(super) fn poll(&self) -> Duration {
        self.part_of_propagation(8)
    }

    /// A half, a third … of `propagation`.
    pub(super) fn part_of_propagation(&self, divisor: u32) -> Duration {
        self.propagation.checked_div(divisor).unwrap_or_default()
    }
}

fn default_prefix() -> String {
    "mcp-authz:".to_owned()
}

fn default_timeout() -> Duration {
    Duration::from_millis(500)
}

fn default_propagation() -> Duration {
    Duration::from_secs(4)
}
