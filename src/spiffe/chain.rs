//! Path validation of X.509-SVIDs (X509-SVID §5.1): from a leaf to an authority of its own trust domain that is valid now.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::bundle::X509Authority;
use super::svid::{SvidError, X509Svid};

/// Why a chain doesn't lead to a bundle.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChainError {
    /// Every authority of the bundle is expired, or isn't valid yet.
    #[error("no authority of the trust domain is valid now")]
    NoAuthority,
    /// A certificate between leaf and authority may not sign certificates.
    #[error("a certificate of the chain may not sign certificates")]
    Signer,
    /// What path validation says.
    #[error("{0}")]
    Path(rustls::Error),
}

/// The cryptography that everything SPIFFE is verified with.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Whether a peer that is a client may be believed to be whom its leaf names.
///
/// # Errors
/// [`ChainError`] unless the chain leads to one of the authorities.
pub(super) fn verify_client(
    leaf: &CertificateDer<'_>,
    signers: &[CertificateDer<'_>],
    authorities: &[X509Authority],
    provider: &Arc<CryptoProvider>,
    now: UnixTime,
) -> Result<(), ChainError> {
    if !signers.iter().all(may_sign) {
        return Err(ChainError::Signer);
    }
    let roots = Arc::new(roots(authorities, now)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|_| ChainError::NoAuthority)?;
    let verified = verifier.verify_client_cert(leaf, signers, now);
    verified.map(drop).map_err(ChainError::Path)
}

/// Whether a peer that is a server may be believed to be whom its leaf names.
///
/// # Errors
/// [`ChainError`] unless the chain leads to one of the authorities.
pub(super) fn verify_server(
    leaf: &CertificateDer<'_>,
    signers: &[CertificateDer<'_>],
    authorities: &[X509Authority],
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<(), ChainError> {
    if !signers.iter().all(may_sign) {
        return Err(ChainError::Signer);
    }
    let roots = roots(authorities, now)?;
    let leaf = ParsedCertificate::try_from(leaf).map_err(ChainError::Path)?;
    let algorithms = provider.signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&leaf, &roots, signers, now, algorithms)
        .map_err(ChainError::Path)
}

impl X509Svid {
    /// Whether it would do as a server's: valid now, and its chain leads to one of its trust domain's authorities.
    ///
    /// # Errors
    /// [`SvidError`] if not.
    pub fn verify(&self, authorities: &[X509Authority], now: Timestamp) -> Result<(), SvidError> {
        if !self.is_valid_at(now) {
            return Err(SvidError::NotValidNow);
        }
        let verify = || {
            let (leaf, signers) = self.certified().cert.split_first()?;
            let now = UnixTime::since_unix_epoch(Duration::try_from(now.as_duration()).ok()?);
            verify_server(leaf, signers, authorities, &provider(), now).ok()
        };
        verify().ok_or(SvidError::Untrusted)
    }
}

/// An anchor's dates are for us to look at: path validation doesn't.
fn roots(authorities: &[X509Authority], now: UnixTime) -> Result<RootCertStore, ChainError> {
    let seconds = i64::try_from(now.as_secs()).map_err(|_| ChainError::NoAuthority)?;
    let now = Timestamp::from_second(seconds).map_err(|_| ChainError::NoAuthority)?;
    let valid = authorities.iter().filter(|authority| authority.is_valid_at(now));
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(valid.map(|authority| authority.der().clone()));
    if roots.is_empty() {
        return Err(ChainError::NoAuthority);
    }
    Ok(roots)
}

/// X509-SVID §4.3: a signing certificate must have `keyCertSign`. Path validation looks at `cA` alone.
fn may_sign(der: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    let usage = certificate.key_usage().ok().flatten();
    certificate.is_ca() && usage.is_some_and(|usage| usage.value.key_cert_sign())
}
