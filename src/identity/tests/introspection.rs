//! Tokens that only their issuer can read, asked about over real HTTP.

mod asking;
mod jwts;
mod outages;

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

/// Makes settings wrong.
type Wrong<'a> = Box<dyn Fn(&mut settings::Issuer, &mut Introspection) + 'a>;
