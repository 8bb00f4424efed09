//! Where health and metrics are served, and how logs look.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The HTTP listener for `/health`, `/ready` and `/metrics`. It has no authentication: who can reach it can read
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// The TCP address, `null` for none. Port 0 takes a free one. Default: `127.0.0.1:9192`.
    pub listen: Option<SocketAddr>,
    /// Names, without a port, under which clients may ask (their `Host` header) besides IP addresses and
    /// `localhost`: a name that is not listed is refused, so that no web page can read metrics through a name of its own
    /// that resolves to this address. Default: none.
    pub hosts: Vec<String>,
}

/// The program's own log, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `json` or `text`; text is coloured only on a terminal. Default: `json`.
    pub format: LogFormat,
    /// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`) or directives such as
    /// `info,mcp_authz::audit=debug`. `RUST_LOG` comes first. Default: `info`.
    pub filter: String,
}

/// How log lines look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Text for people.
    Text,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: Some((Ipv4Addr::LOCALHOST, 9192).into()),
            hosts: Vec::new(),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            filter: "info".to_owned(),
        }
    }
}
