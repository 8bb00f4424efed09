//! The SPIFFE Workload API: who we are and what peers are verified with, told by the agent on this machine.
//!
//! In come the messages of an agent that is trusted with all of it, over a Unix socket or loopback; out come an
//! [`X509Svid`](super::X509Svid) and trust bundles that were looked at, or a [`WorkloadApiError`] that tells an agent
//! which is gone from one that knows us not and from one that answers with nothing.

pub mod address;
pub mod client;
pub mod follower;
pub mod message;
pub mod settings;

pub use address::{Address, AddressError};
pub use client::{Client, JwtBundles, JwtSvid, Updates, WorkloadApiError, X509Bundles, X509Material};
pub use follower::{Choice, Follower, StreamStatus, Wanted};
pub use settings::Settings;
