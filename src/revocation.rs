//! The ways in of revocations: an issuer's signed notices over HTTP, an operator's command over a Unix socket.
//!
//! In comes a notice ([`receiver`]) or a question of an operator ([`socket`]); what they revoke goes through one [`Desk`]
//! to what replicas share, to the audit and to the metrics. Refused is whatever isn't signed by its issuer, whoever isn't
//! this service's own user or root, and what couldn't be kept: who asked is told, and can ask again.

pub use desk::{Desk, DeskError, Done, Source};
pub use settings::Settings;

pub mod ask;
mod connections;
mod desk;
pub mod receiver;
mod settings;
pub mod socket;

#[cfg(test)]
mod tests;
