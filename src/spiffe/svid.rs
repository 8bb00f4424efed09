//! X.509-SVIDs: the rules that make a certificate one (X509-SVID §5.2), for ours and for those of peers.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::bundle::concatenated;
use super::id::{SpiffeId, SpiffeIdError};

/// What a leaf certificate says of its holder. That anybody signed it is for path validation to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Whose it is.
    pub id: SpiffeId,
    /// Its first second.
    pub not_before: Timestamp,
    /// Its last second.
    pub not_after: Timestamp,
}

/// An X.509-SVID with its private key.
#[derive(Clone)]
pub struct X509Svid {
    leaf: Leaf,
    certified: Arc<CertifiedKey>,
}

/// Why a certificate is no X.509-SVID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SvidError {
    /// Not certificates in DER, at least one.
    #[error("there is no certificate in DER")]
    Certificate,
    /// Extensions that contradict each other or can't be read.
    #[error("an extension can't be read, or is there twice")]
    Extensions,
    /// None, or several: which one is meant would be a guess.
    #[error("there is not exactly one URI among its names")]
    Uris,
    /// The URI is no SPIFFE ID of a workload.
    #[error("its URI is no SPIFFE ID: {0}")]
    Id(SpiffeIdError),
    /// An authority's certificate proves nobody's identity.
    #[error("it is an authority's certificate")]
    Authority,
    /// `keyCertSign` or `cRLSign`, or not for signatures.
    #[error("its key may sign certificates, or may not sign at all")]
    KeyUsage,
    /// The dates can't be told.
    #[error("its dates make no sense")]
    Dates,
    /// The private key isn't PKCS #8 of a kind that TLS takes.
    #[error("the private key can't be used")]
    Key,
    /// The private key is another certificate's.
    #[error("the private key is not the certificate's")]
    OtherKey,
    /// The message names another workload than the certificate.
    #[error("the certificate names another workload than the message")]
    OtherId,
    /// It was given too late, or too early.
    #[error("it is not valid now")]
    NotValidNow,
    /// Nobody would believe it.
    #[error("its chain doesn't lead to the bundle of its trust domain")]
    Untrusted,
}

impl Leaf {
    /// Reads a leaf certificate.
    ///
    /// # Errors
    /// [`SvidError`] unless it is an X.509-SVID of a workload.
    pub fn parse(der: &[u8]) -> Result<Self, SvidError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| SvidError::Certificate)?;
        if !rest.is_empty() {
            return Err(SvidError::Certificate);
        }
        let id = spiffe_id(&certificate)?;
        let constraints = certificate
            .basic_constraints()
            .map_err(|_| SvidError::Extensions)?;
        if constraints.is_some_and(|constraints| constraints.value.ca) {
            return Err(SvidError::Authority);
        }
        let usage = certificate.key_usage().map_err(|_| SvidError::Extensions)?;
        // §4.3: the extension must be there.
        if !usage.is_some_and(|usage| {
            let usage = usage.value;
            usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign()
        }) {
            return Err(SvidError::KeyUsage);
        }
        let date = |seconds| Timestamp::from_second(seconds).map_err(|_| SvidError::Dates);
        Ok(Self {
            id,
            not_before: date(certificate.validity().not_before.timestamp())?,
            not_after: date(certificate.validity().not_after.timestamp())?,
        })
    }
}

fn spiffe_id(certificate: &X509Certificate<'_>) -> Result<SpiffeId, SvidError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| SvidError::Extensions)?
        .ok_or(SvidError::Uris)?;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => SpiffeId::parse(uri).map_err(SvidError::Id),
        _ => Err(SvidError::Uris),
    }
}

