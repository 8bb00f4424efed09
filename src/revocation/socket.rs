//! The operator's way in: a Unix socket that only this service's own user, and root, may use.
//!
//! Its mode keeps others out, and each connection's user is looked at again: a mode can be changed, a folder be moved.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::IncomingStream;
use axum::{Json, Router};
use jiff::Timestamp;
use tokio::net::UnixListener;

use super::ask::{Answer, Problem, Question};
use super::{Desk, Source};
use crate::clock;
use crate::identity::revocation::{Kind, Order, keep_until};
use crate::identity::settings::Issuer;
use crate::wire::WireError;
use crate::wire::unix::{self, SocketFile};

/// The largest question: room for any name that a token may hold.
const MAX_BODY: usize = 64 * 1024;
/// How long it may take to carry it out.
const PATIENCE: Duration = Duration::from_secs(10);
/// Whom no mode keeps out.
const ROOT: u32 = 0;

/// A socket that is listened on; its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// Who is at the other end; `None` if the system doesn't say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| peer.uid()))
    }
}

struct Parts {
    desk: Arc<Desk>,
    owner: u32,
}

impl Socket {
    /// Makes the socket.
    ///
    /// # Errors
    /// [`WireError`] if it can't be made, or somebody serves it.
    pub async fn bind(path: &Path) -> Result<Self, WireError> {
        let (listener, file) = unix::bind(path, 0o600).await?;
        Ok(Self { listener, file })
    }

    /// Serves until it is dropped.
    ///
    /// # Errors
    /// Those of the listener.
    pub async fn serve(self, desk: Arc<Desk>) -> std::io::Result<()> {
        // Whoever made the file is who we are.
        let router = router(desk, self.file.owner());
        let service = router.into_make_service_with_connect_info::<Peer>();
        axum::serve(self.listener, service).await
    }
}

pub(super) fn router(desk: Arc<Desk>, owner: u32) -> Router {
    Router::new()
        .route("/revoke", post(revoke))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(Parts { desk, owner }))
}

async fn revoke(
    State(parts): State<Arc<Parts>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Json(question): Json<Question>,
) -> Response {
    let Some(operator) = peer.filter(|peer| [parts.owner, ROOT].contains(peer)) else {
        tracing::warn!(peer, "somebody else than this service's user asked to revoke");
        let error = "only the service's own user, and root, may revoke";
        return problem(StatusCode::FORBIDDEN, error);
    };
    match parts.desk.answer(&question, operator, clock::now()).await {
        Ok(answer) => Json(answer).into_response(),
        Err((status, error)) => problem(status, &error),
    }
}

fn problem(status: StatusCode, error: &str) -> Response {
    let problem = Problem {
        error: error.to_owned(),
        retry: status.is_server_error(),
    };
    (status, Json(problem)).into_response()
}

impl Desk {
    async fn answer(
        &self,
        question: &Question,
        operator: u32,
        now: Timestamp,
    ) -> Result<Answer, (StatusCode, String)> {
        let refused = |error: String| (StatusCode::BAD_REQUEST, error);
        let settings = self.verifier().issuer_settings(question.issuer.as_deref());
        let settings = settings.ok_or_else(|| refused(unknown(question.issuer.as_deref())))?;
        let order = order(question, settings, now).map_err(refused)?;
        let deadline = clock::instant().checked_add(PATIENCE);
        let deadline = deadline.unwrap_or_else(clock::instant);
        let done = self
            .carry_out(&order, Source::Operator(operator), None, deadline)
            .await;
        match done {
            Ok(_) => Ok(Answer {
                issuer: order.issuer,
                kind: question.kind,
                value: question.value.clone(),
                issued_until: order.issued_until,
                keep_until: keep_until(order.issued_until, settings),
                replicas_within_seconds: self.verifier().store().propagation().as_secs(),
            }),
            Err(error) if error.is_outage() => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
            Err(error) => Err(refused(error.to_string())),
        }
    }
}

fn unknown(issuer: Option<&str>) -> String {
    match issuer {
        Some(issuer) => format!("there is no issuer `{issuer}` here: name one of `identity.issuers`"),
        None => "there is not exactly one issuer here: name one of `identity.issuers`".to_owned(),
    }
}

/// What a question means.
fn order(question: &Question, settings: &Issuer, now: Timestamp) -> Result<Order, String> {
    if question.value.is_empty() != (question.kind == Kind::Issuer) {
        return Err("an id belongs to every kind but `issuer`".to_owned());
    }
    let latest = now.saturating_add(settings.clock_skew).unwrap_or(now);
    let issued_until = match question.before {
        // Whatever was issued by now, also by a clock that is ahead.
        None => latest,
        Some(before) => last_second_before(before),
    };
    let furthest = latest.saturating_add(settings.max_lifetime).unwrap_or(latest);
    if issued_until > furthest {
        return Err(format!(
            "{issued_until} is further ahead than any token of `{}` lives: nobody could log in",
            settings.name
        ));
    }
    if keep_until(issued_until, settings) <= now {
        return Err(format!(
            "no token that was issued until {issued_until} is taken any more: `max_lifetime` of `{}` has passed",
            settings.name
        ));
    }
    Ok(Order {
        issuer: settings.name.clone(),
        what: vec![(question.kind, question.value.clone())],
        issued_until,
    })
}

/// `iat` counts whole seconds.
fn last_second_before(time: Timestamp) -> Timestamp {
    let whole = time.as_second();
    let last = if time.subsec_nanosecond() > 0 {
        whole
    } else {
        whole.saturating_sub(1)
    };
    Timestamp::from_second(last).unwrap_or(time)
}
