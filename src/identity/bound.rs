//! Is a token its presenter's? One that is bound to a key or a certificate is, if both are proved (RFC 9449, RFC 8705);
//! any other one is whoever's has it, where the server takes such.

use jiff::Timestamp;

use super::IdentityError;
use super::credential::{Credential, Scheme};
use super::dpop;
use super::gateway::Gateways;
use crate::exchange::Exchange;
use crate::inventory::{SenderConstraint, Server};
use crate::state::Store;

pub use error::BoundError;

pub(super) use confirmation::{Bound, Hash, read};

mod certificate;
mod confirmation;
mod error;

/// Whether the presenter of a token has what it is bound to, and the server takes what that is.
///
/// `sent` is `None` where a gateway verified the token and only its claims came: then no proof can be tied to it.
pub(super) async fn check(
    bound: Bound,
    sent: Option<Credential<'_>>,
    (exchange, server): (&Exchange, &Server),
    (gateways, store): (&Gateways, &dyn Store),
    now: Timestamp,
) -> Result<(), IdentityError> {
    let dpop_scheme = sent.filter(|sent| sent.scheme == Scheme::Dpop);
    if bound.key.is_some() && dpop_scheme.is_none() {
        // RFC 9449 §7.2: a bound token is never taken as a bearer token.
        return Err(IdentityError::BoundTokenWithoutProof);
    }
    if !will_do(server.sender_constraint, bound) || (dpop_scheme.is_some() && bound.key.is_none()) {
        return Err(BoundError::TokenNotBound.into());
    }
    if let Some(expected) = bound.certificate {
        certificate::check(&expected, exchange, gateways)?;
    }
    if let (Some(key), Some(sent)) = (bound.key, dpop_scheme) {
        dpop::check(&key, sent.token, (exchange, server), store, now).await?;
    }
    Ok(())
}

const fn will_do(constraint: SenderConstraint, bound: Bound) -> bool {
    match constraint {
        SenderConstraint::None => true,
        SenderConstraint::Dpop => bound.key.is_some(),
        SenderConstraint::Mtls => bound.certificate.is_some(),
        SenderConstraint::Any => bound.key.is_some() || bound.certificate.is_some(),
    }
}