impl X509Svid {
    /// Puts a chain (DER, one after the other, leaf first) and its key (PKCS #8) together.
    ///
    /// # Errors
    /// [`SvidError`] unless they are the X.509-SVID of `id`.
    pub fn new(id: &SpiffeId, chain: &[u8], key: &[u8]) -> Result<Self, SvidError> {
        let chain: Vec<CertificateDer<'static>> = concatenated(chain)
            .ok_or(SvidError::Certificate)?
            .into_iter()
            .map(|der| CertificateDer::from(der.to_vec()))
            .collect();
        let leaf = Leaf::parse(chain.first().ok_or(SvidError::Certificate)?)?;
        if leaf.id != *id {
            return Err(SvidError::OtherId);
        }
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|_| SvidError::Key)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| SvidError::OtherKey)?;
        Ok(Self {
            leaf,
            certified: Arc::new(certified),
        })
    }

    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> &SpiffeId {
        &self.leaf.id
    }

    /// Its last second.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.leaf.not_after
    }

    /// Whether it is valid at a time.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.leaf.not_before..=self.leaf.not_after).contains(&now)
    }

    /// What TLS signs with.
    #[must_use]
    pub fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

// A private key has no business in a log.
impl fmt::Debug for X509Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("X509Svid").field(&self.leaf).finish()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
    };

    use super::*;

    const ID: &str = "spiffe://td.test/gateway";

    type Change = fn(&mut CertificateParams);

    fn uri(uri: &str) -> SanType {
        SanType::URI(uri.try_into().unwrap())
    }

    fn sound() -> CertificateParams {
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = vec![SanType::DnsName("gateway.test".try_into().unwrap()), uri(ID)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params
    }

    fn sign(params: &CertificateParams) -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn exactly_one_uri_no_authority_and_a_key_for_signatures_alone_make_an_svid() {
        let id = SpiffeId::parse(ID).unwrap();
        assert_eq!(Leaf::parse(&sign(&sound()).0).unwrap().id, id);

        let cases: [(Change, SvidError); 9] = [
            (|params| params.subject_alt_names.clear(), SvidError::Uris),
            (|params| params.subject_alt_names.truncate(1), SvidError::Uris),
            (|params| params.subject_alt_names.push(uri(ID)), SvidError::Uris),
            (
                |params| params.subject_alt_names.push(uri("https://x.test")),
                SvidError::Uris,
            ),
            (
                |params| params.subject_alt_names = vec![uri("spiffe://td.test")],
                SvidError::Id(SpiffeIdError::NoPath),
            ),
            (
                |params| params.subject_alt_names = vec![uri("spiffe://TD.test/gateway")],
                SvidError::Id(SpiffeIdError::TrustDomain),
            ),
            (
                |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
                SvidError::Authority,
            ),
            (|params| params.key_usages.clear(), SvidError::KeyUsage),
            (
                |params| params.key_usages.push(KeyUsagePurpose::KeyCertSign),
                SvidError::KeyUsage,
            ),
        ];
        for (place, (change, error)) in cases.into_iter().enumerate() {
            let mut params = sound();
            change(&mut params);
            assert_eq!(Leaf::parse(&sign(&params).0), Err(error), "case {place}");
        }
        assert_eq!(Leaf::parse(b"no certificate"), Err(SvidError::Certificate));
    }

    #[test]
    fn the_message_the_certificate_and_the_key_must_be_of_one_workload() {
        let id = SpiffeId::parse(ID).unwrap();
        let (certificate, key) = sign(&sound());
        let svid = X509Svid::new(&id, &certificate, &key.serialize_der()).unwrap();
        assert_eq!(svid.id(), &id);
        assert!(!format!("{svid:?}").contains("key"));

        let made = |id: &SpiffeId, chain: &[u8], key: &[u8]| X509Svid::new(id, chain, key).unwrap_err();
        let other = SpiffeId::parse("spiffe://td.test/other").unwrap();
        assert_eq!(
            made(&other, &certificate, &key.serialize_der()),
            SvidError::OtherId
        );
        let stranger = KeyPair::generate().unwrap();
        assert_eq!(
            made(&id, &certificate, &stranger.serialize_der()),
            SvidError::OtherKey
        );
        assert_eq!(made(&id, &certificate, key.der_bytes()), SvidError::Key);
        assert_eq!(made(&id, b"", &key.serialize_der()), SvidError::Certificate);
    }
}
