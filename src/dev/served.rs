//! A document that is served on loopback by a task of ours, as long as somebody holds on to it.

use std::net::Ipv4Addr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::part::PartError;

/// What is served; dropping it ends that.
#[derive(Debug)]
pub struct Served {
    port: u16,
    task: JoinHandle<()>,
}

impl Served {
    /// Serves this on a free port.
    ///
    /// # Errors
    /// [`PartError::Listen`].
    pub async fn start(router: Router) -> Result<Self, PartError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(PartError::Listen)?;
        let port = listener.local_addr().map_err(PartError::Listen)?.port();
        let task = tokio::spawn(async move {
            // It ends with us; there is nobody to tell.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, task })
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}
