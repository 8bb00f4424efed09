//! How the parts fare, as readiness and metrics are told.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Whoever knows how the parts fare: the application. Asked at every scrape and every readiness check, so it must
/// answer from memory.
pub trait Probe: Send + Sync + 'static {
    /// How the parts fare now.
    fn status(&self) -> Status;
}

impl<F: Fn() -> Status + Send + Sync + 'static> Probe for F {
    fn status(&self) -> Status {
        self()
    }
}

/// How every part fares.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Status {
    /// The service is stopping and wants no new requests.
    pub draining: bool,
    /// The policy set that rules.
    pub policies: PolicyStatus,
    /// The policies of the shadow directory; `None` if there is none.
    pub shadow: Option<PolicyStatus>,
    /// The keys of each issuer that is configured.
    pub keys: Vec<KeyStatus>,
    /// The bundle of each trust domain whose JWT-SVIDs are taken.
    pub bundles: Vec<BundleStatus>,
    /// What is remembered of tokens, and what it took.
    pub tokens: TokenStatus,
    /// What replicas share.
    pub state: StateStatus,
    /// What the SPIFFE Workload API gives; `None` where nothing needs it.
    pub workload_api: Option<WorkloadApiStatus>,
    /// The audit journal.
    pub audit: AuditStatus,
}

/// The policy set that rules.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PolicyStatus {
    /// Its hash; `None` if there is none.
    pub version: Option<String>,
    /// When it was loaded.
    pub loaded: Option<Timestamp>,
    /// Why the last attempt to load another was refused; `None` if it wasn't.
    pub refused: Option<String>,
    /// What is remembered of its verdicts.
    pub decisions: DecisionStatus,
}

/// What is remembered of verdicts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct DecisionStatus {
    /// Decisions that are remembered by what they were read from.
    pub known: usize,
    /// What they take, in bytes, roughly.
    pub bytes: u64,
    /// What they may take, in bytes; 0 where none is remembered.
    pub capacity: u64,
    /// How often one was looked for since the start, by outcome.
    pub lookups: Vec<(&'static str, u64)>,
}

/// The keys of one issuer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The issuer, as configured.
    pub issuer: String,
    /// When its keys were last fetched; `None` if never.
    pub fetched: Option<Timestamp>,
    /// Whether there are keys to verify with.
    pub usable: bool,
    /// Why the last fetch failed; `None` if it didn't.
    pub problem: Option<String>,
}

/// The bundle of one trust domain.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct BundleStatus {
    /// Whose.
    pub trust_domain: String,
    /// When its source was last known to say so; `None` if it never came.
    pub confirmed: Option<Timestamp>,
    /// Whether JWT-SVIDs can be verified with it.
    pub usable: bool,
    /// Why the last attempt to get it failed; `None` if it didn't.
    pub problem: Option<String>,
    /// Failed attempts since the start.
    pub failures: u64,
}

/// What is remembered of tokens, and what verifying and asking about them took, since the start.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TokenStatus {
    /// Tokens that are known.
    pub known: usize,
    /// What they take, in bytes, roughly.
    pub bytes: u64,
    /// What they may take, in bytes.
    pub capacity: u64,
    /// How often one was looked for, by outcome.
    pub lookups: Vec<(&'static str, u64)>,
    /// How many are known no more, by reason.
    pub removed: Vec<(&'static str, u64)>,
    /// Tokens refused because too many were being verified.
    pub turned_away: u64,
    /// Signatures, by algorithm.
    pub verified: Vec<VerifiedStatus>,
    /// Each issuer that is asked about tokens.
    pub introspections: Vec<IntrospectionStatus>,
}

/// What verifying signatures of one algorithm took.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct VerifiedStatus {
    /// Its name.
    pub algorithm: &'static str,
    /// Signatures that verified.
    pub valid: u64,
    /// Signatures that didn't.
    pub invalid: u64,
    /// How long all of it took.
    pub took: Duration,
}

/// What an issuer was asked about tokens.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct IntrospectionStatus {
    /// The issuer, as configured.
    pub issuer: String,
    /// How often what came of it.
    pub outcomes: Vec<(&'static str, u64)>,
    /// Refused tokens that are remembered.
    pub refusals: usize,
}

/// What replicas share: ids that may be used once, revocations.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct StateStatus {
    /// Which store: `memory`, `redis`.
    pub kind: &'static str,
    /// Why it can't tell just now; `None` while it can.
    pub failing: Option<String>,
    /// Why that is: it has no room for more.
    pub full: bool,
    /// How long ago all revocations were known here; `None` if they are kept here, or never were.
    pub revocations_age: Option<Duration>,
    /// Used ids that this process keeps; `None` if they are kept elsewhere.
    pub used_ids: Option<usize>,
    /// Revocations that this process knows.
    pub revocations: usize,
    /// The memory that both take here.
    pub bytes: usize,
    /// How many used ids there may be.
    pub max_used_ids: usize,
    /// How many revocations there may be.
    pub max_revocations: usize,
}

/// What the SPIFFE Workload API gives.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct WorkloadApiStatus {
    /// Each stream.
    pub streams: Vec<StreamStatus>,
    /// The listener's TLS, where it is by the Workload API.
    pub tls: Option<WorkloadTlsStatus>,
}

/// A stream of the Workload API.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct StreamStatus {
    /// Of what: `x509`, `jwt`.
    pub name: &'static str,
    /// Whether it is open and has answered.
    pub open: bool,
    /// How often it could not be opened, or broke.
    pub lost: u64,
    /// How many of its answers were discarded.
    pub discarded: u64,
    /// What was wrong last; `None` after a good answer.
    pub problem: Option<String>,
}

