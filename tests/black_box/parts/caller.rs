//! A user and an agent, and single requests of theirs.

use mcp_authz::clock;
use mcp_authz::dev::client::{self, Session};
use mcp_authz::dev::mint::Mint;
use mcp_authz::dev::stack::Stack;
use serde_json::Value;

pub(crate) const TRUSTED: &str = "spiffe://mcp-identity.local/agent/trusted/assistant";
pub(crate) const SEMI_TRUSTED: &str = "spiffe://mcp-identity.local/agent/semi-trusted/helper";
pub(crate) const UNTRUSTED: &str = "spiffe://mcp-identity.local/agent/untrusted/crawler";

/// Somebody who calls a server.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

/// A person with these roles and scopes.
pub(crate) fn person(name: &str, roles: &[&str], scopes: &[&str]) -> Mint {
    Mint {
        user: name.to_owned(),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        lifetime_seconds: 600,
        ..Mint::default()
    }
}

/// A developer, who may read, list, write and execute on the workbench.
pub(crate) fn developer() -> Mint {
    person("dan", &["mcp-developer"], &[])
}

impl Caller {
    /// A person through an agent, with a token for this server.
    pub(crate) fn new(stack: &Stack, user: &Mint, agent: &str, server: &str) -> Self {
        let url = stack.url(server);
        let mint = Mint {
            audiences: vec![url.clone()],
            ..user.clone()
        };
        let token = stack.issuer.mint(&mint, clock::now()).unwrap();
        Self {
            token: Some(token),
            ..Self::without_token(stack, agent, server)
        }
    }

    /// Nobody through an agent.
    pub(crate) fn without_token(stack: &Stack, agent: &str, server: &str) -> Self {
        let identity = stack.authority.workload(agent).unwrap();
        let http = client::http(&stack.authority, Some(&identity)).unwrap();
        Self {
            http,
            url: stack.url(server),
            token: None,
        }
    }

    /// The trusted developer.
    pub(crate) fn developer(stack: &Stack) -> Self {
        Self::new(stack, &developer(), TRUSTED, "workbench")
    }

    /// A session of the SDK's.
    pub(crate) async fn open(&self) -> Session {
        Session::open(self.http.clone(), &self.url, self.token.as_deref())
            .await
            .unwrap_or_else(|answer| panic!("no session: {answer:?}"))
    }

    /// A request with what every request of this caller has.
    pub(crate) fn request(&self, method: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        let request = self
            .http
            .request(method, &self.url)
            .header("accept", "application/json, text/event-stream");
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A POST of these bytes as JSON, with more headers.
    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.request("POST").body(body);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::of(request).await
    }

    /// A tools/call of 2026-07-28: a single request, without a session.
    pub(crate) async fn call(&self, tool: &str, arguments: &Value) -> Reply {
        self.call_with(tool, arguments, &[]).await
    }

    /// The same with more headers.
    pub(crate) async fn call_with(&self, tool: &str, arguments: &Value, more: &[(&str, &str)]) -> Reply {
        let mut headers = vec![("mcp-name", tool)];
        headers.extend(client::SINGLE_CALL.iter().filter(|(name, _)| *name != "accept"));
        headers.extend_from_slice(more);
        self.post(call(tool, arguments).to_string(), &headers).await
    }
}

/// The body of a tools/call of 2026-07-28.
pub(crate) fn call(tool: &str, arguments: &Value) -> Value {
    client::single_call("call-1", tool, arguments)
}

impl Reply {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    /// The JSON-RPC message: the body, or the last event of a stream.
    pub(crate) fn message(&self) -> Value {
        let json = match self.text.rsplit("data: ").next() {
            Some(event) if self.header("content-type").starts_with("text/event-stream") => event,
            _ => &self.text,
        };
        serde_json::from_str(json.trim()).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    /// The reason's code of a denial.
    pub(crate) fn reason(&self) -> String {
        self.message()["error"]["data"]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The decision's id: of a denial's body, or as the server saw it.
    pub(crate) fn decision_id(&self) -> String {
        let message = self.message();
        let told = message["error"]["data"]["decision_id"]
            .as_str()
            .map(str::to_owned);
        told.or_else(|| self.seen("x-mcp-decision-id"))
            .unwrap_or_else(|| panic!("no decision id in {self:?}"))
    }

    /// A header about the caller, as the MCP server saw it; several values joined.
    pub(crate) fn seen(&self, name: &str) -> Option<String> {
        let values = self.message()["result"]["_meta"][client::SEEN].get(name)?.clone();
        let values: Vec<String> = serde_json::from_value(values).unwrap();
        Some(values.join(" | "))
    }

    /// Asserts that the server itself answered.
    #[track_caller]
    pub(crate) fn assert_allowed(&self) {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.message()["result"]["isError"], false, "{self:?}");
    }

    /// Asserts a denial with this status and reason.
    #[track_caller]
    pub(crate) fn assert_denied(&self, status: u16, reason: &str) {
        assert_eq!(
            (self.status, self.reason().as_str()),
            (status, reason),
            "{self:?}"
        );
    }
}
