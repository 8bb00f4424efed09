//! Notices of an issuer as they get forged, each with its exact reason, and what good ones say.

use super::*;
use crate::identity::notice::{Notice, NoticeError, Told, When};
use crate::identity::revocation::{Kind, Order};
use error::Malformed;
use settings::Client;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

struct World {
    key: Signer,
    issuer: TestIssuer,
    verifier: Arc<Verifier>,
}

async fn world() -> World {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let mut settings = issuer.settings();
    settings
        .clients
        .insert("mcp-client".to_owned(), Client::default());
    let other = settings::Issuer {
        keys: issuer.settings().keys,
        ..settings::Issuer::new("other", "https://other.example")
    };
    World {
        verifier: start(vec![settings, other]).await,
        key,
        issuer,
    }
}

impl World {
    fn name(&self) -> String {
        self.issuer.settings().name
    }

    /// As Keycloak writes it.
    fn logout_token(&self) -> Value {
        json!({
            "exp": NOW + 120, "iat": NOW, "jti": "n1", "iss": self.issuer.url(), "aud": "mcp-client", "sub": "alice-id",
            "typ": "Logout", "sid": "s1", "events": { EVENT: {}, "revoke_offline_access": true },
        })
    }

    fn signed(&self, typ: &str, claims: &Value) -> String {
        self.key
            .token(&json!({ "alg": "ES256", "typ": typ, "kid": "k1" }), claims)
    }

    async fn read(&self, notice: Notice, text: &str) -> Result<Told, NoticeError> {
        self.read_as(&self.name(), notice, text).await
    }

    async fn read_as(&self, issuer: &str, notice: Notice, text: &str) -> Result<Told, NoticeError> {
        let started = clock::instant();
        let when = When {
            now: now(),
            started,
            deadline: started + Duration::from_secs(3),
        };
        let resources = [RESOURCE.to_owned()];
        self.verifier
            .read_notice(notice, issuer, text, &resources, when)
            .await
    }

    fn order(&self, what: &[(Kind, &str)], until: i64) -> Order {
        Order {
            issuer: self.name(),
            what: what
                .iter()
                .map(|(kind, value)| (*kind, (*value).to_owned()))
                .collect(),
            issued_until: Timestamp::from_second(until).unwrap(),
        }
    }
}

/// As Keycloak writes it.
fn action(action: &str) -> Value {
    json!({ "id": "a1", "expiration": NOW + 30, "resource": RESOURCE, "action": action, "notBefore": NOW - 5 })
}

fn with(mut claims: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut claims);
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name).unwrap();
    claims
}

#[tokio::test]
async fn a_logout_token_names_a_session_or_else_a_user() {
    let world = world().await;
    let good = world.logout_token();
    let session = world.order(&[(Kind::Session, "s1")], NOW);
    let user = world.order(&[(Kind::Subject, "alice-id")], NOW);
    let cases = [
        (good.clone(), &session),
        (without(good.clone(), "sub"), &session),
        (without(good.clone(), "sid"), &user),
        (
            with(good.clone(), |claims| {
                claims["aud"] = json!(["mcp-client", RESOURCE]);
            }),
            &session,
        ),
        // Of another issuer than Keycloak.
        (without(good.clone(), "typ"), &session),
    ];
    for (claims, order) in cases {
        let told = world
            .read(Notice::LogoutToken, &world.signed("logout+jwt", &claims))
            .await;
        assert_eq!(&told.unwrap().order, order, "{claims}");
    }
    let told = world
        .read(
            Notice::LogoutToken,
            &world.signed("application/Logout+JWT", &good),
        )
        .await;
    let told = told.unwrap();
    // To the end of its life, and as far as the issuer's clock may be off.
    assert_eq!(told.keep, Duration::from_secs(120 + 30 + 1));
    let other = with(good, |claims| claims["jti"] = json!("n2"));
    let other = world
        .read(Notice::LogoutToken, &world.signed("logout+jwt", &other))
        .await;
    assert_ne!(told.id, other.unwrap().id);
}

