//! What a gateway vouches for about its client's certificate, to a [`Workload`].

use std::borrow::Cow;

use super::gateway::Gateways;
use super::settings::{Spiffe, Trust};
use super::{IdentityError, IdentitySetupError, Workload, xfcc};
use crate::exchange::{Exchange, NotSingle};
use crate::spiffe::{self, SpiffeId};

pub(super) const XFCC: &str = "x-forwarded-client-cert";

/// Workload identities that are taken.
#[derive(Debug)]
pub(super) struct Workloads {
    trust_domains: Vec<String>,
}

/// What a request says of its workload.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A workload, vouched for.
    Workload(Workload),
    /// Nothing that a trusted gateway says names a workload; `untrusted`: something that another one says does.
    Nothing { untrusted: bool },
}

/// Whether it is the name of a trust domain.
pub(super) fn check_trust_domain(name: &str) -> Result<(), IdentitySetupError> {
    if spiffe::is_trust_domain(name) {
        Ok(())
    } else {
        Err(IdentitySetupError::TrustDomain(name.to_owned()))
    }
}

impl Workloads {
    pub(super) fn new(settings: &Spiffe) -> Result<Self, IdentitySetupError> {
        for domain in &settings.trust_domains {
            check_trust_domain(&domain.name)?;
        }
        let names = settings.trust_domains.iter().map(|domain| domain.name.clone());
        Ok(Self {
            trust_domains: names.collect(),
        })
    }

    /// The workload that the request comes from.
    ///
    /// What isn't a SPIFFE ID in any spelling (a DNS name, a subject) names no workload; what is one must hold.
    pub(super) fn find(&self, exchange: &Exchange, gateways: &Gateways) -> Result<Found, IdentityError> {
        let principal = exchange
            .source
            .principal
            .as_deref()
            .filter(|principal| !principal.is_empty());
        let from_principal = principal.filter(|_| gateways.trusts(&exchange.gateway, Trust::Principal));
        let from_xfcc = if gateways.trusts(&exchange.gateway, Trust::Xfcc) {
            forwarded(exchange)?
        } else {
            None
        };
        let id = match (from_principal, from_xfcc.as_deref()) {
            (Some(principal), Some(uri)) if principal != uri => return Err(IdentityError::WorkloadDisagrees),
            (principal, uri) => principal.or(uri).filter(|id| spiffe::claims_to_be(id)),
        };
        let Some(id) = id else {
            let named = principal.is_some_and(spiffe::claims_to_be) && from_principal.is_none();
            let forwarded =
                exchange.headers.contains(XFCC) && !gateways.trusts(&exchange.gateway, Trust::Xfcc);
            return Ok(Found::Nothing {
                untrusted: named || forwarded,
            });
        };
        let spiffe_id = SpiffeId::parse(id).map_err(IdentityError::WorkloadMalformed)?;
        if !self.accepts(spiffe_id.trust_domain()) {
            return Err(IdentityError::WorkloadForeignTrustDomain);
        }
        Ok(Found::Workload(Workload { spiffe_id }))
    }

    /// Whether workloads of this trust domain are taken.
    pub(super) fn accepts(&self, trust_domain: &str) -> bool {
        self.trust_domains.iter().any(|domain| domain == trust_domain)
    }
}

fn forwarded(exchange: &Exchange) -> Result<Option<Cow<'_, str>>, IdentityError> {
    match exchange.headers.single(XFCC) {
        Ok(None) => Ok(None),
        Ok(Some(header)) => xfcc::uri(header),
        Err(NotSingle::Repeated) => Err(IdentityError::WorkloadAmbiguous),
        Err(NotSingle::NotText) => Err(IdentityError::ForwardedCertMalformed),
    }
}
