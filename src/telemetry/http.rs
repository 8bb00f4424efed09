//! `/health`, `/ready` and `/metrics`.
//!
//! Answers only to hosts it is known by: a web page whose own name was made to resolve to this address (DNS
//! rebinding) sends that name as `Host` and is refused. No answer may be kept, framed or read across origins.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;

use super::metrics::Metrics;
use super::settings::HttpSettings;
use super::status::Probe;
use crate::clock;

/// What the answers are made of.
struct Parts {
    metrics: Arc<Metrics>,
    probe: Arc<dyn Probe>,
    hosts: Vec<String>,
}

/// The routes:
/// - `/health`: 200 as long as the process answers at all;
/// - `/ready`: each part's state as JSON, 200 or 503 (see [`super::Status::is_ready`]);
/// - `/metrics`: Prometheus' text format.
pub fn router(settings: &HttpSettings, metrics: Arc<Metrics>, probe: Arc<dyn Probe>) -> Router {
    let hosts = settings
        .hosts
        .iter()
        .map(|host| host.to_ascii_lowercase())
        .collect();
    let parts = Arc::new(Parts {
        metrics,
        probe,
        hosts,
    });
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(render))
        .layer(middleware::from_fn_with_state(Arc::clone(&parts), guard))
        .with_state(parts)
}

/// Serves until `stop` is done and the answers under way are sent.
///
/// # Errors
/// Those of the listener.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn health() -> Json<serde_json::Value> {
    Json(json!({ "alive": true, "version": env!("CARGO_PKG_VERSION") }))
}

async fn ready(State(parts): State<Arc<Parts>>) -> Response {
    let status = parts.probe.status();
    let code = if status.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(status.report())).into_response()
}

async fn render(State(parts): State<Arc<Parts>>) -> Response {
    let text = parts.metrics.render(&parts.probe.status(), clock::now());
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}

async fn guard(State(parts): State<Arc<Parts>>, request: Request, next: Next) -> Response {
    let mut response = if is_known(&parts.hosts, request.uri(), request.headers()) {
        next.run(request).await
    } else {
        // RFC 9110 §15.5.20
        (
            StatusCode::MISDIRECTED_REQUEST,
            "this host is not known here: list it in `hosts`\n",
        )
            .into_response()
    };
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in fixed {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether every authority that the request names, at least one, is ours.
fn is_known(hosts: &[String], uri: &Uri, headers: &HeaderMap) -> bool {
    let mut named = headers
        .get_all(header::HOST)
        .iter()
        .map(HeaderValue::to_str)
        .peekable();
    if named.peek().is_none() {
        return false;
    }
    let target = uri
        .authority()
        .is_none_or(|authority| may_ask(hosts, authority.as_str()));
    target && named.all(|host| host.is_ok_and(|host| may_ask(hosts, host)))
}

/// An address can't be rebound; `localhost` is the browser's own (RFC 6761 §6.3); other names must be listed.
fn may_ask(hosts: &[String], authority: &str) -> bool {
    // No userinfo in a Host (RFC 9110 §7.2).
    let parsed = authority.parse::<axum::http::uri::Authority>();
    let Some(authority) = parsed.ok().filter(|_| !authority.contains('@')) else {
        return false;
    };
    let host = authority.host().to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() || host == "localhost" || hosts.contains(&host)
}

#[cfg(test)]
mod tests;
