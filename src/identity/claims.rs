//! A token's claims to what is believed of them: when it holds, for which server, and who it is.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::bound::{self, Bound};
use super::error::Claim;
use super::revocation::Revocable;
use super::settings::{self, ClaimPath, Tenants, UnlistedClients};
use super::{Actor, IdentityError, User, actor};

/// What an access token says, read but for what depends on the server and the time.
#[derive(Debug)]
pub(super) struct Token {
    /// Who it was issued to.
    pub(super) user: Arc<User>,
    /// When it holds.
    pub(super) times: Times,
    /// `aud`
    pub(super) audiences: Vec<String>,
    /// Whether it was revoked.
    pub(super) revocable: Revocable,
    /// What its presenter must prove.
    pub(super) bound: Bound,
    /// Who acts for the user.
    pub(super) actor: Option<Arc<Actor>>,
}

/// When a token holds, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    auth_time: Option<i64>,
}

type Claims = Map<String, Value>;

/// Claims that only other kinds of token have: an ID token (OIDC Core §3.1.3.6) and a security event such as a
/// logout token (RFC 8417 §2.2).
const OTHER_TOKENS: [&str; 3] = ["at_hash", "c_hash", "events"];

/// Keycloak's claim `typ` of an access token; its ID, refresh, offline and logout tokens say so there.
const ACCESS_TOKEN: &str = "Bearer";

/// The claim `token_use` of an access token: what Cognito writes, and what Ory Hydra answers who asks about one.
const ACCESS: [&str; 2] = ["access", "access_token"];

/// Reads claims that the issuer's key, or a gateway trusted for it, vouches for.
pub(super) fn read(claims: &Claims, settings: &settings::Issuer) -> Result<Token, IdentityError> {
    let bound = bound::read(claims)?;
    let says_otherwise = |name: &str, access: &[&str]| {
        let kind = claims.get(name);
        kind.is_some_and(|kind| access.iter().all(|access| kind != access))
    };
    // Keycloak names a token that is bound to a key by how it is presented.
    let proved = bound.key.is_some() && claims.get("typ").is_some_and(|kind| kind == "DPoP");
    let other_type =
        (says_otherwise("typ", &[ACCESS_TOKEN]) && !proved) || says_otherwise("token_use", &ACCESS);
    if other_type || OTHER_TOKENS.iter().any(|name| claims.contains_key(*name)) {
        return Err(IdentityError::WrongType);
    }
    let times = Times::read(claims)?;
    let user = Arc::new(user(claims, settings, times)?);
    check_client(&user, settings)?;
    Ok(Token {
        times,
        bound,
        audiences: audiences(claims)?,
        revocable: Revocable::new(times.iat),
        actor: actor::read(claims, user.client_id.as_deref(), settings)?,
        user,
    })
}

impl Times {
    pub(super) fn read(claims: &Claims) -> Result<Self, IdentityError> {
        Ok(Self {
            exp: seconds(claims, "exp", Claim::Exp)?.ok_or(IdentityError::NoExpiry)?,
            nbf: seconds(claims, "nbf", Claim::Nbf)?,
            iat: seconds(claims, "iat", Claim::Iat)?,
            auth_time: seconds(claims, "auth_time", Claim::AuthTime)?,
        })
    }

    /// When it holds no more for anybody, in seconds since 1970.
    pub(super) fn useless_from(self, settings: &settings::Issuer) -> i64 {
        self.exp.saturating_add(whole_seconds(settings.clock_skew))
    }

    /// Whether it holds now (RFC 7519 §4.1.4–4.1.6), give or take the skew.
    pub(super) fn check(self, now: Timestamp, settings: &settings::Issuer) -> Result<(), IdentityError> {
        self.check_within(now, settings.clock_skew, settings.max_lifetime)
    }

    /// Whether it holds now, give or take the skew, and doesn't live longer than this.
    pub(super) fn check_within(
        self,
        now: Timestamp,
        skew: Duration,
        max_lifetime: Duration,
    ) -> Result<(), IdentityError> {
        let (now, skew) = (now.as_second(), whole_seconds(skew));
        if now >= self.exp.saturating_add(skew) {
            return Err(IdentityError::Expired);
        }
        let latest_start = now.saturating_add(skew);
        if self.iat.is_some_and(|iat| iat > latest_start) {
            return Err(IdentityError::IssuedInFuture);
        }
        // A login ahead of the clock would stay fresh for longer than it is.
        if self.auth_time.is_some_and(|auth_time| auth_time > latest_start) {
            return Err(IdentityError::AuthenticatedInFuture);
        }
        if self.nbf.is_some_and(|nbf| nbf > latest_start) {
            return Err(IdentityError::NotYetValid);
        }
        let lifetime = self.exp.saturating_sub(self.iat.unwrap_or(now));
        if lifetime > whole_seconds(max_lifetime) {
            return Err(IdentityError::LivesTooLong);
        }
        Ok(())
    }
}