/// TLS by X.509-SVIDs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct WorkloadTlsStatus {
    /// Who we are, and until when; `None` if we can't say.
    pub svid: Option<(String, Timestamp)>,
    /// Whether that holds now.
    pub valid: bool,
    /// How many authorities there are for each trust domain whose workloads may connect.
    pub authorities: Vec<(String, usize)>,
    /// How often handshakes were refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
}

/// The audit journal.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct AuditStatus {
    /// Why the last write failed; `None` while writing works.
    pub failing: Option<String>,
    /// Places of the queue in use.
    pub depth: usize,
    /// How many places there are.
    pub capacity: usize,
    /// Lines written since the start.
    pub written: u64,
    /// Failed attempts to write since the start.
    pub failures: u64,
}

impl Status {
    /// Whether new requests are welcome: policies rule, some issuer's keys are there (where issuers are
    /// configured), the audit can be written, the service isn't stopping.
    ///
    /// An older policy set that goes on ruling after a refused reload is ready, and one issuer of several whose
    /// keys are missing doesn't unready the rest: taking every replica out at once would turn one bad file or one
    /// issuer's outage into everybody's. [`Status::report`] and the metrics say so.
    ///
    /// Nor does a trust domain's bundle: workloads with a certificate, and users, go on.
    ///
    /// Nor does state that can't be reached: every replica shares it, so that unreadiness would leave nobody to deny
    /// with a reason what needs it and to go on deciding what doesn't.
    ///
    /// Without an X.509-SVID, where the listener needs one, or without anybody's authorities, no gateway could connect.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.draining
            && self.policies.version.is_some()
            && (self.keys.is_empty() || self.keys.iter().any(|key| key.usable))
            && self.audit.failing.is_none()
            && self
                .workload_api
                .as_ref()
                .is_none_or(WorkloadApiStatus::is_enough)
    }

    /// Each part's state, for `/ready`.
    #[must_use]
    pub fn report(&self) -> Value {
        let keys: Map<_, _> = self
            .keys
            .iter()
            .map(|key| {
                (
                    key.issuer.clone(),
                    state_of(key.usable, key.problem.as_deref()).into(),
                )
            })
            .collect();
        let bundles: Map<_, _> = self
            .bundles
            .iter()
            .map(|bundle| {
                let state = state_of(bundle.usable, bundle.problem.as_deref());
                (bundle.trust_domain.clone(), state.into())
            })
            .collect();
        let workload_api = self.workload_api.as_ref().map(WorkloadApiStatus::state);
        json!({
            "ready": self.is_ready(),
            "draining": self.draining,
            "policies": self.policies.state(),
            "shadow": self.shadow.as_ref().map_or_else(|| "not used".to_owned(), PolicyStatus::state),
            "keys": keys,
            "bundles": bundles,
            "state": self.state.state(),
            "workload_api": workload_api.as_deref().unwrap_or("not used"),
            "audit": self.audit.state(),
        })
    }
}

impl WorkloadApiStatus {
    /// Whether gateways can connect.
    fn is_enough(&self) -> bool {
        self.tls.as_ref().is_none_or(WorkloadTlsStatus::is_enough)
    }

    fn state(&self) -> String {
        let problem = self.streams.iter().find_map(|stream| stream.problem.as_deref());
        let tls = self.tls.as_ref();
        let state = match tls.map(|tls| (&tls.svid, tls.valid)) {
            None => "ok".to_owned(),
            Some((None, _)) => "missing: no X.509-SVID".to_owned(),
            Some((Some((id, until)), false)) => format!("expired: {id} was valid until {until}"),
            Some((Some((id, until)), true)) if tls.is_some_and(WorkloadTlsStatus::is_enough) => {
                format!(
                    "{}: {id} until {until}",
                    if problem.is_some() { "stale" } else { "ok" }
                )
            }
            Some((Some((id, _)), true)) => {
                format!("missing: {id} knows no authority of any trust domain listed")
            }
        };
        match problem {
            None => state,
            Some(problem) => format!("{state}: {problem}"),
        }
    }
}

impl WorkloadTlsStatus {
    fn is_enough(&self) -> bool {
        self.svid.is_some() && self.valid && self.authorities.iter().any(|(_, count)| *count > 0)
    }
}

impl PolicyStatus {
    fn state(&self) -> String {
        match (&self.version, &self.refused) {
            (None, None) => "missing".to_owned(),
            (None, Some(why)) => format!("missing: {why}"),
            (Some(version), None) => format!("ok: {version}"),
            (Some(version), Some(why)) => format!("stale: {version} goes on ruling: {why}"),
        }
    }
}

/// Whether what others publish is there, and why it is no newer.
fn state_of(usable: bool, problem: Option<&str>) -> String {
    match (usable, problem) {
        (true, None) => "ok".to_owned(),
        (true, Some(why)) => format!("stale: {why}"),
        (false, None) => "missing".to_owned(),
        (false, Some(why)) => format!("missing: {why}"),
    }
}

impl StateStatus {
    fn state(&self) -> String {
        match &self.failing {
            None => format!("ok: {}", self.kind),
            Some(why) => format!("failing: {}: {why}", self.kind),
        }
    }
}

impl AuditStatus {
    fn state(&self) -> String {
        match &self.failing {
            None => "ok".to_owned(),
            Some(why) => format!("unwritable: {why}"),
        }
    }
}
