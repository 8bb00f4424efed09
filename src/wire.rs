//! The gRPC services that gateways call, and the listeners they call them on.
//!
//! A wire turns a gateway's message into an [`Exchange`](crate::exchange::Exchange), asks the
//! [`Decider`](crate::exchange::Decider) and turns the [`Reply`](crate::exchange::Reply) into the gateway's answer.
//! It knows nothing of MCP, identities or policies.

pub use error::{SettingsError, WireError};
pub use listen::{Listeners, serve};
pub use settings::Settings;
pub use tls::LiveTls;

mod accept;
pub mod check;
mod connection;
mod error;
pub mod listen;
mod serve;
pub mod settings;
mod tls;
mod turn;
pub(crate) mod unix;

#[cfg(test)]
mod tests;
