//! The trace that a call belongs to (W3C Trace Context).

use std::pin::Pin;

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Level, Span, field};

use crate::exchange::Headers;

/// The length of a `traceparent` of version 00 (Trace Context §3.2.2).
const TRACEPARENT: usize = 55;

/// A `tracestate` beyond this is dropped, as §3.3.1.5 allows.
const MAX_TRACESTATE: usize = 512;

/// The trace of a call, as its `traceparent` and `tracestate` say. Holds ids, none of the client's text.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceContext(SpanContext);

impl TraceContext {
    /// The trace that these headers name. An invalid `traceparent`, or two of them, is as good as none (§3.2.2).
    #[must_use]
    pub fn extract(headers: &Headers) -> Option<Self> {
        let parent = headers.single("traceparent").ok().flatten()?;
        if !is_well_formed(parent) {
            return None;
        }
        let fields = Fields {
            parent,
            state: headers.single("tracestate").ok().flatten(),
        };
        let context =
            TraceContextPropagator::new().extract_with_context(&opentelemetry::Context::new(), &fields);
        let span = context.span().span_context().clone();
        span.is_valid().then_some(Self(span))
    }

    /// The trace's id: 32 lower-case hex digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }

    /// The id of the gateway's span: 16 lower-case hex digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        self.0.span_id().to_string()
    }

    /// Whether the caller records this trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.0.is_sampled()
    }

    /// The headers that carry the trace on in a request of ours.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let context = opentelemetry::Context::new().with_remote_span_context(self.0.clone());
        let mut carried = std::collections::HashMap::new();
        TraceContextPropagator::new().inject_context(&context, &mut carried);
        ["traceparent", "tracestate"]
            .into_iter()
            .filter_map(|name| {
                carried
                    .remove(name)
                    .filter(|value| !value.is_empty())
                    .map(|value| (name, value))
            })
            .collect()
    }
}

/// The span of one decision; [`conclude`] completes it. It holds no argument, no token and no name of a client's
/// choosing.
#[must_use]
pub fn decision_span(decision_id: &str, trace: Option<&TraceContext>) -> Span {
    tracing::info_span!(
        "decision",
        decision_id,
        trace_id = trace.map(|trace| field::display(trace.0.trace_id())),
        server = field::Empty,
        method = field::Empty,
        outcome = field::Empty,
        reason = field::Empty,
    )
}

/// The span of one decision where `debug` is logged; else [`Span::none`]: see [`in_span`].
#[must_use]
pub fn decision_span_if_seen(decision_id: &str, trace: Option<&TraceContext>) -> Span {
    if tracing::enabled!(Level::DEBUG) {
        decision_span(decision_id, trace)
    } else {
        Span::none()
    }
}

/// Does the work of a decision in its span. Most decisions are made at once, without a word to the log, and making a span costs a
/// thirtieth of them: where `span` is none, `begin` makes one as soon as the work waits for something.
pub fn in_span<F: Future>(
    mut work: Pin<&mut F>,
    mut span: Span,
    begin: impl Fn() -> Span,
) -> impl Future<Output = F::Output> {
    std::future::poll_fn(move |context| {
        let polled = span.in_scope(|| work.as_mut().poll(context));
        if polled.is_pending() && span.is_none() {
            span = begin();
        }
        polled
    })
}

/// Logs at `debug` how a decision ended, and writes it down in its span. Does nothing where nobody would see it.
pub fn conclude(
    span: &Span,
    server: &str,
    method: &'static str,
    outcome: &'static str,
    reason: &'static str,
) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    span.record("server", server)
        .record("method", method)
        .record("outcome", outcome)
        .record("reason", reason);
    tracing::debug!(parent: span, "decided");
}

/// The propagator splits leniently (a version of one digit, a part of odd length); the grammar of §3.2.2 has fixed
/// places.
fn is_well_formed(parent: &str) -> bool {
    let bytes = parent.as_bytes();
    let fixed = bytes
        .iter()
        .take(TRACEPARENT)
        .enumerate()
        .all(|(place, byte)| match place {
            2 | 35 | 52 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    let more = match bytes.get(TRACEPARENT) {
        None => bytes.len() == TRACEPARENT,
        // Only a version to come may have more, after another dash.
        Some(next) => *next == b'-' && !parent.starts_with("00"),
    };
    fixed && more
}

struct Fields<'a> {
    parent: &'a str,
    state: Option<&'a str>,
}

impl Extractor for Fields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.parent),
            "tracestate" => self.state.filter(|state| state.len() <= MAX_TRACESTATE),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn extract(fields: &[(&str, &str)]) -> Option<TraceContext> {
        TraceContext::extract(&fields.iter().map(|(name, value)| (*name, *value)).collect())
    }

    #[test]
    fn a_valid_traceparent_is_read_and_carried_on() {
        let trace = extract(&[("traceparent", PARENT), ("tracestate", "vendor=1")]).unwrap();
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span_id(), "00f067aa0ba902b7");
        assert!(trace.is_sampled());
        assert_eq!(
            trace.headers(),
            [
                ("traceparent", PARENT.to_owned()),
                ("tracestate", "vendor=1".to_owned())
            ]
        );
        let future = format!("cc{}-what-is-to-come", &PARENT[2..]);
        assert_eq!(
            extract(&[("traceparent", &future)]).unwrap().trace_id(),
            trace.trace_id()
        );
    }

    #[test]
    fn an_invalid_traceparent_is_as_good_as_none() {
        let upper = PARENT.to_uppercase();
        let longer = format!("{PARENT}-x");
        let cases = [
            "",
            "00",
            &PARENT[1..],
            &PARENT[..54],
            &upper,
            &longer,
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47-3600f067aa0ba902b7-01",
            "+0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
        ];
        for case in cases {
            assert_eq!(extract(&[("traceparent", case)]), None, "{case:?}");
        }
        assert_eq!(extract(&[("traceparent", PARENT), ("traceparent", PARENT)]), None);
        assert_eq!(extract(&[]), None);
    }

    #[test]
    fn a_tracestate_that_is_too_long_or_malformed_is_dropped_and_the_trace_kept() {
        for state in [
            "x".repeat(10_000),
            "a=1,".repeat(200),
            "no equals sign".to_owned(),
        ] {
            let trace = extract(&[("traceparent", PARENT), ("tracestate", &state)]).unwrap();
            assert_eq!(trace.headers(), [("traceparent", PARENT.to_owned())]);
        }
    }
}
