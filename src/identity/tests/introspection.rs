//! Tokens that only their issuer can read, asked about over real HTTP.

use super::authorizer::{Authorizer, Mood, PATIENCE, Proof, signing_key};
use super::error::Claim;
use super::settings::{ClientAuth, Introspection, JwtSvid, Keys, PrivateKey, When};
use super::*;
use crate::identity::introspect::IntrospectionFault as Fault;
use crate::identity::revocation::{Kind, id};
use crate::state::Revocation;

const TOKEN: &str = "s3cr3t-opaque";

struct World {
    key: Signer,
    issuer: Authorizer,
    verifier: Arc<Verifier>,
    store: Arc<Memory>,
}

async fn world(change: impl FnOnce(&mut Introspection, &Authorizer)) -> World {
    let key = Signer::ec();
    let issuer = Authorizer::start(key.jwk("k1")).await;
    issuer.says(TOKEN, answer(issuer.url()));
    let mut settings = issuer.settings();
    change(settings.introspection.as_mut().unwrap(), &issuer);
    let store = Arc::new(Memory::default());
    let settings = Settings {
        issuers: vec![settings],
        ..Settings::default()
    };
    World {
        verifier: Verifier::start(settings, Arc::clone(&store) as _).await.unwrap(),
        key,
        issuer,
        store,
    }
}

impl World {
    /// What becomes of a token so many seconds after the first moment.
    async fn after(&self, seconds: u64, token: &str) -> Result<Arc<User>, IdentityError> {
        let mut exchange = bearer(token);
        exchange.started += Duration::from_secs(seconds);
        exchange.deadline = exchange.started + PATIENCE;
        let now = now() + Duration::from_secs(seconds);
        let caller = self.verifier.identify(&exchange, &server(&["user"]), now).await?;
        Ok(caller.user.unwrap())
    }

    fn asked(&self) -> usize {
        self.issuer.asked().len()
    }
}

#[tokio::test]
async fn an_opaque_token_is_whose_its_issuer_says_it_is() {
    let world = world(|_, _| {}).await;
    let found = user(&world.verifier, TOKEN).await.unwrap();
    assert_eq!(
        (found.key(), found.username.as_str(), found.client_id.as_deref()),
        (
            format!("{}#alice-id", world.issuer.url()),
            "alice",
            Some("mcp-client")
        )
    );
    assert_eq!(found.roles, ["admin", "mcp-developer"]);
    assert_eq!(found.scopes, ["openid", "public:read"]);
    assert_eq!(world.issuer.asked(), [TOKEN]);
    assert_eq!(
        user(&world.verifier, "unknown").await.err(),
        Some(IdentityError::TokenInactive)
    );
    let numbers = &world.verifier.introspection_numbers()[0];
    assert_eq!(
        (numbers.issuer.as_str(), numbers.active, numbers.refused),
        ("demo", 1, 1)
    );
    assert!(numbers.faults.iter().all(|(_, count)| *count == 0), "{numbers:?}");
}

/// Changes an answer.
type Change = fn(&mut Value);

