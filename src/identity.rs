//! Evidence to a [`Caller`]: who is calling, proved.
//!
//! In comes an [`Exchange`] and the server that it asks; out goes a [`Caller`], or the one reason why not. A user is an
//! access token of a configured issuer, issued for this server; a workload is the SPIFFE ID that a trusted gateway
//! vouches for. An identity that isn't required may be absent, but never wrong.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use jiff::Timestamp;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use crate::exchange::Exchange;
use crate::inventory::{Requirement, Server};

use claims::Token;
use gateway::Gateways;
use issuer::Issuer;
use jwt::Unverified;
use settings::Trust;
use workload::{Found, Workloads};

pub use caller::{Caller, User, Workload};
pub use error::{IdentityError, IdentitySetupError};
pub use settings::Settings;
pub use soundness::Unsound;

mod bearer;
pub mod caller;
mod claim_path;
mod claims;
pub mod error;
mod fetch;
mod gateway;
pub mod inspect;
mod issuer;
mod jwk;
mod jwt;
mod keyring;
pub mod settings;
mod soundness;
mod strict;
mod workload;
mod xfcc;

#[cfg(test)]
mod tests;

/// Finds out who is calling.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<Issuer>,
    /// Where each `iss` stands in `issuers`.
    by_iss: HashMap<String, usize>,
    gateways: Gateways,
    workloads: Workloads,
    verified: Cache<[u8; 32], Arc<Verified>, InKilobytes>,
    /// The longest that any issuer allows.
    longest_token: usize,
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

/// A token whose signature was verified, with these keys of this issuer.
#[derive(Debug)]
struct Verified {
    token: Token,
    issuer: usize,
    generation: u64,
}

#[derive(Debug, Clone)]
struct InKilobytes;

impl quick_cache::Weighter<[u8; 32], Arc<Verified>> for InKilobytes {
    fn weight(&self, _: &[u8; 32], verified: &Arc<Verified>) -> u64 {
        verified.token.kilobytes()
    }
}

impl Verifier {
    /// Checks the settings, starts to fetch keys, and waits until each issuer has been asked once, or its fetch timed
    /// out: an issuer that is down keeps nobody from starting, its tokens are answered as an outage until it is up.
    ///
    /// # Errors
    /// [`IdentitySetupError`] if the settings contradict themselves or a file that they name can't be used.
    pub async fn start(settings: Settings) -> Result<Arc<Self>, IdentitySetupError> {
        let gateways = Gateways::new(&settings.gateways)?;
        let workloads = Workloads::new(&settings.spiffe)?;
        let mut issuers: Vec<Issuer> = Vec::with_capacity(settings.issuers.len());
        let mut by_iss = HashMap::new();
        for (index, issuer) in settings.issuers.iter().enumerate() {
            issuer::unique(issuer, settings.issuers.get(..index).unwrap_or_default())?;
            by_iss.insert(issuer.issuer.clone(), index);
            issuers.push(Issuer::start(issuer.clone())?);
        }
        for issuer in &issuers {
            issuer.asked_once().await;
        }
        let longest_token = issuers.iter().map(|issuer| issuer.settings.max_token_bytes).max();
        let capacity = settings.verified_tokens;
        let verified = Cache::with_weighter(capacity as usize, capacity.into(), InKilobytes);
        Ok(Arc::new(Self {
            issuers,
            by_iss,
            gateways,
            workloads,
            verified,
            longest_token: longest_token.unwrap_or_else(settings::default_max_token_bytes),
        }))
    }

