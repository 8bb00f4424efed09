//! What SPIFFE defines, free of any stage: the names of workloads.
//!
//! In come texts and documents of strangers; out come types that can't be wrong, or the one reason why not.

pub mod id;

pub use id::{SpiffeId, SpiffeIdError, claims_to_be, is_trust_domain};
