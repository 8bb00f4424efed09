//! Is a token its presenter's? One that is bound to a key or a certificate is, if both are proved (RFC 9449, RFC 8705);
//! any other one is whoever's has it, where the server takes such.

use jiff::Timestamp;

use super::IdentityError;
use super::credential::{Credential, Scheme};
use super::dpop::{self, Nonce, Nonces};
use super::gateway::Gateways;
use crate::exchange::Exchange;
use crate::inventory::{SenderConstraint, Server};
use crate::state::Store;

pub use error::BoundError;

pub(super) use confirmation::{Bound, Hash, read};

mod certificate;
mod confirmation;
mod error;

/// Who and what is believed about whose a token is.
#[derive(Clone, Copy)]
pub(super) struct Believed<'a> {
    pub(super) gateways: &'a Gateways,
    pub(super) store: &'a dyn Store,
    pub(super) nonces: &'a Nonces,
}

/// Whether the presenter of a token has what it is bound to, and the server takes what that is. Gives the nonce that the
/// next proof should have, if it is another than this one's.
///
/// `sent` is `None` where a gateway verified the token and only its claims came: then no proof can be tied to it.
pub(super) async fn check(
    bound: Bound,
    sent: Option<Credential<'_>>,
    (exchange, server): (&Exchange, &Server),
    believed: Believed<'_>,
    now: Timestamp,
) -> Result<Option<Nonce>, IdentityError> {
    let unproved = bound.key.is_some() && dpop_scheme(sent).is_none();
    if !unproved && !will_do(server.sender_constraint, bound) {
        return Err(BoundError::TokenNotBound.into());
    }
    proved(bound, sent, (exchange, server), believed, now).await
}

/// Whether the presenter of a token has what it is bound to.
pub(super) async fn proved(
    bound: Bound,
    sent: Option<Credential<'_>>,
    (exchange, server): (&Exchange, &Server),
    believed: Believed<'_>,
    now: Timestamp,
) -> Result<Option<Nonce>, IdentityError> {
    let dpop_scheme = dpop_scheme(sent);
    if bound.key.is_some() && dpop_scheme.is_none() {
        // RFC 9449 §7.2: a bound token is never taken as a bearer token.
        return Err(IdentityError::BoundTokenWithoutProof);
    }
    if dpop_scheme.is_some() && bound.key.is_none() {
        return Err(BoundError::TokenNotBound.into());
    }
    if let Some(expected) = bound.certificate {
        certificate::check(&expected, exchange, believed.gateways)?;
    }
    if let (Some(key), Some(sent)) = (bound.key, dpop_scheme) {
        let believed = (believed.store, believed.nonces);
        // Boxed: what most calls have no need of.
        return Box::pin(dpop::check(&key, sent.token, (exchange, server), believed, now))
            .await
            .map_err(Into::into);
    }
    Ok(None)
}

fn dpop_scheme(sent: Option<Credential<'_>>) -> Option<Credential<'_>> {
    sent.filter(|sent| sent.scheme == Scheme::Dpop)
}

const fn will_do(constraint: SenderConstraint, bound: Bound) -> bool {
    match constraint {
        SenderConstraint::None => true,
        SenderConstraint::Dpop => bound.key.is_some(),
        SenderConstraint::Mtls => bound.certificate.is_some(),
        SenderConstraint::Any => bound.key.is_some() || bound.certificate.is_some(),
    }
}
