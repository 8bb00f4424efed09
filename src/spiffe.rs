//! What SPIFFE defines, free of any stage: the names of workloads, the documents that prove them, the bundles that
//! these are verified with.
//!
//! In come texts and documents of strangers; out come types that can't be wrong, or the one reason why not.

pub mod bundle;
pub mod bundles;
pub mod id;
pub mod strict;

pub use bundle::{Bundle, BundleError, JwtAuthority, X509Authority};
pub use bundles::{BundleStatus, BundleUnavailable, Bundles, Freshness, Kind, Source};
pub use id::{SpiffeId, SpiffeIdError, TrustDomain, claims_to_be, is_trust_domain};
