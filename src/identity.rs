//! Evidence to a [`Caller`]: who is calling, proved.
//!
//! In comes an [`Exchange`] and the server that it asks; out goes a [`Caller`], or the one reason why not. A user is an
//! access token of a configured issuer, issued for this server; a workload is the SPIFFE ID that a trusted gateway
//! vouches for. An identity that isn't required may be absent, but never wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::exchange::Exchange;
use crate::inventory::{Requirement, Server};
use crate::spiffe::Bundles;
use crate::spiffe::strict;
use crate::state::Store;

use bound::Believed;
use credential::Credential;
use dpop::Nonces;
use gateway::Gateways;
use issuer::Issuer;
use jwt::Unverified;
use settings::{Keys, Trust};
use svid::Svids;
use tokens::{Tokens, Verified};
use workload::{Found, Workloads};

pub use bound::BoundError;
pub use caller::{Acting, Actor, Agent, Caller, User, Workload};
pub use dpop::Nonce;
pub use error::{IdentityError, IdentitySetupError};
pub use introspect::{IntrospectionFault, IntrospectionNumbers};
pub use known::CacheNumbers;
pub use settings::Settings;
pub use soundness::Unsound;
pub use svid::SvidError;
pub use verification::{AlgorithmNumbers, VerificationNumbers};

mod actor;
mod bound;
pub mod caller;
mod claim_path;
mod claims;
mod credential;
mod dpop;
pub mod error;
mod facts;
mod fetch;
mod gateway;
pub mod inspect;
mod introspect;
mod issuer;
mod jwk;
mod jwt;
mod keyring;
mod known;
pub mod notice;
pub mod revocation;
pub mod settings;
mod soundness;
mod svid;
mod tokens;
mod verification;
mod workload;
mod xfcc;

#[cfg(test)]
mod tests;

/// Finds out who is calling.
#[derive(Debug)]
pub struct Verifier {
    tokens: Tokens,
    gateways: Gateways,
    workloads: Workloads,
    svids: Svids,
    store: Arc<dyn Store>,
    nonces: Nonces,
}

/// A token that is its presenter's.
#[derive(Debug)]
struct Presented {
    verified: Arc<Verified>,
    /// What the next proof should have as its nonce, if it is another than this one's.
    nonce: Option<Nonce>,
}

/// How fresh an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The issuer's short name.
    pub issuer: String,
    /// Since when its keys haven't been fetched; `None`: never fetched yet. A shared secret is as old as the process.
    pub age: Option<Duration>,
    /// How many keys there are.
    pub keys: usize,
    /// How many fetches have failed since the last good one.
    pub failures: u32,
}

/// How the bundle of a trust domain fares whose JWT-SVIDs are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleStatus {
    /// Whose.
    pub trust_domain: String,
    /// For how long it hasn't been confirmed; `None`: it never came.
    pub age: Option<Duration>,
    /// Whether JWT-SVIDs can be verified with it.
    pub usable: bool,
    /// How many attempts to get it have failed since the start.
    pub failed: u64,
    /// Why the last attempt failed, if it did.
    pub problem: Option<String>,
}

impl Verifier {
    /// Checks the settings, starts to fetch keys, and waits until each issuer has been asked once, or its fetch timed
    /// out: an issuer that is down keeps nobody from starting, its tokens are answered as an outage until it is up.
    /// What replicas must see alike is asked of the store.
    ///
    /// # Errors
    /// [`IdentitySetupError`] if the settings contradict themselves or a file that they name can't be used.
    pub async fn start(settings: Settings, store: Arc<dyn Store>) -> Result<Arc<Self>, IdentitySetupError> {
        Ok(Arc::new(Self {
            gateways: Gateways::new(&settings.gateways)?,
            workloads: Workloads::new(&settings.spiffe)?,
            svids: Svids::start(&settings).await?,
            tokens: Tokens::start(&settings).await?,
            store,
            nonces: Nonces::default(),
        }))
    }

