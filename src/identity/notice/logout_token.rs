//! A logout token (OpenID Connect Back-Channel Logout 1.0 §2.4) to what it revokes.

use serde_json::Value;

use super::{Claims, Judge, NoticeError, Told, moment, seconds, text};
use crate::identity::jwt::Unverified;
use crate::identity::revocation::{Kind, Order};

/// The header's `typ` (§2.4): nothing else that an issuer signs has it.
const TYPES: [&str; 2] = ["logout+jwt", "application/logout+jwt"];

/// The member of `events` that makes it one.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What Keycloak says of it once more, as `typ` among the claims.
const KEYCLOAK: &str = "Logout";

/// Reads a token whose signature is verified by nobody yet, in the order of §2.6.
pub(super) fn read(token: &Unverified<'_>, judge: &Judge<'_>) -> Result<Told, NoticeError> {
    let claims = &token.claims;
    let typ = token.header.typ.as_deref().unwrap_or_default();
    if !TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ))
        || claims.get("typ").is_some_and(|kind| kind != KEYCLOAK)
    {
        return Err(NoticeError::WrongType);
    }
    if text(claims, "iss")? != Some(&judge.settings.issuer) {
        return Err(NoticeError::WrongIssuer);
    }
    audience(claims, judge)?;
    let issued = seconds(claims, "iat")?.ok_or(NoticeError::Missing("iat"))?;
    let until = seconds(claims, "exp")?.ok_or(NoticeError::Missing("exp"))?;
    judge.is_of_now(until)?;
    if issued > judge.now.saturating_add(judge.skew) {
        return Err(NoticeError::IssuedInFuture);
    }
    if !claims
        .get("events")
        .and_then(|events| events.get(EVENT))
        .is_some_and(Value::is_object)
    {
        return Err(NoticeError::NoEvent);
    }
    // §2.4: so that an ID token can't be one.
    if claims.contains_key("nonce") {
        return Err(NoticeError::HasNonce);
    }
    let id = text(claims, "jti")?.ok_or(NoticeError::Missing("jti"))?;
    let order = Order {
        issuer: judge.settings.name.clone(),
        what: vec![whom(claims)?],
        // By the clock that its access tokens' `iat` are from.
        issued_until: moment(issued, "iat")?,
    };
    Ok(judge.told(order, id, until))
}

/// §2.6: a session where one is named, else all that the user has.
fn whom(claims: &Claims) -> Result<(Kind, String), NoticeError> {
    let (sid, sub) = (text(claims, "sid")?, text(claims, "sub")?);
    let session = sid.map(|sid| (Kind::Session, sid.to_owned()));
    session
        .or_else(|| sub.map(|sub| (Kind::Subject, sub.to_owned())))
        .ok_or(NoticeError::Missing("sub"))
}

/// Every audience must be one of ours: a token for another client says nothing of tokens that come here.
fn audience(claims: &Claims, judge: &Judge<'_>) -> Result<(), NoticeError> {
    let named: Vec<&Value> = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let known = |audience: &&Value| audience.as_str().is_some_and(|audience| judge.knows(audience));
    if named.is_empty() || !named.iter().all(known) {
        return Err(NoticeError::WrongAudience);
    }
    Ok(())
}
