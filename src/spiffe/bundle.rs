//! A trust domain's bundle: the authorities that its SVIDs are verified with.
//!
//! In come the three forms in which bundles travel: the SPIFFE bundle format (Trust Domain and Bundle §4), the JWK set
//! of one trust domain that the Workload API hands out, and concatenated DER certificates. A key of another use is
//! ignored, as the specification has it; a document that isn't one, or an authority that can't be one, is refused as a
//! whole: half a bundle would deny half of the workloads without a word.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::strict;

/// The authorities of one trust domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// What X.509-SVIDs are verified with.
    pub x509: Vec<X509Authority>,
    /// What JWT-SVIDs are verified with.
    pub jwt: Vec<JwtAuthority>,
    /// `spiffe_sequence`: grows with every change.
    pub sequence: Option<u64>,
    /// `spiffe_refresh_hint`: how often whoever publishes it wants to be asked.
    pub refresh_hint: Option<Duration>,
}

/// A certificate authority of a trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Authority {
    der: CertificateDer<'static>,
    not_before: i64,
    not_after: i64,
}

/// A key of a trust domain that signs JWT-SVIDs. It was looked at for its name and use only: whoever verifies with it
/// decides which kinds of key will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtAuthority {
    kid: String,
    jwk: Map<String, Value>,
}

/// Why bytes are no bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BundleError {
    /// Larger than any bundle is.
    #[error("the bundle is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not one JSON object, or one that could be read in two ways.
    #[error("the bundle is not one JSON object with each member once")]
    Json,
    /// `keys` is missing, no list of objects, or too long.
    #[error("`keys` is not a list of at most {MAX_KEYS} keys")]
    Keys,
    /// A member of SPIFFE's own isn't a number that makes sense.
    #[error("`spiffe_sequence` or `spiffe_refresh_hint` is not a whole number")]
    Number,
    /// An X.509 authority isn't a certificate in DER.
    #[error("an X.509 authority is not a certificate in DER")]
    Certificate,
    /// An X.509 authority may not issue certificates: as an anchor of trust it would be believed all the same.
    #[error("an X.509 authority is not a certificate authority (`CA:FALSE`)")]
    NoAuthority,
    /// Two JWT authorities of one name: which one signed would be a guess.
    #[error("two JWT authorities have the same `kid`")]
    SameKid,
}

/// More than the largest bundles, a hundred RSA keys and certificates, take.
const MAX_BYTES: usize = 1024 * 1024;
const MAX_KEYS: usize = 256;
const MAX_KID: usize = 512;

impl Bundle {
    /// Reads a document in the SPIFFE bundle format.
    ///
    /// # Errors
    /// [`BundleError`]: nothing of a document that isn't sound is taken.
    pub fn parse(document: &[u8]) -> Result<Self, BundleError> {
        let set = object(document)?;
        let mut bundle = Self {
            sequence: number(&set, "spiffe_sequence")?,
            refresh_hint: number(&set, "spiffe_refresh_hint")?.map(Duration::from_secs),
            ..Self::default()
        };
        for jwk in keys(&set)? {
            // §4.2.2: the values are case-sensitive; a key of an unknown use is ignored.
            match jwk.get("use").and_then(Value::as_str) {
                Some("x509-svid") => bundle.x509.extend(x5c(jwk)?),
                Some("jwt-svid") => bundle.jwt.extend(JwtAuthority::read(jwk)),
                _ => {}
            }
        }
        unique(&bundle.jwt)?;
        Ok(bundle)
    }
}

impl X509Authority {
    /// Reads one certificate in DER.
    ///
    /// # Errors
    /// [`BundleError`] unless it is a certificate of an authority.
    pub fn parse(der: &[u8]) -> Result<Self, BundleError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| BundleError::Certificate)?;
        if !rest.is_empty() {
            return Err(BundleError::Certificate);
        }
        if !certificate.is_ca() {
            return Err(BundleError::NoAuthority);
        }
        Ok(Self {
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            der: CertificateDer::from(der.to_vec()),
        })
    }

    /// The certificate.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Whether it is valid at a time. An anchor's own dates are looked at nowhere else: path validation doesn't.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now.as_second())
    }

    /// Its last second.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.not_after).ok()
    }
}

