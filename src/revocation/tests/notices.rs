//! What issuers tell, and what others tell in their name.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{self, Body};
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::super::receiver::{router, router_for};
use super::world::{RESOURCE, World};
use crate::clock;
use crate::identity::IdentityError;
use crate::identity::revocation::Kind;

const LOGOUT: &str = "/revocation/keycloak/backchannel-logout";
const FORM: &str = "application/x-www-form-urlencoded";
const TEXT: &str = "text/plain; charset=ISO-8859-1";

fn request(method: &str, path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = if content_type.is_empty() {
        request
    } else {
        request.header(header::CONTENT_TYPE, content_type)
    };
    request.body(body.into()).unwrap()
}

fn form(token: &str) -> Request<Body> {
    request("POST", LOGOUT, FORM, format!("logout_token={token}"))
}

async fn ask(router: axum::Router, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let text = body::to_bytes(body, 1 << 16).await.unwrap();
    let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
    (head.status, head.headers, body)
}

impl World {
    async fn told(&self, request: Request<Body>) -> (StatusCode, Value) {
        let (status, headers, body) = ask(router(Arc::clone(&self.desk)), request).await;
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{status} {body}");
        (status, body)
    }

    #[track_caller]
    fn assert_nothing_happened(&self) {
        assert_eq!(self.revoked(Kind::Session, "s1"), None);
        assert_eq!(self.revoked(Kind::Subject, "alice-id"), None);
        assert_eq!(self.revoked(Kind::Issuer, ""), None);
        assert_eq!(self.recorded(), [] as [Value; 0]);
    }
}