#[tokio::test]
async fn a_logout_token_that_does_not_hold_is_refused_for_its_own_reason() {
    use NoticeError as E;
    let world = world().await;
    let good = || world.logout_token();
    let set = |name: &str, value: Value| with(good(), |claims| claims[name] = value);
    let cases = [
        (set("iss", json!("https://other.example")), E::WrongIssuer),
        (without(good(), "iss"), E::WrongIssuer),
        (set("aud", json!("another-client")), E::WrongAudience),
        (
            set("aud", json!(["mcp-client", "another-client"])),
            E::WrongAudience,
        ),
        (set("aud", json!([])), E::WrongAudience),
        (without(good(), "aud"), E::WrongAudience),
        (set("nonce", json!("n")), E::HasNonce),
        (set("nonce", Value::Null), E::HasNonce),
        (without(good(), "events"), E::NoEvent),
        (
            set("events", json!({ "http://schemas.openid.net/event/other": {} })),
            E::NoEvent,
        ),
        (set("events", json!({ EVENT: true })), E::NoEvent),
        (set("events", json!([EVENT])), E::NoEvent),
        (set("exp", json!(NOW - 30)), E::Expired),
        (set("exp", json!(NOW + 3600 + 31)), E::LivesTooLong),
        (without(good(), "exp"), E::Missing("exp")),
        (set("exp", json!("soon")), E::Malformed("exp")),
        (set("iat", json!(NOW + 31)), E::IssuedInFuture),
        (without(good(), "iat"), E::Missing("iat")),
        (without(good(), "jti"), E::Missing("jti")),
        (set("jti", json!("")), E::Malformed("jti")),
        (without(without(good(), "sid"), "sub"), E::Missing("sub")),
        (set("sid", json!(["s1"])), E::Malformed("sid")),
        (set("typ", json!("Bearer")), E::WrongType),
    ];
    for (claims, reason) in cases {
        let refused = world
            .read(Notice::LogoutToken, &world.signed("logout+jwt", &claims))
            .await;
        assert_eq!(refused, Err(reason), "{claims}");
    }
}

#[tokio::test]
async fn no_other_token_of_the_issuer_is_a_logout_token() {
    let world = world().await;
    let access = claims(world.issuer.url());
    let id_token = with(world.logout_token(), |claims| claims["typ"] = json!("ID"));
    let cases = [
        ("JWT", access.clone()),
        ("at+jwt", access.clone()),
        // As if somebody could choose the header.
        ("logout+jwt", access),
        ("JWT", world.logout_token()),
        ("dpop+jwt", world.logout_token()),
        ("logout+jwt", id_token),
    ];
    for (typ, claims) in cases {
        let refused = world.read(Notice::LogoutToken, &world.signed(typ, &claims)).await;
        assert_eq!(refused, Err(NoticeError::WrongType), "{typ} {claims}");
    }
    let untyped = json!({ "alg": "ES256", "kid": "k1" });
    let refused = world
        .read(
            Notice::LogoutToken,
            &world.key.token(&untyped, &world.logout_token()),
        )
        .await;
    assert_eq!(refused, Err(NoticeError::WrongType));
}

