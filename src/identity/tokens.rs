//! An access token, or what a gateway verified of one, to [`Verified`]: signed by a configured issuer, within its times,
//! for this server. What was verified before is known by the token's exact bytes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::claims::{self, Token};
use super::issuer::{self, Issuer};
use super::jwt::{self, Unverified};
use super::known::{Fingerprint, Known, fingerprint};
use super::settings::{self, Settings};
use super::verification::Verification;
use super::{IdentityError, IdentitySetupError};
use crate::exchange::Exchange;
use crate::inventory::Server;

/// The issuers, and what was verified of their tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) issuers: Vec<Issuer>,
    /// Where each `iss` stands in `issuers`.
    by_iss: HashMap<String, usize>,
    pub(super) known: Arc<Known>,
    pub(super) verification: Verification,
    /// The longest that any issuer allows.
    longest_token: usize,
}

/// A token whose signature was verified, with these keys of this issuer.
#[derive(Debug)]
pub(super) struct Verified {
    /// What it says.
    pub(super) token: Token,
    /// Where its issuer stands in [`Tokens::issuers`].
    pub(super) issuer: usize,
    generation: u64,
    /// When nobody takes it any more, in seconds since 1970: `exp`, and what its issuer's clock may be off.
    pub(super) useless_from: i64,
}

impl Verified {
    fn new(token: Token, issuer: usize, settings: &settings::Issuer, generation: u64) -> Self {
        Self {
            useless_from: token.times.useless_from(settings),
            token,
            issuer,
            generation,
        }
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>().saturating_add(self.token.heap_bytes())
    }
}

impl Tokens {
    /// Checks the issuers' settings, starts to fetch their keys, and waits until each has been asked once.
    pub(super) async fn start(settings: &Settings) -> Result<Self, IdentitySetupError> {
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
        Ok(Self {
            issuers,
            by_iss,
            known: Known::start(settings.verified_tokens),
            verification: Verification::new(),
            longest_token: longest_token.unwrap_or_else(settings::default_max_token_bytes),
        })
    }

    /// The issuer with exactly this `iss`.
    pub(super) fn issuer(&self, iss: &str) -> Option<&Issuer> {
        self.by_iss.get(iss).and_then(|index| self.issuers.get(*index))
    }

    /// What is believed of a token that was sent. Awaits nothing but its issuer's keys, and these only if it wasn't
    /// verified before.
    pub(super) async fn verify(
        &self,
        token: &str,
        exchange: &Exchange,
        server: &Server,
        now: Timestamp,
    ) -> Result<Arc<Verified>, IdentityError> {
        // Before anything is hashed or decoded.
        if token.len() > self.longest_token {
            return Err(IdentityError::TokenTooLarge);
        }
        let key = fingerprint(token);
        if let Some(known) = self.known(&key, exchange.started) {
            let accepted = self.accept(&known, server, now);
            if accepted == Err(IdentityError::Expired) {
                self.known.expire(&key);
            }
            return accepted.map(|()| known);
        }
        let unverified = Unverified::parse(token)?;
        let (index, issuer) = self.issuer_of(&unverified.claims, server)?;
        if token.len() > issuer.settings.max_token_bytes {
            return Err(IdentityError::TokenTooLarge);
        }
        let (token, generation) = issuer
            .verify(
                &unverified,
                &self.verification,
                exchange.started,
                exchange.deadline,
            )
            .await?;
        let verified = Arc::new(Verified::new(token, index, &issuer.settings, generation));
        self.accept(&verified, server, now)?;
        self.known.remember(key, Arc::clone(&verified));
        Ok(verified)
    }

    /// Claims that a gateway verified (Envoy's `jwt_authn`, agentgateway) are checked like a token's, but for the
    /// signature.
    pub(super) fn vouched_for(
        &self,
        claims: &Map<String, Value>,
        server: &Server,
        now: Timestamp,
    ) -> Result<Arc<Verified>, IdentityError> {
        let (index, issuer) = self.issuer_of(claims, server)?;
        let token = claims::read(claims, &issuer.settings)?;
        let verified = Verified::new(token, index, &issuer.settings, 0);
        self.accept(&verified, server, now)?;
        Ok(Arc::new(verified))
    }

    /// A token verified before, with the keys that its issuer still has.
    fn known(&self, key: &Fingerprint, now: Instant) -> Option<Arc<Verified>> {
        let holds = |known: &Verified| {
            let issuer = self.issuers.get(known.issuer);
            let keys = issuer.and_then(|issuer| issuer.keyring.current(now));
            keys.is_some_and(|keys| keys.generation == known.generation)
        };
        self.known.find(key, holds)
    }

    /// Which issuer a token says that it is from. Only its keys can make that true.
    fn issuer_of(
        &self,
        claims: &Map<String, Value>,
        server: &Server,
    ) -> Result<(usize, &Issuer), IdentityError> {
        let iss = jwt::iss(claims).unwrap_or_default();
        let index = *self.by_iss.get(iss).ok_or(IdentityError::IssuerUnknown)?;
        let issuer = self.issuers.get(index).ok_or(IdentityError::IssuerUnknown)?;
        if takes(server, issuer) {
            Ok((index, issuer))
        } else {
            Err(IdentityError::IssuerNotAccepted)
        }
    }

    /// What is asked of a token at every use: its issuer, its times and its audience.
    fn accept(&self, verified: &Verified, server: &Server, now: Timestamp) -> Result<(), IdentityError> {
        let issuer = self.issuers.get(verified.issuer);
        let issuer = issuer.ok_or(IdentityError::IssuerUnknown)?;
        if !takes(server, issuer) {
            return Err(IdentityError::IssuerNotAccepted);
        }
        verified.token.times.check(now, &issuer.settings)?;
        if verified.token.is_for(&server.resource, &issuer.settings) {
            Ok(())
        } else {
            Err(IdentityError::WrongAudience)
        }
    }
}

/// Whether a server takes an issuer's tokens; it may name issuers by their short name or their `iss`.
pub(super) fn takes(server: &Server, issuer: &Issuer) -> bool {
    let named = |name: &String| *name == issuer.settings.name || *name == issuer.settings.issuer;
    server.issuers.is_empty() || server.issuers.iter().any(named)
}
