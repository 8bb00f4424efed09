//! Where gateways reach us, and how much of us they may take.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::{optional, required};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::error::SettingsError;

/// The gRPC listeners for gateways. At least one of `listen` and `unix` is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The TCP address, `null` for none. Port 0 takes a free one. Default: `127.0.0.1:50051`.
    pub listen: Option<SocketAddr>,
    /// The Unix socket. Default: none.
    pub unix: Option<Unix>,
    /// TLS on the TCP listener. Default: none.
    pub tls: Option<Tls>,
    /// Let a TCP listener without `tls.client_ca` start on an address other than loopback: whoever reaches the
    /// port may then ask for decisions in a gateway's name, and say whatever they like about who a client is.
    /// Default: `false`.
    pub allow_gateways_without_client_certificate_beyond_loopback: bool,
    /// The largest request message, in bytes. It must hold a body of the gateway's `max_request_bytes` and all
    /// of the headers; what is larger is denied unread. Default: 4194304 (4 MiB).
    pub max_message_bytes: usize,
    /// How many checks one connection may have open. Default: 1024.
    pub max_concurrent_streams: u32,
    /// How many connections each listener holds open; more wait to be accepted. Default: 1024.
    pub max_connections: usize,
    /// How many checks may be under way at once, over all connections; more are denied at once, unread, with 503
    /// `overloaded`. Together with `max_message_bytes` it bounds the memory that requests take. Default: 1024.
    pub max_checks: usize,
    /// How long a check may wait until this service gets to it; one whose turn comes later is denied as `overloaded`.
    /// Default: `200ms`.
    #[serde(with = "required")]
    pub max_wait: Duration,
    /// How long a peer may take over its TLS handshake, and again until its first request bytes. Default: `5s`.
    #[serde(with = "required")]
    pub handshake_timeout: Duration,
    /// How often a silent connection is asked for a sign of life; it is closed when 20 s pass without one.
    /// Default: `30s`.
    #[serde(with = "required")]
    pub keepalive: Duration,
    /// After how long a connection is asked to make way for a new one (checks under way are finished), so that
    /// a client certificate is looked at again. `null` for never. Default: `1h`.
    #[serde(with = "optional")]
    pub max_connection_age: Option<Duration>,
    /// How long before the gateway's own deadline an answer must be on its way: a gateway that waits in vain may
    /// be set to let the call through. Never more than half of the time that the gateway gives. Default: `50ms`.
    #[serde(with = "required")]
    pub deadline_margin: Duration,
    /// The time for a check if the gateway names none (`grpc-timeout`). Default: `1s`.
    #[serde(with = "required")]
    pub default_deadline: Duration,
    /// The most time for a check, however long the gateway would wait. Default: `5s`.
    #[serde(with = "required")]
    pub max_deadline: Duration,
    /// How long checks under way may take to finish when the service stops. Default: `10s`.
    #[serde(with = "required")]
    pub shutdown_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 50_051))),
            unix: None,
            tls: None,
            allow_gateways_without_client_certificate_beyond_loopback: false,
            max_message_bytes: 4 * 1024 * 1024,
            max_concurrent_streams: 1024,
            max_connections: 1024,
            max_checks: 1024,
            max_wait: Duration::from_millis(200),
            handshake_timeout: Duration::from_secs(5),
            keepalive: Duration::from_secs(30),
            max_connection_age: Some(Duration::from_hours(1)),
            deadline_margin: Duration::from_millis(50),
            default_deadline: Duration::from_secs(1),
            max_deadline: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// A Unix socket. Whoever may write to it may ask for decisions: its mode is its access control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unix {
    /// Where the socket is made. A socket that nobody serves any more is replaced; anything else is left alone.
    pub path: PathBuf,
    /// The socket's permissions, octal, in quotes. Default: `"0660"`.
    #[serde(default)]
    pub mode: Mode,
}

/// The permission bits of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(u32);

impl Mode {
    /// The bits, as `chmod` takes them.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Default for Mode {
    fn default() -> Self {
        Self(0o660)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(bits) if bits <= 0o777 && !digits.starts_with('+') => Ok(Self(bits)),
            _ => Err(SettingsError::Mode(text.to_owned())),
        }
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    // Only text: to some YAML readers the number 0660 is 432, to others 660.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// TLS of the TCP listener: versions 1.2 and 1.3, no session resumption. Either by files (`certificate` and `key`), or by
/// `workload_api`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Our certificate chain, PEM, leaf first.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The authorities whose certificates gateways must show, PEM. Default: none, and no certificate is asked
    /// for; the listener then starts only on loopback.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// How often the files are looked at for a change. New connections get the new ones; files that don't load
    /// are reported and the last good ones stay. Default: `10s`.
    #[serde(default = "reload_interval", with = "required")]
    pub reload_interval: Duration,
    /// Our certificate, and what gateways' certificates are verified with, from the SPIFFE Workload API instead of files.
    /// Default: none.
    #[serde(default)]
    pub workload_api: Option<WorkloadTls>,
}