impl Token {
    /// Whether it was issued for this resource (RFC 9068 §4, RFC 8707 §2), compared to the last byte.
    pub(super) fn is_for(&self, resource: &str, settings: &settings::Issuer) -> bool {
        let tolerated = |audience: &String| match settings.audience {
            settings::Audience::Contains => true,
            settings::Audience::Exact => {
                audience == resource || settings.tolerated_audiences.contains(audience)
            }
        };
        self.audiences.iter().any(|audience| audience == resource) && self.audiences.iter().all(tolerated)
    }

    /// Whether these are the claims of this very token, and not of another of the same user's.
    pub(super) fn has(&self, claims: &Claims) -> bool {
        let user = &self.user;
        let says = |name: &str, known: Option<&str>| claims.get(name).and_then(Value::as_str) == known;
        let client = ["azp", "client_id"].into_iter().find_map(|name| claims.get(name));
        says("iss", Some(&user.issuer))
            && says("sub", Some(&user.subject))
            && says("jti", user.token_id.as_deref())
            && says("sid", user.login_session.as_deref())
            && client.and_then(Value::as_str) == user.client_id.as_deref()
            && seconds(claims, "exp", Claim::Exp) == Ok(Some(self.times.exp))
    }

    /// About how much memory it takes besides itself.
    pub(super) fn heap_bytes(&self) -> usize {
        /// What an allocator rounds up, and an `Arc`'s two counts.
        const ALLOCATION: usize = 16;
        let user = &self.user;
        let lists = [
            &user.roles,
            &user.groups,
            &user.tenants,
            &user.scopes,
            &self.audiences,
        ];
        let listed = lists.into_iter().flatten().map(|text| {
            let text = text.capacity().saturating_add(ALLOCATION);
            text.saturating_add(size_of::<String>())
        });
        let optional = [
            &user.email,
            &user.acr,
            &user.client_id,
            &user.token_id,
            &user.login_session,
        ];
        let texts = [&user.issuer, &user.subject, &user.username]
            .into_iter()
            .chain(optional.into_iter().flatten())
            .map(|text| text.capacity().saturating_add(ALLOCATION));
        let own = [size_of::<User>(), ALLOCATION.saturating_mul(2)];
        let own = own.into_iter().fold(0, usize::saturating_add);
        let actor = self.actor.iter().flat_map(|actor| {
            // An agent's key, its issuer and its name: no more than twice the key.
            let names = actor.key().len().saturating_mul(2);
            let earlier = actor.earlier.iter().map(|text| {
                let text = text.capacity().saturating_add(ALLOCATION);
                text.saturating_add(size_of::<String>())
            });
            earlier.chain([size_of::<Actor>(), names, ALLOCATION.saturating_mul(4)])
        });
        listed.chain(texts).chain(actor).fold(own, usize::saturating_add)
    }
}

/// A `NumericDate` (RFC 7519 §2): seconds, fractions allowed. Gateways hand every number on as a double.
fn seconds(claims: &Claims, name: &str, claim: Claim) -> Result<Option<i64>, IdentityError> {
    /// The year 9999.
    const MAX: f64 = 253_402_300_799.0;
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let number = value.as_f64().filter(|number| (0.0..=MAX).contains(number));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "between 0 and 253402300799; a fraction is cut off"
    )]
    number
        .map(|number| Some(number as i64))
        .ok_or(IdentityError::ClaimMalformed(claim))
}

/// `aud`: a text or a list of texts (RFC 7519 §4.1.3).
pub(super) fn audiences(claims: &Claims) -> Result<Vec<String>, IdentityError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().map(text).collect::<Option<_>>(),
        Some(Value::String(one)) => Some(vec![one.clone()]),
        _ => None,
    }
    .ok_or(IdentityError::WrongAudience)
}

/// Whether the client that a token was issued to may have it, with its scopes.
fn check_client(user: &User, settings: &settings::Issuer) -> Result<(), IdentityError> {
    let client = user.client_id.as_ref().and_then(|id| settings.clients.get(id));
    match (client, settings.unlisted_clients) {
        (None, UnlistedClients::Refuse) => Err(IdentityError::ClientNotListed),
        (None, UnlistedClients::Take) => Ok(()),
        (Some(client), _) => match &client.max_scopes {
            Some(most) if user.scopes.iter().any(|scope| !most.contains(scope)) => {
                Err(IdentityError::ScopeExceedsClient)
            }
            _ => Ok(()),
        },
    }
}

