//! TLS of the TCP listener: of files, loaded at start and again when they change, or handed in and live by itself; and the
//! names of verified peers.

use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::error::{SettingsError, WireError};
use super::settings::Tls;

/// What says who we are and who peers are at each handshake, and changes by itself.
#[derive(Debug, Clone)]
pub struct LiveTls {
    /// Our certificate of the moment.
    pub certificate: Arc<dyn ResolvesServerCert>,
    /// Takes or refuses the peer's. It is asked of every peer.
    pub peers: Arc<dyn ClientCertVerifier>,
}

/// The TLS side of a listener. New connections get whatever was loaded last.
#[derive(Debug)]
pub(super) struct Terminator {
    current: ArcSwap<ServerConfig>,
    /// What to load again; `None`: what was handed in.
    files: Option<Loaded>,
}

/// Where the files are, and what they were when they were loaded.
#[derive(Debug)]
struct Loaded {
    places: Places,
    fingerprint: u64,
}

/// Where the files are.
#[derive(Debug, Clone)]
struct Places {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    reload_interval: Duration,
}

/// The files of the settings, as bytes.
#[derive(Hash)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Terminator {
    /// By `live` where the settings say so, else by files.
    pub(super) async fn load(settings: &Tls, live: Option<LiveTls>) -> Result<Self, WireError> {
        if settings.workload_api.is_some() {
            let live = live.ok_or(WireError::NoWorkloadApi)?;
            return Ok(Self {
                current: ArcSwap::from_pointee(live_config(live)?),
                files: None,
            });
        }
        let (Some(certificate), Some(key)) = (settings.certificate.clone(), settings.key.clone()) else {
            return Err(SettingsError::NoCertificate.into());
        };
        let places = Places {
            certificate,
            key,
            client_ca: settings.client_ca.clone(),
            reload_interval: settings.reload_interval,
        };
        let files = Files::read(&places).await?;
        Ok(Self {
            current: ArcSwap::from_pointee(config(&places, &files)?),
            files: Some(Loaded {
                fingerprint: files.fingerprint(),
                places,
            }),
        })
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.current.load_full()).accept(stream).await
    }

    /// Follows the files for good. They are compared by content: a Kubernetes secret is swapped by a symlink.
    pub(super) async fn follow(&self) {
        let Some(Loaded { places, fingerprint }) = &self.files else {
            return pending().await;
        };
        let mut seen = *fingerprint;
        let mut ticks = interval(places.reload_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let reloaded = match Files::read(places).await {
                Ok(files) if files.fingerprint() == seen => continue,
                Ok(files) => {
                    seen = files.fingerprint();
                    config(places, &files)
                }
                Err(error) => Err(error),
            };
            match reloaded {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    tracing::info!("the listener's TLS files changed: new connections use them");
                }
                Err(error) => tracing::error!(%error, "the listener's TLS files stay as they were"),
            }
        }
    }
}

impl Files {
    async fn read(places: &Places) -> Result<Self, WireError> {
        let client_ca = match &places.client_ca {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        Ok(Self {
            certificate: read(&places.certificate).await?,
            key: read(&places.key).await?,
            client_ca,
        })
    }

    /// To see a change without a second copy of the key in memory.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, WireError> {
    tokio::fs::read(path).await.map_err(|source| WireError::TlsFile {
        path: path.to_owned(),
        source,
    })
}

fn config(places: &Places, files: &Files) -> Result<ServerConfig, WireError> {
    let chain = certificates(&places.certificate, &files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| WireError::TlsPem {
        path: places.key.clone(),
        expected: "private key",
    })?;
    let verifier = match (&places.client_ca, &files.client_ca) {
        (Some(path), Some(bytes)) => Some(verifier(certificates(path, bytes)?)?),
        _ => None,
    };
    let builder = builder()?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    Ok(grpc(builder.with_single_cert(chain, key).map_err(refused)?))
}

fn live_config(live: LiveTls) -> Result<ServerConfig, WireError> {
    let builder = builder()?.with_client_cert_verifier(live.peers);
    Ok(grpc(builder.with_cert_resolver(live.certificate)))
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, WireError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)
}

fn grpc(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Every connection shows its certificate anew: a resumed session would skip the look at its dates, and at whether
    // its authority is still believed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

fn verifier(authorities: Vec<CertificateDer<'static>>) -> Result<Arc<dyn ClientCertVerifier>, WireError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(refused)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(refused)
}

fn refused(error: impl std::fmt::Display) -> WireError {
    WireError::Tls(error.to_string())
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, WireError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| WireError::TlsPem {
            path: path.to_owned(),
            expected: "certificate",
        })
}

impl Terminator {
    /// URI and DNS SANs of the certificate that the peer showed and that was verified; URIs first. Of an X.509-SVID the
    /// URI alone: nobody says that whoever signs for a trust domain may give away names of hosts.
    pub(super) fn names(&self, stream: &TlsStream<TcpStream>) -> Vec<String> {
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let names = leaf.map(|certificate| subject_alternative_names(certificate));
        let (mut uris, hosts) = names.unwrap_or_default();
        if self.files.is_some() {
            uris.extend(hosts);
        }
        uris
    }
}

/// URIs, and names of hosts.
fn subject_alternative_names(der: &[u8]) -> (Vec<String>, Vec<String>) {
    let Ok((_, certificate)) = parse_x509_certificate(der) else {
        return Default::default();
    };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Default::default();
    };
    let (mut uris, mut hosts) = (Vec::new(), Vec::new());
    for name in &extension.value.general_names {
        match name {
            GeneralName::URI(uri) if visible(uri) => uris.push((*uri).to_owned()),
            GeneralName::DNSName(host) if visible(host) => hosts.push((*host).to_owned()),
            _ => {}
        }
    }
    (uris, hosts)
}

// A name with a control character or beyond ASCII is none that a configuration could have meant.
fn visible(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}
