//! A real process, asked over gRPC: killed at any moment, and searched for secrets.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail on the spot"
)]

mod commands;
mod crash;
mod faults;
mod policies;
mod secrets;
mod service;
mod workload_api;