fn user(claims: &Claims, settings: &settings::Issuer, times: Times) -> Result<User, IdentityError> {
    let paths = &settings.claims;
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|sub| !sub.is_empty());
    let subject = subject.ok_or(IdentityError::NoSubject)?;
    let expires = Timestamp::from_second(times.exp).map_err(|_| IdentityError::ClaimMalformed(Claim::Exp))?;
    let authenticated = times.auth_time.map(Timestamp::from_second).transpose();
    let authenticated = authenticated.map_err(|_| IdentityError::ClaimMalformed(Claim::AuthTime))?;
    Ok(User {
        issuer: settings.issuer.clone(),
        subject: subject.to_owned(),
        username: username(claims, &paths.username)?.unwrap_or_else(|| subject.to_owned()),
        email: email(claims, &paths.email)?,
        roles: names(claims, &paths.roles, Claim::Roles)?,
        groups: names(claims, &paths.groups, Claim::Groups)?,
        tenants: tenants(claims, &paths.tenants)?,
        scopes: scopes(claims, &paths.scopes)?,
        acr: text(claims, "acr", Claim::Acr)?,
        client_id: text(claims, "azp", Claim::ClientId)?.or(text(claims, "client_id", Claim::ClientId)?),
        token_id: text(claims, "jti", Claim::TokenId)?,
        login_session: text(claims, "sid", Claim::LoginSession)?,
        expires,
        authenticated,
    })
}

fn text(claims: &Claims, name: &str, claim: Claim) -> Result<Option<String>, IdentityError> {
    text_at(claims, &ClaimPath::new([name]), claim)
}

fn text_at(claims: &Claims, path: &ClaimPath, claim: Claim) -> Result<Option<String>, IdentityError> {
    match path.find(claims) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(IdentityError::ClaimMalformed(claim)),
    }
}

fn username(claims: &Claims, paths: &[ClaimPath]) -> Result<Option<String>, IdentityError> {
    for path in paths {
        if let Some(name) = text_at(claims, path, Claim::Username)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// An address that the user only says is theirs must not decide anything (OIDC Core §5.7).
fn email(claims: &Claims, path: &ClaimPath) -> Result<Option<String>, IdentityError> {
    let email = text_at(claims, path, Claim::Email)?;
    let verified = match claims.get("email_verified") {
        None | Some(Value::Bool(true)) => true,
        // Some issuers write it as a text.
        Some(other) => other == "true",
    };
    Ok(email.filter(|_| verified))
}

/// A list of texts, or one text.
fn list<'a>(claims: &'a Claims, path: &ClaimPath, claim: Claim) -> Result<Vec<&'a str>, IdentityError> {
    match path.find(claims) {
        None => Some(Vec::new()),
        Some(Value::String(one)) => Some(vec![one.as_str()]),
        Some(Value::Array(many)) => many.iter().map(Value::as_str).collect(),
        Some(_) => None,
    }
    .ok_or(IdentityError::ClaimMalformed(claim))
}

fn names(claims: &Claims, paths: &[ClaimPath], claim: Claim) -> Result<Vec<String>, IdentityError> {
    let mut names = Vec::new();
    for path in paths {
        names.extend(list(claims, path, claim)?.into_iter().map(str::to_owned));
    }
    Ok(sorted(names))
}

fn scopes(claims: &Claims, paths: &[ClaimPath]) -> Result<Vec<String>, IdentityError> {
    let lists = names(claims, paths, Claim::Scopes)?;
    let each = lists
        .iter()
        .flat_map(|scopes| scopes.split(' '))
        .filter(|scope| !scope.is_empty());
    Ok(sorted(each.map(str::to_owned).collect()))
}

fn tenants(claims: &Claims, sources: &[Tenants]) -> Result<Vec<String>, IdentityError> {
    let mut tenants = Vec::new();
    for source in sources {
        let values = list(claims, &source.claim, Claim::Tenants)?.into_iter();
        let named = values.filter_map(|value| match &source.prefix {
            Some(prefix) => value
                .strip_prefix(prefix.as_str())
                .and_then(|rest| rest.split('/').next()),
            None => Some(value),
        });
        tenants.extend(named.filter(|tenant| !tenant.is_empty()).map(str::to_owned));
    }
    Ok(sorted(tenants))
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup();
    // It is kept as long as the token is.
    names.shrink_to_fit();
    names
}

/// A setting in whole seconds, as claims count.
fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