    /// Who is calling this server. Awaits nothing but an issuer's keys, and that never beyond the exchange's deadline.
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
        let user = self.user(exchange, server, now).await?;
        if user.is_none() && server.require.contains(&Requirement::User) {
            return Err(IdentityError::NoCredential);
        }
        let workload = match self.workloads.find(exchange, &self.gateways)? {
            Found::Workload(workload) => Some(Arc::new(workload)),
            Found::Nothing { .. } if !server.require.contains(&Requirement::Workload) => None,
            Found::Nothing { untrusted: true } => return Err(IdentityError::GatewayNotTrusted),
            Found::Nothing { untrusted: false } => return Err(IdentityError::WorkloadMissing),
        };
        Ok(Caller { user, workload })
    }

    /// The issuers whose tokens a server takes, as they write themselves in `iss`.
    #[must_use]
    pub fn issuers_of(&self, server: &Server) -> Vec<String> {
        self.issuers
            .iter()
            .filter(|issuer| takes(server, issuer))
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
        self.issuers.iter().map(status).collect()
    }

    /// Whether a token's signature verifies with its issuer's keys, whatever else the token says: for `token inspect`.
    /// Waits for the keys as long as a fetch may take.
    ///
    /// # Errors
    /// [`IdentityError`] if it doesn't, or if there is nothing to verify it with.
    pub async fn verify_signature(&self, token: &str, now: Instant) -> Result<(), IdentityError> {
        let unverified = Unverified::parse(token)?;
        let issuer = self
            .by_iss
            .get(jwt::iss(&unverified.claims).unwrap_or_default())
            .and_then(|index| self.issuers.get(*index));
        let issuer = issuer.ok_or(IdentityError::IssuerUnknown)?;
        let wait = issuer.settings.fetch_timeout;
        let deadline = now.checked_add(wait).unwrap_or(now);
        issuer
            .verify_signature(&unverified, now, deadline)
            .await
            .map(|_| ())
    }

    async fn user(
        &self,
        exchange: &Exchange,
        server: &Server,
        now: Timestamp,
    ) -> Result<Option<Arc<User>>, IdentityError> {
        let payload = self.gateway_claims(exchange);
        let Some(token) = bearer::token(exchange)? else {
            return payload
                .map(|claims| self.user_from_claims(claims, server, now))
                .transpose();
        };
        let user = self.user_from_token(token, exchange, server, now).await?;
        let is_theirs = |claims: &Map<String, Value>| {
            claims.get("iss").is_some_and(|iss| *iss == user.issuer)
                && claims.get("sub").is_some_and(|sub| *sub == user.subject)
        };
        if payload.is_some_and(|claims| !is_theirs(claims)) {
            return Err(IdentityError::ClaimsDisagree);
        }
        Ok(Some(user))
    }

    async fn user_from_token(
        &self,
        token: &str,
        exchange: &Exchange,
        server: &Server,
        now: Timestamp,
    ) -> Result<Arc<User>, IdentityError> {
        // Before anything is hashed or decoded.
        if token.len() > self.longest_token {
            return Err(IdentityError::TokenTooLarge);
        }
        let key = fingerprint(token);
        if let Some(known) = self.known(&key, exchange.started) {
            return self
                .accept(&known.token, known.issuer, server, now)
                .inspect_err(|reason| {
                    if *reason == IdentityError::Expired {
                        self.verified.remove(&key);
                    }
                });
        }
        let unverified = Unverified::parse(token)?;
        let (index, issuer) = self.issuer_of(&unverified.claims, server)?;
        if token.len() > issuer.settings.max_token_bytes {
            return Err(IdentityError::TokenTooLarge);
        }
        let (token, generation) = issuer
            .verify(&unverified, exchange.started, exchange.deadline)
            .await?;
        let user = self.accept(&token, index, server, now)?;
        self.verified.insert(
            key,
            Arc::new(Verified {
                token,
                issuer: index,
                generation,
            }),
        );
        Ok(user)
    }

    /// A token verified before, with the keys that its issuer still has.
    fn known(&self, key: &[u8; 32], now: Instant) -> Option<Arc<Verified>> {
        let known = self.verified.get(key)?;
        let keys = self.issuers.get(known.issuer)?.keyring.current(now)?;
        (keys.generation == known.generation).then_some(known)
    }

    /// Claims that a gateway verified (Envoy's `jwt_authn`, agentgateway) are checked like a token's, but for the signature.
    fn user_from_claims(
        &self,
        claims: &Map<String, Value>,
        server: &Server,
        now: Timestamp,
    ) -> Result<Arc<User>, IdentityError> {
        let (index, issuer) = self.issuer_of(claims, server)?;
        let token = claims::read(claims, &issuer.settings)?;
        self.accept(&token, index, server, now)
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

    /// Which issuer a token says that it is from. Only its keys can make that true.
    fn issuer_of(
        &self,
        claims: &Map<String, Value>,
        server: &Server,
    ) -> Result<(usize, &Issuer), IdentityError> {
        let index = claims
            .get("iss")
            .and_then(Value::as_str)
            .and_then(|iss| self.by_iss.get(iss));
        let index = *index.ok_or(IdentityError::IssuerUnknown)?;
        let issuer = self.issuers.get(index).ok_or(IdentityError::IssuerUnknown)?;
        if takes(server, issuer) {
            Ok((index, issuer))
        } else {
            Err(IdentityError::IssuerNotAccepted)
        }
    }

    /// What is asked of a token at every use: its issuer, its times and its audience.
    fn accept(
        &self,
        token: &Token,
        issuer: usize,
        server: &Server,
        now: Timestamp,
    ) -> Result<Arc<User>, IdentityError> {
        let issuer = self.issuers.get(issuer).ok_or(IdentityError::IssuerUnknown)?;
        if !takes(server, issuer) {
            return Err(IdentityError::IssuerNotAccepted);
        }
        token.times.check(now, &issuer.settings)?;
        if !token.is_for(&server.resource, &issuer.settings) {
            return Err(IdentityError::WrongAudience);
        }
        Ok(Arc::clone(&token.user))
    }
}

/// Whether a server takes an issuer's tokens; it may name issuers by their short name or their `iss`.
fn takes(server: &Server, issuer: &Issuer) -> bool {
    let named = |name: &String| *name == issuer.settings.name || *name == issuer.settings.issuer;
    server.issuers.is_empty() || server.issuers.iter().any(named)
}

/// A token isn't kept: its SHA-256 is enough to know it again.
fn fingerprint(token: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let mut key = [0; 32];
    key.iter_mut()
        .zip(digest.as_ref())
        .for_each(|(to, from)| *to = *from);
    key
}
