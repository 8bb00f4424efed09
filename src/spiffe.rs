//! What SPIFFE defines, free of any stage: the names of workloads, the documents that prove them, the bundles that
//! these are verified with.
//!
//! In come texts and documents of strangers; out come types that can't be wrong, or the one reason why not.

pub mod bundle;
pub mod bundles;
mod chain;
mod endpoint;
pub mod id;
pub mod own;
pub mod settings;
pub mod source;
pub mod strict;
pub mod svid;
pub mod tls;
pub mod workload_api;

pub use bundle::{Bundle, BundleError, JwtAuthority, X509Authority};
pub use bundles::{BundleStatus, BundleUnavailable, Bundles, Freshness, Kind, Source};
pub use id::{SpiffeId, SpiffeIdError, TrustDomain, claims_to_be, is_trust_domain};
pub use own::{NoSvid, OwnSvid};
pub use source::{SourceError, SourceStatus, Sources};
pub use svid::{Leaf, SvidError, X509Svid};
