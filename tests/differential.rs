//! What is read here, servers read alike, in whatever language; and what docs/json-profile.md allows is read.
//!
//! `PROPTEST_CASES=10000 cargo test --test differential` tries more than the usual few thousand texts.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail on the spot"
)]

#[path = "differential/canonical.rs"]
mod canonical;
#[path = "differential/messages.rs"]
mod messages;
#[path = "differential/parsers.rs"]
mod parsers;
#[path = "differential/pieces.rs"]
mod pieces;
#[path = "differential/texts.rs"]
mod texts;