#[tokio::test]
async fn a_session_that_the_issuer_ended_is_over_at_the_next_request_also_for_cached_tokens() {
    let world = World::new().await;
    let token = world.access_token(|_| ());
    let elsewhere = world.access_token(|claims| claims["sid"] = json!("s2"));
    for token in [&token, &elsewhere] {
        world.call(token).await.unwrap();
        world.call(token).await.unwrap();
    }
    assert_eq!(world.desk.verifier().cache_numbers().hits, 2);
    let (status, body) = world.told(form(&world.logout_token(|_| ()))).await;
    assert_eq!((status, body), (StatusCode::OK, Value::Null));
    assert_eq!(world.call(&token).await, Err(IdentityError::SessionRevoked));
    world.call(&elsewhere).await.unwrap();

    let recorded = world.recorded();
    let [record] = recorded.as_slice() else {
        panic!("{recorded:?}")
    };
    assert_eq!(record["source"], "logout_token", "{record}");
    assert_eq!(record["issuer"], "keycloak", "{record}");
    assert_eq!(record["revoked"], json!([{ "kind": "session", "value": "s1" }]));
    assert_eq!(record.get("operator"), None);
    world.assert_counted(r#"mcp_authz_revocations_total{kind="session",source="logout_token"} 1"#);
    world.assert_counted(
        r#"mcp_authz_revocation_notices_total{issuer="keycloak",notice="logout_token",outcome="revoked"} 1"#,
    );
}

#[tokio::test]
async fn a_user_logged_out_loses_all_tokens_issued_by_then_and_logs_in_anew() {
    let world = World::new().await;
    let cached = world.access_token(|_| ());
    world.call(&cached).await.unwrap();
    let logout = world.logout_token(|claims| drop(claims.as_object_mut().unwrap().remove("sid")));
    assert_eq!(world.told(form(&logout)).await.0, StatusCode::OK);
    assert_eq!(world.call(&cached).await, Err(IdentityError::SubjectRevoked));
    let anew = world.access_token(|claims| {
        claims["iat"] = json!(clock::now().as_second() + 2);
        claims["jti"] = json!("j2");
    });
    world.call(&anew).await.unwrap();
}

#[tokio::test]
async fn what_keycloak_pushes_to_the_admin_url_voids_what_was_issued_before() {
    for (action, place, source) in [
        ("PUSH_NOT_BEFORE", "k_push_not_before", "push_not_before"),
        ("LOGOUT", "k_logout", "logout"),
    ] {
        let world = World::new().await;
        let token = world.access_token(|_| ());
        world.call(&token).await.unwrap();
        let path = format!("/revocation/keycloak/{place}");
        let pushed = request("POST", &path, TEXT, world.action(action));
        assert_eq!(world.told(pushed).await.0, StatusCode::OK, "{action}");
        assert_eq!(
            world.call(&token).await,
            Err(IdentityError::IssuerNotBefore),
            "{action}"
        );
        assert_eq!(world.recorded()[0]["source"], source);
    }
}

#[tokio::test]
async fn a_notice_that_comes_again_changes_nothing() {
    let world = World::new().await;
    let token = world.logout_token(|_| ());
    for outcome in ["revoked", "repeated", "repeated"] {
        assert_eq!(world.told(form(&token)).await.0, StatusCode::OK, "{outcome}");
    }
    assert_eq!(world.recorded().len(), 1);
    world.assert_counted(
        r#"mcp_authz_revocation_notices_total{issuer="keycloak",notice="logout_token",outcome="repeated"} 2"#,
    );
    world.assert_counted(r#"mcp_authz_revocations_total{kind="session",source="logout_token"} 1"#);
}

#[tokio::test]
async fn whatever_is_no_notice_of_an_issuer_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let good = world.logout_token(|_| ());
    let good_form = format!("logout_token={good}");
    let push = "/revocation/keycloak/k_push_not_before";
    let access = format!("logout_token={}", world.access_token(|_| ()));
    let expired = world.logout_token(|claims| claims["exp"] = json!(clock::now().as_second() - 31));
    let forged = World::new().await.logout_token(|_| ());
    let cases = [
        ("GET", LOGOUT, "", String::new(), 405, ""),
        ("PUT", LOGOUT, FORM, good_form.clone(), 405, ""),
        ("POST", "/revocation/keycloak", FORM, good_form.clone(), 404, ""),
        (
            "POST",
            "/revocation/keycloak/k_version",
            TEXT,
            good.clone(),
            404,
            "",
        ),
        (
            "POST",
            "/revocation/nobody/backchannel-logout",
            FORM,
            good_form.clone(),
            404,
            "unknown_issuer",
        ),
        ("POST", LOGOUT, "", good_form.clone(), 415, "wrong_content_type"),
        (
            "POST",
            LOGOUT,
            "application/json",
            good_form.clone(),
            415,
            "wrong_content_type",
        ),
        ("POST", LOGOUT, TEXT, good.clone(), 415, "wrong_content_type"),
        ("POST", push, FORM, good_form.clone(), 415, "wrong_content_type"),
        ("POST", LOGOUT, FORM, "x".repeat(65 * 1024), 413, "too_large"),
        ("POST", LOGOUT, FORM, String::new(), 400, "malformed_body"),
        (
            "POST",
            LOGOUT,
            FORM,
            format!("{good_form}&{good_form}"),
            400,
            "malformed_body",
        ),
        ("POST", LOGOUT, FORM, access, 400, "wrong_type"),
        (
            "POST",
            LOGOUT,
            FORM,
            format!("logout_token={expired}"),
            400,
            "expired",
        ),
        (
            "POST",
            LOGOUT,
            FORM,
            format!("logout_token={forged}"),
            400,
            "signature_invalid",
        ),
        ("POST", push, TEXT, good.clone(), 400, "wrong_type"),
        ("POST", push, TEXT, world.action("LOGOUT"), 400, "wrong_action"),
        ("POST", push, TEXT, "\u{fffd}".to_owned(), 400, "malformed_token"),
    ];
    for (method, path, content_type, body, status, reason) in cases {
        let (code, told) = world.told(request(method, path, content_type, body)).await;
        assert_eq!(code.as_u16(), status, "{method} {path} {content_type}: {told}");
        assert_eq!(told["reason"].as_str().unwrap_or_default(), reason, "{told}");
        assert!(!told.to_string().contains("eyJ"), "a token is told: {told}");
        world.assert_nothing_happened();
    }
    world.assert_counted(
        r#"mcp_authz_revocation_notices_total{issuer="keycloak",notice="logout_token",outcome="signature_invalid"} 1"#,
    );
    world.assert_counted(
        r#"mcp_authz_revocation_notices_total{issuer="none",notice="logout_token",outcome="unknown_issuer"} 1"#,
    );
    let twice = Request::post(LOGOUT)
        .header(header::CONTENT_TYPE, FORM)
        .header(header::CONTENT_TYPE, FORM)
        .body(Body::from(good_form.clone()));
    let (code, told) = world.told(twice.unwrap()).await;
    assert_eq!((code.as_u16(), &told["error"]), (415, &json!("invalid_request")));
    // It was good all the time.
    assert_eq!(world.told(form(&good)).await.0, StatusCode::OK);
    assert!(world.revoked(Kind::Session, "s1").is_some());
}

#[tokio::test]
async fn what_cannot_be_kept_recorded_or_taken_now_is_told_as_503_and_holds_once_it_comes_again() {
    let world = World::new().await;
    let token = world.logout_token(|_| ());
    let outage = |told: &Value| (told["error"].clone(), told["reason"].clone());
    let unavailable = json!("temporarily_unavailable");

    world.store.full.store(true, Ordering::Relaxed);
    let (code, told) = world.told(form(&token)).await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(outage(&told), (unavailable.clone(), json!("state_unavailable")));
    world.assert_nothing_happened();
    world.store.full.store(false, Ordering::Relaxed);

    let (code, _, told) = ask(router_for(Arc::clone(&world.desk), 0), form(&token)).await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(outage(&told), (unavailable.clone(), json!("overloaded")));
    world.assert_nothing_happened();

    // Whether it came before can't be told: it is revoked and recorded all the same.
    world.store.forgetful.store(true, Ordering::Relaxed);
    let (code, told) = world.told(form(&token)).await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(outage(&told), (unavailable.clone(), json!("state_unavailable")));
    assert!(world.revoked(Kind::Session, "s1").is_some());
    assert_eq!(world.recorded().len(), 1);
    world.store.forgetful.store(false, Ordering::Relaxed);

    assert_eq!(world.told(form(&token)).await.0, StatusCode::OK);

    world
        .journal
        .close(clock::instant() + std::time::Duration::from_secs(10))
        .await
        .unwrap();
    let other = world.logout_token(|claims| claims["sid"] = json!("s2"));
    let (code, told) = world.told(form(&other)).await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(outage(&told), (unavailable, json!("audit_unavailable")));
    // What isn't recorded holds nevertheless.
    assert!(world.revoked(Kind::Session, "s2").is_some());
}

#[tokio::test]
async fn a_pushed_time_of_nothing_takes_nothing_back() {
    let world = World::new().await;
    let now = clock::now().as_second();
    let push = |not_before: i64, id: &str| {
        let claims = json!({ "id": id, "expiration": now + 30, "resource": RESOURCE, "action": "PUSH_NOT_BEFORE",
                             "notBefore": not_before });
        request(
            "POST",
            "/revocation/keycloak/k_push_not_before",
            TEXT,
            world.signed("JWT", &claims),
        )
    };
    for (not_before, id) in [(now, "a1"), (0, "a2"), (now - 100, "a3")] {
        assert_eq!(world.told(push(not_before, id)).await.0, StatusCode::OK);
        assert_eq!(world.revoked(Kind::Issuer, ""), Some(now - 1), "{not_before}");
    }
    world.assert_counted(
        r#"mcp_authz_revocation_notices_total{issuer="keycloak",notice="push_not_before",outcome="nothing"} 1"#,
    );
}
