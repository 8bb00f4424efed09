//! A request of an MCP client to a typed [`Message`], so strictly that no server can read it otherwise.
//!
//! In: an [`Exchange`]. Out: a [`Message`], or a [`Refused`] with a reason of its own.
//! `docs/json-profile.md` says what is read and what is refused.

pub mod call;
pub mod json;
pub mod list;
pub mod message;
pub mod methods;
pub mod refusal;
pub mod settings;
pub mod version;

mod envelope;
mod fields;
mod gateway;
mod lookalike;
mod meta;
mod params;
mod post;
mod transport;
mod uri;

pub use call::{Call, Id, Operation, Reference};
pub use fields::header_value;
pub use message::{Message, Payload};
pub use refusal::{Refusal, Refused};
pub use settings::Limits;
pub use version::Version;

use crate::exchange::Exchange;
use fields::Fields;
use transport::Verb;

/// Reads a request of a client.
///
/// # Errors
/// [`Refused`] if the request is outside the profile of `docs/json-profile.md`.
pub fn read(exchange: &Exchange, limits: &Limits) -> Result<Message, Refused> {
    match transport::verb(exchange)? {
        Verb::Post => post::read(exchange, limits),
        Verb::Get => {
            let message = bodiless(
                exchange,
                limits,
                Operation::OpenStream {
                    last_event: fields::last_event(&exchange.headers, limits)?,
                },
            )?;
            transport::accepts_events(&exchange.headers)?;
            Ok(message)
        }
        Verb::Delete => Ok(bodiless(exchange, limits, Operation::EndSession)?),
    }
}

/// GET and DELETE, which 2026-07-28 has no more.
fn bodiless(exchange: &Exchange, limits: &Limits, operation: Operation) -> Result<Message, Refusal> {
    transport::no_body(exchange)?;
    let fields = Fields::read(&exchange.headers, limits)?;
    let version = fields.version(None)?;
    if !version.has_get_and_delete() {
        return Err(Refusal::MethodNotAllowed);
    }
    fields.name_nothing()?;
    Ok(Message {
        version,
        session: fields.session,
        payload: Payload::Single(Call { id: None, operation }),
        param_headers: fields.params,
    })
}

#[cfg(test)]
mod tests;
