//! Builds the parts from a configuration, serves, and drains.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audit::{Journal, JournalError, RedactError, Redactor};
use crate::clock;
use crate::config::Config;
use crate::identity::{IdentitySetupError, Verifier};
use crate::inventory::{Problem, Routes};
use crate::pipeline::Pipeline;
use crate::policy::{self, PolicyStore, Shadow, Status};
use crate::spiffe::workload_api::WorkloadApiError;
use crate::telemetry::{self, HttpSettings, Metrics, Probe as _, Reload};
use crate::wire::{Listeners, WireError};

mod probe;
mod revocations;
mod workload_api;

use probe::Parts;
use revocations::WaysIn;
use workload_api::WorkloadApi;

/// How often readiness is looked at for gRPC health, which is told rather than asked.
const READINESS_INTERVAL: Duration = Duration::from_secs(1);
/// How long the audit's last lines may take to be written.
const CLOSING: Duration = Duration::from_secs(10);

/// Why the service can't start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The policy directory isn't sound, and there is no earlier set that could rule.
    #[error("the policy directory `{}` can't rule", directory.display())]
    Policies {
        /// Which directory.
        directory: PathBuf,
        /// Everything that is wrong with it.
        problems: Vec<Problem>,
    },
    /// The identity settings can't be used.
    #[error(transparent)]
    Identity(#[from] IdentitySetupError),
    /// The audit's settings can't be used.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// The audit can't be written.
    #[error(transparent)]
    Audit(#[from] JournalError),
    /// A gRPC listener can't start or failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The Workload API can't be asked as configured.
    #[error(transparent)]
    WorkloadApi(#[from] WorkloadApiError),
    /// The HTTP listener can't start or failed.
    #[error("the HTTP listener on {address} failed: {source}; choose another address as `http.listen`")]
    Http {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The listener for what issuers tell can't start.
    #[error(
        "the revocation listener on {address} failed: {source}; choose another address as `revocation.listen`"
    )]
    Revocation {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A service whose listeners are bound, ready to serve.
pub struct App {
    pipeline: Arc<Pipeline>,
    listeners: Listeners,
    http: Option<(TcpListener, HttpSettings)>,
    revocations: WaysIn,
    policies: policy::Settings,
    parts: Arc<Parts>,
}

impl App {
    /// Builds every part and binds every listener. The policies must be sound; issuers and the Workload API may be down.
    ///
    /// # Errors
    /// [`AppError`] with the part that can't start.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        let pipeline = Arc::new(pipeline(&config).await?);
        let workload_api = WorkloadApi::start(&config, pipeline.verifier.bundles()).await?;
        let tls = workload_api.as_ref().and_then(WorkloadApi::tls);
        let listeners = Listeners::bind_live(&config.grpc, tls).await?;
        let revocations = WaysIn::bind(&config, &pipeline).await?;
        let http = match config.http.listen {
            Some(address) => Some((bind(address).await?, config.http)),
            None => None,
        };
        let parts = Arc::new(Parts::new(Arc::clone(&pipeline), workload_api));
        Ok(Self {
            pipeline,
            listeners,
            http,
            revocations,
            policies: config.policies,
            parts,
        })
    }

    /// The address of the gRPC listener, with the port that was really taken.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.listeners.tcp_addr()
    }

    /// The path of the Unix socket.
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        self.listeners.unix_path()
    }

    /// The address of the HTTP listener, with the port that was really taken.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        let (listener, _) = self.http.as_ref()?;
        listener.local_addr().ok()
    }

    /// The address of the listener for issuers, with the port that was really taken; none if it is the HTTP listener.
    #[must_use]
    pub fn revocation_address(&self) -> Option<SocketAddr> {
        self.revocations.address()
    }

    /// Serves until `shutdown`; then finishes what is under way, writes what is recorded, and returns.
    ///
    /// # Errors
    /// [`AppError`] if a listener failed or the audit could not be written to its end.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), AppError> {
        let (ready, readiness) = watch::channel(self.parts.status().is_ready());
        let mut background = JoinSet::new();
        background.spawn(tell_readiness(Arc::clone(&self.parts), ready));
        background.spawn(count_reloads(Arc::clone(&self.pipeline)));
        if self.policies.reload {
            if let Some(shadow) = &self.pipeline.shadow {
                background.spawn(Arc::clone(shadow).watch());
            }
            background.spawn(Arc::clone(&self.pipeline.policies).watch(self.policies));
        }
        if let Some((listener, settings)) = self.http {
            let metrics = Arc::clone(&self.pipeline.metrics);
            let router = telemetry::router(&settings, metrics, Arc::clone(&self.parts) as _);
            background.spawn(serve_http(listener, self.revocations.join(router)));
        }
        self.revocations.serve(&mut background);
        let draining = async {
            shutdown.await;
            self.parts.drain();
        };
        let served = self
            .listeners
            .serve(Arc::clone(&self.pipeline), readiness, draining)
            .await;
        // After the last answer: its record is in the queue by now.
        let deadline = clock::instant()
            .checked_add(CLOSING)
            .unwrap_or_else(clock::instant);
        let closed = self.pipeline.journal.close(deadline).await;
        background.shutdown().await;
        served?;
        Ok(closed?)
    }
}

