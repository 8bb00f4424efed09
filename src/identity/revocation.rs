//! Whether a token that holds otherwise was revoked: itself, its login session, its user's, its client's or its
//! issuer's tokens of that time.
//!
//! In comes a verified token's user, from whom the ids of all that it may be revoked by are made; out goes nothing, or why it
//! holds no more. As long as nothing is revoked anew, a token that was found good costs one load and no id. And in comes an
//! [`Order`]; it goes to the store, for as long as a token may live that it is about.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{IdentityError, User, Verifier, settings};
use crate::state::{Id, Revocation, StateError, Store};

/// What of an issuer's tokens is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One token, by its `jti`.
    Token,
    /// Those of a login session, by `sid`.
    Session,
    /// Those of a user, by `sub`.
    Subject,
    /// Those issued to a client, by `azp` or `client_id`.
    Client,
    /// All.
    Issuer,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Token,
        Self::Session,
        Self::Subject,
        Self::Client,
        Self::Issuer,
    ];

    /// Its name in metrics, the audit and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Issuer => "issuer",
        }
    }

    const fn refusal(self) -> IdentityError {
        match self {
            Self::Token => IdentityError::TokenRevoked,
            Self::Session => IdentityError::SessionRevoked,
            Self::Subject => IdentityError::SubjectRevoked,
            Self::Client => IdentityError::ClientRevoked,
            Self::Issuer => IdentityError::IssuerNotBefore,
        }
    }
}

/// The id under which a store knows this: a hash, so that it learns no name. No two kinds, issuers or values share one.
#[must_use]
pub fn id(kind: Kind, iss: &str, value: &str) -> Id {
    hash_of(["mcp-authz revocation", kind.name(), iss, value])
}

/// A hash that no other list of parts has.
pub(super) fn hash_of<const N: usize>(parts: [&str; N]) -> Id {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        // With its length, so that no two lists of parts are one text.
        hash.update(&part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut id = [0; 32];
    let digest = hash.finish();
    id.iter_mut()
        .zip(digest.as_ref())
        .for_each(|(to, from)| *to = *from);
    Id(id)
}

/// What is to be revoked of an issuer's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The issuer's name.
    pub issuer: String,
    /// Which tokens: all that any of these is about. The value of [`Kind::Issuer`] is empty.
    pub what: Vec<(Kind, String)>,
    /// Those that were issued at or before this second, by the issuer's clock.
    pub issued_until: Timestamp,
}

/// Why nothing is revoked, or not all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// There is no issuer of that name.
    #[error("there is no issuer of that name here")]
    UnknownIssuer,
    /// What replicas share can't take it.
    #[error("{0}: what was to be revoked may still be taken")]
    State(#[from] StateError),
}

impl Verifier {
    /// The settings of an issuer, by its name; of the only one there is, if none is named.
    #[must_use]
    pub fn issuer_settings(&self, name: Option<&str>) -> Option<&settings::Issuer> {
        match (name, self.tokens.issuers.as_slice()) {
            (Some(name), _) => self.tokens.named(name).map(|issuer| &issuer.settings),
            (None, [only]) => Some(&only.settings),
            (None, _) => None,
        }
    }

    /// Revokes: when this is done, it holds here, and at every replica within the store's `propagation`. Done twice, it
    /// changes nothing. Says until when it is remembered.
    ///
    /// # Errors
    /// [`RevokeError`]; some of it may hold then.
    pub async fn revoke(&self, order: &Order, deadline: Instant) -> Result<Timestamp, RevokeError> {
        let settings = self.issuer_settings(Some(&order.issuer));
        let settings = settings.ok_or(RevokeError::UnknownIssuer)?;
        let keep_until = keep_until(order.issued_until, settings);
        for (kind, value) in &order.what {
            let revocation = Revocation {
                id: id(*kind, &settings.issuer, value),
                issued_until: order.issued_until,
                keep_until,
            };
            self.store.revoke(revocation, deadline).await?;
        }
        Ok(keep_until)
    }
}

/// When no token issued until that second is taken any more: it lives no longer than the issuer's `max_lifetime`, by a clock
/// that may be off by `clock_skew`.
#[must_use]
pub fn keep_until(issued_until: Timestamp, settings: &settings::Issuer) -> Timestamp {
    let longest = settings.max_lifetime.saturating_add(settings.clock_skew);
    // The second that `iat` names, to its end.
    let longest = longest.saturating_add(Duration::from_secs(1));
    issued_until.saturating_add(longest).unwrap_or(Timestamp::MAX)
}

/// Whether a token was revoked. Its ids aren't kept: they are asked for once after each revocation of anything, and
/// would be a tenth of what is kept of a token.
#[derive(Debug)]
pub(super) struct Revocable {
    /// `iat`; a token without it counts as issued before everything.
    issued: i64,
    /// The version of the store's revocations at which none of them was this token's.
    good_at: AtomicU64,
}

/// No store counts so far.
const NEVER: u64 = u64::MAX;

/// By what this user's token may be revoked.
fn ids(user: &User) -> impl Iterator<Item = (Kind, Id)> {
    let values = [
        (Kind::Token, user.token_id.as_deref()),
        (Kind::Session, user.login_session.as_deref()),
        (Kind::Subject, Some(user.subject.as_str())),
        (Kind::Client, user.client_id.as_deref()),
        (Kind::Issuer, Some("")),
    ];
    let values = values.into_iter();
    values.filter_map(|(kind, value)| Some((kind, id(kind, &user.issuer, value?))))
}

impl Revocable {
    /// A verified token, issued at this second.
    pub(super) fn new(issued: Option<i64>) -> Self {
        Self {
            issued: issued.unwrap_or(i64::MIN),
            good_at: AtomicU64::new(NEVER),
        }
    }

    /// Whether nothing that is known by now revokes this user's token.
    ///
    /// # Errors
    /// What revoked it, or that the store can't tell in time.
    pub(super) async fn check(
        &self,
        user: &User,
        store: &dyn Store,
        now: Instant,
        deadline: Instant,
    ) -> Result<(), IdentityError> {
        if let Some(catching_up) = store.caught_up(now, deadline) {
            catching_up.await.map_err(IdentityError::RevocationsUnknown)?;
        }
        // Before the look-ups: what is revoked in between shows at the next check.
        let version = store.revocations_version();
        if self.good_at.load(Ordering::Relaxed) == version {
            return Ok(());
        }
        for (kind, id) in ids(user) {
            // Whole seconds, as `iat` counts, and that second with them: who was issued a token in the very second of
            // the revocation asks for another.
            let revoked = store.revoked(&id).map(Timestamp::as_second);
            if revoked.is_some_and(|until| self.issued <= until) {
                return Err(kind.refusal());
            }
        }
        self.good_at.store(version, Ordering::Relaxed);
        Ok(())
    }
}
