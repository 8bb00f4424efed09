//! Whether settings can be used, as far as that can be told without reading a file or asking anybody.

use super::gateway::Gateways;
use super::settings::Settings;
use super::{IdentitySetupError, fetch, issuer, workload};

/// What can't be used, and which item of which list it is.
#[derive(Debug)]
pub struct Unsound {
    /// `issuers`, `gateways`, or `trust_domains` (of `spiffe`).
    pub list: &'static str,
    /// Which one, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: IdentitySetupError,
}

impl Settings {
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
        for (index, name) in self.spiffe.trust_domains.iter().enumerate() {
            report("trust_domains", index, workload::check_trust_domain(name));
        }
        found
    }
}