/// The stages as a configuration joins them: what [`App`] serves, and `check` asks once.
///
/// # Errors
/// [`AppError`] with the part that can't start.
pub async fn pipeline(config: &Config) -> Result<Pipeline, AppError> {
    let policies = open_policies(config).await?;
    let metrics = Metrics::new(config.servers.iter().map(|server| server.name.as_str()));
    let metrics = Arc::new(metrics);
    let counted = Arc::clone(&metrics);
    let store = config.state.open(Arc::new(move |operation, outcome, took| {
        counted.state_operation(operation, outcome, took);
    }));
    Ok(Pipeline {
        routes: Routes::new(config.servers.iter().cloned()),
        limits: config.messages,
        verifier: Verifier::start(config.identity.clone(), store).await?,
        policies: Arc::new(policies),
        shadow: open_shadow(config).await,
        redactor: Redactor::new(&config.audit)?,
        journal: Journal::start(&config.audit)?,
        metrics,
    })
}

/// Validating and testing policies is work for a thread of its own.
async fn open_policies(config: &Config) -> Result<PolicyStore, AppError> {
    let (settings, servers) = (config.policies.clone(), config.servers.clone());
    let opening = policy::apart(move || PolicyStore::open(&settings, servers, clock::now()));
    let failed = |problems| AppError::Policies {
        directory: config.policies.directory.clone(),
        problems,
    };
    match opening.await {
        Ok(opened) => opened.map_err(failed),
        // A panic while loading is a directory that can't rule.
        Err(panicked) => Err(failed(vec![Problem::new(
            &config.policies.directory,
            panicked.to_string(),
        )])),
    }
}

/// The shadow directory, where one is configured. One that can't be loaded keeps nothing from starting.
async fn open_shadow(config: &Config) -> Option<Arc<Shadow>> {
    let directory = config.policies.shadow.as_deref()?;
    let shadow = Arc::new(Shadow::new(directory, &config.policies, config.servers.clone()));
    let loading = Arc::clone(&shadow);
    if let Err(error) = tokio::task::spawn_blocking(move || loading.load(clock::now())).await {
        tracing::error!(%error, "loading the shadow policies failed");
    }
    Some(shadow)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| AppError::Http { address, source })
}

async fn serve_http(listener: TcpListener, router: axum::Router) {
    // Ends with the service: what is asked last is whether it is still there.
    if let Err(error) = telemetry::serve(listener, router, std::future::pending()).await {
        tracing::error!(%error, "the HTTP listener failed: health and metrics are no longer served");
    }
}

async fn tell_readiness(parts: Arc<Parts>, ready: watch::Sender<bool>) {
    let mut interval = tokio::time::interval(READINESS_INTERVAL);
    loop {
        interval.tick().await;
        let now = parts.status().is_ready();
        ready.send_if_modified(|before| std::mem::replace(before, now) != now);
    }
}

/// Counts each reload that was tried and says what came of it.
async fn count_reloads(pipeline: Arc<Pipeline>) {
    let mut changes = pipeline.policies.subscribe();
    let Status {
        mut loads,
        mut refusals,
        ..
    } = changes.borrow_and_update().clone();
    while changes.changed().await.is_ok() {
        let status = changes.borrow_and_update().clone();
        for _ in loads..status.loads {
            pipeline.metrics.reload(Reload::Loaded);
        }
        for _ in refusals..status.refusals {
            pipeline.metrics.reload(Reload::Refused);
        }
        (loads, refusals) = (status.loads, status.refusals);
    }
}