#[tokio::test]
async fn a_logout_token_is_no_access_token() {
    let world = world().await;
    let everything = with(claims(world.issuer.url()), |claims| {
        claims["events"] = json!({ EVENT: {} });
    });
    for (typ, claims) in [
        ("logout+jwt", world.logout_token()),
        ("JWT", world.logout_token()),
        ("JWT", everything),
        (
            "JWT",
            with(action("LOGOUT"), |claims| {
                claims["iss"] = json!(world.issuer.url());
            }),
        ),
    ] {
        let refused = user(&world.verifier, &world.signed(typ, &claims)).await;
        let expected = match claims.get("action") {
            // Its audience is nobody's, before anything else is looked at.
            Some(_) => [IdentityError::NoExpiry, IdentityError::NoSubject],
            None => [IdentityError::WrongType; 2],
        };
        assert!(
            expected.contains(refused.as_ref().unwrap_err()),
            "{claims}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn what_the_issuer_did_not_sign_is_refused_whatever_it_says() {
    use IdentityError as I;
    let world = world().await;
    let (stranger, claims) = (Signer::ec(), world.logout_token());
    let header = json!({ "alg": "ES256", "typ": "logout+jwt", "kid": "k1" });
    let good = world.key.token(&header, &claims);
    let other_claims = stranger.token(
        &header,
        &with(claims.clone(), |claims| claims["sid"] = json!("s2")),
    );
    let (_, signature) = good.rsplit_once('.').unwrap();
    let (signed, _) = other_claims.rsplit_once('.').unwrap();
    let none = json!({ "alg": "none", "typ": "logout+jwt" });
    let secret = json!({ "alg": "HS256", "typ": "logout+jwt", "kid": "k1" });
    let own_key = json!({ "alg": "ES256", "typ": "logout+jwt", "jwk": stranger.jwk("k1") });
    let cases = [
        (stranger.token(&header, &claims), I::SignatureInvalid),
        (format!("{signed}.{signature}"), I::SignatureInvalid),
        (
            format!("{}.", good.rsplit_once('.').unwrap().0),
            I::SignatureInvalid,
        ),
        (stranger.token(&none, &claims), I::AlgorithmNotAllowed),
        (
            world.key.public_as_secret().token(&secret, &claims),
            I::AlgorithmNotAllowed,
        ),
        (stranger.token(&own_key, &claims), I::KeyInHeader),
        ("x".repeat(16385), I::TokenTooLarge),
        ("not a token".to_owned(), I::MalformedToken(Malformed::Parts)),
    ];
    for (text, reason) in cases {
        let refused = world.read(Notice::LogoutToken, &text).await;
        assert_eq!(refused, Err(NoticeError::Token(reason)), "{text}");
    }
    let elsewhere = world.read_as("other", Notice::LogoutToken, &good).await;
    assert_eq!(elsewhere, Err(NoticeError::WrongIssuer));
    let nowhere = world.read_as("nobody", Notice::LogoutToken, &good).await;
    assert_eq!(nowhere, Err(NoticeError::UnknownIssuer));
}

#[tokio::test]
async fn keycloaks_actions_revoke_what_was_issued_until_then() {
    let world = world().await;
    let sessions = with(action("LOGOUT"), |claims| {
        claims["keycloakSessionIds"] = json!(["s1", "s2"]);
        claims["adapterSessionIds"] = json!({ "host": ["a1"] });
    });
    let all = [(Kind::Issuer, "")];
    let cases = [
        (
            Notice::NotBefore,
            action("PUSH_NOT_BEFORE"),
            world.order(&all, NOW - 6),
        ),
        // It is taken back: what was revoked stays so.
        (
            Notice::NotBefore,
            with(action("PUSH_NOT_BEFORE"), |claims| claims["notBefore"] = json!(0)),
            world.order(&[], 0),
        ),
        (Notice::Logout, action("LOGOUT"), world.order(&all, NOW - 5)),
        (
            Notice::Logout,
            without(action("LOGOUT"), "notBefore"),
            world.order(&all, NOW + 30),
        ),
        (
            Notice::Logout,
            sessions,
            world.order(&[(Kind::Session, "s1"), (Kind::Session, "s2")], NOW + 30),
        ),
        (
            Notice::Logout,
            with(action("LOGOUT"), |claims| {
                claims["resource"] = json!("mcp-client");
            }),
            world.order(&all, NOW - 5),
        ),
    ];
    for (notice, claims, order) in cases {
        let told = world.read(notice, &world.signed("JWT", &claims)).await;
        assert_eq!(told.unwrap().order, order, "{claims}");
    }
}

#[tokio::test]
async fn an_action_that_does_not_hold_is_refused_for_its_own_reason() {
    use NoticeError as E;
    let world = world().await;
    let set = |name: &str, value: Value| with(action("PUSH_NOT_BEFORE"), |claims| claims[name] = value);
    let day = 24 * 3600;
    let cases = [
        (action("LOGOUT"), E::WrongAction),
        (without(action("LOGOUT"), "action"), E::WrongAction),
        (set("resource", json!("another-client")), E::WrongAudience),
        (
            without(action("PUSH_NOT_BEFORE"), "resource"),
            E::Missing("resource"),
        ),
        (set("expiration", json!(NOW - 30)), E::Expired),
        (set("expiration", json!(NOW + 3600 + 31)), E::LivesTooLong),
        (
            without(action("PUSH_NOT_BEFORE"), "expiration"),
            E::Missing("expiration"),
        ),
        (without(action("PUSH_NOT_BEFORE"), "id"), E::Missing("id")),
        (set("notBefore", json!(NOW + day + 31)), E::TooFarAhead),
        // Milliseconds.
        (set("notBefore", json!(NOW * 1000)), E::Malformed("notBefore")),
        (set("notBefore", json!(-1)), E::Malformed("notBefore")),
        (set("iss", json!(world.issuer.url())), E::WrongType),
        (claims(world.issuer.url()), E::WrongType),
        (world.logout_token(), E::WrongType),
    ];
    for (claims, reason) in cases {
        let refused = world.read(Notice::NotBefore, &world.signed("JWT", &claims)).await;
        assert_eq!(refused, Err(reason), "{claims}");
    }
    let typed = world.signed("logout+jwt", &action("PUSH_NOT_BEFORE"));
    assert_eq!(world.read(Notice::NotBefore, &typed).await, Err(E::WrongType));
    let adapters = with(action("LOGOUT"), |claims| {
        claims["adapterSessionIds"] = json!({ "host": ["a1"] });
    });
    let refused = world.read(Notice::Logout, &world.signed("JWT", &adapters)).await;
    assert_eq!(refused, Err(E::Missing("keycloakSessionIds")));
    let forged = Signer::ec().token(
        &json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }),
        &action("LOGOUT"),
    );
    let refused = world.read(Notice::Logout, &forged).await;
    assert_eq!(refused, Err(E::Token(IdentityError::SignatureInvalid)));
}

#[tokio::test]
async fn a_revocation_is_kept_as_long_as_any_token_may_live_that_it_is_about() {
    let world = world().await;
    let settings = world.verifier.issuer_settings(Some(&world.name())).unwrap();
    let keep = crate::identity::revocation::keep_until(now(), settings);
    let until_useless = settings.max_lifetime + settings.clock_skew;
    assert_eq!(
        keep.as_second(),
        NOW + i64::try_from(until_useless.as_secs()).unwrap() + 1
    );
}
