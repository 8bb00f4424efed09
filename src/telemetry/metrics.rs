//! Metrics in Prometheus' text format, kept by an instance of its own: nothing is global.
//!
//! Labels come from configuration (servers, issuers) and from our own enums (methods, outcomes, reasons), never
//! from a client, so their number is bounded.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use dashmap::DashMap;
use jiff::Timestamp;
use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::histogram::Histogram;
use super::status::Status;

mod decisions;
mod state;
mod tokens;
mod workload_api;

const DECISIONS: &str = "mcp_authz_decisions_total";
const LATENCY: &str = "mcp_authz_decision_duration_seconds";
const IN_FLIGHT: &str = "mcp_authz_requests_in_flight";
const SHADOW: &str = "mcp_authz_shadow_decisions_total";
const SHADOW_USABLE: &str = "mcp_authz_shadow_policy_usable";
const SHADOW_STALE: &str = "mcp_authz_shadow_policy_stale";
const RELOADS: &str = "mcp_authz_policy_reloads_total";
const BUILD: &str = "mcp_authz_build_info";
const POLICY_AGE: &str = "mcp_authz_policy_age_seconds";
const POLICY_STALE: &str = "mcp_authz_policy_stale";
const POLICY_INFO: &str = "mcp_authz_policy_info";
const KEY_AGE: &str = "mcp_authz_key_age_seconds";
const KEYS_USABLE: &str = "mcp_authz_keys_usable";
const BUNDLE_AGE: &str = "mcp_authz_bundle_age_seconds";
const BUNDLE_USABLE: &str = "mcp_authz_bundle_usable";
const BUNDLE_FAILURES: &str = "mcp_authz_bundle_failures_total";
const AUDIT_DEPTH: &str = "mcp_authz_audit_queue_depth";
const AUDIT_CAPACITY: &str = "mcp_authz_audit_queue_capacity";
const AUDIT_WRITABLE: &str = "mcp_authz_audit_writable";
const AUDIT_WRITTEN: &str = "mcp_authz_audit_lines_total";
const AUDIT_FAILURES: &str = "mcp_authz_audit_write_failures_total";
const REVOCATIONS: &str = "mcp_authz_revocations_total";
const NOTICES: &str = "mcp_authz_revocation_notices_total";
const READY: &str = "mcp_authz_ready";

/// The server's label where none was found, or none that is configured.
const NO_SERVER: &str = "none";

static METADATA: Metadata<'static> = Metadata::new("mcp_authz", Level::INFO, None);

/// The metrics of one service.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// The place of each configured server in `latency`; [`NO_SERVER`] is among them.
    servers: HashMap<String, usize>,
    /// The label and the durations of each server.
    latency: Vec<(String, Histogram)>,
    decisions: DashMap<Labels, Counter>,
    in_flight: Gauge,
    loaded: Counter,
    refused: Counter,
    state: state::Operations,
}

/// The labels of a decision; the server by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Labels {
    server: usize,
    method: &'static str,
    outcome: &'static str,
    reason: &'static str,
}

/// How a reload of the policies ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The new set rules.
    Loaded,
    /// It was not sound; the old one goes on ruling.
    Refused,
}

/// A request that is being decided; counted until dropped.
#[derive(Debug)]
#[must_use = "the request counts as in flight until this is dropped"]
pub struct InFlight(Gauge);

