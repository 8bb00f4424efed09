//! Whose workloads may call, and what is taken as a JWT-SVID.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};

use super::default_clock_skew;
use crate::spiffe::settings::{BundleSource, Refresh, TrustDomain};
use crate::spiffe::{self, Bundles, Source};

/// Workload identities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spiffe {
    /// The trust domains whose workloads may call, for instance `mcp-identity.local`, each by its name or with where its
    /// bundle comes from. Default: none.
    pub trust_domains: Vec<TrustDomain>,
    /// How often bundles are asked for.
    pub bundles: Refresh,
    /// What is taken as a JWT-SVID.
    pub jwt_svid: JwtSvids,
}

impl Spiffe {
    /// Where bundles will be: each trust domain's from its own source, and nobody else's.
    #[must_use]
    pub fn no_bundles_yet(&self) -> Bundles {
        let assigned = self.trust_domains.iter().filter_map(|domain| {
            let source = match domain.bundle.as_ref()? {
                BundleSource::File(_) => Source::File,
                BundleSource::HttpsWeb(_) => Source::HttpsWeb,
                BundleSource::HttpsSpiffe(_) => Source::HttpsSpiffe,
                BundleSource::WorkloadApi => Source::WorkloadApi,
            };
            Some((spiffe::TrustDomain::parse(&domain.name).ok()?, source))
        });
        Bundles::new(assigned, self.bundles.max_age)
    }
}

/// What is taken as a JWT-SVID. None is without a `bundle` of its trust domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JwtSvids {
    /// The header that brings a caller's, for instance `x-jwt-svid`; it never reaches the MCP server. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Audiences taken besides the `resource` of the server that is called. Default: none.
    pub audiences: Vec<String>,
    /// The signature algorithms taken. Default: all that a JWT-SVID may have but ES512.
    pub algorithms: Vec<Algorithm>,
    /// How far its issuer's clock may be from ours. Default: `30s`.
    #[serde(with = "required")]
    pub clock_skew: Duration,
    /// The longest life, from `iat` (or now) to `exp`. Default: `1h`.
    #[serde(with = "required")]
    pub max_lifetime: Duration,
    /// The longest one, in bytes. Default: 8192.
    pub max_bytes: usize,
    /// How many that were verified are remembered; 0: verify each one every time. Default: 1000.
    pub verified: u32,
}

impl Default for JwtSvids {
    fn default() -> Self {
        use Algorithm::{ES256, ES384, PS256, PS384, PS512, RS256, RS384, RS512};
        Self {
            header: None,
            audiences: Vec::new(),
            algorithms: vec![ES256, ES384, RS256, RS384, RS512, PS256, PS384, PS512],
            clock_skew: default_clock_skew(),
            max_lifetime: Duration::from_hours(1),
            max_bytes: 8192,
            verified: 1000,
        }
    }
}