#[tokio::test]
async fn an_answer_that_no_token_may_have_is_refused_for_its_own_reason() {
    use IdentityError as E;
    let cases: &[(&str, Change, E)] = &[
        ("not active", |a| a["active"] = json!(false), E::TokenInactive),
        (
            "active as a text",
            |a| a["active"] = json!("true"),
            E::Introspection(Fault::AnswerMalformed),
        ),
        (
            "another issuer's",
            |a| a["iss"] = json!("https://x.example"),
            E::Introspection(Fault::AnswerDisagrees),
        ),
        (
            "a refresh token",
            |a| a["token_type"] = json!("refresh_token"),
            E::WrongType,
        ),
        (
            "a refresh token of Hydra",
            |a| a["token_use"] = json!("refresh_token"),
            E::WrongType,
        ),
        (
            "a refresh token of Keycloak",
            |a| a["typ"] = json!("Refresh"),
            E::WrongType,
        ),
        (
            "no exp",
            |a| drop(a.as_object_mut().unwrap().remove("exp")),
            E::NoExpiry,
        ),
        ("expired", |a| a["exp"] = json!(NOW - 30), E::Expired),
        ("not valid yet", |a| a["nbf"] = json!(NOW + 31), E::NotYetValid),
        (
            "issued in the future",
            |a| a["iat"] = json!(NOW + 31),
            E::IssuedInFuture,
        ),
        (
            "living too long",
            |a| a["exp"] = json!(NOW + 90_000),
            E::LivesTooLong,
        ),
        (
            "for another server",
            |a| a["aud"] = json!("https://mcp.example/git"),
            E::WrongAudience,
        ),
        (
            "also for another server",
            |a| a["aud"] = json!([RESOURCE, "https://mcp.example/git"]),
            E::WrongAudience,
        ),
        (
            "for nobody",
            |a| drop(a.as_object_mut().unwrap().remove("aud")),
            E::WrongAudience,
        ),
        (
            "no subject",
            |a| drop(a.as_object_mut().unwrap().remove("sub")),
            E::NoSubject,
        ),
        (
            "scope as a number",
            |a| a["scope"] = json!(7),
            E::ClaimMalformed(Claim::Scopes),
        ),
        (
            "bound to a key",
            |a| {
                a["token_type"] = json!("DPoP");
                a["cnf"] = json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" });
            },
            E::BoundTokenWithoutProof,
        ),
        (
            "bound to what isn't known",
            |a| a["cnf"] = json!({ "kid": "x" }),
            E::Bound(BoundError::ConfirmationUnknown),
        ),
    ];
    let world = world(|_, _| {}).await;
    for (index, (what, change, reason)) in cases.iter().enumerate() {
        let token = format!("token-{index}");
        let mut answer = answer(world.issuer.url());
        change(&mut answer);
        world.issuer.says(&token, answer);
        assert_eq!(user(&world.verifier, &token).await.err(), Some(*reason), "{what}");
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_an_outage_until_it_can() {
    let cases = [
        (Mood::Status(500), Fault::Unavailable),
        (Mood::Status(404), Fault::Unavailable),
        (Mood::Status(204), Fault::Unavailable),
        (Mood::Status(400), Fault::NotAllowed),
        (Mood::Status(401), Fault::NotAllowed),
        (Mood::Status(403), Fault::NotAllowed),
        (Mood::Redirect, Fault::Unavailable),
        (Mood::Endless, Fault::AnswerMalformed),
        (Mood::Silent, Fault::TooLate),
        (
            Mood::Says("text/html", r#"{"active":true}"#),
            Fault::AnswerMalformed,
        ),
        (Mood::Says("application/json", "<html>"), Fault::AnswerMalformed),
        (Mood::Says("application/json", "[true]"), Fault::AnswerMalformed),
        (Mood::Says("application/json", "{}"), Fault::AnswerMalformed),
        (
            Mood::Says("application/json", r#"{"active":false,"active":true}"#),
            Fault::AnswerMalformed,
        ),
        (
            Mood::Says("application/token-introspection+jwt", "a.b.c"),
            Fault::AnswerMalformed,
        ),
        (Mood::OtherIssuer, Fault::Unavailable),
        (Mood::Place(None), Fault::Unavailable),
        (
            Mood::Place(Some("http://id.example/introspect")),
            Fault::Unavailable,
        ),
        (Mood::Place(Some("introspect")), Fault::Unavailable),
    ];
    for (mood, fault) in cases {
        let slow = mood == Mood::Silent;
        let world = world(|asked, _| {
            asked.timeout = if slow {
                Duration::from_millis(200)
            } else {
                PATIENCE
            }
        })
        .await;
        world.issuer.set_mood(mood.clone());
        let refused = world.after(0, TOKEN).await.err();
        assert_eq!(refused, Some(IdentityError::Introspection(fault)), "{mood:?}");
        assert!(refused.unwrap().is_outage());
        assert_eq!(
            world.verifier.introspection_numbers()[0]
                .faults
                .iter()
                .find(|(of, _)| *of == fault)
                .unwrap()
                .1,
            1,
            "{mood:?}"
        );
        if slow {
            continue;
        }
        // Nothing was learnt from it.
        world.issuer.set_mood(Mood::Good);
        assert_eq!(world.after(0, TOKEN).await.err(), None, "{mood:?}");
    }
}

#[tokio::test]
async fn while_the_issuer_is_gone_its_last_word_counts_for_its_time_and_not_longer() {
    let mut world = world(|_, _| {}).await;
    world.after(0, TOKEN).await.unwrap();
    world.issuer.go().await;
    assert_eq!(world.after(29, TOKEN).await.err(), None);
    let gone = Some(IdentityError::Introspection(Fault::Unavailable));
    assert_eq!(world.after(30, TOKEN).await.err(), gone);
    assert_eq!(world.after(31, "another").await.err(), gone);
}

#[tokio::test]
async fn a_token_that_is_no_longer_active_is_refused_after_the_set_time_and_that_is_remembered_briefly() {
    let world = world(|_, _| {}).await;
    world.after(0, TOKEN).await.unwrap();
    world.issuer.says(TOKEN, json!({ "active": false }));
    world.after(29, TOKEN).await.unwrap();
    assert_eq!(world.asked(), 1);
    for seconds in [30, 34] {
        let refused = world.after(seconds, TOKEN).await.err();
        assert_eq!(refused, Some(IdentityError::TokenInactive), "{seconds}");
        assert_eq!(world.asked(), 2);
    }
    assert_eq!(world.verifier.cache_numbers().withdrawn, 1);
    assert_eq!(world.verifier.cache_numbers().tokens, 0);
    let numbers = &world.verifier.introspection_numbers()[0];
    assert_eq!((numbers.refused, numbers.remembered, numbers.refusals), (1, 1, 1));
    world.issuer.says(TOKEN, answer(world.issuer.url()));
    world.after(35, TOKEN).await.unwrap();
    assert_eq!(world.asked(), 3);
}

#[tokio::test]
async fn the_issuers_word_counts_no_longer_than_until_exp() {
    let world = world(|_, _| {}).await;
    let mut brief = answer(world.issuer.url());
    brief["exp"] = json!(NOW + 10);
    world.issuer.says(TOKEN, brief);
    world.after(0, TOKEN).await.unwrap();
    world.after(9, TOKEN).await.unwrap();
    assert_eq!(world.asked(), 1);
    world.issuer.says(TOKEN, json!({ "active": false }));
    // The clocks may differ by 30 s, so the issuer is the one to say.
    assert_eq!(
        world.after(10, TOKEN).await.err(),
        Some(IdentityError::TokenInactive)
    );
}

#[tokio::test]
async fn however_many_bring_a_token_its_issuer_is_asked_once() {
    let world = Arc::new(world(|asked, _| asked.timeout = PATIENCE).await);
    world.issuer.says("held", answer(world.issuer.url()));
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.after(0, "held").await.map(drop) })
        })
        .collect();
    while world.asked() == 0 {
        tokio::task::yield_now().await;
    }
    world.issuer.open(1);
    for asked in asking {
        assert_eq!(asked.await.unwrap(), Ok(()));
    }
    assert_eq!((world.asked(), world.issuer.discoveries()), (1, 1));
}

