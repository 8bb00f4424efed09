//! Whether a token that holds otherwise was revoked: itself, its login session, its user's, its client's or its
//! issuer's tokens of that time.
//!
//! In comes a verified token, with the ids of all that it may be revoked by, hashed once; out goes nothing, or why it
//! holds no more. As long as nothing is revoked anew, a token that was found good costs one load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use aws_lc_rs::digest;

use super::{IdentityError, User};
use crate::state::{Id, Store};

/// What of an issuer's tokens is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in ["mcp-authz revocation", kind.name(), iss, value] {
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

/// By what a token may be revoked.
#[derive(Debug)]
pub(super) struct Revocable {
    ids: [Option<(Kind, Id)>; 5],
    /// `iat`; a token without it counts as issued before everything.
    issued: i64,
    /// The version of the store's revocations at which none of them was this token's.
    good_at: AtomicU64,
}

/// No store counts so far.
const NEVER: u64 = u64::MAX;

impl Revocable {
    /// The ids of a verified token, issued at this second.
    pub(super) fn new(user: &User, issued: Option<i64>) -> Self {
        let values = [
            (Kind::Token, user.token_id.as_deref()),
            (Kind::Session, user.login_session.as_deref()),
            (Kind::Subject, Some(user.subject.as_str())),
            (Kind::Client, user.client_id.as_deref()),
            (Kind::Issuer, Some("")),
        ];
        Self {
            ids: values.map(|(kind, value)| Some((kind, id(kind, &user.issuer, value?)))),
            issued: issued.unwrap_or(i64::MIN),
            good_at: AtomicU64::new(NEVER),
        }
    }

    /// Whether nothing that is known by now revokes the token.
    ///
    /// # Errors
    /// What revoked it, or that the store can't tell in time.
    pub(super) async fn check(
        &self,
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
        for (kind, id) in self.ids.iter().flatten() {
            // Whole seconds, as `iat` counts, and that second with them: who was issued a token in the very second of
            // the revocation asks for another.
            let revoked = store.revoked(id).map(jiff::Timestamp::as_second);
            if revoked.is_some_and(|until| self.issued <= until) {
                return Err(kind.refusal());
            }
        }
        self.good_at.store(version, Ordering::Relaxed);
        Ok(())
    }
}
