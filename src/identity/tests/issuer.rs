//! An issuer over real HTTP, which can rotate its keys, be slow, break down and come back.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::settings::{self, Keys};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Status500,
    Html,
    Redirect,
    Endless,
    NotKeys,
    OtherIssuer,
    Slow(Duration),
    /// Slow to send what the keys were when it was asked.
    Late(Duration),
}

pub(super) struct Inside {
    pub(super) keys: Mutex<Vec<Value>>,
    pub(super) mood: Mutex<Mood>,
    /// How often the keys were asked for.
    pub(super) fetches: AtomicUsize,
    url: String,
}

pub(super) struct TestIssuer {
    pub(super) inside: Arc<Inside>,
    address: SocketAddr,
    task: Option<JoinHandle<()>>,
}

impl TestIssuer {
    pub(super) async fn start(keys: Vec<Value>) -> Self {
        let mut this = Self::down(keys).await;
        this.come_up().await;
        this
    }

    /// An issuer that has an address, and nobody there.
    pub(super) async fn down(keys: Vec<Value>) -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let inside = Arc::new(Inside {
            keys: Mutex::new(keys),
            mood: Mutex::new(Mood::Good),
            fetches: AtomicUsize::new(0),
            url: format!("http://{address}/realms/demo"),
        });
        Self {
            inside,
            address,
            task: None,
        }
    }

    pub(super) async fn come_up(&mut self) {
        let router = Router::new()
            .route("/realms/demo/.well-known/openid-configuration", get(discovery))
            .route("/realms/demo/certs", get(certs))
            .route("/realms/demo/moved", get(moved))
            .with_state(Arc::clone(&self.inside));
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.task = Some(tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        }));
    }

    pub(super) fn url(&self) -> &str {
        &self.inside.url
    }

    pub(super) fn set_keys(&self, keys: Vec<Value>) {
        *self.inside.keys.lock().unwrap() = keys;
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        *self.inside.mood.lock().unwrap() = mood;
    }

    pub(super) fn fetches(&self) -> usize {
        self.inside.fetches.load(Ordering::SeqCst)
    }

    /// Settings under which it is taken, and asked for its keys directly.
    pub(super) fn settings(&self) -> settings::Issuer {
        let mut settings = settings::Issuer::new("demo", self.url());
        settings.keys = Keys::JwksUrl(format!("{}/certs", self.url()));
        settings.fetch_timeout = Duration::from_secs(1);
        settings
    }
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn discovery(State(inside): State<Arc<Inside>>) -> Response {
    let other = *inside.mood.lock().unwrap() == Mood::OtherIssuer;
    let issuer = if other {
        "https://other.example"
    } else {
        &inside.url
    };
    axum::Json(json!({ "issuer": issuer, "jwks_uri": format!("{}/certs", inside.url) })).into_response()
}

async fn certs(State(inside): State<Arc<Inside>>) -> Response {
    inside.fetches.fetch_add(1, Ordering::SeqCst);
    let mood = *inside.mood.lock().unwrap();
    if let Mood::Slow(pause) = mood {
        let deadline = tokio::time::Instant::from_std(crate::clock::instant()) + pause;
        tokio::time::sleep_until(deadline).await;
    }
    let keys = json!({ "keys": *inside.keys.lock().unwrap() }).to_string();
    if let Mood::Late(pause) = mood {
        let deadline = tokio::time::Instant::from_std(crate::clock::instant()) + pause;
        tokio::time::sleep_until(deadline).await;
    }
    match mood {
        Mood::Good | Mood::Slow(_) | Mood::Late(_) | Mood::OtherIssuer => keys.into_response(),
        Mood::Status500 => (StatusCode::INTERNAL_SERVER_ERROR, keys).into_response(),
        Mood::Html => ([(header::CONTENT_TYPE, "text/html")], "<html>Sign in</html>").into_response(),
        Mood::Redirect => (
            StatusCode::FOUND,
            [(header::LOCATION, format!("{}/moved", inside.url))],
            keys,
        )
            .into_response(),
        Mood::Endless => (keys + &" ".repeat(1 << 20)).into_response(),
        Mood::NotKeys => r#"{"keys":{}}"#.into_response(),
    }
}

/// Where a redirect leads: to good keys, for whoever follows it.
async fn moved(State(inside): State<Arc<Inside>>) -> Response {
    json!({ "keys": *inside.keys.lock().unwrap() })
        .to_string()
        .into_response()
}
