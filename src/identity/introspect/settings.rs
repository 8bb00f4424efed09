//! What the configuration says of asking an issuer about a token.

use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use serde::{Deserialize, Serialize};

/// How an issuer is asked whether a token is active, and what it says (RFC 7662).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// Where; https, or http on loopback. Default: what its discovery document says as `introspection_endpoint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The client that mcp-authz is at this issuer; an SVID says it by its own name.
    pub client_id: String,
    /// How it proves that.
    pub auth: ClientAuth,
    /// Which tokens are asked about. Default: `opaque`.
    #[serde(default)]
    pub when: When,
    /// What its opaque tokens begin with; others are never sent to it. Needed where a server takes opaque tokens of
    /// several issuers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How long an answer is remembered, at most; never beyond the token's `exp`. Default: `30s`.
    #[serde(default = "default_cache_for", with = "required")]
    pub cache_for: Duration,
    /// How long it is remembered that a token is not active. Default: `5s`.
    #[serde(default = "default_cache_refusals_for", with = "required")]
    pub cache_refusals_for: Duration,
    /// How long an answer may take. Default: `2s`.
    #[serde(default = "default_timeout", with = "required")]
    pub timeout: Duration,
    /// How many tokens that weren't active before are asked about at once, and how many, besides, that were when last
    /// asked about. Default: 16.
    #[serde(default = "default_max_concurrent")]
    pub max_concurrent: usize,
    /// How many, of either sort, wait for that. Default: 256.
    #[serde(default = "default_max_waiting")]
    pub max_waiting: usize,
}

impl Introspection {
    /// The defaults for everything but who asks.
    #[must_use]
    pub fn new(client_id: &str, auth: ClientAuth) -> Self {
        Self {
            endpoint: None,
            client_id: client_id.to_owned(),
            auth,
            when: When::default(),
            prefix: None,
            cache_for: default_cache_for(),
            cache_refusals_for: default_cache_refusals_for(),
            timeout: default_timeout(),
            max_concurrent: default_max_concurrent(),
            max_waiting: default_max_waiting(),
        }
    }
}

/// How mcp-authz proves to an issuer who it is. What lies in a file is read anew each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientAuth {
    /// A secret in this file, sent by HTTP Basic (RFC 6749 §2.3.1); a line end at its end doesn't count.
    SecretFile(PathBuf),
    /// An assertion that it signs itself (RFC 7523, `private_key_jwt`).
    PrivateKeyJwt(PrivateKey),
    /// A JWT-SVID of its own.
    JwtSvid(JwtSvid),
}

/// A key that signs assertions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateKey {
    /// PEM file: PKCS#8, of P-256 (it signs ES256) or RSA (it signs RS256).
    pub file: PathBuf,
    /// `kid`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// `aud`. Default: the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// Where a JWT-SVID comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum JwtSvid {
    /// A file that something else keeps fresh, for instance spiffe-helper; issued for this issuer alone.
    File(PathBuf),
}

/// Which tokens an issuer is asked about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Those that are no JWTs.
    #[default]
    Opaque,
    /// JWTs too: their signature must verify, and the issuer must say that they are active. What it says of them then
    /// comes before what is in them.
    Always,
}

fn default_cache_for() -> Duration {
    Duration::from_secs(30)
}

fn default_cache_refusals_for() -> Duration {
    Duration::from_secs(5)
}

fn default_timeout() -> Duration {
    Duration::from_secs(2)
}

fn default_max_concurrent() -> usize {
    16
}

fn default_max_waiting() -> usize {
    256
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: &str = r"
endpoint: https://id.example/introspect
client_id: mcp-authz
auth: {private_key_jwt: {file: key.pem, key_id: k1, audience: https://id.example}}
when: always
prefix: ory_at_
cache_for: 1m
cache_refusals_for: 1s
timeout: 500ms
max_concurrent: 4
max_waiting: 8
";

    #[test]
    fn reads_every_setting_and_knows_the_defaults() {
        let read = |yaml: &str| serde_saphyr::from_str::<Introspection>(yaml).unwrap();
        let all = read(EVERYTHING);
        assert_eq!(
            (all.when, all.cache_for, all.max_waiting),
            (When::Always, Duration::from_mins(1), 8)
        );
        assert_eq!(read(&serde_saphyr::to_string(&all).unwrap()), all);
        let least = read("{client_id: mcp-authz, auth: {secret_file: secret}}");
        assert_eq!(
            least,
            Introspection::new("mcp-authz", ClientAuth::SecretFile("secret".into()))
        );
        assert_eq!(
            read("{client_id: a, auth: {jwt_svid: {file: svid}}}").auth,
            ClientAuth::JwtSvid(JwtSvid::File("svid".into()))
        );
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for yaml in [
            "{client_id: a}",
            "{auth: {secret_file: a}}",
            "{client_id: a, auth: {secret: a}}",
            "{client_id: a, auth: {secret_file: a}, when: sometimes}",
            "{client_id: a, auth: {secret_file: a}, stale_for: 1h}",
        ] {
            assert!(serde_saphyr::from_str::<Introspection>(yaml).is_err(), "{yaml}");
        }
    }
}
