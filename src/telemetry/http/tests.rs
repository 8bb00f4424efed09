//! Health, readiness and metrics over HTTP, and who may ask.

use axum::body::Body;
use tower::ServiceExt as _;

use super::*;
use crate::telemetry::{
    AuditStatus, BundleStatus, KeyStatus, PolicyStatus, StateStatus, Status, StreamStatus, TokenStatus,
    WorkloadApiStatus, WorkloadTlsStatus,
};

fn good() -> Status {
    Status {
        policies: PolicyStatus {
            version: Some("abc".into()),
            ..PolicyStatus::default()
        },
        bundles: Vec::new(),
        keys: vec![
            KeyStatus {
                issuer: "https://a".into(),
                usable: true,
                ..KeyStatus::default()
            },
            KeyStatus {
                issuer: "https://b".into(),
                usable: true,
                ..KeyStatus::default()
            },
        ],
        tokens: TokenStatus::default(),
        state: StateStatus {
            kind: "redis",
            ..StateStatus::default()
        },
        audit: AuditStatus::default(),
        workload_api: None,
        shadow: None,
        draining: false,
    }
}

async fn ask(status: Status, request: Request) -> (StatusCode, HeaderMap, String) {
    let settings = HttpSettings {
        hosts: vec!["Metrics.example".into()],
        ..HttpSettings::default()
    };
    let probe: Arc<dyn Probe> = Arc::new(move || status.clone());
    let router = router(&settings, Arc::new(Metrics::new(["workbench"])), probe);
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    (
        head.status,
        head.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

fn get_from(path: &str, host: &str) -> Request {
    Request::builder()
        .uri(path)
        .header("host", host)
        .body(Body::empty())
        .unwrap()
}

async fn ready(status: Status) -> (StatusCode, serde_json::Value) {
    let (code, _, body) = ask(status, get_from("/ready", "127.0.0.1:9192")).await;
    (code, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn health_and_metrics_answer() {
    let down = Status::default();
    let (code, headers, body) = ask(down.clone(), get_from("/health", "localhost:9192")).await;
    assert_eq!((code, body.contains("\"alive\":true")), (StatusCode::OK, true));
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let (code, headers, body) = ask(down, get_from("/metrics", "[::1]:9192")).await;
    assert_eq!(
        (code, body.contains("mcp_authz_ready 0\n")),
        (StatusCode::OK, true)
    );
    assert_eq!(
        headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
}

#[tokio::test]
async fn ready_tells_each_part() {
    let (code, report) = ready(good()).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(
        report,
        json!({ "ready": true, "draining": false, "policies": "ok: abc", "shadow": "not used", "audit": "ok",
                "keys": { "https://a": "ok", "https://b": "ok" }, "bundles": {}, "state": "ok: redis",
                "workload_api": "not used" })
    );
}

#[tokio::test]
async fn a_part_that_every_decision_needs_makes_it_unready() {
    let mut no_policies = good();
    no_policies.policies.version = None;
    let mut no_keys = good();
    no_keys.keys.iter_mut().for_each(|key| key.usable = false);
    let mut no_audit = good();
    no_audit.audit.failing = Some("No space left on device".into());
    let stopping = Status {
        draining: true,
        ..good()
    };
    let cases = [
        (no_policies, "/policies", json!("missing")),
        (no_keys, "/keys/https:~1~1a", json!("missing")),
        (no_audit, "/audit", json!("unwritable: No space left on device")),
        (stopping, "/draining", json!(true)),
    ];
    for (status, part, state) in cases {
        let (code, report) = ready(status).await;
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE, "{part}");
        assert_eq!(
            (report.pointer(part), &report["ready"]),
            (Some(&state), &json!(false))
        );
    }
}

#[tokio::test]
async fn a_refused_reload_one_issuers_or_trust_domains_outage_and_lost_state_are_told_and_stay_ready() {
    let mut status = good();
    status.policies.refused = Some("people.cedar:3 is not Cedar".into());
    status.keys[1] = KeyStatus {
        issuer: "https://b".into(),
        problem: Some("timed out".into()),
        ..KeyStatus::default()
    };
    status.bundles.push(BundleStatus {
        trust_domain: "partner.example".into(),
        problem: Some("the answer's status is 404 Not Found".into()),
        ..BundleStatus::default()
    });
    status.state.failing = Some("the shared state can't be reached".into());
    let (code, report) = ready(status).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(
        report["policies"],
        "stale: abc goes on ruling: people.cedar:3 is not Cedar"
    );
    assert_eq!(report["keys"]["https://b"], "missing: timed out");
    assert_eq!(
        report["bundles"]["partner.example"],
        "missing: the answer's status is 404 Not Found"
    );
    assert_eq!(
        report["state"],
        "failing: redis: the shared state can't be reached"
    );
}

#[tokio::test]
async fn a_rebound_name_is_refused() {
    let allowed = [
        "127.0.0.1",
        "10.1.2.3:9192",
        "[::1]:9192",
        "LOCALHOST",
        "metrics.example:9192",
    ];
    for host in allowed {
        let (code, ..) = ask(good(), get_from("/metrics", host)).await;
        assert_eq!(code, StatusCode::OK, "{host}");
    }
    let refused = [
        "evil.example",
        "evil.example:9192",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "x@127.0.0.1",
        "",
    ];
    for host in refused {
        let (code, headers, body) = ask(good(), get_from("/metrics", host)).await;
        assert_eq!(code, StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert!(!body.contains("mcp_authz"));
        assert_eq!(headers["cache-control"], "no-store");
    }
    let without = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
    assert_eq!(ask(good(), without).await.0, StatusCode::MISDIRECTED_REQUEST);
    let absolute = get_from("http://evil.example/metrics", "127.0.0.1");
    assert_eq!(ask(good(), absolute).await.0, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn only_reading_is_possible() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let mut request = get_from("/metrics", "127.0.0.1");
        *request.method_mut() = method.parse().unwrap();
        assert_eq!(
            ask(good(), request).await.0,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method}"
        );
    }
}

#[tokio::test]
async fn serves_over_a_socket_until_told_to_stop() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let probe: Arc<dyn Probe> = Arc::new(good);
    let routes = router(&HttpSettings::default(), Arc::new(Metrics::new([])), probe);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, routes, async move { drop(stopped.await) }));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

fn by_workload_api(svid: bool, valid: bool, authorities: usize, problem: Option<&str>) -> WorkloadApiStatus {
    let until = "2026-07-30T12:00:00Z".parse().unwrap();
    let stream = StreamStatus {
        name: "x509",
        problem: problem.map(str::to_owned),
        ..StreamStatus::default()
    };
    let tls = WorkloadTlsStatus {
        svid: svid.then(|| ("spiffe://own.test/authz".to_owned(), until)),
        valid,
        authorities: vec![
            ("own.test".to_owned(), authorities),
            ("partner.test".to_owned(), 0),
        ],
        ..WorkloadTlsStatus::default()
    };
    WorkloadApiStatus {
        streams: vec![stream],
        tls: Some(tls),
    }
}

#[tokio::test]
async fn is_ready_only_with_an_svid_that_is_valid_and_somebody_to_take_and_says_why_not() {
    let gone = Some("the Workload API can't be reached");
    let cases = [
        (
            by_workload_api(true, true, 1, None),
            true,
            "ok: spiffe://own.test/authz until 2026-07-30T12:00:00Z",
        ),
        (
            by_workload_api(true, true, 1, gone),
            true,
            "stale: spiffe://own.test/authz until 2026-07-30T12:00:00Z: the Workload API can't be reached",
        ),
        (
            by_workload_api(true, false, 1, gone),
            false,
            "expired: spiffe://own.test/authz was valid until 2026-07-30T12:00:00Z: the Workload API can't be reached",
        ),
        (
            by_workload_api(false, false, 1, gone),
            false,
            "missing: no X.509-SVID: the Workload API can't be reached",
        ),
        (
            by_workload_api(true, true, 0, None),
            false,
            "missing: spiffe://own.test/authz knows no authority of any trust domain listed",
        ),
        // The JWT bundles alone: whoever needs them says so at each request.
        (
            WorkloadApiStatus {
                tls: None,
                ..by_workload_api(false, false, 0, gone)
            },
            true,
            "ok: the Workload API can't be reached",
        ),
    ];
    for (workload_api, is_ready, told) in cases {
        let status = Status {
            workload_api: Some(workload_api),
            ..good()
        };
        let (code, report) = ready(status).await;
        assert_eq!(
            (code == StatusCode::OK, &report["workload_api"]),
            (is_ready, &told.into())
        );
    }
}
