//! What the configuration says of issuers, gateways and trust domains.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};

mod workloads;

pub use super::claim_path::ClaimPath;
pub use super::introspect::settings::{ClientAuth, Introspection, JwtSvid, PrivateKey, When};
pub use workloads::{JwtSvids, Spiffe};

/// Whom to believe, and about what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whose access tokens are taken. Default: nobody's.
    pub issuers: Vec<Issuer>,
    /// Which gateways are believed about more than the bytes of a request. Default: none.
    pub gateways: Vec<TrustedGateway>,
    /// Workload identities.
    pub spiffe: Spiffe,
    /// How many verified tokens are remembered, counted in kilobytes of what is kept of them (a usual token is one or two).
    /// Default: 10000; 0: every token is verified every time.
    pub verified_tokens: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            gateways: Vec::new(),
            spiffe: Spiffe::default(),
            verified_tokens: 10_000,
        }
    }
}

/// An OAuth authorization server whose access tokens are taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// A short name for logs, metrics and `servers[].issuers`: 1 to 63 of a-z, 0-9 and `-`.
    pub name: String,
    /// Exactly what its tokens say as `iss`, to the last slash.
    pub issuer: String,
    /// Where its keys come from. Default: `discovery`.
    #[serde(default)]
    pub keys: Keys,
    /// The signature algorithms taken: of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, `EdDSA`; or HS256, alone and
    /// only with `keys: {secret_file: …}`. Default (empty): RS256 and ES256, or HS256 with a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<Algorithm>,
    /// The values of the header's `typ` that an access token may have, in any case.
    /// Default: `JWT`, `at+jwt`, `application/at+jwt`.
    #[serde(default = "default_types")]
    pub types: Vec<String>,
    /// Whether a header without `typ` is taken. Default: false.
    #[serde(default)]
    pub untyped: bool,
    /// Whether `aud` may name others besides the server. Default: `exact`.
    #[serde(default)]
    pub audience: Audience,
    /// Audiences that `exact` tolerates besides the server's own; never another MCP server's.
    /// Default: `account`, which Keycloak adds for its own account pages.
    #[serde(default = "default_tolerated_audiences")]
    pub tolerated_audiences: Vec<String>,
    /// How far its clock may be from ours. Default: `30s`.
    #[serde(default = "default_clock_skew", with = "required")]
    pub clock_skew: Duration,
    /// The longest life of a token, from `iat` to `exp`. Default: `24h`.
    #[serde(default = "default_max_lifetime", with = "required")]
    pub max_lifetime: Duration,
    /// The longest token, in bytes. Default: 16384.
    #[serde(default = "default_max_token_bytes")]
    pub max_token_bytes: usize,
    /// How often its keys are fetched; a key that the issuer withdraws is refused that much later at most. Default: `30s`.
    #[serde(default = "default_refresh", with = "required")]
    pub refresh_interval: Duration,
    /// Unknown `kid`s fetch the keys at most once in this time on average, four times in a row at most. Default: `10s`.
    #[serde(default = "default_unknown_kid_interval", with = "required")]
    pub unknown_kid_interval: Duration,
    /// How long fetching may take. Default: `5s`.
    #[serde(default = "default_fetch_timeout", with = "required")]
    pub fetch_timeout: Duration,
    /// How long keys are used while the issuer can't be reached. Default: `24h`.
    #[serde(default = "default_max_key_age", with = "required")]
    pub max_key_age: Duration,
    /// PEM file of the only certificate authorities believed when its keys are fetched. Default: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Which claims say what about the user. Default: as Keycloak writes them.
    #[serde(default)]
    pub claims: Claims,
    /// What is known of its OAuth clients, by client id (a token's `azp` or `client_id`). Default: nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, Client>,
    /// Whether tokens of clients that `clients` doesn't list are taken. Default: `take`.
    #[serde(default)]
    pub unlisted_clients: UnlistedClients,
    /// Other issuers whose actors its tokens may name as the current one (`act.iss`). Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actor_issuers: Vec<String>,
    /// How it is asked about tokens that nobody else can read. Default: not at all; then only JWTs are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Introspection>,
}

/// What is known of an OAuth client of an issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Client {
    /// Whether it acts for the users of its tokens, rather than being what a person logs in with: then it is the actor of a
    /// token without `act`. Default: false.
    pub actor: bool,
    /// All the scopes that its tokens may have. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_scopes: Option<BTreeSet<String>>,
}

/// What becomes of tokens of clients that aren't listed, and of those that name no client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnlistedClients {
    /// They are taken, with whatever scopes.
    #[default]
    Take,
    /// They are refused.
    Refuse,
}

