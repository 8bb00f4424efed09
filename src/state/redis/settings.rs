//! Where Redis is, and how it is asked.

use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use redis::IntoConnectionInfo as _;
use serde::{Deserialize, Serialize};
use url::Url;

/// A Redis that replicas share: one server, or a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `redis://host:port/database`, `rediss://…` for TLS, `redis+unix:///path` for a socket. No password: see
    /// `password_file`.
    pub url: String,
    /// Whether it is a cluster, which `url` is one server of. Default: false.
    #[serde(default)]
    pub cluster: bool,
    /// More servers of the cluster, as `url`: asked for the others where that one doesn't answer. Default: none.
    #[serde(default)]
    pub seeds: Vec<String>,
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
        if let Some(message) = self.unsound_url(&self.url) {
            return Some(("url", message));
        }
        if let Some(message) = self.seeds.iter().find_map(|url| self.unsound_url(url)) {
            return Some(("seeds", message));
        }
        if !self.cluster && !self.seeds.is_empty() {
            return Some(("seeds", "one server has none: set `cluster`".to_owned()));
        }
        if self.cluster && self.prefix.contains(['{', '}']) {
            return Some(("prefix", "a cluster takes braces for a hash tag".to_owned()));
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

    fn unsound_url(&self, text: &str) -> Option<String> {
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return Some(error.to_string()),
        };
        if !["redis", "rediss", "redis+unix"].contains(&url.scheme()) {
            return Some(format!("`{}` is none of redis, rediss, redis+unix", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some("a password is no part of it".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Some("it has a query or a fragment".to_owned());
        }
        if text.into_connection_info().is_err() {
            return Some("it names no host, or no database by its number".to_owned());
        }
        if self.cluster && (url.scheme() == "redis+unix" || !matches!(url.path(), "" | "/" | "/0")) {
            return Some("a cluster has neither a socket nor a database of another number".to_owned());
        }
        let same = Url::parse(&self.url).is_ok_and(|first| first.scheme() == url.scheme());
        (!same).then(|| "it is reached in another way than `url`".to_owned())
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
