//! The listeners: `Check`, health and reflection on TCP and on a Unix socket, from bind to the last answer.

use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::accept::{Acceptor, Listener};
use super::check;
use super::error::WireError;
use super::serve::{Server, Services};
use super::settings::Settings;
use super::tls::{LiveTls, Terminator};
use super::unix;
use crate::exchange::Decider;

/// The descriptors of `ext_authz` and of all it imports: `proto/update-descriptors.sh` makes them.
pub const EXT_AUTHZ_DESCRIPTORS: &[u8] = include_bytes!("../../proto/ext_authz.bin");

/// Accepted connections that the server hasn't picked up yet.
const HANDOVER: usize = 64;

/// Bound listeners that don't answer yet. Dropping them closes the ports and removes the socket.
pub struct Listeners {
    settings: Settings,
    tcp: Option<SocketAddr>,
    tls: Option<Arc<Terminator>>,
    bound: Vec<Listener>,
}

/// Binds and serves until `shutdown`: [`Listeners::bind`] and [`Listeners::serve`] in one.
///
/// # Errors
/// [`WireError`] if a listener can't start or the server fails.
pub async fn serve<D: Decider>(
    settings: &Settings,
    decider: Arc<D>,
    ready: watch::Receiver<bool>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), WireError> {
    Listeners::bind(settings)
        .await?
        .serve(decider, ready, shutdown)
        .await
}

impl Listeners {
    /// Checks the settings, loads the TLS files and binds.
    ///
    /// # Errors
    /// [`WireError`] with the setting, file or address at fault.
    pub async fn bind(settings: &Settings) -> Result<Self, WireError> {
        Self::bind_live(settings, None).await
    }

    /// The same where `tls.workload_api` is set: `live` is what it stands for.
    ///
    /// # Errors
    /// [`WireError`] with the setting, file or address at fault.
    pub async fn bind_live(settings: &Settings, live: Option<LiveTls>) -> Result<Self, WireError> {
        settings.validate()?;
        let mut listeners = Self {
            settings: settings.clone(),
            tcp: None,
            tls: None,
            bound: Vec::new(),
        };
        if let Some(tls) = &settings.tls {
            listeners.tls = Some(Arc::new(Terminator::load(tls, live).await?));
        }
        if let Some(address) = settings.listen {
            let failed = |source| WireError::Tcp { address, source };
            let socket = TcpListener::bind(address).await.map_err(failed)?;
            listeners.tcp = Some(socket.local_addr().map_err(failed)?);
            listeners.bound.push(Listener::Tcp {
                socket,
                tls: listeners.tls.clone(),
            });
        }
        if let Some(settings) = &settings.unix {
            let (socket, file) = unix::bind(&settings.path, settings.mode.bits()).await?;
            listeners.bound.push(Listener::Unix { socket, file });
        }
        Ok(listeners)
    }

    /// The TCP address, with the port that was really taken.
    #[must_use]
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// The path of the Unix socket.
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        self.bound.iter().find_map(|listener| match listener {
            Listener::Unix { file, .. } => Some(file.path()),
            Listener::Tcp { .. } => None,
        })
    }

    /// Answers checks until `shutdown`, then takes no more connections, finishes the checks under way and
    /// returns: after `shutdown_grace` even if some peers still haven't taken their answers. Their connections are cut.
    ///
    /// Health says `SERVING` while `ready` is true; checks are answered either way, for the decider knows best.
    ///
    /// # Errors
    /// [`WireError`] if reflection can't be built.
    pub async fn serve<D: Decider>(
        self,
        decider: Arc<D>,
        ready: watch::Receiver<bool>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), WireError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let serving = *ready.borrow();
        report(&health, serving).await;
        let services = Services {
            check: check::service(Arc::clone(&decider), &self.settings),
            others: others()?.add_service(health_service).prepare(),
        };
        let server = Server::new(&self.settings, services, check::rules(decider, &self.settings));

        let (stop, stopped) = watch::channel(false);
        let (accepted, incoming) = mpsc::channel(HANDOVER);
        let mut acceptors = JoinSet::new();
        for listener in self.bound {
            let acceptor = Acceptor::new(listener, &self.settings, accepted.clone());
            acceptors.spawn(acceptor.run(stopped.clone()));
        }
        // The server ends when the last acceptor has dropped its sender, and only then says goodbye.
        drop(accepted);
        let mut serving = std::pin::pin!(server.run(incoming));
        tokio::select! {
            () = &mut serving => return Ok(()),
            () = shutdown => {}
            () = follow_readiness(&health, ready) => {}
            () = follow_tls(self.tls.as_deref()) => {}
        }
        report(&health, false).await;
        let _all_stopped = stop.send(true);
        if timeout(self.settings.shutdown_grace, serving).await.is_err() {
            tracing::warn!("the grace of shutdown passed with connections still open");
        }
        Ok(())
    }
}

/// Reflection, of itself and of what is beside it.
fn others() -> Result<Routes, WireError> {
    let descriptors = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(EXT_AUTHZ_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let failed = |error: tonic_reflection::server::Error| WireError::Reflection(error.to_string());
    Ok(Routes::new(descriptors().build_v1().map_err(failed)?)
        // Older clients, grpcurl before 1.9 among them, know only this one.
        .add_service(descriptors().build_v1alpha().map_err(failed)?))
}

async fn report(health: &HealthReporter, serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    // The empty name is the server as a whole (gRPC health checking protocol).
    for service in ["", check::NAME] {
        health.set_service_status(service, status).await;
    }
}

/// Never ends: when nobody tells any more, the last word stands.
async fn follow_readiness(health: &HealthReporter, mut ready: watch::Receiver<bool>) {
    while ready.changed().await.is_ok() {
        let serving = *ready.borrow_and_update();
        report(health, serving).await;
    }
    pending::<()>().await;
}

async fn follow_tls(terminator: Option<&Terminator>) {
    match terminator {
        Some(terminator) => terminator.follow().await,
        None => pending().await,
    }
}
