//! A bundle endpoint that is known by its X.509-SVID, and by nothing else (SPIFFE Federation §5.2.2).

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::bundle::{Bundle, X509Authority};
use super::bundles::Bundles;
use super::chain::{self, ChainError};
use super::id::SpiffeId;
use super::settings::{self, HttpsSpiffe};
use super::source::SourceError;
use super::svid::{Leaf, SvidError};
use crate::clock;

/// Who the endpoint must be.
///
/// # Errors
/// [`SourceError`] if its SPIFFE ID isn't one, or nothing could vouch for it.
pub(super) fn check(
    trust_domain: &str,
    endpoint: &HttpsSpiffe,
    all: &[settings::TrustDomain],
) -> Result<SpiffeId, SourceError> {
    let refused = |problem: String| SourceError::Endpoint {
        trust_domain: trust_domain.to_owned(),
        problem,
    };
    let id = SpiffeId::parse(&endpoint.endpoint_id)
        .map_err(|error| refused(format!("`{}` is no SPIFFE ID: {error}", endpoint.endpoint_id)))?;
    let has_bundle =
        |other: &settings::TrustDomain| other.name == id.trust_domain() && other.bundle.is_some();
    if endpoint.bootstrap.is_none() && (id.trust_domain() == trust_domain || !all.iter().any(has_bundle)) {
        return Err(refused(format!(
            "nothing vouches for the endpoint: name a file with the bundle of `{}` as `bootstrap`",
            id.trust_domain()
        )));
    }
    Ok(id)
}

/// TLS that believes this endpoint alone.
///
/// # Errors
/// [`SourceError`] as [`check`], or if the bootstrap bundle can't be used.
pub(super) fn tls(
    trust_domain: &str,
    endpoint: &HttpsSpiffe,
    all: &[settings::TrustDomain],
    bundles: &Arc<Bundles>,
) -> Result<ClientConfig, SourceError> {
    let id = check(trust_domain, endpoint, all)?;
    let provider = chain::provider();
    let verifier = Arc::new(Endpoint {
        id,
        bootstrap: bootstrap(trust_domain, endpoint)?,
        bundles: Arc::clone(bundles),
        provider: Arc::clone(&provider),
    });
    config(provider, verifier).map_err(|error| SourceError::Endpoint {
        trust_domain: trust_domain.to_owned(),
        problem: format!("no TLS: {error}"),
    })
}

fn config(provider: Arc<CryptoProvider>, verifier: Arc<Endpoint>) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // A resumed session would skip the look at whether the endpoint's authority is still believed.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn bootstrap(trust_domain: &str, endpoint: &HttpsSpiffe) -> Result<Vec<X509Authority>, SourceError> {
    let Some(path) = &endpoint.bootstrap else {
        return Ok(Vec::new());
    };
    let unusable = |problem: String| SourceError::File {
        trust_domain: trust_domain.to_owned(),
        path: path.clone(),
        problem,
    };
    let document = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let bundle = Bundle::parse(&document).map_err(|error| unusable(error.to_string()))?;
    if bundle.x509.is_empty() {
        return Err(unusable("it has no X.509 authority".to_owned()));
    }
    Ok(bundle.x509)
}

/// Believes a server whose certificate is the X.509-SVID of one SPIFFE ID.
#[derive(Debug)]
struct Endpoint {
    id: SpiffeId,
    /// Where there is no bundle of its trust domain yet, or not any more.
    bootstrap: Vec<X509Authority>,
    bundles: Arc<Bundles>,
    provider: Arc<CryptoProvider>,
}

/// Why a server isn't the endpoint.
#[derive(thiserror::Error)]
enum Refused {
    #[error("the endpoint's certificate is no X.509-SVID: {0}")]
    Leaf(#[from] SvidError),
    #[error("the endpoint is `{0}`")]
    Another(SpiffeId),
    #[error("the endpoint's certificate does not hold: {0}")]
    Chain(#[from] ChainError),
}

/// As for people: it is this that rustls tells of another's error.
impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Endpoint {
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        signers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refused> {
        // The name in the URL is no part of who it is: the SPIFFE ID alone is.
        let id = Leaf::parse(leaf)?.id;
        if id != self.id {
            return Err(Refused::Another(id));
        }
        // A bundle that came without an authority is an answer: nobody vouches, the bootstrap bundle no more than others.
        let live = self.bundles.x509(self.id.trust_domain(), clock::instant()).ok();
        let authorities = live.as_deref().unwrap_or(&self.bootstrap);
        Ok(chain::verify_server(
            leaf,
            signers,
            authorities,
            &self.provider,
            now,
        )?)
    }
}

impl ServerCertVerifier for Endpoint {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.verify(end_entity, intermediates, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(refused) => {
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
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
