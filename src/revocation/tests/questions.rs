//! What operators ask over the socket, and who else asks.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::super::ask::{Answer, AskError, Question, ask};
use super::super::socket::{Peer, Socket, router};
use super::world::World;
use crate::clock;
use crate::identity::IdentityError;
use crate::identity::revocation::Kind;

fn question(kind: Kind, value: &str) -> Question {
    Question {
        issuer: Some("keycloak".to_owned()),
        kind,
        value: value.to_owned(),
        before: None,
    }
}

/// Asks as this user.
async fn asked(world: &World, peer: Option<u32>, body: &Value) -> (StatusCode, String) {
    let request = Request::post("/revoke").header(header::CONTENT_TYPE, "application/json");
    let mut request = request.body(Body::from(body.to_string())).unwrap();
    request.extensions_mut().insert(ConnectInfo(Peer(peer)));
    let response = router(Arc::clone(&world.desk), 1000)
        .oneshot(request)
        .await
        .unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn an_operator_revokes_over_the_socket_and_a_cached_token_is_refused_at_the_next_request() {
    let world = World::new().await;
    let path = world.path("revoke.sock");
    let socket = Socket::bind(&path).await.unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let serving = tokio::spawn(socket.serve(Arc::clone(&world.desk)));
    let cases = [
        (Kind::Token, "j1", IdentityError::TokenRevoked),
        (Kind::Session, "s1", IdentityError::SessionRevoked),
        (Kind::Subject, "alice-id", IdentityError::SubjectRevoked),
        (Kind::Client, "mcp-client", IdentityError::ClientRevoked),
        (Kind::Issuer, "", IdentityError::IssuerNotBefore),
    ];
    for (number, (kind, value, reason)) in cases.into_iter().enumerate() {
        // Of later than what the case before revoked, and another's but for what this one revokes.
        let token = world.access_token(|claims| {
            for (name, of) in [
                ("jti", Kind::Token),
                ("sid", Kind::Session),
                ("sub", Kind::Subject),
                ("azp", Kind::Client),
            ] {
                if of != kind {
                    claims[name] = json!(format!("{name}-{number}"));
                }
            }
        });
        world.call(&token).await.unwrap();
        let answer = ask(&path, &question(kind, value)).await.unwrap();
        assert_eq!((answer.kind, answer.value.as_str()), (kind, value));
        assert_eq!(answer.replicas_within_seconds, 4);
        assert_eq!(world.call(&token).await, Err(reason), "{kind:?}");
    }
    let recorded = world.recorded();
    assert_eq!(recorded.len(), 5);
    let uid = std::os::unix::fs::MetadataExt::uid(&path.metadata().unwrap());
    assert_eq!(
        (&recorded[2]["source"], &recorded[2]["operator"]),
        (&json!("operator"), &json!(uid))
    );
    assert_eq!(
        recorded[2]["revoked"],
        json!([{ "kind": "subject", "value": "alice-id" }])
    );
    world.assert_counted(r#"mcp_authz_revocations_total{kind="client",source="operator"} 1"#);
    serving.abort();
    let _aborted = serving.await;
    let gone = ask(&path, &question(Kind::Issuer, "")).await.unwrap_err();
    assert!(matches!(gone, AskError::Unreachable { .. }), "{gone}");
}

#[tokio::test]
async fn nobody_but_the_services_own_user_and_root_may_revoke() {
    let world = World::new().await;
    let all = json!({ "kind": "issuer" });
    for peer in [Some(1001), Some(65534), None] {
        let (status, told) = asked(&world, peer, &all).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{peer:?} {told}");
        assert_eq!(world.revoked(Kind::Issuer, ""), None);
    }
    for peer in [Some(1000), Some(0)] {
        let (status, told) = asked(&world, peer, &all).await;
        assert_eq!(status, StatusCode::OK, "{peer:?} {told}");
    }
    assert_eq!(world.recorded().len(), 2);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused_and_says_why() {
    let world = World::new().await;
    let now = clock::now();
    let cases = [
        (
            json!({ "kind": "issuer", "issuer": "nobody" }),
            400,
            "there is no issuer `nobody`",
        ),
        (json!({ "kind": "issuer", "value": "x" }), 400, "an id belongs to"),
        (json!({ "kind": "subject" }), 400, "an id belongs to"),
        (
            json!({ "kind": "issuer", "before": now + jiff::SignedDuration::from_hours(48) }),
            400,
            "nobody could log in",
        ),
        (
            json!({ "kind": "issuer", "before": "2020-01-01T00:00:00Z" }),
            400,
            "`max_lifetime` of `keycloak` has passed",
        ),
        (json!({ "kind": "everything" }), 422, ""),
        (json!({ "kind": "issuer", "until": "now" }), 422, ""),
    ];
    for (body, status, told) in cases {
        let (code, answer) = asked(&world, Some(0), &body).await;
        assert_eq!(code.as_u16(), status, "{body}: {answer}");
        assert!(answer.contains(told), "{body}: {answer}");
    }
    assert_eq!(world.recorded(), [] as [Value; 0]);
}

#[tokio::test]
async fn tokens_issued_before_a_time_are_revoked_and_those_of_that_second_are_not() {
    let world = World::new().await;
    let now = Timestamp::from_second(clock::now().as_second()).unwrap();
    let half = now + jiff::SignedDuration::from_millis(500);
    let cases = [(Some(now), now.as_second() - 1), (Some(half), now.as_second())];
    for (before, until) in cases {
        let body = json!({ "kind": "client", "value": "c", "before": before });
        let (_, told) = asked(&world, Some(0), &body).await;
        let answer: Answer = serde_json::from_str(&told).unwrap();
        assert_eq!(answer.issued_until.as_second(), until);
        assert_eq!(world.revoked(Kind::Client, "c"), Some(until));
    }
    // Until now, and as far ahead as the issuer's clock may be.
    let (_, told) = asked(&world, Some(0), &json!({ "kind": "client", "value": "d" })).await;
    let answer: Answer = serde_json::from_str(&told).unwrap();
    assert!(
        answer.issued_until >= now + jiff::SignedDuration::from_secs(30),
        "{told}"
    );
    assert_eq!(
        answer.keep_until.duration_since(answer.issued_until).as_secs(),
        24 * 3600 + 30 + 1
    );
}

#[tokio::test]
async fn an_operator_is_told_what_could_not_be_kept() {
    let world = World::new().await;
    world.store.full.store(true, Ordering::Relaxed);
    let (status, told) = asked(&world, Some(0), &json!({ "kind": "issuer" })).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        told.contains("the shared state is full") && told.contains(r#""retry":true"#),
        "{told}"
    );
    assert_eq!(world.recorded(), [] as [Value; 0]);
}
