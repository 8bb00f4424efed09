//! Nonces for proofs (RFC 9449 §8, §9): a client can't make proofs today for a day when it has the key no more.
//!
//! In comes what a proof says as `nonce`, out goes whether it is one of ours, of this time. Nothing is kept of a nonce: it
//! is the number of a window of time, and a code over it by a secret that all replicas share. One lives through its own
//! window and the next, and is known a window early: clocks of replicas differ.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use crate::exchange::Exchange;
use crate::identity::bound::BoundError;
use crate::inventory::Server;
use crate::state::{Secret, Store};

/// How long the secret is believed before it is asked for again: another replica may have had to make a new one.
const KEEP: Duration = Duration::from_secs(30);
/// How long it is believed when a nonce isn't made with it: nobody makes us ask more often.
const DOUBT: Duration = Duration::from_secs(1);

/// A nonce. Who may see it doesn't matter: what counts is that nobody else can make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; BYTES]);

const WINDOW_BYTES: usize = 8;
const BYTES: usize = WINDOW_BYTES + 16;

impl Nonce {
    /// The nonce of a server for a window of its `nonce_lifetime`.
    fn of(window: u64, server: &Server, secret: &Secret) -> Self {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &secret.0));
        context.update(b"mcp-authz dpop nonce\0");
        context.update(&server.dpop.nonce_lifetime.as_secs().to_be_bytes());
        context.update(&window.to_be_bytes());
        context.update(server.name.as_str().as_bytes());
        let mut bytes = [0; BYTES];
        let code = context.sign();
        let all = window
            .to_be_bytes()
            .into_iter()
            .chain(code.as_ref().iter().copied());
        bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
        Self(bytes)
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    fn window(&self) -> u64 {
        self.0.first_chunk().copied().map_or(0, u64::from_be_bytes)
    }

    /// Whether both are the same, in a time that doesn't tell how much of them is.
    fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Display for Nonce {
    /// As the `DPoP-Nonce` field and the claim `nonce` have it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The secret that nonces are made with, as it was last heard.
#[derive(Debug, Default)]
pub(in crate::identity) struct Nonces {
    heard: Mutex<Option<(Secret, Instant)>>,
}

impl Nonces {
    /// Whether a proof's nonce holds at this server, and the one to use from now on, if it is another.
    pub(super) async fn check(
        &self,
        given: Option<&str>,
        (exchange, server): (&Exchange, &Server),
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<Option<Nonce>, BoundError> {
        let current = window(server, now);
        let mut secret = self.secret(KEEP, exchange, store).await?;
        let Some(given) = given else {
            return Err(BoundError::NonceMissing(Nonce::of(current, server, &secret)));
        };
        let Some(given) = Nonce::read(given) else {
            return Err(BoundError::NonceWrong(Nonce::of(current, server, &secret)));
        };
        let is_ours = |secret: &Secret| Nonce::of(given.window(), server, secret).is(&given);
        if !is_ours(&secret) {
            secret = self.secret(DOUBT, exchange, store).await?;
        }
        let fresh = Nonce::of(current, server, &secret);
        if !is_ours(&secret) {
            return Err(BoundError::NonceWrong(fresh));
        }
        let age = i128::from(current).saturating_sub(i128::from(given.window()));
        match age {
            0 | -1 => Ok(None),
            1 => Ok(Some(fresh)),
            _ => Err(BoundError::NonceExpired(fresh)),
        }
    }

    /// The secret, as it was heard not longer ago than this.
    async fn secret(
        &self,
        keep: Duration,
        exchange: &Exchange,
        store: &dyn Store,
    ) -> Result<Secret, BoundError> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |at| exchange.started.saturating_duration_since(at);
        if let Some((secret, at)) = heard
            && age(at) < keep
        {
            return Ok(secret);
        }
        let secret = store.secret("dpop nonces", exchange.deadline).await;
        let secret = secret.map_err(BoundError::NoncesUnknown)?;
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some((secret, exchange.started));
        Ok(secret)
    }
}

/// Which window of a server's `nonce_lifetime` it is, counted from 1970.
fn window(server: &Server, now: Timestamp) -> u64 {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    seconds
        .checked_div(server.dpop.nonce_lifetime.as_secs())
        .unwrap_or_default()
}
