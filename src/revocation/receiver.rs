//! Where issuers tell of logouts: three places for each issuer, by POST, and nothing else.
//!
//! - `/revocation/<issuer>/backchannel-logout`: a form with `logout_token` (OpenID Connect Back-Channel Logout 1.0 §2.5);
//! - `/revocation/<issuer>/k_push_not_before` and `…/k_logout`: Keycloak's admin URL is `/revocation/<issuer>`.
//!
//! Anybody may ask: what is believed is a signature. So what comes is bounded in size, time and number before it is looked at.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::form_urlencoded;

use super::connections::Connections;
use super::{Desk, DeskError};
use crate::identity::notice::{Notice, NoticeError};

/// The largest body: a token as long as tokens may be, percent-encoded, has room.
const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to come, and a notice to be carried out.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many are taken at once; an issuer that tells of more is told to come again.
const AT_ONCE: usize = 64;

/// What the answers are made of.
struct Parts {
    desk: Arc<Desk>,
    places: Semaphore,
}

/// Why a request isn't looked at, or what it says isn't believed.
struct Refusal {
    status: StatusCode,
    /// The code in metrics.
    reason: &'static str,
    told: String,
}

/// The routes.
pub fn router(desk: Arc<Desk>) -> Router {
    router_for(desk, AT_ONCE)
}

pub(super) fn router_for(desk: Arc<Desk>, at_once: usize) -> Router {
    let parts = Arc::new(Parts {
        desk,
        places: Semaphore::new(at_once),
    });
    let place = |notice: Notice| {
        post(
            move |State(parts): State<Arc<Parts>>, Path(issuer): Path<String>, request: Request| async move {
                parts.take(notice, &issuer, request).await
            },
        )
    };
    Router::new()
        .route(
            "/revocation/{issuer}/backchannel-logout",
            place(Notice::LogoutToken),
        )
        .route("/revocation/{issuer}/k_push_not_before", place(Notice::NotBefore))
        .route("/revocation/{issuer}/k_logout", place(Notice::Logout))
        .layer(middleware::from_fn(never_kept))
        .with_state(parts)
}

/// Serves on a listener of its own, which strangers may reach.
///
/// # Errors
/// Those of the listener.
pub async fn serve(listener: TcpListener, router: Router) -> std::io::Result<()> {
    axum::serve(Connections::of(listener), router).await
}

impl Parts {
    async fn take(&self, notice: Notice, issuer: &str, request: Request) -> Response {
        match self.carried_out(notice, issuer, request).await {
            Ok(()) => StatusCode::OK.into_response(),
            Err(refusal) => refusal.answer(),
        }
    }

    async fn carried_out(&self, notice: Notice, issuer: &str, request: Request) -> Result<(), Refusal> {
        let text = self.read(notice, request).await.inspect_err(|refusal| {
            self.desk.count_notice(issuer, notice.name(), refusal.reason);
        })?;
        let _place = self.places.try_acquire().map_err(|_| {
            self.desk.count_notice(issuer, notice.name(), "overloaded");
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "too many at once: come again",
            )
        })?;
        let taken = self.desk.take_notice(notice, issuer, &text, PATIENCE).await;
        taken.map(drop).map_err(|error| Refusal::of(&error))
    }

    async fn read(&self, notice: Notice, request: Request) -> Result<String, Refusal> {
        let wanted = match notice {
            Notice::LogoutToken => "application/x-www-form-urlencoded",
            Notice::NotBefore | Notice::Logout => "text/plain",
        };
        if !is_content_type(request.headers(), wanted) {
            let told = format!("the content type must be `{wanted}`");
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Refusal::new(status, "wrong_content_type", told));
        }
        let bytes = read_body(request.into_body()).await?;
        let malformed = |told| Refusal::new(StatusCode::BAD_REQUEST, "malformed_body", told);
        match notice {
            Notice::LogoutToken => {
                let mut tokens = form_urlencoded::parse(&bytes).filter(|(name, _)| name == "logout_token");
                match (tokens.next(), tokens.next()) {
                    (Some((_, token)), None) => Ok(token.into_owned()),
                    _ => Err(malformed("the form must have one `logout_token`")),
                }
            }
            Notice::NotBefore | Notice::Logout => {
                String::from_utf8(bytes).map_err(|_| malformed("the body must be a JWT"))
            }
        }
    }
}

impl Refusal {
    fn new(status: StatusCode, reason: &'static str, told: impl Into<String>) -> Self {
        Self {
            status,
            reason,
            told: told.into(),
        }
    }

    fn of(error: &DeskError) -> Self {
        let status = match error {
            DeskError::Notice(NoticeError::UnknownIssuer) => StatusCode::NOT_FOUND,
            error if error.is_outage() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.code(), error.to_string())
    }

    /// Back-Channel Logout §2.8: as OAuth's errors.
    fn answer(self) -> Response {
        let error = if self.status.is_server_error() {
            "temporarily_unavailable"
        } else {
            "invalid_request"
        };
        let body = json!({ "error": error, "error_description": self.told, "reason": self.reason });
        (self.status, Json(body)).into_response()
    }
}

/// Whether it is the one content type, whatever its parameters.
fn is_content_type(headers: &HeaderMap, wanted: &str) -> bool {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(given), None) = (given.next(), given.next()) else {
        return false;
    };
    let essence = given.to_str().ok().and_then(|given| given.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

async fn read_body(body: Body) -> Result<Vec<u8>, Refusal> {
    match timeout(PATIENCE, axum::body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is too large, or was cut off",
        )),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            "the body did not come in time",
        )),
    }
}

/// Back-Channel Logout §2.8.
async fn never_kept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