/// TLS by X.509-SVIDs: gateways must show one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadTls {
    /// The trust domains whose workloads may connect, for instance `mcp-identity.local`: at least one. Another domain's are
    /// refused, whether or not its bundle is known.
    pub trust_domains: Vec<String>,
    /// Which of our X.509-SVIDs we show. Default: the first that the Workload API gives.
    #[serde(default)]
    pub spiffe_id: Option<String>,
}

fn reload_interval() -> Duration {
    Duration::from_secs(10)
}

impl Settings {
    /// Refuses what can't be served, or not safely.
    ///
    /// # Errors
    /// [`SettingsError`] with the key at fault.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if self.listen.is_none() && self.unix.is_none() {
            return Err(SettingsError::NoListener);
        }
        if self.tls.is_some() && self.listen.is_none() {
            return Err(SettingsError::TlsWithoutTcp);
        }
        self.tls.as_ref().map_or(Ok(()), Tls::validate)?;
        for (key, zero) in [
            ("max_message_bytes", self.max_message_bytes == 0),
            ("max_concurrent_streams", self.max_concurrent_streams == 0),
            ("max_connections", self.max_connections == 0),
            ("max_checks", self.max_checks == 0),
            ("max_wait", self.max_wait.is_zero()),
            ("handshake_timeout", self.handshake_timeout.is_zero()),
            ("keepalive", self.keepalive.is_zero()),
            (
                "max_connection_age",
                self.max_connection_age.is_some_and(|age| age.is_zero()),
            ),
            ("default_deadline", self.default_deadline.is_zero()),
            ("max_deadline", self.max_deadline.is_zero()),
            (
                "tls.reload_interval",
                self.tls.as_ref().is_some_and(|tls| tls.reload_interval.is_zero()),
            ),
        ] {
            if zero {
                return Err(SettingsError::Zero(key));
            }
        }
        if self.max_connections > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(SettingsError::TooManyConnections);
        }
        self.exposure()
    }

    /// What a gateway says about a client is believed, so not everybody may be a gateway.
    fn exposure(&self) -> Result<(), SettingsError> {
        let Some(address) = self.listen else {
            return Ok(());
        };
        let asks_for_certificates = |tls: &Tls| tls.client_ca.is_some() || tls.workload_api.is_some();
        if self.tls.as_ref().is_some_and(asks_for_certificates)
            || address.ip().to_canonical().is_loopback()
            || self.allow_gateways_without_client_certificate_beyond_loopback
        {
            return Ok(());
        }
        Err(SettingsError::Exposed(address))
    }
}

