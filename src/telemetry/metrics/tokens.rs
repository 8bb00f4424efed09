//! What is told of tokens: what is remembered of them, what verifying and asking about them took.

use std::fmt::Write as _;

use metrics::Recorder as _;
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{METADATA, bytes, count, gauge, key};
use crate::telemetry::status::TokenStatus;

const TOKENS: &str = "mcp_authz_known_tokens";
const BYTES: &str = "mcp_authz_known_tokens_bytes";
const CAPACITY: &str = "mcp_authz_known_tokens_capacity_bytes";
const LOOKUPS: &str = "mcp_authz_known_tokens_lookups_total";
const REMOVED: &str = "mcp_authz_known_tokens_removed_total";
const VERIFICATIONS: &str = "mcp_authz_token_verifications_total";
const VERIFYING: &str = "mcp_authz_token_verification_seconds_total";
const TURNED_AWAY: &str = "mcp_authz_token_verifications_refused_total";
const INTROSPECTIONS: &str = "mcp_authz_introspections_total";
const REFUSALS: &str = "mcp_authz_introspection_refusals";

pub(super) const COUNTERS: [(&str, &str); 5] = [
    (
        LOOKUPS,
        "Tokens looked for among those that are known, by outcome.",
    ),
    (REMOVED, "Tokens that are known no more, by reason."),
    (
        VERIFICATIONS,
        "Signatures of tokens that were verified, by algorithm and outcome.",
    ),
    (
        TURNED_AWAY,
        "Tokens refused because too many were being verified.",
    ),
    (
        INTROSPECTIONS,
        "Tokens that an issuer was to be asked about, by outcome.",
    ),
];

pub(super) const GAUGES: [(&str, &str); 4] = [
    (TOKENS, "Tokens that are known."),
    (BYTES, "The memory that they take, roughly."),
    (CAPACITY, "The memory that they may take."),
    (REFUSALS, "Refused tokens of an issuer that are remembered."),
];

pub(super) fn tell(recorder: &PrometheusRecorder, status: &TokenStatus) {
    let total = |name, labels: &[(&'static str, &str)], total| {
        let counter = recorder.register_counter(&key(name, labels), &METADATA);
        counter.absolute(total);
    };
    gauge(recorder, TOKENS, &[], count(status.known));
    gauge(recorder, BYTES, &[], bytes(status.bytes));
    gauge(recorder, CAPACITY, &[], bytes(status.capacity));
    for (outcome, looked) in &status.lookups {
        total(LOOKUPS, &[("outcome", outcome)], *looked);
    }
    for (why, removed) in &status.removed {
        total(REMOVED, &[("why", why)], *removed);
    }
    total(TURNED_AWAY, &[], status.turned_away);
    for verified in &status.verified {
        let by = |outcome| [("algorithm", verified.algorithm), ("outcome", outcome)];
        total(VERIFICATIONS, &by("valid"), verified.valid);
        total(VERIFICATIONS, &by("invalid"), verified.invalid);
    }
    for asked in &status.introspections {
        let issuer = asked.issuer.as_str();
        gauge(recorder, REFUSALS, &[("issuer", issuer)], count(asked.refusals));
        for (outcome, times) in &asked.outcomes {
            total(
                INTROSPECTIONS,
                &[("issuer", issuer), ("outcome", outcome)],
                *times,
            );
        }
    }
}

/// What the recorder can't hold: a counter with a fraction.
pub(super) fn write(text: &mut String, status: &TokenStatus) {
    if status.verified.is_empty() {
        return;
    }
    // Writing to a String doesn't fail.
    let _ = writeln!(
        text,
        "# HELP {VERIFYING} How long verifying signatures took.\n# TYPE {VERIFYING} counter"
    );
    for verified in &status.verified {
        let (algorithm, took) = (verified.algorithm, verified.took.as_secs_f64());
        let _ = writeln!(text, "{VERIFYING}{{algorithm=\"{algorithm}\"}} {took}");
    }
}
