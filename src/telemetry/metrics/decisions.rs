//! What is told of the decisions that are remembered.

use metrics::Recorder as _;
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{METADATA, bytes, count, gauge, key};
use crate::telemetry::status::DecisionStatus;

const DECISIONS: &str = "mcp_authz_known_decisions";
const BYTES: &str = "mcp_authz_known_decisions_bytes";
const CAPACITY: &str = "mcp_authz_known_decisions_capacity_bytes";
const LOOKUPS: &str = "mcp_authz_known_decisions_lookups_total";

pub(super) const COUNTERS: [(&str, &str); 1] = [(
    LOOKUPS,
    "Verdicts looked for among those that were given before, by outcome.",
)];

pub(super) const GAUGES: [(&str, &str); 3] = [
    (
        DECISIONS,
        "Verdicts that are remembered by what they were read from.",
    ),
    (BYTES, "The memory that they take, roughly."),
    (CAPACITY, "The memory that they may take."),
];

pub(super) fn tell(recorder: &PrometheusRecorder, status: &DecisionStatus) {
    gauge(recorder, DECISIONS, &[], count(status.known));
    gauge(recorder, BYTES, &[], bytes(status.bytes));
    gauge(recorder, CAPACITY, &[], bytes(status.capacity));
    for (outcome, looked) in &status.lookups {
        recorder
            .register_counter(&key(LOOKUPS, &[("outcome", outcome)]), &METADATA)
            .absolute(*looked);
    }
}
