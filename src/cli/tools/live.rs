//! A live server's tools, asked for by the official client, kept as the server wrote them.
//!
//! The client's own type of a tool knows the keys of its day and drops others. What is approved, and what its digest
//! is taken of, must be the whole definition: so the answers to `tools/list` are kept as they came.

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use miette::miette;
use rmcp::model::{ClientJsonRpcMessage, PaginatedRequestParams};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpPostResponse,
};
use serde_json::Value;
use sse_stream::Sse;
use tokio_stream::Stream;

/// One answer to `tools/list`.
const MAX_BYTES: usize = 16 << 20;
/// Answers in all.
const MAX_PAGES: usize = 1_000;

/// How to reach a server.
pub(super) struct Target {
    /// Its URL.
    pub(super) url: String,
    /// A bearer token.
    pub(super) token: Option<String>,
    /// The HTTP client, with its certificates.
    pub(super) http: reqwest::Client,
    /// For everything together.
    pub(super) timeout: Duration,
}

/// All tools of a server, as it wrote them.
///
/// # Errors
/// The server can't be reached, refuses, or says something else.
pub(super) async fn tools(target: Target) -> miette::Result<Vec<Value>> {
    let timeout = target.timeout;
    match tokio::time::timeout(timeout, pages(target)).await {
        Ok(tools) => tools,
        Err(_) => Err(miette!(
            "the server did not answer within {} s",
            timeout.as_secs()
        )),
    }
}

async fn pages(target: Target) -> miette::Result<Vec<Value>> {
    let client = Keeping {
        http: target.http.clone(),
        kept: Arc::default(),
    };
    let service = connect(&target, &client).await?;
    let mut tools = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
        let answered = service.list_tools(Some(params)).await;
        // The client may not understand a tool that we do.
        let Some(mut page) = client.take() else {
            let error = answered
                .err()
                .map_or_else(|| "no answer".to_owned(), |error| error.to_string());
            return Err(miette!("tools/list: {error}"));
        };
        match page.get_mut("tools").map(Value::take) {
            Some(Value::Array(found)) => tools.extend(found),
            _ => return Err(miette!("the answer to tools/list holds no list of `tools`")),
        }
        let next = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        match next {
            None => {
                // The list is whole: how the session ends doesn't matter.
                let _ = service.cancel().await;
                return Ok(tools);
            }
            Some(next) if Some(&next) == cursor.as_ref() => {
                return Err(miette!("the server gives the same page of tools again and again"));
            }
            next => cursor = next,
        }
    }
    Err(miette!("more than {MAX_PAGES} pages of tools"))
}

/// First as a client of 2026-07-28, then with `initialize`: a server from before may refuse the first in its own way.
async fn connect(target: &Target, client: &Keeping) -> miette::Result<RunningService<RoleClient, ()>> {
    let transport = || {
        let mut config = StreamableHttpClientTransportConfig::with_uri(target.url.clone());
        config.auth_header.clone_from(&target.token);
        StreamableHttpClientTransport::with_client(client.clone(), config)
    };
    let automatic = ClientLifecycleMode::Auto {
        preferred_versions: vec![rmcp::model::ProtocolVersion::LATEST],
        legacy_version: None,
    };
    if let Ok(service) = ().serve_with_lifecycle(transport(), automatic).await {
        return Ok(service);
    }
    let legacy = ().serve_with_lifecycle(transport(), ClientLifecycleMode::Initialize).await;
    legacy.map_err(|error| {
        let url = &target.url;
        miette!(
            help = "where the server asks for a token, give one with --token-file or MCP_AUTHZ_TOKEN",
            "can't open a session at {url}: {error}"
        )
    })
}

/// The client's own HTTP client, but for `tools/list`.
#[derive(Clone)]
struct Keeping {
    http: reqwest::Client,
    kept: Arc<Mutex<Option<Value>>>,
}

type Failure = StreamableHttpError<reqwest::Error>;
type Headers = HashMap<HeaderName, HeaderValue>;

impl Keeping {
    fn take(&self) -> Option<Value> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// POSTs and reads the answer, JSON or a stream of events, up to the response.
    async fn list(
        &self,
        uri: &str,
        message: &Value,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let mut request = self
            .http
            .post(uri)
            .header(header::ACCEPT, "text/event-stream, application/json");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(session) = session {
            request = request.header("mcp-session-id", session.as_ref());
        }
        let mut response = request.json(message).send().await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            return Err(unexpected(format!("HTTP {status}")));
        }
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let events = kind.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > MAX_BYTES {
                return Err(StreamableHttpError::ResponseBodyTooLarge { max_size: MAX_BYTES });
            }
            body.extend_from_slice(&chunk);
            // A stream may stay open after the response.
            if events && let Some(answer) = answer_in(&body, message) {
                return self.keep(answer);
            }
        }
        if events {
            return answer_in(&body, message)
                .map_or(Err(StreamableHttpError::UnexpectedEndOfStream), |answer| {
                    self.keep(answer)
                });
        }
        self.keep(serde_json::from_slice(&body)?)
    }

    fn keep(&self, answer: Value) -> Result<StreamableHttpPostResponse, Failure> {
        if let Some(result) = answer.get("result") {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(result.clone());
        }
        Ok(StreamableHttpPostResponse::Json(
            serde_json::from_value(answer)?,
            None,
        ))
    }
}

fn unexpected(what: String) -> Failure {
    StreamableHttpError::UnexpectedServerResponse(Cow::Owned(what))
}

/// The response to a request among the whole events of a stream.
fn answer_in(body: &[u8], request: &Value) -> Option<Value> {
    // Events end with an empty line; the last piece may be half of one.
    let text = String::from_utf8_lossy(body)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let whole = text.rfind("\n\n").and_then(|end| text.get(..end))?;
    whole.split("\n\n").find_map(|event| {
        let data: Vec<&str> = event
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| data.strip_prefix(' ').unwrap_or(data))
            .collect();
        let message: Value = serde_json::from_str(&data.join("\n")).ok()?;
        let answers = message.get("method").is_none() && message.get("id") == request.get("id");
        answers.then_some(message)
    })
}

impl StreamableHttpClient for Keeping {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let written = serde_json::to_value(&message)?;
        if written.get("method").and_then(Value::as_str) == Some("tools/list") {
            return self
                .list(&uri, &written, session_id, auth_header, custom_headers)
                .await;
        }
        self.http
            .post_message(uri, message, session_id, auth_header, custom_headers)
            .await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<(), Failure> {
        self.http
            .delete_session(uri, session_id, auth_header, custom_headers)
            .await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Sse, SseError>> + Send>>, Failure> {
        self.http
            .get_stream(uri, session_id, last_event_id, auth_header, custom_headers)
            .await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_is_found_among_other_events_once_it_is_whole() {
        let request = json!({ "id": 7 });
        let stream = ": hello\r\n\r\nid: 1\r\ndata: {\"method\":\"ping\",\"id\":7}\r\n\r\ndata: {\"id\":7,\r\ndata: \"result\":{}}\r\n\r\n";
        assert_eq!(
            answer_in(stream.as_bytes(), &request),
            Some(json!({ "id": 7, "result": {} }))
        );
        let cut = &stream[..stream.len() - 2];
        assert_eq!(answer_in(cut.as_bytes(), &request), None);
    }
}