impl JwtAuthority {
    /// JWT-SVID §6.2: a key without a name is ignored.
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let kid = jwk.get("kid")?.as_str()?;
        (!kid.is_empty() && kid.len() <= MAX_KID).then(|| Self {
            kid: kid.to_owned(),
            jwk: jwk.clone(),
        })
    }

    /// `kid`
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key as it was published.
    #[must_use]
    pub fn jwk(&self) -> &Map<String, Value> {
        &self.jwk
    }
}

/// Reads the JWK set of one trust domain as the Workload API hands it out: every key in it is for JWT-SVIDs (Workload API
/// §6.2.2), whether it says so (`use: jwt-svid`) or, as SPIRE's, says nothing. One that says otherwise is ignored.
///
/// # Errors
/// [`BundleError`]: nothing of a document that isn't sound is taken.
pub fn jwt_authorities(document: &[u8]) -> Result<Vec<JwtAuthority>, BundleError> {
    let set = object(document)?;
    let mut authorities = Vec::new();
    for jwk in keys(&set)? {
        match jwk.get("use").map(Value::as_str) {
            None | Some(Some("jwt-svid" | "sig")) => authorities.extend(JwtAuthority::read(jwk)),
            Some(_) => {}
        }
    }
    unique(&authorities)?;
    Ok(authorities)
}

/// Reads the certificates of a trust domain's authorities as the Workload API hands them out: DER, one after the other.
///
/// # Errors
/// [`BundleError`]: nothing of bytes that aren't sound is taken.
pub fn x509_authorities(der: &[u8]) -> Result<Vec<X509Authority>, BundleError> {
    if der.len() > MAX_BYTES {
        return Err(BundleError::TooLarge);
    }
    let certificates = concatenated(der).ok_or(BundleError::Certificate)?;
    if certificates.len() > MAX_KEYS {
        return Err(BundleError::Keys);
    }
    certificates.into_iter().map(X509Authority::parse).collect()
}

/// Certificates in DER that follow each other; `None` if anything else is among them.
pub(crate) fn concatenated(mut der: &[u8]) -> Option<Vec<&[u8]>> {
    let mut certificates = Vec::new();
    while !der.is_empty() {
        let (rest, _) = X509Certificate::from_der(der).ok()?;
        let (certificate, _) = der.split_at_checked(der.len().checked_sub(rest.len())?)?;
        certificates.push(certificate);
        der = rest;
    }
    Some(certificates)
}

fn object(document: &[u8]) -> Result<Map<String, Value>, BundleError> {
    if document.len() > MAX_BYTES {
        return Err(BundleError::TooLarge);
    }
    strict::object(document).ok_or(BundleError::Json)
}

fn keys(set: &Map<String, Value>) -> Result<Vec<&Map<String, Value>>, BundleError> {
    let keys = set
        .get("keys")
        .and_then(Value::as_array)
        .ok_or(BundleError::Keys)?;
    if keys.len() > MAX_KEYS {
        return Err(BundleError::Keys);
    }
    let objects = keys.iter().map(|key| key.as_object().ok_or(BundleError::Keys));
    objects.collect()
}

fn number(set: &Map<String, Value>, name: &str) -> Result<Option<u64>, BundleError> {
    let number = |value: &Value| value.as_u64().ok_or(BundleError::Number);
    set.get(name).map(number).transpose()
}

/// X509-SVID §6.2: the first of `x5c` alone; a key without any is ignored.
fn x5c(jwk: &Map<String, Value>) -> Result<Option<X509Authority>, BundleError> {
    let Some(first) = jwk
        .get("x5c")
        .and_then(Value::as_array)
        .and_then(|list| list.first())
    else {
        return Ok(None);
    };
    let text = first.as_str().ok_or(BundleError::Certificate)?;
    let der = STANDARD.decode(text).map_err(|_| BundleError::Certificate)?;
    X509Authority::parse(&der).map(Some)
}

fn unique(authorities: &[JwtAuthority]) -> Result<(), BundleError> {
    let mut names: Vec<&str> = authorities.iter().map(JwtAuthority::kid).collect();
    names.sort_unstable();
    if names
        .windows(2)
        .any(|pair| matches!(pair, [one, other] if one == other))
    {
        return Err(BundleError::SameKid);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
