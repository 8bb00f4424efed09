//! A log line is one line, and holds no secret.

use std::sync::{Arc, Mutex};

use super::*;
use crate::telemetry::trace::{TraceContext, conclude, decision_span, decision_span_if_seen, in_span};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged while `events` runs.
fn logged(format: LogFormat, filter: &str, terminal: bool, events: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = {
        let captured = captured.clone();
        move || captured.clone()
    };
    let subscriber = subscriber(format, filter, terminal, writer).unwrap();
    tracing::subscriber::with_default(subscriber, events);
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

const HOSTILE: &str = "a\n2026-01-01T00:00:00Z  INFO forged\r\u{1b}[2J\u{9b}31m\u{202e}\u{2028}x";

#[test]
fn an_event_is_one_line_whatever_text_it_brings() {
    for format in [LogFormat::Json, LogFormat::Text] {
        for terminal in [false, true] {
            let text = logged(format, "info", terminal, || {
                tracing::info!(name = HOSTILE, shown = %HOSTILE, "said {HOSTILE}");
            });
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            let body = text.strip_suffix('\n').unwrap();
            let own_colours = terminal && format == LogFormat::Text;
            assert!(
                !body
                    .chars()
                    .any(|c| printable::disturbs(c) && !(own_colours && c == '\u{1b}')),
                "{body:?}"
            );
            assert!(!body.contains("\u{1b}[2J"), "{body:?}");
            assert_eq!(body.contains('\u{1b}'), own_colours, "{body:?}");
        }
    }
}

#[test]
fn json_lines_are_json() {
    let text = logged(LogFormat::Json, "info", true, || {
        tracing::warn!(name = HOSTILE, "said");
    });
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&read["level"], &read["message"]),
        (&"WARN".into(), &"said".into())
    );
    assert_eq!(read["name"], HOSTILE);
}

#[test]
fn a_decision_is_one_span_with_ids_and_outcome() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let text = logged(LogFormat::Json, "mcp_authz=debug", false, || {
        let headers = [("traceparent", parent), ("authorization", "Bearer planted-token")];
        let trace = TraceContext::extract(&headers.into_iter().collect());
        let span = decision_span("0195", trace.as_ref());
        conclude(&span, "workbench", "tools/call", "denied", "no_permit");
    });
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({
        "name": "decision", "decision_id": "0195", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "server": "workbench", "method": "tools/call", "outcome": "denied", "reason": "no_permit",
    });
    assert_eq!(read["span"], expected);
    assert!(!text.contains("planted"));
}

#[test]
fn what_is_said_of_a_decision_that_waits_says_of_which_also_where_decisions_are_not_logged() {
    let decided = |filter: &str, waits: bool| {
        logged(LogFormat::Text, filter, false, || {
            let mut work = std::pin::pin!(async move {
                if waits {
                    tokio::task::yield_now().await;
                }
                tracing::warn!(target: "mcp_authz::x", "somebody doesn't answer");
            });
            let span = decision_span_if_seen("0195", None);
            let work = in_span(work.as_mut(), span, || decision_span("0195", None));
            futures_util::FutureExt::now_or_never(async {
                let mut work = std::pin::pin!(work);
                if waits {
                    assert!(futures_util::poll!(work.as_mut()).is_pending());
                }
                work.await;
            })
            .unwrap();
        })
    };
    let span = "decision{decision_id=\"0195\"}: mcp_authz::x: somebody doesn't answer\n";
    for (filter, waits, told) in [
        ("info", true, true),
        ("debug", true, true),
        ("debug", false, true),
        ("info", false, false),
    ] {
        let text = decided(filter, waits);
        assert_eq!(text.contains(span), told, "{filter} {waits} {text}");
        assert!(text.contains("somebody doesn't answer"));
    }
}

#[test]
fn a_decision_reads_well_as_text_too() {
    let text = logged(LogFormat::Text, "mcp_authz=debug", false, || {
        conclude(
            &decision_span("0195", None),
            "workbench",
            "tools/call",
            "denied",
            "no_permit",
        );
    });
    let span = "decision{decision_id=\"0195\" server=\"workbench\" method=\"tools/call\" outcome=\"denied\" \
                reason=\"no_permit\"}: mcp_authz::telemetry::trace: decided\n";
    assert!(text.ends_with(span), "{text}");
}

#[test]
fn libraries_that_log_headers_stay_quiet_unless_named() {
    let events = || {
        tracing::debug!(target: "h2::codec", "authorization: Bearer planted-token");
        tracing::trace!(target: "hyper::proto", "Bearer planted-token");
        tracing::debug!(target: "reqwest::connect", "client_secret=planted");
        tracing::debug!(target: "mcp_authz::x", "ours");
    };
    let text = logged(LogFormat::Text, "trace", false, events);
    assert!(text.contains("ours") && !text.contains("planted"), "{text}");
    let text = logged(LogFormat::Text, "info,h2=debug", false, events);
    assert!(text.contains("planted") && !text.contains("ours"), "{text}");
}

#[test]
fn a_filter_that_is_none_is_an_error() {
    let error = subscriber(LogFormat::Text, "mcp_authz=loud", false, io::stderr)
        .err()
        .unwrap();
    assert!(matches!(error, LogError::Filter { .. }), "{error}");
}
