//! Tokens as Keycloak writes them, good ones and bad ones.

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::issuer::{DevIssuer, DevIssuerError};

/// What a token shall say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mint {
    /// `preferred_username`
    pub user: String,
    /// `sub`; by default a UUID that is the same for the same user.
    pub subject: Option<String>,
    /// `email`
    pub email: Option<String>,
    /// `realm_access.roles`
    pub roles: Vec<String>,
    /// `groups`
    pub groups: Vec<String>,
    /// Each becomes the group `/tenants/<tenant>`.
    pub tenants: Vec<String>,
    /// `scope`
    pub scopes: Vec<String>,
    /// `aud`: a text if it is one, a list if there are more, absent if there is none.
    pub audiences: Vec<String>,
    /// `azp`; by default `mcp-client`.
    pub client: Option<String>,
    /// From now to `exp`, in seconds; negative: expired already.
    pub lifetime_seconds: i64,
    /// What kind of token it passes for.
    pub kind: TokenKind,
    /// `kid`, if not the issuer's own.
    pub kid: Option<String>,
    /// More claims, or others; `null` takes one away.
    pub extra: Map<String, Value>,
}

/// The kinds of token that Keycloak issues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TokenKind {
    /// An access token: header `JWT`, claim `typ: Bearer`
    #[default]
    Access,
    /// An access token as RFC 9068 has it: header `at+jwt`
    Rfc9068,
    /// An ID token
    Id,
    /// A refresh token
    Refresh,
    /// A back-channel logout token
    Logout,
}

impl TokenKind {
    /// The header's and the claim's `typ`.
    fn types(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Access => ("JWT", Some("Bearer")),
            Self::Rfc9068 => ("at+jwt", None),
            Self::Id => ("JWT", Some("ID")),
            Self::Refresh => ("JWT", Some("Refresh")),
            Self::Logout => ("logout+jwt", Some("Logout")),
        }
    }
}

impl DevIssuer {
    /// Issues a token.
    ///
    /// # Errors
    /// [`DevIssuerError::Sign`] if it can't be signed.
    pub fn mint(&self, mint: &Mint, now: Timestamp) -> Result<String, DevIssuerError> {
        let header = json!({
            "alg": "ES256",
            "typ": mint.kind.types().0,
            "kid": mint.kid.as_deref().unwrap_or(self.kid()),
        });
        self.sign(&header, &Value::Object(self.claims(mint, now)))
    }

    /// The claims of a token, as Keycloak writes them.
    #[must_use]
    pub fn claims(&self, mint: &Mint, now: Timestamp) -> Map<String, Value> {
        let now = now.as_second();
        let exp = now.saturating_add(mint.lifetime_seconds);
        // An expired token was issued a while before it expired.
        let iat = if mint.lifetime_seconds < 0 {
            exp.saturating_sub(300)
        } else {
            now
        };
        let derived = |what: &str| stable_uuid(&[self.issuer(), &mint.user, what]);
        let tenants = mint.tenants.iter().map(|tenant| format!("/tenants/{tenant}"));
        let groups: Vec<String> = mint.groups.iter().cloned().chain(tenants).collect();
        let claims = json!({
            "exp": exp,
            "iat": iat,
            "jti": uuid::Uuid::now_v7().to_string(),
            "iss": self.issuer(),
            "aud": audience(&mint.audiences),
            "sub": mint.subject.clone().unwrap_or_else(|| derived("sub")),
            "typ": mint.kind.types().1,
            "azp": mint.client.as_deref().unwrap_or("mcp-client"),
            "sid": derived("sid"),
            "acr": "1",
            "realm_access": { "roles": mint.roles },
            "scope": mint.scopes.join(" "),
            "groups": groups,
            "preferred_username": mint.user,
            "email": mint.email,
            "email_verified": mint.email.is_some().then_some(true),
            "events": (mint.kind == TokenKind::Logout).then(|| {
                json!({ "http://schemas.openid.net/event/backchannel-logout": {} })
            }),
        });
        let mut claims = match claims {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        claims.extend(mint.extra.clone());
        claims.retain(|_, value| !value.is_null());
        claims
    }
}

fn audience(audiences: &[String]) -> Value {
    match audiences {
        [] => Value::Null,
        [one] => json!(one),
        many => json!(many),
    }
}

/// A UUID (RFC 9562 §5.8, version 8) made from texts: the same user always has the same.
fn stable_uuid(parts: &[&str]) -> String {
    let digest = digest::digest(&digest::SHA256, parts.join("\n").as_bytes());
    let mut bytes = [0; 16];
    bytes
        .iter_mut()
        .zip(digest.as_ref())
        .for_each(|(to, from)| *to = *from);
    uuid::Builder::from_bytes(bytes)
        .with_version(uuid::Version::Custom)
        .with_variant(uuid::Variant::RFC4122)
        .into_uuid()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_claims_as_keycloak_does() {
        let directory = tempfile::tempdir().unwrap();
        let issuer = DevIssuer::create(directory.path(), "http://127.0.0.1:8099/realms/demo").unwrap();
        let mint = Mint {
            user: "alice".to_owned(),
            roles: vec!["mcp-developer".to_owned()],
            tenants: vec!["acme".to_owned()],
            scopes: vec!["public:read".to_owned(), "profile".to_owned()],
            audiences: vec!["https://mcp.example/mcp".to_owned()],
            lifetime_seconds: 300,
            extra: [("acr".to_owned(), Value::Null), ("dept".to_owned(), json!("R&D"))]
                .into_iter()
                .collect(),
            ..Mint::default()
        };
        let mut claims = issuer.claims(&mint, Timestamp::from_second(1_000_000_000).unwrap());
        assert!(claims.remove("jti").is_some());
        insta::assert_json_snapshot!(claims);
    }

    #[tokio::test]
    async fn its_tokens_are_taken_by_whoever_discovers_its_keys() {
        use crate::identity::settings::Issuer;
        use crate::identity::{IdentityError, Settings, Verifier};
        use crate::state::Memory;
        use std::sync::Arc;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/realms/demo", listener.local_addr().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let issuer = DevIssuer::create(directory.path(), &url).unwrap();
        let router = issuer.router();
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let settings = Settings {
            issuers: vec![Issuer::new("dev", &url)],
            ..Settings::default()
        };
        let verifier = Verifier::start(settings, Arc::new(Memory::default()))
            .await
            .unwrap();
        let mint = Mint {
            user: "alice".to_owned(),
            lifetime_seconds: 60,
            ..Mint::default()
        };
        let (now, instant) = (crate::clock::now(), crate::clock::instant());
        let good = issuer.mint(&mint, now).unwrap();
        assert_eq!(verifier.verify_signature(&good, instant).await, Ok(()));
        let other = issuer
            .mint(
                &Mint {
                    kid: Some("other".to_owned()),
                    ..mint
                },
                now,
            )
            .unwrap();
        assert_eq!(
            verifier.verify_signature(&other, instant).await,
            Err(IdentityError::KidUnknown)
        );
        server.abort();
    }
}