    /// What replicas share.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Who is calling this server. Awaits nothing but an issuer's keys or word, and what replicas share, and that never
    /// beyond the exchange's deadline.
    ///
    /// # Errors
    /// The one [`IdentityError`] that says why not: an identity that the server requires is missing, or one that came,
    /// required or not, doesn't hold.
    pub async fn identify(
        &self,
        exchange: &Exchange,
        server: &Server,
        now: Timestamp,
    ) -> Result<Caller, IdentityError> {
        // What most calls have no need of is boxed: a future is as large as the largest that it may wait for, and this one
        // is made for each call.
        let (svid, nonce) = if self.svids.may_be_token(server) {
            Box::pin(self.svid_as_token(exchange, server, now)).await?.unzip()
        } else {
            (None, None)
        };
        let token = match svid {
            Some(_) => None,
            None => self.unrevoked(exchange, server, now).await?,
        };
        let nonce = nonce.flatten();
        // An actor comes with a token, too.
        let by_token = [Requirement::User, Requirement::Actor];
        if token.is_none() && server.require.iter().any(|required| by_token.contains(required)) {
            return Err(IdentityError::NoCredential);
        }
        let (found, untrusted) = match self.workloads.find(exchange, &self.gateways)? {
            Found::Workload(workload) => (Some(Arc::new(workload)), false),
            Found::Nothing { untrusted } => (None, untrusted),
        };
        let found = svid::agreed(found, svid)?;
        let alone = token.is_none() && found.is_none();
        let by_header = if self.svids.is_in_header(exchange) {
            Box::pin(self.svid_in_header(exchange, server, alone, now)).await?
        } else {
            None
        };
        let workload = svid::agreed(found, by_header)?;
        if workload.is_none() && server.require.contains(&Requirement::Workload) {
            return Err(if untrusted {
                IdentityError::GatewayNotTrusted
            } else {
                IdentityError::WorkloadMissing
            });
        }
        let nonce = nonce.or_else(|| token.as_ref().and_then(|presented| presented.nonce));
        let token = token.as_ref().map(|presented| &presented.verified.token);
        let actor = token.and_then(|token| token.actor.clone());
        actor::check(actor.as_deref(), workload.as_deref(), &self.workloads, server)?;
        Ok(Caller {
            user: token.map(|token| Arc::clone(&token.user)),
            workload,
            actor,
            nonce,
        })
    }

    /// The workload whose JWT-SVID is the access token, at a server that requires workloads alone; and what its next proof
    /// should have as its nonce.
    async fn svid_as_token(
        &self,
        exchange: &Exchange,
        server: &Server,
        now: Timestamp,
    ) -> Result<Option<(Arc<Workload>, Option<Nonce>)>, IdentityError> {
        let Some(sent) = credential::token(exchange)? else {
            return Ok(None);
        };
        let is_ours = |iss: &str| self.tokens.issuer(iss).is_some();
        let verification = &self.tokens.verification;
        let request = (exchange, server);
        let svid = self
            .svids
            .of_token(sent.token, request, is_ours, verification, now);
        let Some(svid) = svid.await? else {
            return Ok(None);
        };
        if self.gateway_claims(exchange).is_some() {
            return Err(IdentityError::ClaimsDisagree);
        }
        let nonce = bound::check(svid.bound, Some(sent), request, self.believed(), now).await?;
        Ok(Some((Arc::clone(&svid.workload), nonce)))
    }

    /// The workload whose JWT-SVID the header brings. `alone`: nothing else says who calls, so it must be bound as an access
    /// token must.
    async fn svid_in_header(
        &self,
        exchange: &Exchange,
        server: &Server,
        alone: bool,
        now: Timestamp,
    ) -> Result<Option<Arc<Workload>>, IdentityError> {
        let verification = &self.tokens.verification;
        let svid = self.svids.of_header(exchange, server, verification, now).await?;
        let Some(svid) = svid else {
            return Ok(None);
        };
        let request = (exchange, server);
        // A proof of a key is made for the access token (RFC 9449 §4.2, `ath`): none can be for this one.
        if alone {
            bound::check(svid.bound, None, request, self.believed(), now).await?;
        } else {
            bound::proved(svid.bound, None, request, self.believed(), now).await?;
        }
        Ok(Some(Arc::clone(&svid.workload)))
    }

    /// The header that brings a JWT-SVID: a credential for us alone, to be taken off each request that goes on.
    #[must_use]
    pub fn svid_header(&self) -> Option<&Arc<str>> {
        self.svids.header()
    }

    /// The bundles that JWT-SVIDs are verified with, for whoever writes into them or verifies with them too.
    #[must_use]
    pub fn bundles(&self) -> &Arc<Bundles> {
        self.svids.bundles()
    }

    /// How the bundle of each trust domain fares whose JWT-SVIDs are taken, for metrics and readiness.
    #[must_use]
    pub fn bundle_status(&self, now: Instant) -> Vec<BundleStatus> {
        self.svids.status(now)
    }

    /// The access token, if one was sent, unless it was revoked.
    async fn unrevoked(
        &self,
        exchange: &Exchange,
        server: &Server,
        now: Timestamp,
    ) -> Result<Option<Presented>, IdentityError> {
        let token = self.token(exchange, server, now).await?;
        if let Some(presented) = &token {
            let token = &presented.verified.token;
            let (store, now) = (&*self.store, exchange.started);
            let checked = token.revocable.check(&token.user, store, now, exchange.deadline);
            checked.await?;
        }
        Ok(token)
    }

