//! A token to what its issuer says of it now (RFC 7662): one that nobody else can read, or one whose issuer is to be
//! asked besides.
//!
//! In comes a token of an issuer that may be asked about it; out goes what is believed of it, no longer than until its
//! `exp` or for the set time, or why nothing is. Refused is whatever isn't plainly active. An issuer that can't be asked
//! is an outage: nothing is believed longer because of it.
//!
//! Each token is asked about once at a time, however many bring it. Those that were active before have turns of their
//! own: a flood of others doesn't keep them from being asked about again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::known::{Fingerprint, Known};
use super::settings::{Issuer, Keys};
use super::tokens::{Grounds, Verified};
use super::{IdentityError, IdentitySetupError, claims};
use endpoint::Endpoint;
use flights::Flights;
use numbers::Counts;
use settings::{Introspection, When};

pub use fault::IntrospectionFault;
pub use numbers::IntrospectionNumbers;

pub(super) use choice::{ambiguous, opaque_of};

mod answer;
mod choice;
mod credential;
mod endpoint;
mod fault;
mod flights;
mod numbers;
pub(super) mod settings;

/// How many tokens that were refused are remembered, for each issuer: some 100 bytes each.
const REFUSALS: usize = 8192;

type Outcome = Result<Arc<Verified>, IdentityError>;

/// Asks one issuer about tokens.
#[derive(Debug)]
pub(super) struct Introspector {
    /// Where the issuer stands among all.
    issuer: usize,
    of: Issuer,
    asked: Introspection,
    endpoint: Endpoint,
    /// Why a token was refused, and until when that is believed.
    refused: Cache<Fingerprint, (Instant, IdentityError)>,
    strangers: Arc<Flights<Outcome>>,
    active_before: Arc<Flights<Outcome>>,
    counts: Counts,
}

/// A token to ask about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) token: &'a str,
    pub(super) key: Fingerprint,
    /// Whether it was active when it was last asked about.
    pub(super) active_before: bool,
    /// By the clock on the wall.
    pub(super) now: Timestamp,
    /// The same moment, by the clock that goes on whatever happens.
    pub(super) started: Instant,
    /// How long the answer is waited for.
    pub(super) deadline: Instant,
}

/// What a JWT says whose signature was verified, with this generation of keys.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) claims: Map<String, Value>,
    pub(super) generation: u64,
}

impl Introspector {
    /// Checks the settings and reads our credential once; asks nobody. `None` where the issuer isn't to be asked.
    pub(super) fn new(issuer: usize, settings: &Issuer) -> Result<Option<Arc<Self>>, IdentitySetupError> {
        let Some(asked) = &settings.introspection else {
            return Ok(None);
        };
        let flights = || Flights::new(asked.max_concurrent, asked.max_waiting);
        Ok(Some(Arc::new(Self {
            issuer,
            endpoint: Endpoint::new(settings, asked)?,
            refused: Cache::new(REFUSALS),
            strangers: flights(),
            active_before: flights(),
            counts: Counts::default(),
            of: settings.clone(),
            asked: asked.clone(),
        })))
    }

    /// Whether JWTs are asked about too.
    pub(super) fn asks_about_jwts(&self) -> bool {
        self.asked.when == When::Always
    }

    /// What is believed of a token; it is remembered, whichever way it turns out, also if nobody waits for it any more.
    pub(super) async fn ask(
        self: &Arc<Self>,
        question: Question<'_>,
        signed: Option<Signed>,
        known: &Arc<Known>,
    ) -> Outcome {
        if let Some((until, reason)) = self.refused.get(&question.key)
            && question.started < until
        {
            self.counts.remembered();
            return Err(reason);
        }
        let flights = if question.active_before {
            &self.active_before
        } else {
            &self.strangers
        };
        let Question {
            key, now, started, ..
        } = question;
        let landed = flights.ask(key, question.deadline, || {
            let (this, known) = (Arc::clone(self), Arc::clone(known));
            let token = question.token.to_owned();
            async move {
                let outcome = this.answer(&token, (now, started), signed).await;
                this.learn(key, started, &outcome, &known);
                outcome
            }
        });
        match landed.await {
            Ok(outcome) => outcome,
            Err(fault) => {
                self.counts.fault(fault);
                Err(fault.into())
            }
        }
    }

    async fn answer(
        &self,
        token: &str,
        (now, started): (Timestamp, Instant),
        signed: Option<Signed>,
    ) -> Outcome {
        let answered = self.endpoint.ask(token).await;
        let answer = answered.inspect_err(|fault| self.counts.fault(*fault))?;
        let claims = answer::claims(
            answer,
            signed.as_ref().map(|signed| &signed.claims),
            &self.of.issuer,
        );
        let token = claims.and_then(|claims| claims::read(&claims, &self.of));
        self.counts.answered(token.as_ref().map(drop));
        let token = token?;
        // Not a moment beyond `exp`, though the issuer's clock may be off: it would be asked too late.
        let left = token.user.expires.duration_since(now);
        let left = Duration::try_from(left).unwrap_or(Duration::ZERO);
        let grounds = Grounds {
            keys: signed.map(|signed| signed.generation),
            word_until: started.checked_add(self.asked.cache_for.min(left)),
        };
        Ok(Arc::new(Verified::new(token, self.issuer, &self.of, grounds)))
    }

    fn learn(&self, key: Fingerprint, started: Instant, outcome: &Outcome, known: &Known) {
        match outcome {
            Ok(verified) => known.remember(key, Arc::clone(verified)),
            // Nothing was learnt; what was known already counts no more, its time is over.
            Err(reason) if reason.is_outage() => {}
            Err(reason) => {
                known.withdraw(&key);
                if let Some(until) = started.checked_add(self.asked.cache_refusals_for) {
                    self.refused.insert(key, (until, *reason));
                }
            }
        }
    }

    /// What was asked, and what came of it.
    pub(super) fn numbers(&self) -> IntrospectionNumbers {
        self.counts.told(&self.of.name, self.refused.len())
    }
}

/// Whether the settings are sound, as far as they themselves tell.
pub(super) fn check(settings: &Issuer) -> Result<(), IdentitySetupError> {
    let refused = |problem| IdentitySetupError::Issuer {
        issuer: settings.name.clone(),
        problem,
    };
    let Some(asked) = &settings.introspection else {
        return match settings.keys {
            Keys::Absent => Err(refused("without `keys` it needs `introspection`")),
            _ => Ok(()),
        };
    };
    if asked.client_id.is_empty() {
        return Err(refused("`introspection.client_id` is empty"));
    }
    if asked.prefix.as_ref().is_some_and(String::is_empty) {
        return Err(refused("`introspection.prefix` is empty: leave it out"));
    }
    if asked.timeout.is_zero() || asked.max_concurrent == 0 {
        return Err(refused(
            "`introspection.timeout` and `introspection.max_concurrent` must be more than 0",
        ));
    }
    endpoint::check(settings, asked)
}
