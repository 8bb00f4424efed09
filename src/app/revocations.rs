//! The listeners that revocations come in by.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::AppError;
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::revocation::socket::Socket;
use crate::revocation::{Desk, receiver};

/// What is bound.
pub(super) struct WaysIn {
    desk: Arc<Desk>,
    /// For issuers alone.
    listener: Option<TcpListener>,
    /// Whether the listener of health and metrics takes what issuers tell, too.
    with_http: bool,
    socket: Option<Socket>,
}

impl WaysIn {
    /// Binds what the settings name.
    pub(super) async fn bind(config: &Config, pipeline: &Pipeline) -> Result<Self, AppError> {
        let resources = config.servers.iter().map(|server| server.resource.clone());
        let desk = Desk::new(
            Arc::clone(&pipeline.verifier),
            pipeline.journal.clone(),
            Arc::clone(&pipeline.metrics),
            resources,
        );
        let settings = &config.revocation;
        // Port 0 is another port each time.
        let with_http = settings.listen.is_some_and(|address| address.port() != 0)
            && settings.listen == config.http.listen;
        let listener = match settings.listen.filter(|_| !with_http) {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let socket = match &settings.socket {
            Some(path) => Some(Socket::bind(path).await?),
            None => None,
        };
        Ok(Self {
            desk: Arc::new(desk),
            listener,
            with_http,
            socket,
        })
    }

    /// Where issuers are listened to alone, with the port that was really taken.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }

    /// The routes of health and metrics, and those for issuers where both have one listener.
    pub(super) fn join(&self, http: Router) -> Router {
        if self.with_http {
            http.merge(receiver::router(Arc::clone(&self.desk)))
        } else {
            http
        }
    }

    /// Serves what has listeners of its own.
    pub(super) fn serve(self, background: &mut JoinSet<()>) {
        if let Some(listener) = self.listener {
            let router = receiver::router(Arc::clone(&self.desk));
            background.spawn(async move {
                if let Err(error) = receiver::serve(listener, router).await {
                    tracing::error!(%error, "the revocation listener failed: issuers are no longer heard");
                }
            });
        }
        if let Some(socket) = self.socket {
            let desk = self.desk;
            background.spawn(async move {
                if let Err(error) = socket.serve(desk).await {
                    tracing::error!(%error, "the revocation socket failed: nobody can revoke by command");
                }
            });
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| AppError::Revocation { address, source })
}
