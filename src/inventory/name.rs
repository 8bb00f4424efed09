//! The name of a server: part of every action's name, so it is checked once, here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of an MCP server: `[a-z0-9-]+`, at most 63 bytes, and never the first segment of an MCP method,
/// so that no tool can pass for a protocol action (`tools/call` is no tool `call` of a server `tools`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerName(String);

/// Why a text can't be a server's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Other characters than allowed, empty or too long.
    #[error("`{0}` is not a server name: use 1 to 63 of a-z, 0-9 and `-`")]
    Malformed(String),
    /// A word that MCP methods begin with.
    #[error("`{0}` is not a server name: MCP methods begin with it, choose another")]
    Reserved(String),
}

/// What MCP's methods, and our own protocol actions, begin with.
const RESERVED: [&str; 17] = [
    "tools",
    "resources",
    "prompts",
    "completion",
    "logging",
    "tasks",
    "notifications",
    "roots",
    "sampling",
    "elicitation",
    "server",
    "subscriptions",
    "session",
    "stream",
    "initialize",
    "ping",
    "lifecycle",
];

impl ServerName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ServerName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) {
            return Err(NameError::Malformed(name));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(NameError::Reserved(name));
        }
        Ok(Self(name))
    }
}

impl std::str::FromStr for ServerName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        name.to_owned().try_into()
    }
}

impl From<ServerName> for String {
    fn from(name: ServerName) -> Self {
        name.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_a_protocol_action_could_be_mistaken_for() {
        assert_eq!(
            "tools".parse::<ServerName>(),
            Err(NameError::Reserved("tools".into()))
        );
        assert!("Kubernetes".parse::<ServerName>().is_err());
        assert!("kube/x".parse::<ServerName>().is_err());
        assert!("kubernetes-2".parse::<ServerName>().is_ok());
    }
}
