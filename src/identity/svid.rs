//! A JWT-SVID, from the header that is configured or as the access token of a server that requires workloads alone, to
//! [`Verified`]: signed by its trust domain, within its times, for this server.
//!
//! Awaits nothing but a turn to verify a signature: the bundles are there or they aren't. What was verified before is
//! known by its exact bytes, for as long as the bundles are those that it was verified with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use quick_cache::sync::Cache;

use super::bound::Bound;
use super::claims::Times;
use super::error::Malformed;
use super::jwt::{self, Unverified};
use super::known::{Fingerprint, fingerprint};
use super::settings::{JwtSvids, Settings};
use super::verification::Verification;
use super::{BundleStatus, IdentityError, IdentitySetupError, Workload};
use crate::exchange::{Exchange, NotSingle};
use crate::inventory::{Requirement, Server};
use crate::spiffe::{self, Bundles, Kind, Sources};

pub use error::SvidError;

pub(super) use sound::{check, check_refresh};

mod error;
mod read;
mod sound;

/// Verifies JWT-SVIDs.
#[derive(Debug)]
pub(super) struct Svids {
    header: Option<Arc<str>>,
    settings: JwtSvids,
    /// The trust domains that are accepted, and whether there is a bundle to verify theirs with.
    domains: HashMap<String, bool>,
    /// Whether there is any.
    taken: bool,
    bundles: Arc<Bundles>,
    /// What writes into them; ends with us.
    sources: Sources,
    verified: Cache<Fingerprint, Arc<Verified>>,
}

/// A JWT-SVID whose signature was verified, with the bundles of this generation.
#[derive(Debug)]
pub(super) struct Verified {
    /// Whose it is.
    pub(super) workload: Arc<Workload>,
    /// What its presenter must prove.
    pub(super) bound: Bound,
    times: Times,
    audiences: Vec<String>,
    generation: u64,
}

impl Svids {
    /// Checks the settings, starts to ask for bundles, and waits until each source has been asked once.
    pub(super) async fn start(settings: &Settings) -> Result<Self, IdentitySetupError> {
        let svid = &settings.spiffe.jwt_svid;
        check(svid)?;
        check_refresh(settings.spiffe.bundles)?;
        let bundles = Arc::new(settings.spiffe.no_bundles_yet());
        let domains = &settings.spiffe.trust_domains;
        let sources = Sources::start(domains, settings.spiffe.bundles, &bundles)?;
        sources.asked_once().await;
        let domains = domains.iter();
        let domains: HashMap<_, _> = domains
            .map(|domain| (domain.name.clone(), domain.bundle.is_some()))
            .collect();
        Ok(Self {
            header: svid.header.as_deref().map(Arc::from),
            taken: domains.values().any(|taken| *taken),
            domains,
            bundles,
            sources,
            verified: Cache::new(svid.verified as usize),
            settings: svid.clone(),
        })
    }

    /// The bundles that there are, for whoever else verifies with them or writes into them.
    pub(super) fn bundles(&self) -> &Arc<Bundles> {
        &self.bundles
    }

    /// The header that brings one. It is a credential for us, and is never handed on.
    pub(super) fn header(&self) -> Option<&Arc<str>> {
        self.header.as_ref()
    }

    /// How the bundle of each trust domain fares whose JWT-SVIDs are taken.
    pub(super) fn status(&self, now: Instant) -> Vec<BundleStatus> {
        let bundles = self.bundles.status(now);
        let problems = self.sources.status();
        let taken = self.domains.iter();
        let mut domains: Vec<&String> = taken.filter_map(|(name, taken)| taken.then_some(name)).collect();
        domains.sort_unstable();
        let status = |name: &String| {
            let bundle = bundles
                .iter()
                .find(|bundle| bundle.trust_domain.as_str() == name && bundle.kind == Kind::Jwt);
            let source = problems
                .iter()
                .find(|source| source.trust_domain.as_str() == name);
            BundleStatus {
                trust_domain: name.clone(),
                age: bundle.map(|bundle| bundle.age),
                usable: bundle.is_some_and(|bundle| bundle.usable && bundle.authorities > 0),
                failed: source.map_or(0, |source| source.failed),
                problem: source.and_then(|source| source.problem.clone()),
            }
        };
        domains.into_iter().map(status).collect()
    }

    /// Whether a request has the header, with whatever is in it.
    pub(super) fn is_in_header(&self, exchange: &Exchange) -> bool {
        let header = self.header.as_ref();
        header.is_some_and(|header| exchange.headers.contains(header))
    }

