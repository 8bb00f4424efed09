//! What was revoked holds no more, at the very next call.

use super::*;
use crate::identity::revocation::{Kind, id};
use crate::state::{Answer, Id, Revocation, Secret, StateError, Status, Store, Used};

struct World {
    key: Signer,
    issuer: TestIssuer,
    store: Arc<Memory>,
    verifier: Arc<Verifier>,
}

async fn world() -> World {
    let key = Signer::ec();
    let issuer = TestIssuer::start(vec![key.jwk("k1")]).await;
    let store = Arc::new(Memory::default());
    World {
        verifier: World::verifier(&issuer, Arc::clone(&store) as _).await,
        key,
        issuer,
        store,
    }
}

impl World {
    async fn verifier(issuer: &TestIssuer, store: Arc<dyn Store>) -> Arc<Verifier> {
        let settings = Settings {
            issuers: vec![issuer.settings()],
            gateways: vec![agentgateway()],
            ..Settings::default()
        };
        Verifier::start(settings, store).await.unwrap()
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims(self.issuer.url());
        change(&mut claims);
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
        self.key.token(&header, &claims)
    }

    async fn revoke(&self, kind: Kind, value: &str, until: i64) {
        let revocation = Revocation {
            id: id(kind, self.issuer.url(), value),
            issued_until: Timestamp::from_second(until).unwrap(),
            keep_until: clock::now() + Duration::from_hours(24),
        };
        self.store
            .revoke(revocation, clock::instant() + Duration::from_secs(3))
            .await
            .unwrap();
    }
}

const KINDS: [(Kind, &str, IdentityError); 5] = [
    (Kind::Token, "j1", IdentityError::TokenRevoked),
    (Kind::Session, "s1", IdentityError::SessionRevoked),
    (Kind::Subject, "alice-id", IdentityError::SubjectRevoked),
    (Kind::Client, "mcp-client", IdentityError::ClientRevoked),
    (Kind::Issuer, "", IdentityError::IssuerNotBefore),
];

#[tokio::test]
async fn whatever_a_token_is_revoked_by_the_next_call_is_refused_and_a_later_login_passes() {
    for (kind, value, reason) in KINDS {
        let world = world().await;
        let other = World::verifier(&world.issuer, Arc::clone(&world.store) as _).await;
        let token = world.token(|_| ());
        // Both have it in their caches.
        for verifier in [&world.verifier, &other] {
            user(verifier, &token).await.unwrap();
        }
        world.revoke(kind, value, NOW).await;
        for verifier in [&world.verifier, &other] {
            assert_eq!(user(verifier, &token).await.err(), Some(reason), "{kind:?}");
            assert_eq!(
                user(verifier, &token).await.err(),
                Some(reason),
                "{kind:?}, again"
            );
        }
        let later = world.token(|claims| {
            claims["iat"] = json!(NOW + 1);
            claims["jti"] = json!("j2");
        });
        user(&world.verifier, &later).await.unwrap();
    }
}

#[tokio::test]
async fn a_revocation_is_no_other_users_sessions_clients_or_issuers() {
    let world = world().await;
    let token = world.token(|_| ());
    for (kind, value) in [
        (Kind::Token, "s1"),
        (Kind::Session, "j1"),
        (Kind::Subject, "bob-id"),
        (Kind::Client, "alice-id"),
    ] {
        world.revoke(kind, value, NOW + 10).await;
    }
    let elsewhere = Revocation {
        id: id(Kind::Issuer, "https://other.example", ""),
        issued_until: now(),
        keep_until: clock::now() + Duration::from_hours(1),
    };
    world.store.revoke(elsewhere, clock::instant()).await.unwrap();
    user(&world.verifier, &token).await.unwrap();
}

#[tokio::test]
async fn a_token_that_does_not_say_when_it_was_issued_counts_as_issued_before_everything() {
    let world = world().await;
    let token = world.token(|claims| drop(claims.as_object_mut().unwrap().remove("iat")));
    user(&world.verifier, &token).await.unwrap();
    world.revoke(Kind::Subject, "alice-id", 0).await;
    let refused = user(&world.verifier, &token).await.err();
    assert_eq!(refused, Some(IdentityError::SubjectRevoked));
}

#[tokio::test]
async fn what_a_gateway_vouches_for_is_revoked_too() {
    let world = world().await;
    let vouched = || {
        let mut exchange = exchange(&[]);
        exchange.gateway.certificate_names = vec!["spiffe://mcp-identity.local/gateway".to_owned()];
        let payload = json!({ "jwt_payload": claims(world.issuer.url()) });
        exchange
            .filter_metadata
            .insert("envoy.filters.http.jwt_authn".to_owned(), payload);
        exchange
    };
    let server = server(&["user"]);
    world.verifier.identify(&vouched(), &server, now()).await.unwrap();
    world.revoke(Kind::Session, "s1", NOW).await;
    let refused = world.verifier.identify(&vouched(), &server, now()).await;
    assert_eq!(refused.err(), Some(IdentityError::SessionRevoked));
}

/// A store that can't tell what was revoked.
#[derive(Debug)]
struct Asleep(StateError);

impl Store for Asleep {
    fn use_once(&self, _: Id, _: Duration, _: std::time::Instant) -> Answer<'_, Used> {
        Box::pin(async { Err(self.0) })
    }
    fn secret(&self, _: &'static str, _: std::time::Instant) -> Answer<'_, Secret> {
        Box::pin(async { Err(self.0) })
    }
    fn revoke(&self, _: Revocation, _: std::time::Instant) -> Answer<'_, ()> {
        Box::pin(async { Err(self.0) })
    }
    fn caught_up(&self, _: std::time::Instant, _: std::time::Instant) -> Option<Answer<'_, ()>> {
        Some(Box::pin(async { Err(self.0) }))
    }
    fn revoked(&self, _: &Id) -> Option<Timestamp> {
        None
    }
    fn revocations_version(&self) -> u64 {
        0
    }
    fn propagation(&self) -> Duration {
        Duration::ZERO
    }
    fn status(&self) -> Status {
        Memory::default().status()
    }
}

#[tokio::test]
async fn while_nobody_can_tell_what_was_revoked_no_token_is_taken() {
    let world = world().await;
    let token = world.token(|_| ());
    for why in [StateError::Unreachable, StateError::TooLate] {
        let verifier = World::verifier(&world.issuer, Arc::new(Asleep(why))).await;
        let refused = user(&verifier, &token).await.unwrap_err();
        assert_eq!(refused, IdentityError::RevocationsUnknown(why));
        assert!(refused.is_outage());
    }
}
