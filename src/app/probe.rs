//! How the parts fare, as readiness and metrics are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::workload_api::WorkloadApi;
use crate::clock;
use crate::identity::{BundleStatus as Bundle, IntrospectionNumbers, KeyStatus as Keys, Verifier};
use crate::pipeline::Pipeline;
use crate::policy::DecisionStatus as KnownDecisions;
use crate::state::StateError;
use crate::telemetry::{
    AuditStatus, BundleStatus, DecisionStatus, IntrospectionStatus, KeyStatus, PolicyStatus, Probe,
    StateStatus, Status, TokenStatus, VerifiedStatus,
};

/// Asks the pipeline's parts.
#[derive(Debug)]
pub(super) struct Parts {
    pipeline: Arc<Pipeline>,
    workload_api: Option<WorkloadApi>,
    draining: AtomicBool,
}

impl Parts {
    pub(super) fn new(pipeline: Arc<Pipeline>, workload_api: Option<WorkloadApi>) -> Self {
        Self {
            pipeline,
            workload_api,
            draining: AtomicBool::new(false),
        }
    }

    /// From now on no new requests are welcome.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn policies(&self) -> PolicyStatus {
        let status = self.pipeline.policies.status();
        let refused = status.last_error.as_ref().map(|problems| match problems.first() {
            Some(problem) => format!("{} problems, the first: {problem}", problems.len()),
            None => "unknown".to_owned(),
        });
        PolicyStatus {
            version: Some(status.version.to_string()),
            loaded: Some(status.loaded_at),
            refused,
            decisions: decisions_of(self.pipeline.policies.current().decisions()),
        }
    }

    fn shadow(&self) -> Option<PolicyStatus> {
        let status = self.pipeline.shadow.as_ref()?.status();
        Some(PolicyStatus {
            version: status.version.map(|version| version.to_string()),
            loaded: status.loaded_at,
            refused: status.problem,
            decisions: DecisionStatus::default(),
        })
    }

    fn state(&self) -> StateStatus {
        let status = self.pipeline.verifier.store().status();
        StateStatus {
            kind: status.kind,
            failing: status.outage.map(|why| match status.cause {
                Some(cause) => format!("{why}: {cause}"),
                None => why.to_string(),
            }),
            full: status.outage == Some(StateError::Full),
            revocations_age: status.revocations_age,
            used_ids: status.used_ids,
            revocations: status.revocations,
            bytes: status.bytes,
            max_used_ids: status.limits.used_ids,
            max_revocations: status.limits.revocations,
        }
    }

    fn audit(&self) -> AuditStatus {
        let health = self.pipeline.journal.health();
        AuditStatus {
            failing: health.failing.map(|why| why.to_string()),
            depth: health.depth,
            capacity: health.capacity,
            written: health.written,
            failures: health.failures,
        }
    }
}

impl Probe for Parts {
    fn status(&self) -> Status {
        let now = clock::instant();
        let keys = self.pipeline.verifier.key_status(now);
        let bundles = self.pipeline.verifier.bundle_status(now);
        Status {
            draining: self.draining.load(Ordering::Relaxed),
            policies: self.policies(),
            shadow: self.shadow(),
            keys: keys.into_iter().map(keys_of).collect(),
            bundles: bundles.into_iter().map(bundle_of).collect(),
            tokens: tokens_of(&self.pipeline.verifier),
            state: self.state(),
            workload_api: self.workload_api.as_ref().map(WorkloadApi::status),
            audit: self.audit(),
        }
    }
}

fn decisions_of(known: KnownDecisions) -> DecisionStatus {
    DecisionStatus {
        known: known.known,
        bytes: known.bytes,
        capacity: known.capacity,
        lookups: known.lookups,
    }
}

fn tokens_of(verifier: &Verifier) -> TokenStatus {
    let (known, verified) = (verifier.cache_numbers(), verifier.verification_numbers());
    let algorithms = verified.algorithms.into_iter().map(|numbers| VerifiedStatus {
        algorithm: numbers.algorithm,
        valid: numbers.valid,
        invalid: numbers.invalid,
        took: numbers.took,
    });
    let introspections = verifier.introspection_numbers().into_iter();
    TokenStatus {
        known: known.tokens,
        bytes: known.bytes,
        capacity: known.capacity,
        lookups: vec![("known", known.hits), ("unknown", known.misses)],
        removed: vec![
            ("expired", known.expired),
            ("evicted", known.evicted),
            ("inactive", known.withdrawn),
        ],
        turned_away: verified.turned_away,
        verified: algorithms.collect(),
        introspections: introspections.map(introspection_of).collect(),
    }
}

fn introspection_of(numbers: IntrospectionNumbers) -> IntrospectionStatus {
    let answered = [
        ("active", numbers.active),
        ("refused", numbers.refused),
        ("refused_before", numbers.remembered),
    ];
    let faults = numbers.faults.into_iter();
    IntrospectionStatus {
        issuer: numbers.issuer,
        outcomes: answered
            .into_iter()
            .chain(faults.map(|(fault, times)| (fault.code(), times)))
            .collect(),
        refusals: numbers.refusals,
    }
}

fn keys_of(keys: Keys) -> KeyStatus {
    KeyStatus {
        issuer: keys.issuer,
        fetched: keys.age.and_then(ago),
        usable: keys.keys > 0,
        problem: (keys.failures > 0).then(|| format!("the last {} fetches failed", keys.failures)),
    }
}

fn bundle_of(bundle: Bundle) -> BundleStatus {
    BundleStatus {
        trust_domain: bundle.trust_domain,
        confirmed: bundle.age.and_then(ago),
        usable: bundle.usable,
        problem: bundle.problem,
        failures: bundle.failed,
    }
}

fn ago(age: Duration) -> Option<Timestamp> {
    let age = jiff::SignedDuration::try_from(age).ok()?;
    clock::now().checked_sub(age).ok()
}
