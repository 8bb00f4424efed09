//! What is counted, and that no client can add a label.

use super::*;
use crate::telemetry::{
    AuditStatus, BundleStatus, DecisionStatus, IntrospectionStatus, KeyStatus, PolicyStatus, StateStatus,
    TokenStatus, VerifiedStatus,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn decisions() -> DecisionStatus {
    DecisionStatus {
        known: 5,
        bytes: 2000,
        capacity: 8_388_608,
        lookups: vec![("hit", 70), ("miss", 6), ("not_cacheable", 3)],
    }
}

fn tokens() -> TokenStatus {
    TokenStatus {
        known: 12,
        bytes: 20_000,
        capacity: 10_240_000,
        lookups: vec![("known", 90), ("unknown", 30)],
        removed: vec![("expired", 8), ("evicted", 2), ("inactive", 1)],
        turned_away: 4,
        verified: vec![VerifiedStatus {
            algorithm: "ES256",
            valid: 20,
            invalid: 3,
            took: Duration::from_micros(2500),
        }],
        introspections: vec![IntrospectionStatus {
            issuer: "keycloak".to_owned(),
            outcomes: vec![("active", 5), ("introspection_too_late", 6)],
            refusals: 7,
        }],
    }
}

fn status(version: &str) -> Status {
    Status {
        policies: PolicyStatus {
            version: Some(version.into()),
            loaded: Some(at(100)),
            refused: None,
            decisions: decisions(),
        },
        shadow: Some(PolicyStatus {
            version: Some("tried".into()),
            loaded: None,
            refused: Some("it is broken".into()),
            ..PolicyStatus::default()
        }),
        keys: vec![KeyStatus {
            issuer: "https://idp/realms/\"a\"".into(),
            fetched: Some(at(150)),
            usable: true,
            problem: None,
        }],
        bundles: vec![BundleStatus {
            trust_domain: "mcp-identity.local".into(),
            confirmed: Some(at(190)),
            usable: true,
            problem: None,
            failures: 3,
        }],
        audit: AuditStatus {
            failing: None,
            depth: 3,
            capacity: 8192,
            written: 41,
            failures: 2,
        },
        state: StateStatus {
            kind: "memory",
            failing: None,
            full: false,
            revocations_age: Some(Duration::from_millis(1500)),
            used_ids: Some(7),
            revocations: 2,
            bytes: 4096,
            max_used_ids: 1000,
            max_revocations: 100,
        },
        tokens: tokens(),
        workload_api: None,
        draining: false,
    }
}

fn decide(metrics: &Metrics, server: &str, reason: &'static str) {
    metrics.decision(server, "tools/call", "denied", reason, Duration::from_micros(120));
}

#[test]
fn what_policies_would_say_that_do_not_rule_is_counted_by_whose_it_is_and_what_rules() {
    let metrics = Metrics::new(["workbench"]);
    metrics.shadow("workbench", "directory", "allowed", "deny");
    metrics.shadow("workbench", "directory", "allowed", "deny");
    metrics.shadow("elsewhere", "annotation", "denied", "allow");
    let text = metrics.render(&status("a"), at(200));
    for line in [
        r#"mcp_authz_shadow_decisions_total{server="workbench",from="directory",outcome="allowed",would="deny"} 2"#,
        r#"mcp_authz_shadow_decisions_total{server="none",from="annotation",outcome="denied",would="allow"} 1"#,
        "mcp_authz_shadow_policy_usable 1",
        "mcp_authz_shadow_policy_stale 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn decisions_are_counted_by_server_method_outcome_and_reason() {
    let metrics = Metrics::new(["workbench", "info"]);
    decide(&metrics, "workbench", "no_permit");
    decide(&metrics, "workbench", "no_permit");
    decide(&metrics, "info", "expired_token");
    let text = metrics.render(&status("abc"), at(200));
    for line in [
        r#"mcp_authz_decisions_total{server="workbench",method="tools/call",outcome="denied",reason="no_permit"} 2"#,
        r#"mcp_authz_decisions_total{server="info",method="tools/call",outcome="denied",reason="expired_token"} 1"#,
        r#"mcp_authz_decision_duration_seconds_bucket{server="workbench",le="0.0001"} 0"#,
        r#"mcp_authz_decision_duration_seconds_bucket{server="workbench",le="0.00025"} 2"#,
        r#"mcp_authz_decision_duration_seconds_count{server="workbench"} 2"#,
        "# TYPE mcp_authz_decisions_total counter",
        "# TYPE mcp_authz_decision_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
}

#[test]
fn what_the_state_was_asked_is_counted_by_operation_and_outcome_and_one_that_is_full_can_be_asked() {
    let metrics = Metrics::new([]);
    metrics.state_operation("use_once", "first", Duration::from_micros(120));
    metrics.state_operation("use_once", "full", Duration::from_millis(2));
    let mut full = status("abc");
    full.state.full = true;
    full.state.failing = Some("the shared state is full".to_owned());
    let text = metrics.render(&full, at(200));
    for line in [
        r#"mcp_authz_state_operations_total{operation="use_once",outcome="first"} 1"#,
        r#"mcp_authz_state_operations_total{operation="use_once",outcome="full"} 1"#,
        r#"mcp_authz_state_operation_duration_seconds_bucket{operation="use_once",le="0.00025"} 1"#,
        r#"mcp_authz_state_operation_duration_seconds_count{operation="use_once"} 2"#,
        "mcp_authz_state_full 1",
        r#"mcp_authz_state_reachable{store="memory"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
    full.state.full = false;
    let text = metrics.render(&full, at(200));
    assert!(
        text.contains("mcp_authz_state_reachable{store=\"memory\"} 0\n"),
        "{text}"
    );
}

#[test]
fn a_server_that_is_not_configured_makes_no_label() {
    let metrics = Metrics::new(["workbench"]);
    for n in 0..1000 {
        decide(&metrics, &format!("invented-{n}"), "unknown_server");
    }
    let text = metrics.render(&status("abc"), at(200));
    assert!(!text.contains("invented"));
    assert!(
        text.contains(r#"server="none",method="tools/call",outcome="denied",reason="unknown_server"} 1000"#)
    );
}

#[test]
fn what_ages_is_computed_when_asked() {
    let metrics = Metrics::new([]);
    metrics.reload(Reload::Loaded);
    metrics.reload(Reload::Refused);
    let text = metrics.render(&status("abc"), at(200));
    for line in [
        "mcp_authz_policy_age_seconds 100",
        "mcp_authz_policy_stale 0",
        r#"mcp_authz_policy_info{version="abc"} 1"#,
        r#"mcp_authz_key_age_seconds{issuer="https://idp/realms/\"a\""} 50"#,
        r#"mcp_authz_bundle_age_seconds{trust_domain="mcp-identity.local"} 10"#,
        r#"mcp_authz_bundle_usable{trust_domain="mcp-identity.local"} 1"#,
        r#"mcp_authz_bundle_failures_total{trust_domain="mcp-identity.local"} 3"#,
        r#"mcp_authz_policy_reloads_total{outcome="loaded"} 1"#,
        r#"mcp_authz_policy_reloads_total{outcome="refused"} 1"#,
        "mcp_authz_audit_queue_depth 3",
        "mcp_authz_audit_lines_total 41",
        "mcp_authz_audit_write_failures_total 2",
        "mcp_authz_audit_writable 1",
        r#"mcp_authz_state_reachable{store="memory"} 1"#,
        "mcp_authz_state_full 0",
        "mcp_authz_state_revocations_age_seconds 1.5",
        r#"mcp_authz_state_entries{kind="used_ids"} 7"#,
        r#"mcp_authz_state_capacity{kind="used_ids"} 1000"#,
        r#"mcp_authz_state_entries{kind="revocations"} 2"#,
        "mcp_authz_state_bytes 4096",
        "mcp_authz_ready 1",
        concat!(
            "mcp_authz_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        ),
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
    assert!(
        metrics
            .render(&status("abc"), at(260))
            .contains("mcp_authz_policy_age_seconds 160\n")
    );
    // A clock that was set back makes no negative age.
    assert!(
        metrics
            .render(&status("abc"), at(10))
            .contains("mcp_authz_policy_age_seconds 0\n")
    );
}

#[test]
fn a_thousand_reloads_leave_one_version() {
    let metrics = Metrics::new([]);
    for n in 0..1000 {
        assert!(
            metrics
                .render(&status(&format!("v{n}")), at(200))
                .contains(&format!("\"v{n}\""))
        );
    }
    let text = metrics.render(&status("last\"} 1\nforged 1"), at(200));
    assert_eq!(text.matches("\nmcp_authz_policy_info{").count(), 1);
    assert!(text.contains("mcp_authz_policy_info{version=\"last}1forged1\"} 1\n"));
    assert!(!text.contains("\nforged"));
}

#[test]
fn a_request_is_in_flight_until_dropped() {
    let metrics = Metrics::new([]);
    let first = metrics.in_flight();
    let second = metrics.in_flight();
    drop(first);
    assert!(
        metrics
            .render(&status("abc"), at(200))
            .contains("mcp_authz_requests_in_flight 1\n")
    );
    drop(second);
    assert!(
        metrics
            .render(&status("abc"), at(200))
            .contains("mcp_authz_requests_in_flight 0\n")
    );
}

#[test]
fn no_decision_is_lost_when_many_threads_count() {
    let metrics = Metrics::new(["workbench"]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..5000).for_each(|_| decide(&metrics, "workbench", "no_permit")));
        }
    });
    let text = metrics.render(&status("abc"), at(200));
    assert!(text.contains(r#"reason="no_permit"} 40000"#), "{text}");
    assert!(
        text.contains("mcp_authz_decision_duration_seconds_count{server=\"workbench\"} 40000"),
        "{text}"
    );
}

#[test]
fn the_svid_the_bundles_and_refused_handshakes_are_told() {
    use crate::telemetry::{StreamStatus, WorkloadApiStatus, WorkloadTlsStatus};
    let stream = StreamStatus {
        name: "x509",
        open: true,
        lost: 3,
        discarded: 2,
        problem: None,
    };
    let tls = WorkloadTlsStatus {
        svid: Some(("spiffe://own.test/authz".to_owned(), at(1300))),
        valid: true,
        authorities: vec![("own.test".to_owned(), 2), ("partner.test".to_owned(), 0)],
        refused: vec![("no_svid", 0), ("untrusted", 5)],
    };
    let mut status = Status {
        workload_api: Some(WorkloadApiStatus {
            streams: vec![stream],
            tls: Some(tls),
        }),
        ..status("v1")
    };
    let metrics = Metrics::new([]);
    let text = metrics.render(&status, at(1000));
    for line in [
        "mcp_authz_svid_expiry_seconds 300",
        "mcp_authz_bundle_authorities{trust_domain=\"own.test\"} 2",
        "mcp_authz_bundle_authorities{trust_domain=\"partner.test\"} 0",
        "mcp_authz_workload_api_open{stream=\"x509\"} 1",
        "mcp_authz_workload_api_lost_total{stream=\"x509\"} 3",
        "mcp_authz_workload_api_discarded_total{stream=\"x509\"} 2",
        "mcp_authz_tls_handshakes_refused_total{reason=\"untrusted\"} 5",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} in {text}");
    }
    let tls = status.workload_api.as_mut().and_then(|told| told.tls.as_mut());
    tls.unwrap().svid = None;
    let text = metrics.render(&status, at(1000));
    assert!(
        text.lines().any(|told| told == "mcp_authz_svid_expiry_seconds 0"),
        "{text}"
    );
}

#[test]
fn what_is_known_of_tokens_and_what_it_took_is_told() {
    let metrics = Metrics::new([]);
    let text = metrics.render(&status("v1"), at(200));
    for line in [
        "mcp_authz_known_decisions 5",
        "mcp_authz_known_decisions_bytes 2000",
        "mcp_authz_known_decisions_capacity_bytes 8388608",
        r#"mcp_authz_known_decisions_lookups_total{outcome="hit"} 70"#,
        r#"mcp_authz_known_decisions_lookups_total{outcome="miss"} 6"#,
        r#"mcp_authz_known_decisions_lookups_total{outcome="not_cacheable"} 3"#,
        "mcp_authz_known_tokens 12",
        "mcp_authz_known_tokens_bytes 20000",
        "mcp_authz_known_tokens_capacity_bytes 10240000",
        r#"mcp_authz_known_tokens_lookups_total{outcome="known"} 90"#,
        r#"mcp_authz_known_tokens_lookups_total{outcome="unknown"} 30"#,
        r#"mcp_authz_known_tokens_removed_total{why="evicted"} 2"#,
        r#"mcp_authz_token_verifications_total{algorithm="ES256",outcome="valid"} 20"#,
        r#"mcp_authz_token_verifications_total{algorithm="ES256",outcome="invalid"} 3"#,
        r#"mcp_authz_token_verification_seconds_total{algorithm="ES256"} 0.0025"#,
        "# TYPE mcp_authz_token_verification_seconds_total counter",
        "mcp_authz_token_verifications_refused_total 4",
        r#"mcp_authz_introspections_total{issuer="keycloak",outcome="active"} 5"#,
        r#"mcp_authz_introspections_total{issuer="keycloak",outcome="introspection_too_late"} 6"#,
        r#"mcp_authz_introspection_refusals{issuer="keycloak"} 7"#,
    ] {
        assert!(text.lines().any(|told| told == line), "no `{line}` in\n{text}");
    }
}