impl Issuer {
    /// An issuer with the defaults for everything but its names.
    #[must_use]
    pub fn new(name: &str, issuer: &str) -> Self {
        Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            keys: Keys::default(),
            algorithms: Vec::new(),
            types: default_types(),
            untyped: false,
            audience: Audience::default(),
            tolerated_audiences: default_tolerated_audiences(),
            clock_skew: default_clock_skew(),
            max_lifetime: default_max_lifetime(),
            max_token_bytes: default_max_token_bytes(),
            refresh_interval: default_refresh(),
            unknown_kid_interval: default_unknown_kid_interval(),
            fetch_timeout: default_fetch_timeout(),
            max_key_age: default_max_key_age(),
            ca_file: None,
            claims: Claims::default(),
            clients: BTreeMap::new(),
            unlisted_clients: UnlistedClients::default(),
            actor_issuers: Vec::new(),
            introspection: None,
        }
    }

    /// The algorithms that are configured, or the default of the kind of keys.
    #[must_use]
    pub fn effective_algorithms(&self) -> Vec<Algorithm> {
        match (&self.keys, self.algorithms.is_empty()) {
            (_, false) => self.algorithms.clone(),
            (Keys::SecretFile(_), true) => vec![Algorithm::HS256],
            (Keys::Absent, true) => Vec::new(),
            (_, true) => vec![Algorithm::RS256, Algorithm::ES256],
        }
    }

    /// Whether a header's `typ` is one of an access token. RFC 9068 §2.1, RFC 8725 §3.11: it keeps other JWTs of the
    /// issuer from passing for one.
    pub(super) fn takes_type(&self, typ: Option<&str>) -> bool {
        typ.map_or(self.untyped, |typ| {
            self.types.iter().any(|allowed| allowed.eq_ignore_ascii_case(typ))
        })
    }
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Keys {
    /// `<issuer>/.well-known/openid-configuration` says where.
    #[default]
    Discovery,
    /// A JWK set at this URL; https, or http on loopback.
    JwksUrl(String),
    /// A JWK set in this file, read again every `refresh_interval`.
    File(PathBuf),
    /// A secret shared with the issuer, at least 32 bytes; a line end at its end doesn't count. HS256 only.
    SecretFile(PathBuf),
    /// It has none: all its tokens are opaque (`introspection`). Written `none`.
    #[serde(rename = "none")]
    Absent,
}

/// Whether `aud` may name others besides the server that is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The server's resource, and nothing else but `tolerated_audiences`: no other server could have passed the
    /// token on to this one.
    #[default]
    Exact,
    /// The server's resource, whatever else is there.
    Contains,
}

/// Which claims say what about the user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Claims {
    /// Roles: a text or a list of texts at each of these paths, taken together. Default: `realm_access.roles`.
    pub roles: Vec<ClaimPath>,
    /// Groups. Default: `groups`.
    pub groups: Vec<ClaimPath>,
    /// Tenants. Default: the claim `tenants`, and of each group `/tenants/acme[/…]` the tenant `acme`.
    pub tenants: Vec<Tenants>,
    /// OAuth scopes: a list, or a text with spaces between. Default: `scope`, `scp`.
    pub scopes: Vec<ClaimPath>,
    /// A name for people; the first path with a value. Default: `preferred_username`.
    pub username: Vec<ClaimPath>,
    /// The mail address; left out where the claim `email_verified` is false. Default: `email`.
    pub email: ClaimPath,
}

/// A claim that names tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    /// Where: a text or a list of texts.
    pub claim: ClaimPath,
    /// Values that begin with this name a tenant by what follows, up to the next `/`; others are no tenants.
    /// Default: every whole value is a tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

impl Default for Claims {
    fn default() -> Self {
        let path = |names: &[&str]| ClaimPath::new(names.iter().copied());
        Self {
            roles: vec![path(&["realm_access", "roles"])],
            groups: vec![path(&["groups"])],
            tenants: vec![
                Tenants {
                    claim: path(&["tenants"]),
                    prefix: None,
                },
                Tenants {
                    claim: path(&["groups"]),
                    prefix: Some("/tenants/".to_owned()),
                },
            ],
            scopes: vec![path(&["scope"]), path(&["scp"])],
            username: vec![path(&["preferred_username"])],
            email: path(&["email"]),
        }
    }
}

/// A gateway that is believed about more than the bytes of a request. It is recognised by all that is given of
/// `certificate`, `address` and `unix`; at least one must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedGateway {
    /// A short name for logs.
    pub name: String,
    /// A URI or DNS SAN of the client certificate that it shows to our listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The network that it connects from, for instance `10.1.2.0/24` or `127.0.0.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Whether it is whoever may connect to our Unix socket. Default: false.
    #[serde(default)]
    pub unix: bool,
    /// What it is believed about.
    pub trusted_for: Vec<Trust>,
}

/// What a gateway can be believed about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// `source.principal`: it validates client certificates (Envoy without `ACCEPT_UNTRUSTED`).
    Principal,
    /// `x-forwarded-client-cert`: it validates client certificates, removes what clients send and writes its own
    /// (Envoy's `SANITIZE_SET` with `uri: true`).
    Xfcc,
    /// `jwt_payload` of `envoy.filters.http.jwt_authn`: it verifies access tokens and hands on their claims.
    JwtClaims,
}

fn default_types() -> Vec<String> {
    ["JWT", "at+jwt", "application/at+jwt"]
        .map(str::to_owned)
        .to_vec()
}

fn default_tolerated_audiences() -> Vec<String> {
    vec!["account".to_owned()]
}

fn default_clock_skew() -> Duration {
    Duration::from_secs(30)
}

fn default_max_lifetime() -> Duration {
    Duration::from_hours(24)
}

pub(super) fn default_max_token_bytes() -> usize {
    16_384
}

fn default_refresh() -> Duration {
    Duration::from_secs(30)
}

fn default_unknown_kid_interval() -> Duration {
    Duration::from_secs(10)
}

fn default_fetch_timeout() -> Duration {
    Duration::from_secs(5)
}

fn default_max_key_age() -> Duration {
    Duration::from_hours(24)
}

#[cfg(test)]
mod tests;
