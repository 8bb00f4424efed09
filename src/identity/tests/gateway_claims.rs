//! Claims that a gateway verified: believed only of a gateway trusted for it, and checked like a token's.

use super::*;
use crate::exchange::{Gateway, Peer};

struct World {
    key: Signer,
    issuer: TestIssuer,
    verifier: Arc<Verifier>,
}

async fn world() -> World {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let settings = Settings {
        issuers: vec![issuer.settings()],
        gateways: vec![agentgateway()],
        ..Settings::default()
    };
    World {
        key,
        issuer,
        verifier: Verifier::start(settings, Arc::new(Memory::default()))
            .await
            .unwrap(),
    }
}

fn with_claims(mut exchange: Exchange, gateway: &str, claims: &Value) -> Exchange {
    exchange.gateway = Gateway {
        peer: Peer::Unknown,
        certificate_names: vec![gateway.to_owned()],
    };
    let payload = json!({ "jwt_payload": claims });
    exchange
        .filter_metadata
        .insert("envoy.filters.http.jwt_authn".to_owned(), payload);
    exchange
}

const TRUSTED: &str = "spiffe://mcp-identity.local/gateway";

#[tokio::test]
async fn checks_a_gateways_claims_like_a_tokens() {
    use IdentityError as E;
    let world = world().await;
    let good = claims(world.issuer.url());
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    // A Struct of protobuf has doubles only.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let doubles = changed("exp", json!((NOW + 300) as f64));
    let cases = [
        ("good", TRUSTED, good.clone(), Ok("alice")),
        ("doubles", TRUSTED, doubles, Ok("alice")),
        (
            "another gateway",
            "spiffe://mcp-identity.local/other",
            good.clone(),
            Err(E::NoCredential),
        ),
        ("no object", TRUSTED, json!("alice"), Err(E::NoCredential)),
        (
            "expired",
            TRUSTED,
            changed("exp", json!(NOW - 60)),
            Err(E::Expired),
        ),
        (
            "another audience",
            TRUSTED,
            changed("aud", json!("https://other")),
            Err(E::WrongAudience),
        ),
        (
            "another issuer",
            TRUSTED,
            changed("iss", json!("https://other")),
            Err(E::IssuerUnknown),
        ),
        (
            "an ID token",
            TRUSTED,
            changed("typ", json!("ID")),
            Err(E::WrongType),
        ),
        (
            "bound",
            TRUSTED,
            changed(
                "cnf",
                json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
            ),
            Err(E::BoundTokenWithoutProof),
        ),
    ];
    for (what, gateway, claims, outcome) in cases {
        let exchange = with_claims(exchange(&[]), gateway, &claims);
        let caller = world
            .verifier
            .identify(&exchange, &server(&["user"]), now())
            .await;
        let name = caller.map(|caller| caller.user.unwrap().username.clone());
        assert_eq!(name, outcome.map(str::to_owned), "{what}");
    }
}

#[tokio::test]
async fn a_token_beside_the_claims_must_be_the_same_users() {
    let world = world().await;
    let claims = claims(world.issuer.url());
    let token = world
        .key
        .token(&json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }), &claims);
    let identify = async |gateway: &str, beside: &Value| {
        let exchange = with_claims(bearer(&token), gateway, beside);
        world
            .verifier
            .identify(&exchange, &server(&["user"]), now())
            .await
            .map(|_| ())
    };
    let mut other = claims.clone();
    other["sub"] = json!("bob-id");
    assert_eq!(identify(TRUSTED, &claims).await, Ok(()));
    assert_eq!(
        identify(TRUSTED, &other).await,
        Err(IdentityError::ClaimsDisagree)
    );
    // Another token of the same user's.
    for (name, value) in [
        ("jti", json!("j2")),
        ("jti", Value::Null),
        ("exp", json!(NOW + 299)),
        ("azp", json!("other-client")),
        ("sid", json!("s2")),
    ] {
        let mut another = claims.clone();
        another[name] = value;
        assert_eq!(
            identify(TRUSTED, &another).await,
            Err(IdentityError::ClaimsDisagree),
            "{name}"
        );
    }
    assert_eq!(
        identify("another", &other).await,
        Ok(()),
        "whom nobody trusts says nothing"
    );
}
