//! What is counted of the state that replicas share.

use std::fmt::Write as _;
use std::time::Duration;

use dashmap::DashMap;
use metrics::{Counter, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{METADATA, count, flag, gauge, key};
use crate::telemetry::histogram::Histogram;
use crate::telemetry::status::StateStatus;

const OPERATIONS: &str = "mcp_authz_state_operations_total";
const LATENCY: &str = "mcp_authz_state_operation_duration_seconds";
const REACHABLE: &str = "mcp_authz_state_reachable";
const FULL: &str = "mcp_authz_state_full";
const AGE: &str = "mcp_authz_state_revocations_age_seconds";
const ENTRIES: &str = "mcp_authz_state_entries";
const CAPACITY: &str = "mcp_authz_state_capacity";
const BYTES: &str = "mcp_authz_state_bytes";

pub(super) const COUNTERS: [(&str, &str); 1] = [(
    OPERATIONS,
    "What the state that replicas share was asked, by operation and outcome.",
)];

pub(super) const GAUGES: [(&str, &str); 6] = [
    (REACHABLE, "1 if the state that replicas share can be asked."),
    (FULL, "1 if it has no room for more."),
    (AGE, "Seconds since all revocations were known here."),
    (ENTRIES, "Used ids and revocations that this process keeps."),
    (CAPACITY, "How many of them there may be."),
    (BYTES, "The memory that they take in this process."),
];

/// The questions to the state.
#[derive(Default)]
pub(super) struct Operations {
    counted: DashMap<(&'static str, &'static str), Counter>,
    latency: DashMap<&'static str, Histogram>,
}

impl Operations {
    pub(super) fn record(
        &self,
        recorder: &PrometheusRecorder,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        let counter = || {
            let labels = [("operation", operation), ("outcome", outcome)];
            recorder.register_counter(&key(OPERATIONS, &labels), &METADATA)
        };
        self.counted
            .entry((operation, outcome))
            .or_insert_with(counter)
            .increment(1);
        self.latency.entry(operation).or_default().record(took);
    }

    pub(super) fn write(&self, text: &mut String) {
        // Writing to a String doesn't fail.
        let _ = write!(
            text,
            "# HELP {LATENCY} How long the state took to answer.\n# TYPE {LATENCY} histogram\n"
        );
        for operation in &self.latency {
            let label = format!("operation={:?}", operation.key());
            operation.write(text, LATENCY, &label);
        }
    }
}

pub(super) fn tell(recorder: &PrometheusRecorder, state: &StateStatus) {
    let store = [("store", state.kind)];
    // A full one answers: no.
    gauge(
        recorder,
        REACHABLE,
        &store,
        flag(state.full || state.failing.is_none()),
    );
    gauge(recorder, FULL, &[], flag(state.full));
    if let Some(age) = state.revocations_age {
        gauge(recorder, AGE, &[], age.as_secs_f64());
    }
    let used = state
        .used_ids
        .map(|count| ("used_ids", count, state.max_used_ids));
    let revocations = ("revocations", state.revocations, state.max_revocations);
    for (kind, entries, capacity) in used.into_iter().chain([revocations]) {
        gauge(recorder, ENTRIES, &[("kind", kind)], count(entries));
        gauge(recorder, CAPACITY, &[("kind", kind)], count(capacity));
    }
    gauge(recorder, BYTES, &[], count(state.bytes));
}
