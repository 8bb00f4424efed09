//! A real MCP client with an identity of its own: rmcp over mutual TLS.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{ClientInitializeError, RunningService, ServiceError};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpClientWorker,
    StreamableHttpError,
};
use rmcp::transport::{DynamicTransportError, StreamableHttpClientTransport, WorkerTransport};
use rmcp::{RoleClient, ServiceExt as _};
use rustls::ClientConfig;
use serde_json::{Map, Value, json};

use super::dpop::BoundClient;
use super::pki::{Authority, Identity, PkiError, Svid};

/// The key in a result's `_meta` under which the demo's MCP servers say which headers about the caller they saw.
pub const SEEN: &str = "local.mcp-identity/headers";

/// The header fields of [`single_call`], without the name of its tool (`mcp-name`).
pub const SINGLE_CALL: [(&str, &str); 4] = [
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/call"),
];

/// The body of a tools/call of 2026-07-28: one request, without a session.
#[must_use]
pub fn single_call(id: impl Into<Value>, tool: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": id.into(),
        "method": "tools/call",
        "params": { "name": tool, "arguments": arguments, "_meta": single_meta() },
    })
}

/// What the params of each request of 2026-07-28 must hold.
#[must_use]
pub fn single_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// One call without a session, with these header fields, over whatever connection.
pub async fn single(
    http: &reqwest::Client,
    url: &str,
    tool: &str,
    arguments: &Value,
    fields: HeaderMap,
) -> Answer {
    let mut request = http.post(url).header("mcp-name", tool);
    for (name, value) in SINGLE_CALL {
        request = request.header(name, value);
    }
    let call = single_call(1, tool, arguments).to_string();
    match request.headers(fields).body(call).send().await {
        Ok(response) => of_http(response).await,
        Err(error) => Answer::Failed {
            error: with_sources(&error),
        },
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Its certificate isn't usable.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The HTTP client can't be built.
    #[error("can't build an HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The server's own result.
    Result {
        /// Its text.
        text: String,
        /// Whether the tool itself refused.
        is_error: bool,
        /// The headers about the caller that the server saw.
        seen: Map<String, Value>,
    },
    /// A JSON-RPC error: a denial, or the server's.
    Error {
        /// `error.code`
        code: i32,
        /// `error.message`
        message: String,
        /// `error.data`
        data: Value,
    },
    /// 401, or 403 with a challenge: another token would do.
    Challenged {
        /// The `WWW-Authenticate` field.
        challenge: String,
    },
    /// No answer of MCP's.
    Failed {
        /// What the client says.
        error: String,
    },
}

/// An open session, or why there is none.
pub type Opened = Result<Session, Answer>;

/// An open session of one user and one agent with one server.
#[derive(Debug)]
pub struct Session(RunningService<RoleClient, ()>);

/// An HTTP client that shows this identity, or none, and trusts this authority alone.
///
/// # Errors
/// [`ClientError`] if the identity isn't usable.
pub fn http(authority: &Authority, identity: Option<&Identity>) -> Result<reqwest::Client, ClientError> {
    over(authority.client_config(identity)?)
}

/// The same for a workload with this SVID, of whatever trust domain.
///
/// # Errors
/// [`ClientError`] if the SVID isn't usable.
pub fn workload(authority: &Authority, svid: &Svid) -> Result<reqwest::Client, ClientError> {
    over(authority.workload_config(svid)?)
}

fn over(tls: ClientConfig) -> Result<reqwest::Client, ClientError> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()?)
}

impl Session {
    /// Connects and initializes.
    ///
    /// # Errors
    /// The [`Answer`] that it got instead.
    pub async fn open(http: reqwest::Client, url: &str, token: Option<&str>) -> Opened {
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        if let Some(token) = token {
            config = config.auth_header(token);
        }
        Self::open_with(http, config).await
    }

    /// Connects and initializes with a token that is bound to a key, and a proof at each request.
    ///
    /// # Errors
    /// The [`Answer`] that it got instead.
    pub async fn open_bound(client: BoundClient, url: &str) -> Opened {
        Self::open_with(client, StreamableHttpClientTransportConfig::with_uri(url)).await
    }