    /// The token that was sent, or what a trusted gateway says of it; where there are both, they must agree.
    async fn token(
        &self,
        exchange: &Exchange,
        server: &Server,
        now: Timestamp,
    ) -> Result<Option<Presented>, IdentityError> {
        let payload = self.gateway_claims(exchange);
        let Some(sent) = credential::token(exchange)? else {
            let vouched_for = |claims| self.tokens.vouched_for(claims, server, now);
            let Some(verified) = payload.map(vouched_for).transpose()? else {
                return Ok(None);
            };
            let nonce = self.presented(&verified, None, exchange, server, now).await?;
            return Ok(Some(Presented { verified, nonce }));
        };
        let verified = self.tokens.verify(sent.token, exchange, server, now).await?;
        let presented = self.presented(&verified, Some(sent), exchange, server, now);
        let nonce = presented.await?;
        if payload.is_some_and(|claims| !verified.token.has(claims)) {
            return Err(IdentityError::ClaimsDisagree);
        }
        Ok(Some(Presented { verified, nonce }))
    }

    /// Whether a token is its presenter's.
    async fn presented(
        &self,
        verified: &Verified,
        sent: Option<Credential<'_>>,
        exchange: &Exchange,
        server: &Server,
        now: Timestamp,
    ) -> Result<Option<Nonce>, IdentityError> {
        let request = (exchange, server);
        bound::check(verified.token.bound, sent, request, self.believed(), now).await
    }

    /// Whom a proof may lean on.
    fn believed(&self) -> Believed<'_> {
        Believed {
            gateways: &self.gateways,
            store: self.store(),
            nonces: &self.nonces,
        }
    }

    fn gateway_claims<'a>(&self, exchange: &'a Exchange) -> Option<&'a Map<String, Value>> {
        let payload = exchange
            .filter_metadata
            .get("envoy.filters.http.jwt_authn")?
            .get("jwt_payload")?
            .as_object()?;
        self.gateways
            .trusts(&exchange.gateway, Trust::JwtClaims)
            .then_some(payload)
    }

    /// The issuers whose tokens a server takes, as they write themselves in `iss`.
    #[must_use]
    pub fn issuers_of(&self, server: &Server) -> Vec<String> {
        let issuers = self.tokens.issuers.iter();
        issuers
            .filter(|issuer| tokens::takes(server, issuer))
            .map(|issuer| issuer.settings.issuer.clone())
            .collect()
    }

    /// How fresh each issuer's keys are, for metrics and readiness.
    #[must_use]
    pub fn key_status(&self, now: Instant) -> Vec<KeyStatus> {
        let status = |issuer: &Issuer| {
            let present = issuer.keyring.status();
            KeyStatus {
                issuer: issuer.settings.name.clone(),
                age: present.map(|(fetched, _)| now.saturating_duration_since(fetched)),
                keys: present.map_or(0, |(_, keys)| keys),
                failures: issuer.keyring.failures(),
            }
        };
        let issuers = self.tokens.issuers.iter();
        let with_keys = issuers.filter(|issuer| issuer.settings.keys != Keys::Absent);
        with_keys.map(status).collect()
    }

    /// What was asked of each issuer that is asked about tokens.
    #[must_use]
    pub fn introspection_numbers(&self) -> Vec<IntrospectionNumbers> {
        let asked = self.tokens.issuers.iter();
        let asked = asked.filter_map(|issuer| issuer.introspector.as_ref());
        asked.map(|introspector| introspector.numbers()).collect()
    }

    /// What is remembered of tokens, and what became of what was.
    #[must_use]
    pub fn cache_numbers(&self) -> CacheNumbers {
        self.tokens.known.numbers()
    }

    /// What verifying signatures cost.
    #[must_use]
    pub fn verification_numbers(&self) -> VerificationNumbers {
        self.tokens.verification.numbers()
    }

    /// Whether a token's signature verifies with its issuer's keys, whatever else the token says: for `token inspect`.
    /// Waits for the keys as long as a fetch may take.
    ///
    /// # Errors
    /// [`IdentityError`] if it doesn't, or if there is nothing to verify it with.
    pub async fn verify_signature(&self, token: &str, now: Instant) -> Result<(), IdentityError> {
        let unverified = Unverified::parse(token)?;
        let issuer = self
            .tokens
            .issuer(jwt::iss(&unverified.claims).unwrap_or_default());
        let issuer = issuer.ok_or(IdentityError::IssuerUnknown)?;
        let wait = issuer.settings.fetch_timeout;
        let deadline = now.checked_add(wait).unwrap_or(now);
        issuer
            .verify_signature(&unverified, &self.tokens.verification, now, deadline)
            .await
            .map(|_| ())
    }
}
