//! Where the Workload API is served.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The variable that names the address where nothing else does (Workload Endpoint §4).
pub const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";

/// An address as `SPIFFE_ENDPOINT_SOCKET` writes it: `unix:///run/spire/agent.sock`, or `tcp://127.0.0.1:8000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
    /// A port on loopback.
    Tcp(SocketAddr),
}

/// Why a text is no address of a Workload API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Of another form.
    #[error(
        "`{0}` is no address of a Workload API: write `unix:///path/to/socket` or `tcp://127.0.0.1:PORT`"
    )]
    Form(String),
    /// Private keys come over it unencrypted.
    #[error("`{0}` is not on loopback: the Workload API hands out private keys without encryption")]
    Remote(SocketAddr),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let form = || AddressError::Form(text.to_owned());
        // §4: no authority, so three slashes; Go's clients take one, too.
        if let Some(rest) = text.strip_prefix("unix:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            let sound = Path::new(path).is_absolute() && !path.contains(['?', '#', '%', '\0']);
            return sound.then(|| Self::Unix(path.into())).ok_or_else(form);
        }
        let address = text.strip_prefix("tcp://").ok_or_else(form)?;
        let address: SocketAddr = address.parse().map_err(|_| form())?;
        if !address.ip().to_canonical().is_loopback() {
            return Err(AddressError::Remote(address));
        }
        Ok(Self::Tcp(address))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_as_the_environment_writes_them() {
        let unix: Address = "unix:///run/spire/agent.sock".parse().unwrap();
        assert_eq!(unix, Address::Unix("/run/spire/agent.sock".into()));
        assert_eq!("unix:/run/spire/agent.sock".parse(), Ok(unix.clone()));
        assert_eq!(unix.to_string(), "unix:///run/spire/agent.sock");
        let tcp: Address = "tcp://127.0.0.1:8000".parse().unwrap();
        assert_eq!(tcp.to_string(), "tcp://127.0.0.1:8000");
        assert!("tcp://[::1]:8000".parse::<Address>().is_ok());
    }

    #[test]
    fn refuses_other_forms_and_whatever_keys_would_leave_the_machine_by() {
        let wrong = [
            "",
            "/run/agent.sock",
            "unix://run/agent.sock",
            "unix:run/agent.sock",
            "unix:///run/agent.sock?x",
            "tcp://localhost:8000",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:8000/foo",
            "http://127.0.0.1:8000",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Form(text.to_owned())));
        }
        let remote = "tcp://10.0.0.1:8000".parse::<Address>();
        assert_eq!(
            remote,
            Err(AddressError::Remote("10.0.0.1:8000".parse().unwrap()))
        );
    }
}
