//! An agent that serves the SPIFFE Workload API over a Unix socket, as SPIRE's does: for demos and tests, with outages on
//! demand. Whoever opens the socket is the workload that it was made for: give each workload a socket of its own.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tonic::body::Body;

use super::trust_domain::DevTrustDomain;
use crate::spiffe::SpiffeId;

mod service;

use service::Service;

/// What a socket hands out.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The identities of the workload; the first is its default.
    pub ids: Vec<SpiffeId>,
    /// Who issues them.
    pub trust_domain: Arc<DevTrustDomain>,
    /// Trust domains whose bundles it is given, too.
    pub federated: Vec<Arc<DevTrustDomain>>,
    /// How long its SVIDs are valid; a new one comes when half of that is over.
    pub svid_lifetime: Duration,
}

/// How the agent behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Serving,
    /// Answers without anything in them.
    Nothing,
    /// The workload isn't registered (any more).
    Denying,
    /// Takes calls and never answers.
    Hanging,
    /// Gives X.509-SVIDs that nobody should use.
    Wrong(Wrong),
}

/// What is wrong with the X.509-SVIDs that an agent gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The name isn't canonical.
    NotCanonical,
    /// The message names another workload than the certificate.
    OtherId,
    /// The key is another certificate's.
    OtherKey,
    /// The bundle doesn't hold who signed it.
    OtherBundle,
    /// There is no bundle.
    NoBundle,
    /// The certificate is no certificate.
    NoCertificate,
}

/// A served socket. Dropped, the agent is gone and its connections are cut.
#[derive(Debug)]
pub struct WorkloadApi {
    path: PathBuf,
    mood: watch::Sender<Mood>,
    serving: JoinHandle<()>,
}

impl WorkloadApi {
    /// Serves a workload's socket; one that was left there is replaced.
    ///
    /// # Errors
    /// [`io::Error`] if the socket can't be made.
    pub fn serve(path: &Path, workload: Workload) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        let mood = watch::Sender::new(Mood::default());
        let service = Service::new(workload, mood.subscribe());
        Ok(Self {
            path: path.to_owned(),
            mood,
            serving: tokio::spawn(accept(listener, service)),
        })
    }

    /// The address as `SPIFFE_ENDPOINT_SOCKET` writes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// From now on behaves otherwise, on open streams too.
    pub fn behave(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

impl Drop for WorkloadApi {
    fn drop(&mut self) {
        self.serving.abort();
        // Whoever connects is refused at once, as where no agent runs.
        let _best_effort = std::fs::remove_file(&self.path);
    }
}

/// Serves whoever connects. Dropped, it cuts every connection: tonic's own server would let them live on.
async fn accept(listener: UnixListener, service: Service) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let service = service.clone();
                    let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                        let service = service.clone();
                        async move { Ok::<_, Infallible>(service.answer(request.map(Body::new)).await) }
                    });
                    let builder = http2::Builder::new(TokioExecutor::new());
                    open.spawn(builder.serve_connection(TokioIo::new(stream), answer));
                }
                Err(error) => {
                    tracing::error!(%error, "the Workload API is no longer served");
                    return;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
