//! TLS by SPIFFE: the certificate that we show is our X.509-SVID of the moment, and peers are verified with the live
//! bundle of the trust domain that they name.
//!
//! Each handshake looks anew: no certificate without an SVID that is valid, nobody taken whose trust domain isn't listed
//! or whose bundle isn't known. Every refusal is counted by its reason.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::bundles::{BundleUnavailable, Bundles};
use super::chain::{self, ChainError};
use super::id::TrustDomain;
use super::own::{NoSvid, OwnSvid};
use super::svid::{Leaf, SvidError};
use crate::clock;

/// Why a handshake was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// We can't say who we are.
    #[error(transparent)]
    Ourselves(#[from] NoSvid),
    /// The peer's certificate is no X.509-SVID.
    #[error("the peer's certificate is no X.509-SVID: {0}")]
    Leaf(#[from] SvidError),
    /// The peer's trust domain isn't listed.
    #[error("trust domain `{0}` is not listed in `grpc.tls.workload_api.trust_domains`")]
    TrustDomain(String),
    /// There is nothing to verify the peer with.
    #[error("trust domain `{0}`: {1}")]
    Bundle(String, BundleUnavailable),
    /// The peer's chain doesn't lead to its bundle, or not now.
    #[error("trust domain `{0}`: the peer's certificate does not hold: {1}")]
    Chain(String, ChainError),
}

/// How often handshakes were refused, by reason.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; REASONS.len()]);

/// The reasons that are counted.
const REASONS: [&str; 6] = [
    "no_svid",
    "svid_not_valid",
    "not_an_svid",
    "trust_domain",
    "no_bundle",
    "untrusted",
];

impl Refused {
    /// For metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ourselves(NoSvid::Missing) => "no_svid",
            Self::Ourselves(NoSvid::NotValidNow) => "svid_not_valid",
            Self::Leaf(_) => "not_an_svid",
            Self::TrustDomain(_) => "trust_domain",
            Self::Bundle(..) => "no_bundle",
            Self::Chain(..) => "untrusted",
        }
    }
}

impl Refusals {
    fn count(&self, refused: &Refused) {
        let counters = REASONS.iter().zip(&self.0);
        for (_, counter) in counters.filter(|(reason, _)| **reason == refused.reason()) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All that may be counted, with how often it was.
    pub fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counters = REASONS.iter().zip(&self.0);
        counters.map(|(reason, counter)| (*reason, counter.load(Ordering::Relaxed)))
    }
}

/// Shows our SVID of the moment.
pub struct Shown {
    svid: Arc<OwnSvid>,
    refusals: Arc<Refusals>,
}

impl Shown {
    /// What is shown changes with what is in `svid`.
    #[must_use]
    pub fn new(svid: Arc<OwnSvid>, refusals: Arc<Refusals>) -> Self {
        Self { svid, refusals }
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.svid.valid_at(clock::now()) {
            Ok(svid) => Some(Arc::clone(svid.certified())),
            Err(error) => {
                let refused = Refused::from(error);
                self.refusals.count(&refused);
                tracing::warn!(error = %refused, "a TLS handshake was refused");
                None
            }
        }
    }
}

/// Verifies peers that must show an X.509-SVID.
pub struct Peers {
    bundles: Arc<Bundles>,
    trust_domains: HashSet<TrustDomain>,
    refusals: Arc<Refusals>,
    provider: Arc<CryptoProvider>,
}

impl Peers {
    /// Takes workloads of these trust domains, whoever else's bundle is known.
    #[must_use]
    pub fn new(bundles: Arc<Bundles>, trust_domains: HashSet<TrustDomain>, refusals: Arc<Refusals>) -> Self {
        Self {
            bundles,
            trust_domains,
            refusals,
            provider: chain::provider(),
        }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        signers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refused> {
        let id = Leaf::parse(leaf)?.id;
        let name = id.trust_domain();
        if !self.trust_domains.contains(name) {
            return Err(Refused::TrustDomain(name.to_owned()));
        }
        let authorities = self
            .bundles
            .x509(name, clock::instant())
            .map_err(|error| Refused::Bundle(name.to_owned(), error))?;
        chain::verify_client(leaf, signers, &authorities, &self.provider, now)
            .map_err(|error| Refused::Chain(name.to_owned(), error))
    }
}

impl ClientCertVerifier for Peers {
    /// None: a workload knows which SVID is its own, and the authorities change.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.verify(end_entity, intermediates, now) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(refused) => {
                self.refusals.count(&refused);
                tracing::debug!(error = %refused, "a peer's certificate was refused");
                let refused = OtherError(Arc::new(refused));
                Err(Error::InvalidCertificate(CertificateError::Other(refused)))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// How many authorities of each trust domain are verified with now; none: its peers are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors {
    /// Whose.
    pub trust_domain: String,
    /// Those that are valid now.
    pub authorities: usize,
}

impl Peers {
    /// What peers are verified with, by trust domain.
    #[must_use]
    pub fn anchors(&self, now: Timestamp) -> Vec<Anchors> {
        let count = |domain: &TrustDomain| {
            let found = self.bundles.x509(domain.as_str(), clock::instant());
            let valid = |authorities: Arc<[super::X509Authority]>| {
                authorities
                    .iter()
                    .filter(|authority| authority.is_valid_at(now))
                    .count()
            };
            Anchors {
                trust_domain: domain.to_string(),
                authorities: found.map_or(0, valid),
            }
        };
        let mut anchors: Vec<_> = self.trust_domains.iter().map(count).collect();
        anchors.sort_by(|one, other| one.trust_domain.cmp(&other.trust_domain));
        anchors
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("svid", &self.svid)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers")
            .field("trust_domains", &self.trust_domains)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
