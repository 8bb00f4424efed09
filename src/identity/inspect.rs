//! Everything that is wrong with a token but its signature: for people who ask why they are refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::jwt::Unverified;
use super::{IdentityError, claims, settings, strict};

/// What a token says, and for what it would be refused. Its signature is neither checked nor in here.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Its header, as far as it can be read.
    pub header: Option<Map<String, Value>>,
    /// Its claims, as far as they can be read.
    pub claims: Option<Map<String, Value>>,
    /// Why it would be refused: all reasons that can be told without the issuer's keys.
    pub refusals: Vec<IdentityError>,
}

/// Reads a token as an issuer's with these settings, for this resource where one is named.
#[must_use]
pub fn inspect(
    token: &str,
    settings: &settings::Issuer,
    resource: Option<&str>,
    now: Timestamp,
) -> Inspection {
    let mut parts = token
        .split('.')
        .map(|part| strict::object(&URL_SAFE_NO_PAD.decode(part).ok()?));
    let (header, claims) = (parts.next().flatten(), parts.next().flatten());
    let mut refusals = Vec::new();
    if token.len() > settings.max_token_bytes {
        refusals.push(IdentityError::TokenTooLarge);
    }
    match Unverified::parse(token) {
        Ok(token) => refusals.extend(refusals_of(&token, settings, resource, now)),
        Err(reason) => refusals.push(reason),
    }
    Inspection {
        header,
        claims,
        refusals,
    }
}

fn refusals_of(
    token: &Unverified<'_>,
    settings: &settings::Issuer,
    resource: Option<&str>,
    now: Timestamp,
) -> Vec<IdentityError> {
    let mut refusals = Vec::new();
    if token.claims.get("iss").is_none_or(|iss| *iss != settings.issuer) {
        refusals.push(IdentityError::IssuerUnknown);
    }
    let algorithms = settings.effective_algorithms();
    if token
        .header
        .algorithm
        .is_none_or(|algorithm| !algorithms.contains(&algorithm))
    {
        refusals.push(IdentityError::AlgorithmNotAllowed);
    }
    if !settings.takes_type(token.header.typ.as_deref()) {
        refusals.push(IdentityError::WrongType);
    }
    match claims::read(&token.claims, settings) {
        Ok(read) => {
            refusals.extend(read.times.check(now, settings).err());
            let elsewhere = resource.filter(|resource| !read.is_for(resource, settings));
            refusals.extend(elsewhere.map(|_| IdentityError::WrongAudience));
        }
        Err(reason) => refusals.push(reason),
    }
    refusals.dedup();
    refusals
}