    /// The JWT-SVID in the header.
    pub(super) async fn of_header(
        &self,
        exchange: &Exchange,
        server: &Server,
        verification: &Verification,
        now: Timestamp,
    ) -> Result<Option<Arc<Verified>>, IdentityError> {
        let Some(header) = &self.header else {
            return Ok(None);
        };
        let svid = match exchange.headers.single(header) {
            Ok(None) => return Ok(None),
            // Gateways join repeated fields with a comma, which no JWT has.
            Ok(Some(value)) if value.contains(',') => return Err(IdentityError::WorkloadAmbiguous),
            Ok(Some(value)) => value,
            Err(NotSingle::Repeated) => return Err(IdentityError::WorkloadAmbiguous),
            Err(NotSingle::NotText) => return Err(SvidError::Malformed(Malformed::Base64).into()),
        };
        // Before anything is hashed or decoded.
        if svid.len() > self.settings.max_bytes {
            return Err(SvidError::TooLarge.into());
        }
        let key = fingerprint(svid);
        if let Some(known) = self.known(&key, exchange.started) {
            return self.accept_known(&key, known, server, now).map(Some);
        }
        let unverified = Unverified::parse(svid).map_err(read::of_svid)?;
        let new = self.verify(&unverified, key, (exchange, server), verification, now);
        new.await.map(Some)
    }

    /// Whether a server's access tokens may be JWT-SVIDs: where workloads alone are required.
    pub(super) fn may_be_token(&self, server: &Server) -> bool {
        self.taken
            && !server.require.is_empty()
            && server.require.iter().all(|one| *one == Requirement::Workload)
    }

    /// The JWT-SVID that an access token is, `None` if it isn't one: it is one where its `iss` is no configured issuer's,
    /// and its `sub` isn't anything else than a SPIFFE ID. Only asked where it may be one.
    pub(super) async fn of_token(
        &self,
        token: &str,
        (exchange, server): (&Exchange, &Server),
        is_ours: impl FnOnce(&str) -> bool,
        verification: &Verification,
        now: Timestamp,
    ) -> Result<Option<Arc<Verified>>, IdentityError> {
        if token.len() > self.settings.max_bytes {
            return Ok(None);
        }
        let key = fingerprint(token);
        if let Some(known) = self.known(&key, exchange.started) {
            return self.accept_known(&key, known, server, now).map(Some);
        }
        let Ok(unverified) = Unverified::parse(token) else {
            return Ok(None);
        };
        let claims = &unverified.claims;
        let another = |sub: &serde_json::Value| !sub.as_str().is_some_and(spiffe::claims_to_be);
        if jwt::iss(claims).is_some_and(is_ours) || claims.get("sub").is_some_and(another) {
            return Ok(None);
        }
        let new = self.verify(&unverified, key, (exchange, server), verification, now);
        new.await.map(Some)
    }

    async fn verify(
        &self,
        svid: &Unverified<'_>,
        key: Fingerprint,
        (exchange, server): (&Exchange, &Server),
        verification: &Verification,
        now: Timestamp,
    ) -> Result<Arc<Verified>, IdentityError> {
        let verified = Arc::new(self.read(svid, exchange, verification).await?);
        self.accept(&verified, server, now)?;
        self.verified.insert(key, Arc::clone(&verified));
        Ok(verified)
    }

    /// One verified before, with the bundles that there still are.
    fn known(&self, key: &Fingerprint, started: Instant) -> Option<Arc<Verified>> {
        let known = self.verified.get(key)?;
        let trust_domain = known.workload.spiffe_id.trust_domain();
        let holds =
            known.generation == self.bundles.generation() && self.bundles.jwt(trust_domain, started).is_ok();
        holds.then_some(known)
    }

    fn accept_known(
        &self,
        key: &Fingerprint,
        known: Arc<Verified>,
        server: &Server,
        now: Timestamp,
    ) -> Result<Arc<Verified>, IdentityError> {
        let accepted = self.accept(&known, server, now);
        if accepted == Err(SvidError::Expired.into()) {
            self.verified.remove(key);
        }
        accepted.map(|()| known)
    }

    /// What is asked of one at every use.
    fn accept(&self, verified: &Verified, server: &Server, now: Timestamp) -> Result<(), IdentityError> {
        verified
            .times
            .check_within(now, self.settings.clock_skew, self.settings.max_lifetime)
            .map_err(read::of_svid)?;
        // As for tokens: who is named besides us could have passed it on.
        let ours =
            |audience: &String| *audience == server.resource || self.settings.audiences.contains(audience);
        let audiences = &verified.audiences;
        if audiences.is_empty() || !audiences.iter().all(ours) {
            return Err(SvidError::WrongAudience.into());
        }
        Ok(())
    }
}

/// The workload that all name that name one.
pub(super) fn agreed(
    one: Option<Arc<Workload>>,
    other: Option<Arc<Workload>>,
) -> Result<Option<Arc<Workload>>, IdentityError> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(IdentityError::WorkloadDisagrees),
        (one, other) => Ok(one.or(other)),
    }
}