impl Tls {
    fn validate(&self) -> Result<(), SettingsError> {
        let Some(workload_api) = &self.workload_api else {
            return match (&self.certificate, &self.key) {
                (Some(_), Some(_)) => Ok(()),
                (None, None) => Err(SettingsError::NoCertificate),
                (None, Some(_)) => Err(SettingsError::HalfACertificate("certificate", "key")),
                (Some(_), None) => Err(SettingsError::HalfACertificate("key", "certificate")),
            };
        };
        for (key, file) in [
            ("certificate", &self.certificate),
            ("key", &self.key),
            ("client_ca", &self.client_ca),
        ] {
            if file.is_some() {
                return Err(SettingsError::TwoCertificates(key));
            }
        }
        if workload_api.trust_domains.is_empty() {
            return Err(SettingsError::NoTrustDomain);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Result<Settings, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_listen_on_loopback_and_are_valid() {
        let settings = Settings::default();
        assert_eq!(settings.validate(), Ok(()));
        assert!(settings.listen.unwrap().ip().is_loopback());
    }

    #[test]
    fn reads_durations_with_their_unit_and_modes_in_quotes() {
        let settings =
            yaml("unix: {path: /run/a.sock, mode: \"0600\"}\nlisten: null\nmax_deadline: 1s 500ms\n")
                .unwrap();
        assert_eq!(settings.unix.unwrap().mode.bits(), 0o600);
        assert_eq!(settings.max_deadline, Duration::from_millis(1500));
        assert_eq!(settings.listen, None);
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let settings = Settings {
            unix: Some(Unix {
                path: "/run/a".into(),
                mode: Mode::default(),
            }),
            ..Settings::default()
        };
        let text = serde_saphyr::to_string(&settings).unwrap();
        assert_eq!(yaml(&text).unwrap(), settings, "{text}");
    }

    #[test]
    fn refuses_modes_that_are_not_permission_bits() {
        for text in ["", "0999", "1777", "rw", "-1", "+660", "4755"] {
            assert_eq!(text.parse::<Mode>(), Err(SettingsError::Mode(text.to_owned())));
        }
        assert_eq!("0o640".parse::<Mode>().unwrap().to_string(), "0640");
    }

    #[test]
    fn refuses_unknown_keys() {
        assert!(yaml("lisen: 127.0.0.1:1").unwrap_err().contains("lisen"));
    }

    #[test]
    fn a_listener_beyond_loopback_needs_a_client_ca_or_the_long_key() {
        let tls = |client_ca: Option<&str>| Tls {
            certificate: Some("c".into()),
            key: Some("k".into()),
            client_ca: client_ca.map(Into::into),
            reload_interval: reload_interval(),
            workload_api: None,
        };
        let svid = || Tls {
            certificate: None,
            key: None,
            client_ca: None,
            reload_interval: reload_interval(),
            workload_api: Some(WorkloadTls {
                trust_domains: vec!["example.org".to_owned()],
                spiffe_id: None,
            }),
        };
        let cases = [
            ("127.0.0.1:1", None, false, true),
            ("127.8.9.1:1", None, false, true),
            ("[::1]:1", None, false, true),
            ("[::ffff:127.0.0.1]:1", None, false, true),
            ("0.0.0.0:1", None, false, false),
            ("[::]:1", None, false, false),
            ("10.0.0.1:1", None, false, false),
            ("10.0.0.1:1", Some(tls(None)), false, false),
            ("10.0.0.1:1", Some(tls(Some("ca"))), false, true),
            ("10.0.0.1:1", Some(svid()), false, true),
            ("10.0.0.1:1", None, true, true),
        ];
        for (listen, tls, long_key, starts) in cases {
            let address = listen.parse().unwrap();
            let settings = Settings {
                listen: Some(address),
                tls,
                allow_gateways_without_client_certificate_beyond_loopback: long_key,
                ..Settings::default()
            };
            let expected = if starts {
                Ok(())
            } else {
                Err(SettingsError::Exposed(address))
            };
            assert_eq!(settings.validate(), expected, "{listen}");
        }
    }

    #[test]
    fn a_certificate_is_of_files_or_of_the_workload_api_and_whole() {
        use SettingsError::{HalfACertificate, NoCertificate, NoTrustDomain, TwoCertificates};
        let cases = [
            ("{certificate: c, key: k, client_ca: a}", None),
            (
                "{workload_api: {trust_domains: [example.org], spiffe_id: spiffe://example.org/a}}",
                None,
            ),
            ("{}", Some(NoCertificate)),
            ("{client_ca: a}", Some(NoCertificate)),
            ("{certificate: c}", Some(HalfACertificate("key", "certificate"))),
            ("{key: k}", Some(HalfACertificate("certificate", "key"))),
            ("{workload_api: {trust_domains: []}}", Some(NoTrustDomain)),
            (
                "{certificate: c, key: k, workload_api: {trust_domains: [a]}}",
                Some(TwoCertificates("certificate")),
            ),
            (
                "{key: k, workload_api: {trust_domains: [a]}}",
                Some(TwoCertificates("key")),
            ),
            (
                "{client_ca: a, workload_api: {trust_domains: [a]}}",
                Some(TwoCertificates("client_ca")),
            ),
        ];
        for (text, problem) in cases {
            let settings = yaml(&format!("tls: {text}\n")).unwrap();
            assert_eq!(settings.validate().err(), problem, "{text}");
        }
        assert!(
            yaml("tls: {workload_api: {}}\n")
                .unwrap_err()
                .contains("trust_domains")
        );
    }

    #[test]
    fn refuses_to_listen_nowhere_and_limits_of_zero() {
        let nowhere = Settings {
            listen: None,
            ..Settings::default()
        };
        assert_eq!(nowhere.validate(), Err(SettingsError::NoListener));
        let none = Settings {
            max_connections: 0,
            ..Settings::default()
        };
        assert_eq!(none.validate(), Err(SettingsError::Zero("max_connections")));
    }
}
