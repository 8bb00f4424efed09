//! Why a listener can't start, or stopped.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings that can't be served, or not safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Neither TCP nor a Unix socket.
    #[error("no listener: set `listen`, `unix` or both")]
    NoListener,
    /// TLS settings that nothing would use.
    #[error("`tls` is for the TCP listener: set `listen` too")]
    TlsWithoutTcp,
    /// TLS without any certificate of ours.
    #[error("`tls` has no certificate of ours: set `certificate` and `key`, or `workload_api`")]
    NoCertificate,
    /// A certificate without its key, or a key without its certificate.
    #[error("`tls.{0}` is missing: `tls.{1}` is of no use without it")]
    HalfACertificate(&'static str, &'static str),
    /// Files beside the Workload API.
    #[error("`tls.{0}` and `tls.workload_api` exclude each other: take one of them out")]
    TwoCertificates(&'static str),
    /// Nobody could connect.
    #[error(
        "`tls.workload_api.trust_domains` is empty: nobody could connect; name the trust domain of the gateways"
    )]
    NoTrustDomain,
    /// A limit of nothing.
    #[error("`{0}` must be more than zero")]
    Zero(&'static str),
    /// More than can be counted.
    #[error("`max_connections` is larger than can be counted")]
    TooManyConnections,
    /// Anybody on the network could ask in a gateway's name.
    #[error(
        "`listen: {0}` is not loopback and no `tls.client_ca` is set: anybody who reaches it could pose as a gateway; \
         set `tls.client_ca`, or `allow_gateways_without_client_certificate_beyond_loopback: true` if something else \
         keeps strangers away"
    )]
    Exposed(SocketAddr),
    /// Not permission bits.
    #[error("`{0}` is not a socket mode: write three octal digits in quotes, for instance \"0660\"")]
    Mode(String),
}

impl SettingsError {
    /// Where in the listeners' settings the fault is, as far as it is in one place.
    #[must_use]
    pub fn place(&self) -> &'static [&'static str] {
        match self {
            Self::NoCertificate | Self::HalfACertificate(..) | Self::TlsWithoutTcp => &["tls"],
            Self::TwoCertificates("certificate") => &["tls", "certificate"],
            Self::TwoCertificates("key") => &["tls", "key"],
            Self::TwoCertificates(_) => &["tls", "client_ca"],
            Self::NoTrustDomain => &["tls", "workload_api", "trust_domains"],
            Self::Exposed(_) => &["listen"],
            Self::NoListener | Self::Zero(_) | Self::TooManyConnections | Self::Mode(_) => &[],
        }
    }
}

/// Why a listener can't start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The settings can't be served.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The TCP address can't be bound.
    #[error("cannot listen on `{address}`")]
    Tcp {
        /// The address of the settings.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The Unix socket can't be made.
    #[error("cannot listen on the socket `{}`", path.display())]
    Unix {
        /// The path of the settings.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process serves the socket.
    #[error("the socket `{}` is served by another process: stop it, or choose another path", .0.display())]
    UnixInUse(PathBuf),
    /// The path of the socket holds something that isn't ours to remove.
    #[error("`{}` exists and is not a socket: move it away, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// A TLS file can't be read.
    #[error("cannot read `{}`", path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A TLS file isn't PEM of the kind that is needed.
    #[error("`{}` holds no usable {expected} in PEM form", path.display())]
    TlsPem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
    },
    /// Certificate, key and authorities don't make a TLS configuration.
    #[error("the TLS settings don't work together: {0}")]
    Tls(String),
    /// TLS by the Workload API, and nobody asks it.
    #[error("`tls.workload_api` is set, but the Workload API was not given to the listener")]
    NoWorkloadApi,
    /// The descriptors for gRPC reflection can't be served.
    #[error("gRPC reflection can't be built: {0}")]
    Reflection(String),
}
