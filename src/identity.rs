//! Evidence to a [`Caller`]: who is calling, proved.

pub mod caller;
pub mod spiffe;

pub use caller::{Caller, User, Workload};
