//! Seeing what happens: logs, the caller's trace, metrics, health.
//!
//! Nothing here knows a stage: [`http`] and [`metrics`] are told how the parts fare through a [`Probe`]. Neither
//! tokens nor arguments nor any other text of a client become a label or a field here.

pub mod http;
pub mod logging;
pub mod metrics;
pub mod settings;
pub mod status;
pub mod trace;

mod histogram;

pub use http::{router, serve};
pub use logging::LogError;
pub use metrics::{InFlight, Metrics, Reload};
pub use settings::{HttpSettings, LogFormat, LogSettings};
pub use status::{
    AuditStatus, BundleStatus, DecisionStatus, IntrospectionStatus, KeyStatus, PolicyStatus, Probe,
    StateStatus, Status, StreamStatus, TokenStatus, VerifiedStatus, WorkloadApiStatus, WorkloadTlsStatus,
};
pub use trace::TraceContext;
