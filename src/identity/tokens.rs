//! An access token, or what a gateway verified of one, to [`Verified`]: signed by a configured issuer or active by its
//! word, within its times, for this server. What was verified before is known by the token's exact bytes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::claims::{self, Token};
use super::introspect::{self, Question, Signed};
use super::issuer::{self, Issuer};
use super::jwt::{self, Unverified};
use super::known::{Fingerprint, Found, Holds, Known, fingerprint};
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

/// A token that was found to be an issuer's.
#[derive(Debug)]
pub(super) struct Verified {
    /// What it says.
    pub(super) token: Token,
    /// Where its issuer stands in [`Tokens::issuers`].
    pub(super) issuer: usize,
    grounds: Grounds,
    /// When nobody takes it any more, in seconds since 1970: `exp`, and what its issuer's clock may be off.
    pub(super) useless_from: i64,
}

/// Why a token is believed, and so how long, besides its own times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grounds {
    /// Its signature was verified with the issuer's keys of this generation.
    pub(super) keys: Option<u64>,
    /// The issuer said that it is active, which counts until then.
    pub(super) word_until: Option<Instant>,
}

impl Verified {
    pub(super) fn new(token: Token, issuer: usize, settings: &settings::Issuer, grounds: Grounds) -> Self {
        Self {
            useless_from: token.times.useless_from(settings),
            token,
            issuer,
            grounds,
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
            issuers.push(Issuer::start(index, issuer.clone())?);
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

    /// The issuer that is called so in the settings.
    pub(super) fn named(&self, name: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.settings.name == name)
    }

    /// What is believed of a token that was sent. Awaits nothing but its issuer's keys or its issuer's word, and these only
    /// if they aren't known from before.
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
        let before = match self.known(&key, exchange.started) {
            Found::Good(known) => {
                let accepted = self.accept(&known, server, now);
                if accepted == Err(IdentityError::Expired) {
                    self.known.expire(&key);
                }
                return accepted.map(|()| known);
            }
            Found::ToBeAskedAbout(known) => Some(known),
            Found::Nothing => None,
        };
        // Boxed: what most calls have no need of.
        Box::pin(self.find_out(token, key, before, exchange, server, now)).await
    }

    /// What is believed of a token that isn't known, or isn't any more.
    async fn find_out(
        &self,
        token: &str,
        key: Fingerprint,
        before: Option<Arc<Verified>>,
        exchange: &Exchange,
        server: &Server,
        now: Timestamp,
    ) -> Result<Arc<Verified>, IdentityError> {
        let question = Question {
            token,
            key,
            active_before: before.is_some(),
            now,
            started: exchange.started,
            deadline: exchange.deadline,
        };
        if let Some(issuer) = self.opaque_of(token, server) {
            return self.ask(issuer, question, None, server).await;
        }
        self.verify_jwt(question, before, server).await
    }

    async fn verify_jwt(
        &self,
        question: Question<'_>,
        before: Option<Arc<Verified>>,
        server: &Server,
    ) -> Result<Arc<Verified>, IdentityError> {
        let Question {
            started, deadline, ..
        } = question;
        let unverified = Unverified::parse(question.token)?;
        let (index, issuer) = self.issuer_of(&unverified.claims, server)?;
        if question.token.len() > issuer.settings.max_token_bytes {
            return Err(IdentityError::TokenTooLarge);
        }
        let asked = issuer.introspector.as_ref();
        if asked.is_some_and(|asked| asked.asks_about_jwts()) {
            // These bytes verified before, with keys that are still the issuer's.
            let generation = if let Some(generation) = before.and_then(|before| before.grounds.keys) {
                generation
            } else {
                let verified = issuer.authenticate(&unverified, &self.verification, started, deadline);
                verified.await?
            };
            let claims = unverified.claims;
            return self
                .ask(issuer, question, Some(Signed { claims, generation }), server)
                .await;
        }
        let verified = issuer.verify(&unverified, &self.verification, started, deadline);
        let (token, generation) = verified.await?;
        let grounds = Grounds {
            keys: Some(generation),
            word_until: None,
        };
        let verified = Arc::new(Verified::new(token, index, &issuer.settings, grounds));
        self.accept(&verified, server, question.now)?;
        self.known.remember(question.key, Arc::clone(&verified));
        Ok(verified)
    }

    /// The issuer that may be asked about an opaque token.
    fn opaque_of(&self, token: &str, server: &Server) -> Option<&Issuer> {
        let taken = self.issuers.iter().filter(|issuer| takes(server, issuer));
        let asked = taken.filter_map(|issuer| Some((issuer, issuer.settings.introspection.as_ref()?)));
        introspect::opaque_of(token, asked)
    }

    async fn ask(
        &self,
        issuer: &Issuer,
        question: Question<'_>,
        signed: Option<Signed>,
        server: &Server,
    ) -> Result<Arc<Verified>, IdentityError> {
        if question.token.len() > issuer.settings.max_token_bytes {
            return Err(IdentityError::TokenTooLarge);
        }
        let introspector = issuer.introspector.as_ref();
        let introspector = introspector.ok_or(IdentityError::IssuerUnknown)?;
        let verified = introspector.ask(question, signed, &self.known).await?;
        self.accept(&verified, server, question.now)?;
        Ok(verified)
    }

    /// Claims that a gateway verified (Envoy's `jwt_authn`, agentgateway) are checked like a token's, but for the
    /// signature. Where an issuer's word counts about each token, they are nothing without the token to ask about.
    pub(super) fn vouched_for(
        &self,
        claims: &Map<String, Value>,
        server: &Server,
        now: Timestamp,
    ) -> Result<Arc<Verified>, IdentityError> {
        let (index, issuer) = self.issuer_of(claims, server)?;
        if issuer.is_asked_about_all() {
            return Err(IdentityError::ClaimsUnasked);
        }
        let token = claims::read(claims, &issuer.settings)?;
        let grounds = Grounds {
            keys: None,
            word_until: None,
        };
        let verified = Verified::new(token, index, &issuer.settings, grounds);
        self.accept(&verified, server, now)?;
        Ok(Arc::new(verified))
    }

    /// What is known of a token from before, with the keys and by the word that its issuer still stands by.
    fn known(&self, key: &Fingerprint, now: Instant) -> Found {
        self.known.find(key, |known| {
            if let Some(generation) = known.grounds.keys {
                let issuer = self.issuers.get(known.issuer);
                let keys = issuer.and_then(|issuer| issuer.keyring.current(now));
                if keys.is_none_or(|keys| keys.generation != generation) {
                    return Holds::NoMore;
                }
            }
            match known.grounds.word_until {
                Some(until) if now >= until => Holds::IfTheIssuerSaysSoAgain,
                _ => Holds::Still,
            }
        })
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

/// Whether a server takes an issuer's tokens.
pub(super) fn takes(server: &Server, issuer: &Issuer) -> bool {
    named_by(&server.issuers, &issuer.settings)
}

/// Whether an issuer is one of these, all if there are none; they name it by its short name or its `iss`.
pub(super) fn named_by(names: &[String], issuer: &settings::Issuer) -> bool {
    let named = |name: &String| *name == issuer.name || *name == issuer.issuer;
    names.is_empty() || names.iter().any(named)
}
