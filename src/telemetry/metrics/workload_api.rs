//! What is told of the SPIFFE Workload API and of the listener's TLS by it.

use jiff::Timestamp;
use metrics::Recorder as _;
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{METADATA, count, flag, gauge, key};
use crate::telemetry::status::WorkloadApiStatus;

const EXPIRY: &str = "mcp_authz_svid_expiry_seconds";
const AUTHORITIES: &str = "mcp_authz_bundle_authorities";
const OPEN: &str = "mcp_authz_workload_api_open";
const LOST: &str = "mcp_authz_workload_api_lost_total";
const DISCARDED: &str = "mcp_authz_workload_api_discarded_total";
const REFUSED: &str = "mcp_authz_tls_handshakes_refused_total";

pub(super) const COUNTERS: [(&str, &str); 3] = [
    (
        LOST,
        "How often a stream of the SPIFFE Workload API could not be opened, or broke.",
    ),
    (
        DISCARDED,
        "Answers of the SPIFFE Workload API that could not be used.",
    ),
    (REFUSED, "TLS handshakes that were refused, by reason."),
];

pub(super) const GAUGES: [(&str, &str); 3] = [
    (
        EXPIRY,
        "Seconds until our X.509-SVID expires; 0 if there is none.",
    ),
    (
        AUTHORITIES,
        "Authorities that a trust domain's gateways are verified with.",
    ),
    (OPEN, "1 if a stream of the SPIFFE Workload API is open."),
];

pub(super) fn tell(recorder: &PrometheusRecorder, status: &WorkloadApiStatus, now: Timestamp) {
    let total = |name, labels: &[(&'static str, &str)], total| {
        recorder
            .register_counter(&key(name, labels), &METADATA)
            .absolute(total);
    };
    for stream in &status.streams {
        let of = [("stream", stream.name)];
        gauge(recorder, OPEN, &of, flag(stream.open));
        total(LOST, &of, stream.lost);
        total(DISCARDED, &of, stream.discarded);
    }
    let Some(tls) = &status.tls else { return };
    let left = |until: &Timestamp| until.duration_since(now).as_secs_f64();
    let left = tls.svid.as_ref().map_or(0.0, |(_, until)| left(until));
    gauge(recorder, EXPIRY, &[], left.max(0.0));
    for (trust_domain, authorities) in &tls.authorities {
        let of = [("trust_domain", trust_domain.as_str())];
        gauge(recorder, AUTHORITIES, &of, count(*authorities));
    }
    for (reason, refused) in &tls.refused {
        total(REFUSED, &[("reason", reason)], *refused);
    }
}
