//! A proof that a client has the key that its token is bound to, made for one request (RFC 9449 §4.3).
//!
//! What costs little is checked first. A key that isn't the token's is refused before its signature is looked at, so
//! only who has a token can have a signature verified or the state asked; a proof is marked as used only when all else
//! holds, so only the owner of a key can have anything remembered.

use std::time::Duration;

use jiff::Timestamp;

use super::bound::{BoundError, Hash};
use super::jwk;
use crate::exchange::{Exchange, NotSingle};
use crate::inventory::{self, Dpop, Server};
use crate::state::{Id, Store, Used};

use proof::Proof;

pub use nonce::Nonce;

pub(super) use nonce::Nonces;

mod nonce;
mod proof;
mod url;

/// Whether the request brings a proof of this key, made for it and for this token, that wasn't used before. Gives the
/// nonce that the next one should have, where the server demands nonces and this one's expires soon.
pub(super) async fn check(
    key: &Hash,
    token: &str,
    (exchange, server): (&Exchange, &Server),
    (store, nonces): (&dyn Store, &Nonces),
    now: Timestamp,
) -> Result<Option<Nonce>, BoundError> {
    let proof = Proof::read(header(exchange)?, &server.dpop)?;
    let proving = jwk::read_proof_key(&proof.jwk, proof.algorithm).ok_or(BoundError::ProofKeyUnusable)?;
    if !proving.thumbprint.is(key) {
        return Err(BoundError::ProofOtherKey);
    }
    if proof.method != exchange.method {
        return Err(BoundError::ProofMethod);
    }
    if !url::is_of_request(&proof.url, &server.resource, &exchange.path) {
        return Err(BoundError::ProofUrl);
    }
    in_time(proof.issued, &server.dpop, now)?;
    if !proof
        .token
        .is_some_and(|hash| hash.is(&Hash::of(token.as_bytes())))
    {
        return Err(BoundError::ProofOtherToken);
    }
    let fresh = match server.dpop.nonces {
        inventory::Nonces::Off => None,
        inventory::Nonces::Required => {
            let given = proof.nonce.as_deref();
            nonces.check(given, (exchange, server), store, now).await?
        }
    };
    if !proof.is_signed_by(&proving) {
        return Err(BoundError::ProofSignature);
    }
    use_once(&proof, key, &server.dpop, (exchange, store)).await?;
    Ok(fresh)
}

fn header(exchange: &Exchange) -> Result<&str, BoundError> {
    /// Room for an RSA key of 8192 bits and its signature.
    const MAX_BYTES: usize = 4096;
    let value = match exchange.headers.single("dpop") {
        Ok(Some(value)) => value,
        Ok(None) => return Err(BoundError::ProofMissing),
        Err(NotSingle::Repeated) => return Err(BoundError::ProofRepeated),
        Err(NotSingle::NotText) => return Err(BoundError::ProofMalformed),
    };
    // Gateways join repeated fields with a comma, which no JWT has.
    if value.contains(',') {
        return Err(BoundError::ProofRepeated);
    }
    if value.len() > MAX_BYTES {
        return Err(BoundError::ProofTooLarge);
    }
    Ok(value)
}

fn in_time(issued: i64, settings: &Dpop, now: Timestamp) -> Result<(), BoundError> {
    let now = now.as_second();
    if issued > now.saturating_add(seconds(settings.max_ahead)) {
        return Err(BoundError::ProofAhead);
    }
    if issued < now.saturating_sub(seconds(settings.max_age)) {
        return Err(BoundError::ProofTooOld);
    }
    Ok(())
}

/// Of two requests with the same proof, at whichever replica, one alone gets through.
async fn use_once(
    proof: &Proof<'_>,
    key: &Hash,
    settings: &Dpop,
    (exchange, store): (&Exchange, &dyn Store),
) -> Result<(), BoundError> {
    // From when it may first be shown until when it is too old, on clocks of replicas as far apart as a client's may be.
    let ahead = settings.max_ahead.saturating_mul(2);
    let keep = settings
        .max_age
        .saturating_add(ahead)
        .saturating_add(Duration::from_secs(1));
    // The key is part of it: nobody uses up the ids of somebody else's proofs.
    let id = [
        b"mcp-authz dpop proof\0".as_slice(),
        key.as_bytes(),
        proof.id.as_bytes(),
    ]
    .concat();
    let id = Id(*Hash::of(&id).as_bytes());
    match store.use_once(id, keep, exchange.deadline).await {
        // It may have been shown, as early as the clocks allow, before the store remembered.
        Ok(Used::First { remembers_since })
            if proof.issued
                <= remembers_since
                    .as_second()
                    .saturating_add(seconds(settings.max_ahead)) =>
        {
            Err(BoundError::ReplaysForgotten)
        }
        Ok(Used::First { .. }) => Ok(()),
        Ok(Used::Again) => Err(BoundError::ProofReplayed),
        Err(why) => Err(BoundError::ReplaysUnknown(why)),
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
