//! TLS of the TCP listener: loaded at start, again when its files change, and the names of verified peers.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::error::WireError;
use super::settings::Tls;

/// The TLS side of a listener. New connections get whatever was loaded last.
#[derive(Debug)]
pub(super) struct Terminator {
    settings: Tls,
    current: ArcSwap<ServerConfig>,
    loaded: u64,
}

/// The files of the settings, as bytes.
#[derive(Hash)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Terminator {
    pub(super) async fn load(settings: &Tls) -> Result<Self, WireError> {
        let files = Files::read(settings).await?;
        Ok(Self {
            current: ArcSwap::from_pointee(config(settings, &files)?),
            loaded: files.fingerprint(),
            settings: settings.clone(),
        })
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.current.load_full()).accept(stream).await
    }

    /// Follows the files for good. They are compared by content: a Kubernetes secret is swapped by a symlink.
    pub(super) async fn follow(&self) {
        let mut seen = self.loaded;
        let mut ticks = interval(self.settings.reload_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let reloaded = match Files::read(&self.settings).await {
                Ok(files) if files.fingerprint() == seen => continue,
                Ok(files) => {
                    seen = files.fingerprint();
                    config(&self.settings, &files)
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
    async fn read(settings: &Tls) -> Result<Self, WireError> {
        let client_ca = match &settings.client_ca {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        Ok(Self {
            certificate: read(&settings.certificate).await?,
            key: read(&settings.key).await?,
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

fn config(settings: &Tls, files: &Files) -> Result<ServerConfig, WireError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&settings.certificate, &files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| WireError::TlsPem {
        path: settings.key.clone(),
        expected: "private key",
    })?;
    let verifier = match (&settings.client_ca, &files.client_ca) {
        (Some(path), Some(bytes)) => Some(verifier(certificates(path, bytes)?)?),
        _ => None,
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(refused)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Every connection shows its certificate anew: a resumed session would skip the look at its dates.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
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

/// URI and DNS SANs of the certificate that the peer showed and that was verified; URIs first.
pub(super) fn names(stream: &TlsStream<TcpStream>) -> Vec<String> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    leaf.map(|certificate| subject_alternative_names(certificate))
        .unwrap_or_default()
}

fn subject_alternative_names(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = parse_x509_certificate(der) else {
        return Vec::new();
    };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = &extension.value.general_names;
    let uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let hosts = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(host) => Some(*host),
        _ => None,
    });
    uris.chain(hosts)
        .filter(|name| visible(name))
        .map(str::to_owned)
        .collect()
}

// A name with a control character or beyond ASCII is none that a configuration could have meant.
fn visible(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}
