//! A SPIFFE trust domain for demos and tests: it issues X.509-SVIDs and JWT-SVIDs, publishes its bundle, and rotates
//! what it signs with on demand. Never for production: whoever asks gets whatever identity they name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::dpop::{ProofKey, ProofKeyError};
use super::pki::{Authority, PkiError, Svid};
use crate::spiffe::{SpiffeId, TrustDomain};

/// How long an authority's own certificate is valid.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(14 * 24);

/// How often consumers of the bundle are told to look for a new one, in seconds.
const REFRESH_HINT: u64 = 5;

/// A trust domain with the authorities that it has now.
pub struct DevTrustDomain {
    name: TrustDomain,
    authorities: Mutex<Authorities>,
    sequence: watch::Sender<u64>,
}

/// The last of each signs, but for those that are only prepared.
struct Authorities {
    x509: Vec<Authority>,
    jwt: Vec<ProofKey>,
    prepared: usize,
}

impl Authorities {
    fn signing(&self) -> Option<(&Authority, &ProofKey)> {
        let last = self.x509.len().checked_sub(self.prepared)?.checked_sub(1)?;
        Some((self.x509.get(last)?, self.jwt.get(last)?))
    }
}

/// Why an SVID can't be issued.
#[derive(Debug, thiserror::Error)]
pub enum DevTrustDomainError {
    /// A certificate can't be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A token can't be signed.
    #[error(transparent)]
    Sign(#[from] ProofKeyError),
    /// The trust domain has lost its authorities.
    #[error("the trust domain has no authority")]
    NoAuthority,
}

impl DevTrustDomain {
    /// A trust domain with one authority of each kind.
    ///
    /// # Errors
    /// [`DevTrustDomainError`] if they can't be made.
    pub fn new(name: TrustDomain, now: Timestamp) -> Result<Self, DevTrustDomainError> {
        let authority = Authority::of_trust_domain(name.as_str(), AUTHORITY_LIFETIME, now)?;
        Ok(Self {
            name,
            authorities: Mutex::new(Authorities {
                x509: vec![authority],
                jwt: vec![ProofKey::generate()],
                prepared: 0,
            }),
            sequence: watch::Sender::new(1),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &TrustDomain {
        &self.name
    }

    /// An X.509-SVID. The id may well be of another trust domain: then it is a forgery.
    ///
    /// # Errors
    /// [`DevTrustDomainError`] if it can't be made.
    pub fn x509_svid(
        &self,
        id: &SpiffeId,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Svid, DevTrustDomainError> {
        let authorities = self.authorities();
        let (authority, _) = authorities.signing().ok_or(DevTrustDomainError::NoAuthority)?;
        Ok(authority.svid(id.as_str(), lifetime, now)?)
    }

    /// A JWT-SVID (JWT-SVID §3), for one audience as RFC 7523 and Keycloak want it, or for more.
    ///
    /// # Errors
    /// [`DevTrustDomainError`] if it can't be signed.
    pub fn mint_jwt_svid(
        &self,
        id: &SpiffeId,
        audience: &[&str],
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<String, DevTrustDomainError> {
        let issued = now.as_second();
        let expires = issued.saturating_add_unsigned(lifetime.as_secs());
        let claims = json!({ "sub": id.as_str(), "aud": audience, "iat": issued, "exp": expires });
        self.sign_jwt(&json!({ "typ": "JWT" }), &claims)
    }

    /// Signs claims as they are; `alg` and `kid` are added to the header unless it names others, or says null: then it has
    /// none.
    ///
    /// # Errors
    /// [`DevTrustDomainError`] if they can't be signed.
    pub fn sign_jwt(&self, header: &Value, claims: &Value) -> Result<String, DevTrustDomainError> {
        let authorities = self.authorities();
        let (_, key) = authorities.signing().ok_or(DevTrustDomainError::NoAuthority)?;
        let mut full = json!({ "alg": "ES256", "kid": key.thumbprint() });
        if let (Some(full), Some(named)) = (full.as_object_mut(), header.as_object()) {
            full.extend(named.clone());
            full.retain(|_, value| !value.is_null());
        }
        Ok(key.sign(&full, claims)?)
    }

    /// Its bundle in the SPIFFE bundle format.
    #[must_use]
    pub fn bundle(&self) -> Value {
        let x509 = self.authorities().x509.iter().map(x509_jwk).collect::<Vec<_>>();
        let keys = [x509, self.jwt_keys()].concat();
        json!({ "keys": keys, "spiffe_sequence": *self.sequence.borrow(), "spiffe_refresh_hint": REFRESH_HINT })
    }

    /// Its JWT authorities as the Workload API hands them out.
    #[must_use]
    pub fn jwt_bundle(&self) -> Value {
        json!({ "keys": self.jwt_keys() })
    }

    /// Its X.509 authorities as the Workload API hands them out: DER, one after the other.
    #[must_use]
    pub fn x509_bundle(&self) -> Vec<u8> {
        let authorities = self.authorities();
        authorities
            .x509
            .iter()
            .flat_map(|authority| authority.der().to_vec())
            .collect()
    }

    /// The same as PEM, for parts that take no bundle.
    #[must_use]
    pub fn x509_bundle_pem(&self) -> String {
        let authorities = self.authorities();
        authorities.x509.iter().map(Authority::certificate).collect()
    }

    /// From now on signs with new authorities. The old ones stay in the bundle until [`DevTrustDomain::withdraw`].
    ///
    /// # Errors
    /// [`DevTrustDomainError`] if they can't be made.
    pub fn rotate(&self, now: Timestamp) -> Result<(), DevTrustDomainError> {
        self.add(now, 0)
    }

    /// Publishes new authorities that sign nothing before [`DevTrustDomain::activate`], so that whoever verifies can know
    /// them by then: how a server rotates without anybody being refused.
    ///
    /// # Errors
    /// [`DevTrustDomainError`] if they can't be made.
    pub fn prepare(&self, now: Timestamp) -> Result<(), DevTrustDomainError> {
        self.add(now, 1)
    }

    /// From now on signs with the newest authorities.
    pub fn activate(&self) {
        self.authorities().prepared = 0;
        self.changed();
    }

    fn add(&self, now: Timestamp, prepared: usize) -> Result<(), DevTrustDomainError> {
        let authority = Authority::of_trust_domain(self.name.as_str(), AUTHORITY_LIFETIME, now)?;
        let mut authorities = self.authorities();
        authorities.x509.push(authority);
        authorities.jwt.push(ProofKey::generate());
        authorities.prepared = prepared;
        drop(authorities);
        self.changed();
        Ok(())
    }

    /// Takes all authorities but the newest out of the bundle: what they signed holds no more.
    pub fn withdraw(&self) {
        let mut authorities = self.authorities();
        let Authorities { x509, jwt, prepared } = &mut *authorities;
        x509.drain(..x509.len().saturating_sub(1));
        jwt.drain(..jwt.len().saturating_sub(1));
        *prepared = 0;
        drop(authorities);
        self.changed();
    }

    /// Tells of every change; its value is the bundle's sequence number.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.sequence.subscribe()
    }

    /// Serves the bundle at `/bundle`: a bundle endpoint, but for the TLS.
    pub fn router(self: &Arc<Self>) -> Router {
        let this = Arc::clone(self);
        let bundle = async move || ([(CONTENT_TYPE, "application/json")], this.bundle().to_string());
        Router::new().route("/bundle", get(bundle))
    }

    fn jwt_keys(&self) -> Vec<Value> {
        let authorities = self.authorities();
        authorities.jwt.iter().map(jwt_jwk).collect()
    }

    fn changed(&self) {
        self.sequence
            .send_modify(|sequence| *sequence = sequence.saturating_add(1));
    }

    fn authorities(&self) -> MutexGuard<'_, Authorities> {
        self.authorities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for DevTrustDomain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevTrustDomain")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// X509-SVID §6.1
fn x509_jwk(authority: &Authority) -> Value {
    // RFC 5480 §2.2: a P-256 key is 04, x, y; it stands at the end of the certificate's key information.
    let key = X509Certificate::from_der(authority.der())
        .map(|(_, certificate)| certificate.public_key().subject_public_key.data.to_vec())
        .unwrap_or_default();
    let (x, y) = key
        .get(1..)
        .unwrap_or_default()
        .split_at_checked(32)
        .unwrap_or_default();
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let x5c = [STANDARD.encode(authority.der())];
    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "x509-svid", "x5c": x5c })
}

fn jwt_jwk(key: &ProofKey) -> Value {
    let mut jwk = key.jwk().clone();
    if let Some(members) = jwk.as_object_mut() {
        let ours = [("use", "jwt-svid"), ("kid", key.thumbprint())];
        members.extend(ours.map(|(name, value)| (name.to_owned(), value.into())));
    }
    jwk
}

#[cfg(test)]
mod endpoints;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spiffe::Bundle;

    fn domain() -> DevTrustDomain {
        let name = TrustDomain::parse("mcp-identity.local").unwrap();
        DevTrustDomain::new(name, crate::clock::now()).unwrap()
    }

    fn read(domain: &DevTrustDomain) -> Bundle {
        Bundle::parse(domain.bundle().to_string().as_bytes()).unwrap()
    }

    #[test]
    fn its_bundle_holds_old_authorities_until_they_are_withdrawn() {
        let domain = domain();
        let first = read(&domain);
        assert_eq!(
            (first.x509.len(), first.jwt.len(), first.sequence),
            (1, 1, Some(1))
        );
        domain.rotate(crate::clock::now()).unwrap();
        let both = read(&domain);
        assert_eq!((both.x509.len(), both.jwt.len(), both.sequence), (2, 2, Some(2)));
        assert_eq!((&both.x509[0], &both.jwt[0]), (&first.x509[0], &first.jwt[0]));
        domain.withdraw();
        let last = read(&domain);
        assert_eq!((&last.x509[..], &last.jwt[..]), (&both.x509[1..], &both.jwt[1..]));
        assert_eq!(last.sequence, Some(3));
    }

    #[test]
    fn a_jwt_svid_says_what_the_specification_wants_and_names_its_key() {
        let domain = domain();
        let id = SpiffeId::parse("spiffe://mcp-identity.local/agent/trusted/1").unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let minute = Duration::from_mins(1);
        let svid = domain
            .mint_jwt_svid(&id, &["https://id.example"], minute, now)
            .unwrap();
        let parts: Vec<Value> = svid
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        let kid = read(&domain).jwt[0].kid().to_owned();
        assert_eq!(parts[0], json!({ "alg": "ES256", "kid": kid, "typ": "JWT" }));
        assert_eq!(
            parts[1],
            json!({ "sub": id.as_str(), "aud": ["https://id.example"], "iat": 1_800_000_000, "exp": 1_800_000_060 })
        );
    }
}
