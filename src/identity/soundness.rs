//! Whether settings can be used, as far as that can be told without reading a file or asking anybody.

use super::gateway::Gateways;
use super::settings::Settings;
use super::tokens::named_by;
use super::{IdentitySetupError, fetch, introspect, issuer, svid, workload};
use crate::spiffe::source;

/// What can't be used, and which item of which list it is.
#[derive(Debug)]
pub struct Unsound {
    /// `issuers`, `gateways`; of `spiffe`: `trust_domains`, or the sections `jwt_svid` and `bundles`.
    pub list: &'static str,
    /// Which one, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: IdentitySetupError,
}

impl Settings {
    /// Two issuers, by their names, whose opaque tokens nothing tells apart, of those that a server takes: all, or those
    /// that it names.
    #[must_use]
    pub fn ambiguous(&self, named: &[String]) -> Option<(&str, &str)> {
        let taken = self.issuers.iter().filter(|issuer| named_by(named, issuer));
        let asked: Vec<_> = taken
            .filter_map(|issuer| Some((issuer.name.as_str(), issuer.introspection.as_ref()?)))
            .collect();
        let pairs = asked.iter().enumerate().flat_map(|(place, one)| {
            let earlier = asked.iter().take(place);
            earlier.map(move |other| (other, one))
        });
        let mut ambiguous = pairs.filter(|(one, other)| introspect::ambiguous(one.1, other.1));
        ambiguous.next().map(|(one, other)| (one.0, other.0))
    }

    /// Everything that [`Verifier::start`](super::Verifier::start) would refuse but for files that can't be read.
    #[must_use]
    pub fn unsound(&self) -> Vec<Unsound> {
        let mut found = Vec::new();
        let mut report = |list, index, checked: Result<(), IdentitySetupError>| {
            found.extend(checked.err().map(|error| Unsound { list, index, error }));
        };
        for (index, settings) in self.issuers.iter().enumerate() {
            let earlier = self.issuers.get(..index).unwrap_or_default();
            report("issuers", index, issuer::unique(settings, earlier));
            report("issuers", index, issuer::check(settings));
            report("issuers", index, fetch::check(settings));
        }
        for (index, gateway) in self.gateways.iter().enumerate() {
            report(
                "gateways",
                index,
                Gateways::new(std::slice::from_ref(gateway)).map(drop),
            );
        }
        let domains = &self.spiffe.trust_domains;
        for (index, domain) in domains.iter().enumerate() {
            report("trust_domains", index, workload::check_trust_domain(&domain.name));
            let source = source::check(domain, domains).map_err(Into::into);
            report("trust_domains", index, source);
            if domains.iter().take(index).any(|other| other.name == domain.name) {
                let twice = IdentitySetupError::TrustDomainTwice(domain.name.clone());
                report("trust_domains", index, Err(twice));
            }
        }
        report("jwt_svid", 0, svid::check(&self.spiffe.jwt_svid));
        report("bundles", 0, svid::check_refresh(self.spiffe.bundles));
        found
    }
}