impl Metrics {
    /// Metrics for these servers, by their configured names.
    pub fn new<'a>(servers: impl IntoIterator<Item = &'a str>) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        describe(&recorder);
        let mut names: Vec<&str> = servers.into_iter().filter(|name| *name != NO_SERVER).collect();
        names.push(NO_SERVER);
        let latency = names
            .iter()
            .map(|name| (format!("server={name:?}"), Histogram::default()));
        let reloads = |outcome| recorder.register_counter(&key(RELOADS, &[("outcome", outcome)]), &METADATA);
        let version = env!("CARGO_PKG_VERSION");
        recorder
            .register_gauge(&key(BUILD, &[("version", version)]), &METADATA)
            .set(1.0);
        Self {
            handle: recorder.handle(),
            latency: latency.collect(),
            servers: names
                .iter()
                .enumerate()
                .map(|(place, name)| ((*name).to_owned(), place))
                .collect(),
            decisions: DashMap::new(),
            in_flight: recorder.register_gauge(&key(IN_FLIGHT, &[]), &METADATA),
            loaded: reloads("loaded"),
            refused: reloads("refused"),
            state: state::Operations::default(),
            recorder,
        }
    }

    /// Counts a decision. A server that isn't configured counts as `none`.
    pub fn decision(
        &self,
        server: &str,
        method: &'static str,
        outcome: &'static str,
        reason: &'static str,
        took: Duration,
    ) {
        let Some(place) = self
            .servers
            .get(server)
            .or_else(|| self.servers.get(NO_SERVER))
            .copied()
        else {
            return;
        };
        let labels = Labels {
            server: place,
            method,
            outcome,
            reason,
        };
        // Not `entry` at once: it would lock the shard for writing.
        if let Some(counter) = self.decisions.get(&labels) {
            counter.increment(1);
        } else {
            let name = if self.servers.contains_key(server) {
                server
            } else {
                NO_SERVER
            };
            self.decisions
                .entry(labels)
                .or_insert_with(|| self.counter(name, labels))
                .increment(1);
        }
        if let Some((_, latency)) = self.latency.get(place) {
            latency.record(took);
        }
    }

    /// Counts what policies would have said that don't rule: whose, what the ruling ones say (`allowed`, `denied`), and what would
    /// come of it.
    pub fn shadow(&self, server: &str, from: &'static str, ruling: &'static str, would: &'static str) {
        let server = if self.servers.contains_key(server) {
            server
        } else {
            NO_SERVER
        };
        let labels = [
            ("server", server),
            ("from", from),
            ("outcome", ruling),
            ("would", would),
        ];
        self.recorder
            .register_counter(&key(SHADOW, &labels), &METADATA)
            .increment(1);
    }

    /// Counts a request as in flight until the answer is dropped.
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.increment(1.0);
        InFlight(self.in_flight.clone())
    }

    /// Counts an attempt to load other policies.
    pub fn reload(&self, outcome: Reload) {
        match outcome {
            Reload::Loaded => self.loaded.increment(1),
            Reload::Refused => self.refused.increment(1),
        }
    }

    /// Counts a question to the state that replicas share, and what came of it.
    pub fn state_operation(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        self.state.record(&self.recorder, operation, outcome, took);
    }

    /// Counts a revocation that holds: what it is about, and who said so.
    pub fn revocation(&self, kind: &'static str, source: &'static str) {
        let labels = [("kind", kind), ("source", source)];
        self.recorder
            .register_counter(&key(REVOCATIONS, &labels), &METADATA)
            .increment(1);
    }

    /// Counts what somebody told in an issuer's name, by the issuer's configured name, or `none`.
    pub fn notice(&self, issuer: &str, notice: &'static str, outcome: &'static str) {
        let labels = [("issuer", issuer), ("notice", notice), ("outcome", outcome)];
        self.recorder
            .register_counter(&key(NOTICES, &labels), &METADATA)
            .increment(1);
    }

    /// Everything in Prometheus' text format. What ages is computed here.
    #[must_use]
    pub fn render(&self, status: &Status, now: Timestamp) -> String {
        self.tell(status, now);
        let mut text = self.handle.render();
        // Writing to a String doesn't fail.
        let _ = write!(
            text,
            "# HELP {LATENCY} How long a decision took.\n# TYPE {LATENCY} histogram\n"
        );
        for (label, latency) in &self.latency {
            latency.write(&mut text, LATENCY, label);
        }
        self.state.write(&mut text);
        tokens::write(&mut text, &status.tokens);
        if let Some(version) = &status.policies.version {
            // Written here: a series of the recorder would stay for every version that ever ruled.
            let version = version
                .chars()
                .filter(char::is_ascii_graphic)
                .filter(|c| !matches!(c, '"' | '\\'));
            let version: String = version.take(128).collect();
            let _ = write!(
                text,
                "# HELP {POLICY_INFO} The policy set that rules.\n# TYPE {POLICY_INFO} gauge\n\
                 {POLICY_INFO}{{version=\"{version}\"}} 1\n"
            );
        }
        text
    }

    fn tell(&self, status: &Status, now: Timestamp) {
        let age = |since: Timestamp| now.duration_since(since).as_secs_f64().max(0.0);
        self.set(READY, &[], flag(status.is_ready()));
        if let Some(loaded) = status.policies.loaded {
            self.set(POLICY_AGE, &[], age(loaded));
        }
        self.set(POLICY_STALE, &[], flag(status.policies.refused.is_some()));
        if let Some(shadow) = &status.shadow {
            self.set(SHADOW_USABLE, &[], flag(shadow.version.is_some()));
            self.set(SHADOW_STALE, &[], flag(shadow.refused.is_some()));
        }
        for keys in &status.keys {
            let issuer = [("issuer", keys.issuer.as_str())];
            self.set(KEYS_USABLE, &issuer, flag(keys.usable));
            if let Some(fetched) = keys.fetched {
                self.set(KEY_AGE, &issuer, age(fetched));
            }
        }
        for bundle in &status.bundles {
            let domain = [("trust_domain", bundle.trust_domain.as_str())];
            self.set(BUNDLE_USABLE, &domain, flag(bundle.usable));
            if let Some(confirmed) = bundle.confirmed {
                self.set(BUNDLE_AGE, &domain, age(confirmed));
            }
            self.count(BUNDLE_FAILURES, &domain, bundle.failures);
        }
        state::tell(&self.recorder, &status.state);
        tokens::tell(&self.recorder, &status.tokens);
        decisions::tell(&self.recorder, &status.policies.decisions);
        if let Some(status) = &status.workload_api {
            workload_api::tell(&self.recorder, status, now);
        }
        self.set(AUDIT_WRITABLE, &[], flag(status.audit.failing.is_none()));
        self.set(AUDIT_DEPTH, &[], count(status.audit.depth));
        self.set(AUDIT_CAPACITY, &[], count(status.audit.capacity));
        self.count(AUDIT_WRITTEN, &[], status.audit.written);
        self.count(AUDIT_FAILURES, &[], status.audit.failures);
    }

    fn set(&self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        gauge(&self.recorder, name, labels, value);
    }

    /// A count that another part keeps.
    fn count(&self, name: &'static str, labels: &[(&'static str, &str)], total: u64) {
        self.recorder
            .register_counter(&key(name, labels), &METADATA)
            .absolute(total);
    }

    fn counter(&self, server: &str, labels: Labels) -> Counter {
        let Labels {
            method,
            outcome,
            reason,
            ..
        } = labels;
        let labels = [
            ("server", server),
            ("method", method),
            ("outcome", outcome),
            ("reason", reason),
        ];
        self.recorder
            .register_counter(&key(DECISIONS, &labels), &METADATA)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

fn describe(recorder: &PrometheusRecorder) {
    let counters = [
        (DECISIONS, "Decisions by server, method, outcome and reason."),
        (
            SHADOW,
            "Calls by what policies would have said that don't rule, and what the ruling ones said.",
        ),
        (RELOADS, "Attempts to load other policies."),
        (REVOCATIONS, "Revocations by what they are about and who said so."),
        (
            NOTICES,
            "Logouts and the like that were told in an issuer's name, and what came of it.",
        ),
        (AUDIT_WRITTEN, "Lines written to the audit journal."),
        (AUDIT_FAILURES, "Failed attempts to write the audit journal."),
        (BUNDLE_FAILURES, "Failed attempts to get a trust domain's bundle."),
    ];
    let caches = tokens::COUNTERS.into_iter().chain(decisions::COUNTERS);
    let others = state::COUNTERS.into_iter().chain(workload_api::COUNTERS);
    for (name, help) in counters.into_iter().chain(others).chain(caches) {
        recorder.describe_counter(name.into(), None, help.into());
    }
    let gauges = [
        (IN_FLIGHT, "Requests being decided."),
        (BUILD, "The program's version."),
        (POLICY_AGE, "Seconds since the policies that rule were loaded."),
        (
            POLICY_STALE,
            "1 if the last attempt to load other policies was refused.",
        ),
        (SHADOW_USABLE, "1 if the shadow directory is asked."),
        (
            SHADOW_STALE,
            "1 if what the shadow directory holds now can't be asked.",
        ),
        (KEY_AGE, "Seconds since an issuer's keys were fetched."),
        (
            KEYS_USABLE,
            "1 if there are keys to verify an issuer's tokens with.",
        ),
        (
            BUNDLE_AGE,
            "Seconds since a trust domain's bundle was last confirmed.",
        ),
        (
            BUNDLE_USABLE,
            "1 if there is a bundle to verify a trust domain's JWT-SVIDs with.",
        ),
        (
            AUDIT_DEPTH,
            "Places of the audit queue in use: records waiting and requests in flight.",
        ),
        (AUDIT_CAPACITY, "Places of the audit queue."),
        (AUDIT_WRITABLE, "1 if the audit journal can be written."),
        (READY, "1 if new requests are welcome."),
    ];
    let caches = tokens::GAUGES.into_iter().chain(decisions::GAUGES);
    let others = state::GAUGES.into_iter().chain(workload_api::GAUGES);
    for (name, help) in gauges.into_iter().chain(others).chain(caches) {
        recorder.describe_gauge(name.into(), None, help.into());
    }
}

fn gauge(recorder: &PrometheusRecorder, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
    recorder.register_gauge(&key(name, labels), &METADATA).set(value);
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels = labels
        .iter()
        .map(|(name, value)| Label::new(*name, (*value).to_owned()));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}

fn flag(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

/// A number of places as the gauge's number; exact far beyond any queue.
fn count(places: usize) -> f64 {
    f64::from(u32::try_from(places).unwrap_or(u32::MAX))
}

/// In kilobytes exact far beyond any memory.
fn bytes(bytes: u64) -> f64 {
    let kilobytes = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
    let rest = u32::try_from(bytes & 1023).unwrap_or_default();
    f64::from(kilobytes) * 1024.0 + f64::from(rest)
}

#[cfg(test)]
mod tests;
