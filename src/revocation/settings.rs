//! Where revocations come in.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where revocations come in. Default: nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The TCP address where issuers tell of logouts, at `/revocation/<issuer's name>/…`; `null` for none. The address of
    /// `http.listen` may be named: then that listener takes them too. Issuers must reach it, nobody else need. Default: none.
    pub listen: Option<SocketAddr>,
    /// The Unix socket for `mcp-authz revoke`; `null` for none. Only this service's own user, and root, may use it.
    /// Default: none.
    pub socket: Option<PathBuf>,
}
