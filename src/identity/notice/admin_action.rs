//! What Keycloak sends to a client's admin URL to what it revokes.
//!
//! Not a standard: `{"id", "expiration", "resource", "action", "notBefore", …}`, signed with the realm's key. It names no
//! issuer, so that only a key can tell whose it is, and no time when it was made, but expires after half a minute.

use serde_json::Value;

use super::{Claims, Judge, Notice, NoticeError, Told, moment, seconds, text, whole_seconds};
use crate::identity::jwt::Unverified;
use crate::identity::revocation::{Kind, Order};

/// Claims of everything else that a realm signs.
const OTHER_TOKENS: [&str; 7] = ["iss", "sub", "aud", "azp", "exp", "nonce", "events"];

/// Reads an action whose signature is verified by nobody yet.
pub(super) fn read(notice: Notice, token: &Unverified<'_>, judge: &Judge<'_>) -> Result<Told, NoticeError> {
    let claims = &token.claims;
    let typ = token.header.typ.as_deref();
    if typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT"))
        || OTHER_TOKENS.iter().any(|name| claims.contains_key(*name))
    {
        return Err(NoticeError::WrongType);
    }
    let action = match notice {
        Notice::NotBefore => "PUSH_NOT_BEFORE",
        Notice::Logout | Notice::LogoutToken => "LOGOUT",
    };
    if text(claims, "action")? != Some(action) {
        return Err(NoticeError::WrongAction);
    }
    // The client whose admin URL was called.
    let resource = text(claims, "resource")?.ok_or(NoticeError::Missing("resource"))?;
    if !judge.knows(resource) {
        return Err(NoticeError::WrongAudience);
    }
    let until = seconds(claims, "expiration")?.ok_or(NoticeError::Missing("expiration"))?;
    judge.is_of_now(until)?;
    let id = text(claims, "id")?.ok_or(NoticeError::Missing("id"))?;
    let not_before = seconds(claims, "notBefore")?.unwrap_or_default();
    // A mistake in it must not keep everybody out for longer than any token lives.
    let furthest = judge
        .now
        .saturating_add(judge.skew)
        .saturating_add(whole_seconds(judge.settings.max_lifetime));
    if not_before > furthest {
        return Err(NoticeError::TooFarAhead);
    }
    let (what, last) = match notice {
        Notice::NotBefore => not_before_push(not_before),
        Notice::Logout | Notice::LogoutToken => logout(claims, not_before, until)?,
    };
    let order = Order {
        issuer: judge.settings.name.clone(),
        what,
        issued_until: moment(last, "notBefore")?,
    };
    Ok(judge.told(order, id, until))
}

type Revoked = (Vec<(Kind, String)>, i64);

fn everything() -> Vec<(Kind, String)> {
    vec![(Kind::Issuer, String::new())]
}

/// Tokens issued at that second are good. 0: there is no such time any more; what was revoked stays so.
fn not_before_push(not_before: i64) -> Revoked {
    match not_before.checked_sub(1) {
        Some(last) if last >= 0 => (everything(), last),
        _ => (Vec::new(), 0),
    }
}

/// The sessions that are named; if none is, all of them.
fn logout(claims: &Claims, not_before: i64, until: i64) -> Result<Revoked, NoticeError> {
    let sessions = names(claims, "keycloakSessionIds")?;
    if !sessions.is_empty() {
        let what = sessions.into_iter().map(|sid| (Kind::Session, sid)).collect();
        // The action was made before it expires, and so were all tokens of a session that has ended.
        return Ok((what, until));
    }
    // The names that an adapter has for sessions of its own: nothing that a token says.
    let adapters = claims.get("adapterSessionIds").is_some_and(|ids| match ids {
        Value::Null => false,
        Value::Object(ids) => !ids.is_empty(),
        Value::Array(ids) => !ids.is_empty(),
        _ => true,
    });
    if adapters {
        return Err(NoticeError::Missing("keycloakSessionIds"));
    }
    // Unlike a pushed time, the second of the logout is part of it: all sessions have ended.
    let last = if not_before > 0 { not_before } else { until };
    Ok((everything(), last))
}

fn names(claims: &Claims, name: &'static str) -> Result<Vec<String>, NoticeError> {
    let listed = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    match claims.get(name) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(list)) => list.iter().map(listed).collect(),
        Some(_) => None,
    }
    .ok_or(NoticeError::Malformed(name))
}
