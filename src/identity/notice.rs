//! What an issuer tells of its own accord, signed, to what it revokes: OpenID Connect Back-Channel Logout 1.0, and the
//! admin actions that Keycloak sends to a client's admin URL.
//!
//! In comes a JWT, and the issuer that it is believed to be from; out goes a [`Told`]: verified, within its time, for us.
//! Everything that the text says is judged before the signature is, for that costs least; nothing of it counts before it.
//! No notice is an access token and no access token a notice: each says so in its header and its claims.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::jwt::Unverified;
use super::revocation::{Order, hash_of};
use super::{IdentityError, Verifier, settings};
use crate::state::Id;

mod admin_action;
mod error;
mod logout_token;

pub use error::NoticeError;

/// The longest that a notice may be good for, as far as its times tell: what it is remembered by is kept as long. Keycloak's
/// live two minutes and half a minute.
const MAX_LIFETIME: Duration = Duration::from_hours(1);

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A logout token: a session ended, or a user is logged out.
    LogoutToken,
    /// Keycloak's `PUSH_NOT_BEFORE`: tokens issued before a time are void.
    NotBefore,
    /// Keycloak's `LOGOUT`: some sessions ended, or all.
    Logout,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::LogoutToken, Self::NotBefore, Self::Logout];

    /// Its name in metrics and the audit.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogoutToken => "logout_token",
            Self::NotBefore => "push_not_before",
            Self::Logout => "logout",
        }
    }
}

/// What an issuer told, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What is revoked; of nothing, nothing.
    pub order: Order,
    /// The notice's own id.
    pub id: Id,
    /// How long a notice with that id may come again.
    pub keep: Duration,
}

/// When a notice comes, and until when it must be known what it says.
#[derive(Debug, Clone, Copy)]
pub struct When {
    /// The time of day.
    pub now: Timestamp,
    /// The same moment.
    pub started: Instant,
    /// Until then.
    pub deadline: Instant,
}

/// By what a notice is judged.
struct Judge<'a> {
    settings: &'a settings::Issuer,
    resources: &'a [String],
    now: i64,
    skew: i64,
}

impl Verifier {
    /// What an issuer, by its name, tells in this text. It must be meant for one of these resources or for a client that
    /// the issuer's settings list.
    ///
    /// # Errors
    /// [`NoticeError`] if it isn't the issuer's, not of this kind, not for us or not of now.
    pub async fn read_notice(
        &self,
        notice: Notice,
        issuer: &str,
        text: &str,
        resources: &[String],
        when: When,
    ) -> Result<Told, NoticeError> {
        let issuer = self.tokens.named(issuer).ok_or(NoticeError::UnknownIssuer)?;
        let settings = &issuer.settings;
        if text.len() > settings.max_token_bytes {
            return Err(NoticeError::Token(IdentityError::TokenTooLarge));
        }
        let token = Unverified::parse(text)?;
        let judge = Judge {
            settings,
            resources,
            now: when.now.as_second(),
            skew: whole_seconds(settings.clock_skew),
        };
        let told = match notice {
            Notice::LogoutToken => logout_token::read(&token, &judge)?,
            Notice::NotBefore | Notice::Logout => admin_action::read(notice, &token, &judge)?,
        };
        let verification = &self.tokens.verification;
        issuer
            .verify_signature(&token, verification, when.started, when.deadline)
            .await?;
        Ok(told)
    }
}

impl Judge<'_> {
    /// Whether it is meant for us.
    fn knows(&self, audience: &str) -> bool {
        self.settings.clients.contains_key(audience) || self.resources.iter().any(|known| known == audience)
    }

    /// Whether something that is good until then is good now, and not for longer than it should be.
    fn is_of_now(&self, until: i64) -> Result<(), NoticeError> {
        if self.now >= until.saturating_add(self.skew) {
            return Err(NoticeError::Expired);
        }
        let latest = self.now.saturating_add(self.skew);
        if until > latest.saturating_add(whole_seconds(MAX_LIFETIME)) {
            return Err(NoticeError::LivesTooLong);
        }
        Ok(())
    }

    /// What was told, in a notice of this id that is good until then.
    fn told(&self, order: Order, id: &str, until: i64) -> Told {
        let left = until.saturating_sub(self.now).saturating_add(self.skew);
        Told {
            order,
            id: hash_of(["mcp-authz notice", &self.settings.issuer, id]),
            // The second in which it ends is gone when the next begins.
            keep: Duration::from_secs(u64::try_from(left.saturating_add(1)).unwrap_or_default()),
        }
    }
}

type Claims = Map<String, Value>;

/// A text that isn't empty; `None` where there is none.
fn text<'a>(claims: &'a Claims, name: &'static str) -> Result<Option<&'a str>, NoticeError> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(NoticeError::Malformed(name)),
    }
}

/// Seconds since 1970.
fn seconds(claims: &Claims, name: &'static str) -> Result<Option<i64>, NoticeError> {
    /// The year 9999.
    const MAX: i64 = 253_402_300_799;
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_i64()
            .filter(|seconds| (0..=MAX).contains(seconds))
            .map(Some)
            .ok_or(NoticeError::Malformed(name)),
    }
}

/// A moment that [`seconds`] let through.
fn moment(seconds: i64, name: &'static str) -> Result<Timestamp, NoticeError> {
    Timestamp::from_second(seconds).map_err(|_| NoticeError::Malformed(name))
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