#[tokio::test]
async fn strangers_who_fill_every_turn_do_not_keep_a_known_token_from_being_asked_about() {
    let world = world(|asked, _| {
        asked.timeout = PATIENCE;
        asked.max_concurrent = 1;
        asked.max_waiting = 1;
    })
    .await;
    let world = Arc::new(world);
    world.after(0, TOKEN).await.unwrap();
    let strangers: Vec<_> = ["held-1", "held-2"]
        .map(|token| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.after(0, token).await.map(drop) })
        })
        .into();
    // One is being asked about; then the other waits for its turn.
    while world.asked() < 2 {
        tokio::task::yield_now().await;
    }
    let overloaded = Some(IdentityError::Introspection(Fault::Overloaded));
    assert_eq!(world.after(0, "held-3").await.err(), overloaded);
    assert_eq!(world.after(30, TOKEN).await.err(), None);
    assert_eq!(
        world
            .issuer
            .asked()
            .iter()
            .filter(|asked| *asked == TOKEN)
            .count(),
        2
    );
    world.issuer.open(2);
    for stranger in strangers {
        assert_eq!(stranger.await.unwrap(), Err(IdentityError::TokenInactive));
    }
}

#[tokio::test]
async fn no_token_is_sent_to_an_issuer_that_cannot_have_made_it() {
    let (one, other) = (
        Authorizer::start(json!({})).await,
        Authorizer::start(json!({})).await,
    );
    let with = |issuer: &Authorizer, name: &str, prefix: &str| {
        let mut settings = issuer.settings();
        name.clone_into(&mut settings.name);
        settings.introspection.as_mut().unwrap().prefix = Some(prefix.to_owned());
        settings
    };
    let verifier = start(vec![with(&one, "one", "one_"), with(&other, "other", "other_")]).await;
    one.says("one_a", answer(one.url()));
    user(&verifier, "one_a").await.unwrap();
    for token in ["other_a", "third_a", "a.b.c", "one"] {
        user(&verifier, token).await.unwrap_err();
    }
    assert_eq!(
        (one.asked(), other.asked()),
        (vec!["one_a".to_owned()], vec!["other_a".to_owned()])
    );
    // A server that doesn't take an issuer's tokens doesn't ask it either.
    let mut only_other = server(&["user"]);
    only_other.issuers = vec!["other".to_owned()];
    for (token, reason) in [
        ("one_a", IdentityError::IssuerNotAccepted),
        ("one_b", IdentityError::MalformedToken(error::Malformed::Parts)),
    ] {
        let refused = verifier.identify(&bearer(token), &only_other, now()).await;
        assert_eq!(refused.err(), Some(reason), "{token}");
    }
    assert_eq!((one.asked().len(), other.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_token_for_another_server_is_not_asked_about_at_every_call() {
    let world = world(|_, _| {}).await;
    let mut elsewhere = answer(world.issuer.url());
    elsewhere["aud"] = json!("https://mcp.example/git");
    world.issuer.says(TOKEN, elsewhere);
    for _ in 0..3 {
        assert_eq!(
            user(&world.verifier, TOKEN).await.err(),
            Some(IdentityError::WrongAudience)
        );
    }
    assert_eq!(world.asked(), 1);
}

fn jwt(world: &World, change: Change) -> String {
    let mut claims = claims(world.issuer.url());
    change(&mut claims);
    world
        .key
        .token(&json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }), &claims)
}

#[tokio::test]
async fn a_jwt_is_sent_to_nobody_unless_its_issuer_is_always_asked() {
    let world = world(|_, _| {}).await;
    user(&world.verifier, &jwt(&world, |_| {})).await.unwrap();
    user(&world.verifier, "eyJhbGciOiJub25lIn0.e30.")
        .await
        .unwrap_err();
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn where_the_issuer_is_always_asked_a_jwt_holds_if_its_signature_and_its_issuer_say_so() {
    let world = world(|asked, _| asked.when = When::Always).await;
    let token = jwt(&world, |_| {});
    assert_eq!(
        user(&world.verifier, &token).await.err(),
        Some(IdentityError::TokenInactive)
    );
    // One that says little, of which the issuer says more.
    let light = jwt(&world, |claims| {
        for name in ["realm_access", "groups", "aud", "preferred_username"] {
            claims.as_object_mut().unwrap().remove(name);
        }
        claims["jti"] = json!("j2");
        claims["scope"] = json!("openid admin");
    });
    let mut said = answer(world.issuer.url());
    said["jti"] = json!("j2");
    world.issuer.says(&light, said.clone());
    let found = user(&world.verifier, &light).await.unwrap();
    assert_eq!(
        (found.username.as_str(), found.scopes.join(" ").as_str()),
        ("alice", "openid public:read")
    );
    assert_eq!(found.roles, ["admin", "mcp-developer"]);
    // Known from now on, and asked about again in time.
    let asked = world.asked();
    user(&world.verifier, &light).await.unwrap();
    assert_eq!(world.asked(), asked);
    world.issuer.says(&light, json!({ "active": false }));
    assert_eq!(
        world.after(30, &light).await.err(),
        Some(IdentityError::TokenInactive)
    );
    // Another token's answer.
    let other = jwt(&world, |claims| claims["jti"] = json!("j3"));
    world.issuer.says(&other, said);
    assert_eq!(
        user(&world.verifier, &other).await.err(),
        Some(IdentityError::Introspection(Fault::AnswerDisagrees))
    );
}

/// A call of which the gateway says whose it is, besides whatever else came with it.
fn vouched_for(mut exchange: Exchange, claims: &Value) -> Exchange {
    exchange.gateway.certificate_names = vec!["spiffe://mcp-identity.local/gateway".to_owned()];
    let payload = json!({ "jwt_payload": claims });
    exchange
        .filter_metadata
        .insert("envoy.filters.http.jwt_authn".to_owned(), payload);
    exchange
}

#[tokio::test]
async fn a_gateways_claims_without_their_token_are_no_way_around_asking() {
    let taken = [
        (When::Opaque, Keys::Discovery, Ok(())),
        (When::Opaque, Keys::Absent, Err(IdentityError::ClaimsUnasked)),
        (When::Always, Keys::Discovery, Err(IdentityError::ClaimsUnasked)),
    ];
    for (when, keys, expected) in taken {
        let key = Signer::ec();
        let issuer = Authorizer::start(key.jwk("k1")).await;
        let mut settings = issuer.settings();
        settings.introspection.as_mut().unwrap().when = when;
        settings.keys = keys;
        let settings = Settings {
            issuers: vec![settings],
            gateways: vec![agentgateway()],
            ..Settings::default()
        };
        let verifier = Verifier::start(settings, Arc::new(Memory::default()))
            .await
            .unwrap();
        // Logged out: whoever is asked says that it is active no more.
        let claims = claims(issuer.url());
        let alone = vouched_for(exchange(&[]), &claims);
        let found = verifier.identify(&alone, &server(&["user"]), now()).await;
        assert_eq!(found.map(drop), expected, "{when:?}");
        assert!(issuer.asked().is_empty());
        // With the token they may come: it is asked about.
        if when == When::Always {
            let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
            let token = key.token(&header, &claims);
            let both = vouched_for(bearer(&token), &claims);
            let found = verifier.identify(&both, &server(&["user"]), now()).await;
            assert_eq!(found.err(), Some(IdentityError::TokenInactive));
            assert_eq!(issuer.asked(), [token]);
        }
    }
}

#[tokio::test]
async fn a_forged_jwt_is_refused_before_anybody_is_asked() {
    let world = world(|asked, _| asked.when = When::Always).await;
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
    let forged = Signer::ec().token(&header, &claims(world.issuer.url()));
    world.issuer.says(&forged, answer(world.issuer.url()));
    assert_eq!(
        user(&world.verifier, &forged).await.err(),
        Some(IdentityError::SignatureInvalid)
    );
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn a_token_asked_about_again_needs_no_second_verification() {
    let world = world(|asked, _| asked.when = When::Always).await;
    let token = jwt(&world, |_| {});
    world.issuer.says(&token, answer(world.issuer.url()));
    world.after(0, &token).await.unwrap();
    world.after(30, &token).await.unwrap();
    assert_eq!(world.asked(), 2);
    assert_eq!(world.verifier.verification_numbers().algorithms[0].valid, 1);
}

#[tokio::test]
async fn an_issuer_without_keys_signs_nothing() {
    let issuer = Authorizer::start(json!({})).await;
    issuer.says(TOKEN, answer(issuer.url()));
    let mut settings = issuer.settings();
    settings.keys = Keys::Absent;
    let verifier = start(vec![settings]).await;
    user(&verifier, TOKEN).await.unwrap();
    let key = Signer::ec();
    let token = key.token(
        &json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }),
        &claims(issuer.url()),
    );
    assert_eq!(
        user(&verifier, &token).await.err(),
        Some(IdentityError::AlgorithmNotAllowed)
    );
    assert_eq!(verifier.key_status(clock::instant()), []);
}

#[tokio::test]
async fn what_was_revoked_holds_no_more_though_its_issuers_word_still_counts() {
    for (kind, value, reason) in [
        (Kind::Token, "j1", IdentityError::TokenRevoked),
        (Kind::Session, "s1", IdentityError::SessionRevoked),
        (Kind::Subject, "alice-id", IdentityError::SubjectRevoked),
        (Kind::Client, "mcp-client", IdentityError::ClientRevoked),
    ] {
        let world = world(|_, _| {}).await;
        user(&world.verifier, TOKEN).await.unwrap();
        let revocation = Revocation {
            id: id(kind, world.issuer.url(), value),
            issued_until: now(),
            keep_until: clock::now() + Duration::from_hours(24),
        };
        let deadline = clock::instant() + PATIENCE;
        world.store.revoke(revocation, deadline).await.unwrap();
        assert_eq!(user(&world.verifier, TOKEN).await.err(), Some(reason));
        assert_eq!(world.asked(), 1);
    }
}

#[tokio::test]
async fn it_asks_with_an_assertion_that_it_signs_for_this_issuer_anew_each_time() {
    for (rsa, audience) in [(false, ""), (true, "https://id.example/token")] {
        let (pem, public) = signing_key(rsa);
        let world = world(|asked, issuer| {
            let file = issuer.file("key.pem");
            std::fs::write(&file, &pem).unwrap();
            asked.auth = ClientAuth::PrivateKeyJwt(PrivateKey {
                file,
                key_id: Some("k9".to_owned()),
                audience: Some(audience.to_owned()).filter(|audience| !audience.is_empty()),
            });
        })
        .await;
        world.issuer.wants(Proof::Key(public, audience));
        user(&world.verifier, TOKEN).await.unwrap();
        // A second assertion: the issuer takes each once.
        assert_eq!(
            user(&world.verifier, "another").await.err(),
            Some(IdentityError::TokenInactive)
        );
        let (other, _) = signing_key(rsa);
        std::fs::write(world.issuer.file("key.pem"), other).unwrap();
        assert_eq!(
            user(&world.verifier, "third").await.err(),
            Some(IdentityError::Introspection(Fault::NotAllowed))
        );
    }
}

#[tokio::test]
async fn it_asks_with_its_svid_as_that_is_at_the_time() {
    let world = world(|asked, issuer| {
        asked.auth = ClientAuth::JwtSvid(JwtSvid::File(issuer.file("svid")));
    })
    .await;
    world.issuer.wants(Proof::Svid("first.svid.x"));
    // Not written yet, which keeps nobody from starting.
    let missing = Some(IdentityError::Introspection(Fault::NoCredential));
    assert_eq!(user(&world.verifier, TOKEN).await.err(), missing);
    std::fs::write(world.issuer.file("svid"), "first.svid.x\n").unwrap();
    user(&world.verifier, TOKEN).await.unwrap();
    world.issuer.wants(Proof::Svid("second.svid.x"));
    assert_eq!(
        user(&world.verifier, "a").await.err(),
        Some(IdentityError::Introspection(Fault::NotAllowed))
    );
    std::fs::write(world.issuer.file("svid"), "second.svid.x\n").unwrap();
    assert_eq!(
        user(&world.verifier, "a").await.err(),
        Some(IdentityError::TokenInactive)
    );
}

/// Makes settings wrong.
type Wrong<'a> = Box<dyn Fn(&mut settings::Issuer, &mut Introspection) + 'a>;

#[tokio::test]
async fn settings_that_could_never_ask_do_not_start() {
    let issuer = Authorizer::start(json!({})).await;
    let file = |name: &str, content: &[u8]| {
        std::fs::write(issuer.file(name), content).unwrap();
        issuer.file(name)
    };
    let key = |file| {
        ClientAuth::PrivateKeyJwt(PrivateKey {
            file,
            key_id: None,
            audience: None,
        })
    };
    let cases: Vec<(&str, Wrong<'_>)> = vec![
        ("no client", Box::new(|_, asked| asked.client_id.clear())),
        (
            "an empty prefix",
            Box::new(|_, asked| asked.prefix = Some(String::new())),
        ),
        ("no time", Box::new(|_, asked| asked.timeout = Duration::ZERO)),
        ("nobody asks", Box::new(|_, asked| asked.max_concurrent = 0)),
        (
            "plain HTTP",
            Box::new(|_, asked| asked.endpoint = Some("http://id.example/i".to_owned())),
        ),
        (
            "no URL",
            Box::new(|_, asked| asked.endpoint = Some("/introspect".to_owned())),
        ),
        (
            "no discovery",
            Box::new(|settings, _| "urn:issuer".clone_into(&mut settings.issuer)),
        ),
        (
            "no secret",
            Box::new(|_, asked| asked.auth = ClientAuth::SecretFile(issuer.file("none"))),
        ),
        (
            "an empty secret",
            Box::new(|_, asked| asked.auth = ClientAuth::SecretFile(file("empty", b"\n"))),
        ),
        (
            "a secret that is no text",
            Box::new(|_, asked| asked.auth = ClientAuth::SecretFile(file("bytes", &[0xff]))),
        ),
        (
            "no key",
            Box::new(|_, asked| asked.auth = key(issuer.file("none"))),
        ),
        (
            "a key that is none",
            Box::new(|_, asked| asked.auth = key(file("nokey", b"secret"))),
        ),
    ];
    for (what, change) in cases {
        let mut settings = issuer.settings();
        let mut asked = settings.introspection.take().unwrap();
        change(&mut settings, &mut asked);
        settings.introspection = Some(asked);
        let settings = Settings {
            issuers: vec![settings],
            ..Settings::default()
        };
        assert!(
            Verifier::start(settings, Arc::new(Memory::default()))
                .await
                .is_err(),
            "{what}"
        );
    }
    let mut keyless = settings::Issuer::new("keyless", "https://id.example");
    keyless.keys = Keys::Absent;
    let settings = Settings {
        issuers: vec![keyless],
        ..Settings::default()
    };
    assert!(
        Verifier::start(settings, Arc::new(Memory::default()))
            .await
            .is_err()
    );
}