    async fn open_with<C>(client: C, config: StreamableHttpClientTransportConfig) -> Opened
    where
        C: StreamableHttpClient<Error = reqwest::Error> + Sync,
    {
        let transport: WorkerTransport<StreamableHttpClientWorker<C>> =
            StreamableHttpClientTransport::with_client(client, config);
        match ().serve(transport).await {
            Ok(service) => Ok(Self(service)),
            Err(error) => Err(not_opened(&error)),
        }
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Answer {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        match self.0.call_tool(params).await {
            Ok(result) => answered(&serde_json::to_value(&result).unwrap_or_default()),
            Err(error) => not_called(&error),
        }
    }

    /// The names of the tools that the server lists.
    ///
    /// # Errors
    /// The [`Answer`] that it got instead.
    pub async fn tools(&self) -> Result<Vec<String>, Answer> {
        let tools = self
            .0
            .list_all_tools()
            .await
            .map_err(|error| not_called(&error))?;
        Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect())
    }

    /// Ends the session (DELETE) and waits until it is.
    pub async fn close(self) {
        // A session that is gone already is closed too.
        let _ = self.0.cancel().await;
    }
}

fn not_opened(error: &ClientInitializeError) -> Answer {
    match error {
        ClientInitializeError::JsonRpcError(error) => rpc(error),
        ClientInitializeError::TransportError { error, .. } => transport(error),
        other => Answer::Failed {
            error: other.to_string(),
        },
    }
}

fn not_called(error: &ServiceError) -> Answer {
    match error {
        ServiceError::McpError(error) => rpc(error),
        ServiceError::TransportSend(error) => transport(error),
        other => Answer::Failed {
            error: other.to_string(),
        },
    }
}

async fn of_http(response: reqwest::Response) -> Answer {
    let status = response.status();
    if let Some(challenge) = response.headers().get(WWW_AUTHENTICATE) {
        return Answer::Challenged {
            challenge: String::from_utf8_lossy(challenge.as_bytes()).into_owned(),
        };
    }
    let text = response.text().await.unwrap_or_default();
    // JSON, or the last event of a stream.
    let json = text.rsplit("data: ").next().unwrap_or_default();
    let message: Value = serde_json::from_str(json.trim()).unwrap_or_default();
    match (message.get("result"), message.get("error")) {
        (Some(result), None) => answered(result),
        (None, Some(error)) => match serde_json::from_value(error.clone()) {
            Ok(error) => rpc(&error),
            Err(error) => Answer::Failed {
                error: error.to_string(),
            },
        },
        _ => Answer::Failed {
            error: format!("{status}: {text}"),
        },
    }
}

/// A tool's result.
fn answered(result: &Value) -> Answer {
    let content = result.get("content").and_then(Value::as_array);
    let text = content
        .into_iter()
        .flatten()
        .filter_map(|block| block.get("text")?.as_str());
    let seen = result
        .get("_meta")
        .and_then(|meta| meta.get(SEEN))
        .and_then(Value::as_object);
    Answer::Result {
        text: text.collect::<Vec<_>>().join("\n"),
        is_error: result.get("isError") == Some(&Value::Bool(true)),
        seen: seen.cloned().unwrap_or_default(),
    }
}

fn rpc(error: &rmcp::ErrorData) -> Answer {
    Answer::Error {
        code: error.code.0,
        message: error.message.to_string(),
        data: error.data.clone().unwrap_or_default(),
    }
}

fn transport(error: &DynamicTransportError) -> Answer {
    match error.error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        Some(StreamableHttpError::AuthRequired(required)) => Answer::Challenged {
            challenge: required.www_authenticate_header.clone(),
        },
        Some(StreamableHttpError::InsufficientScope(required)) => Answer::Challenged {
            challenge: required.www_authenticate_header.clone(),
        },
        _ => Answer::Failed {
            error: with_sources(error.error.as_ref()),
        },
    }
}

/// An error and what is behind it: reqwest's own text stops at «error sending request».
fn with_sources(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
