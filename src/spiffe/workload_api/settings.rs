//! Where the Workload API is, by the configuration or by the environment.

use serde::{Deserialize, Serialize};

use super::address::Address;

/// The SPIFFE Workload API of this machine. It is asked only where something else of the configuration needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Its address, for instance `unix:///run/spire/agent.sock`. Default: what `SPIFFE_ENDPOINT_SOCKET` says.
    pub socket: Option<Address>,
}
