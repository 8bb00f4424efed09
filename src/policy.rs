//! A directory of Cedar files to [`Verdict`]s: one for each principal on the call.

pub mod question;
pub mod verdict;

pub use question::Question;
pub use verdict::{Fired, Outcome, Principal, Verdict};
