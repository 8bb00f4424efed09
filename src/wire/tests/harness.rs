//! A decider that does what the path says, a server around it, and clients.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use serde_json::Value;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::exchange::{Answer, Decider, Exchange, Forward, Gateway, Reply};
use crate::wire::{Listeners, Settings, WireError};

/// What the tests may have to wait for, at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Does what the path of the request says.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) seen: Mutex<Vec<Exchange>>,
    pub(super) unasked: Mutex<Vec<&'static str>>,
    pub(super) entered: Notify,
    pub(super) dropped: Notify,
    pub(super) release: Notify,
    under_way: AtomicUsize,
}

/// Of a decision that takes its time: counted while it lasts, told when it ends.
struct Dropping<'a>(&'a Scripted);

impl Drop for Dropping<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        self.0.dropped.notify_one();
    }
}

impl Scripted {
    /// How many decisions that take their time are being made.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    fn begin(&self) -> Dropping<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        Dropping(self)
    }
}

impl Decider for Scripted {
    async fn answer(&self, exchange: Box<Exchange>) -> Reply {
        let path = exchange.path.clone();
        self.seen.lock().unwrap().push(*exchange);
        self.entered.notify_one();
        match path.as_str() {
            "/panic" => panic!("as the path says"),
            "/never" => {
                let _dropping = self.begin();
                std::future::pending().await
            }
            "/wait" => {
                let _dropping = self.begin();
                self.release.notified().await;
                allow("alice")
            }
            "/deny" => Reply::Answer(Answer {
                status: 401,
                headers: vec![
                    ("www-authenticate", "Bearer scope=\"a b\"".to_owned()),
                    ("www-authenticate", "DPoP algs=\"ES256\"".to_owned()),
                ],
                body: "{\"denied\":true}".to_owned(),
                metadata: serde_json::Map::new(),
            }),
            "/unfit" => allow("alice\r\nx-mcp-user: root"),
            _ => allow("alice"),
        }
    }

    fn denied_by_wire(&self, reason: &'static str, _: &Gateway, _: Option<&str>) {
        self.unasked.lock().unwrap().push(reason);
    }
}

fn allow(user: &str) -> Reply {
    Reply::Forward(Forward {
        set: vec![("x-mcp-user", user.to_owned())],
        remove: vec!["x-mcp-agent"],
        ..Forward::default()
    })
}

/// A server that runs until it is told to stop.
pub(super) struct Running {
    pub(super) decider: Arc<Scripted>,
    pub(super) ready: watch::Sender<bool>,
    pub(super) url: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<(), WireError>>,
}

pub(super) fn settings() -> Settings {
    Settings {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        shutdown_grace: PATIENCE,
        ..Settings::default()
    }
}

pub(super) async fn start(settings: &Settings) -> Running {
    let listeners = Listeners::bind(settings).await.unwrap();
    let url = listeners.tcp_addr().map(|address| format!("http://{address}"));
    let decider = Arc::new(Scripted::default());
    let (ready, readiness) = watch::channel(true);
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _stopped = stopped.await;
    };
    let serving = tokio::spawn(listeners.serve(Arc::clone(&decider), readiness, shutdown));
    Running {
        decider,
        ready,
        url,
        stop: Some(stop),
        serving,
    }
}

impl Running {
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::try_from(self.url.clone().unwrap()).unwrap()
    }

    pub(super) async fn client(&self) -> AuthorizationClient<Channel> {
        AuthorizationClient::new(self.endpoint().connect().await.unwrap())
    }

    pub(super) fn tell_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the end of `serve`.
    pub(super) async fn ended(self) -> Result<(), WireError> {
        let ended = tokio::time::timeout(PATIENCE, self.serving).await;
        ended.expect("the server ends in time").unwrap()
    }

    pub(super) fn last_seen(&self) -> Exchange {
        self.decider
            .seen
            .lock()
            .unwrap()
            .last()
            .cloned()
            .expect("a check came through")
    }
}

pub(in crate::wire) fn check(path: &str) -> CheckRequest {
    let http = HttpRequest {
        path: path.to_owned(),
        method: "POST".to_owned(),
        ..HttpRequest::default()
    };
    let request = Request {
        http: Some(http),
        ..Request::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(request),
            ..AttributeContext::default()
        }),
    }
}

pub(in crate::wire) async fn ask(client: &mut AuthorizationClient<Channel>, path: &str) -> CheckResponse {
    client
        .check(check(path))
        .await
        .expect("an answer, never a gRPC error")
        .into_inner()
}

pub(super) fn is_allowed(response: &CheckResponse) -> bool {
    let code = response.status.as_ref().map(|status| status.code);
    code == Some(0) && matches!(response.http_response, Some(HttpResponse::OkResponse(_)))
}

/// HTTP status and reason of a denial made by the wire.
pub(super) fn denial(response: &CheckResponse) -> (i32, String) {
    assert_ne!(response.status.as_ref().unwrap().code, 0, "{response:?}");
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else {
        panic!("no denial: {response:?}");
    };
    let body: Value = serde_json::from_str(&denied.body).unwrap();
    let reason = body["error"]["data"]["reason"].as_str().unwrap().to_owned();
    (denied.status.as_ref().unwrap().code, reason)
}
