//! agentgateway as its neighbours see it: reads `envoy/agentgateway.yaml`, asks mcp-authz as agentgateway 1.4 asks, and
//! does with the answer what agentgateway does. The program itself is in no package registry.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderValueOption, Metadata, SocketAddress, address, socket_address,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request as Wrapped};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value as ProtoValue};
use serde_json::Value;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// Before each line of the mode in which agentgateway verifies tokens itself.
const SWITCH: &str = "#jwt# ";

/// A configuration with the switch as wanted.
pub(crate) fn switched(text: &str, jwt: bool) -> String {
    assert!(text.contains(SWITCH));
    if jwt {
        text.replace(SWITCH, "")
    } else {
        text.to_owned()
    }
}

/// The gateway, by its configuration.
pub(crate) struct AgentGateway {
    pub(crate) configuration: Value,
    http: reqwest::Client,
}

/// What a client sends; the certificate of its connection, if that names a workload.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) workload: Option<&'static str>,
}

/// What a client gets.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) text: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl AgentGateway {
    pub(crate) fn new(configuration: &str) -> Self {
        // Another test may have been first: whoever comes first is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            configuration: serde_saphyr::from_str(configuration).unwrap(),
            http: reqwest::Client::new(),
        }
    }

    /// The routes of its one listener.
    pub(crate) fn routes(&mut self) -> &mut Vec<Value> {
        let listener = &mut self.configuration["binds"][0]["listeners"][0];
        listener["routes"].as_array_mut().unwrap()
    }

    fn route(&self, path: &str) -> Option<&Value> {
        let routes = self.configuration["binds"][0]["listeners"][0]["routes"].as_array();
        routes?.iter().find(|route| {
            let matches = route["matches"].as_array().unwrap().iter();
            matches
                .map(|one| &one["path"]["exact"])
                .any(|exact| exact == path)
        })
    }

    /// The whole way of a request: its route, the token's check where agentgateway does that, mcp-authz, the server.
    pub(crate) async fn send(&self, mut request: Request) -> Reply {
        let Some(route) = self.route(request.path) else {
            return Reply::plain(404, "route not found");
        };
        let policies = &route["policies"];
        let claims = match &policies["jwtAuth"] {
            Value::Null => None,
            _ => take_token(&mut request),
        };
        let policy = &policies["extAuthz"];
        let Some(check) = check(policy, &request, claims) else {
            return Reply::plain(413, "external authorization failed");
        };
        // No grpc-timeout: the gateway has no default.
        let answer = client(policy).check(check).await;
        let Ok(answer) = answer else {
            assert_eq!(policy["failureMode"], "deny");
            return Reply::plain(403, "external authorization failed");
        };
        let mut headers = match apply(answer.into_inner(), request.headers.clone()) {
            Ok(headers) => headers,
            Err(denied) => return denied,
        };
        let removed = policies["requestHeaderModifier"]["remove"].as_array();
        for name in removed.into_iter().flatten() {
            headers.retain(|(key, _)| name.as_str() != Some(&key.to_ascii_lowercase()));
        }
        self.forward(route, &request, headers).await
    }

    /// To the route's one target. The session's id is the gateway's own, around the server's.
    async fn forward(&self, route: &Value, request: &Request, headers: Vec<(String, String)>) -> Reply {
        let target = &route["backends"][0]["mcp"]["targets"][0];
        let url = target["mcp"]["host"].as_str().unwrap();
        let method = request.method.parse().unwrap();
        let mut onward = self.http.request(method, url).body(request.body.clone());
        for (name, value) in headers {
            let value = if name.eq_ignore_ascii_case("mcp-session-id") {
                String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
            } else {
                value
            };
            onward = onward.header(name, value);
        }
        let response = onward.send().await.unwrap();
        let status = response.status().as_u16();
        let mut headers = HashMap::new();
        for (name, value) in response.headers() {
            let value = value.to_str().unwrap();
            let own = || STANDARD.encode(value);
            let value = if name == "mcp-session-id" {
                own()
            } else {
                value.to_owned()
            };
            headers.insert(name.to_string(), value);
        }
        // A stream of events stays open: its head says enough.
        let text = if request.method == "GET" {
            String::new()
        } else {
            response.text().await.unwrap()
        };
        Reply {
            status,
            headers,
            text,
        }
    }
}

/// Its policy takes the token away and hands on the claims. Whether they hold is left to the one who is told them: what
/// the real one would refuse must be refused here too.
fn take_token(request: &mut Request) -> Option<Value> {
    let token = request
        .header("authorization")?
        .strip_prefix("Bearer ")?
        .to_owned();
    request.headers.retain(|(name, _)| *name != "authorization");
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn client(policy: &Value) -> AuthorizationClient<Channel> {
    let tls = &policy["policies"]["backendTLS"];
    let pem = |key: &str| std::fs::read(Path::new(tls[key].as_str().unwrap())).unwrap();
    let tls_config = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(pem("root")))
        .identity(Identity::from_pem(pem("cert"), pem("key")))
        .domain_name(tls["hostname"].as_str().unwrap());
    let host = policy["host"].as_str().unwrap();
    let endpoint = Endpoint::try_from(format!("https://{host}")).unwrap();
    AuthorizationClient::new(endpoint.tls_config(tls_config).unwrap().connect_lazy())
}

/// The question; `None` if the body is over the limit and may not be cut.
fn check(policy: &Value, request: &Request, claims: Option<Value>) -> Option<CheckRequest> {
    let body = &policy["includeRequestBody"];
    let limit = usize::try_from(body["maxRequestBytes"].as_u64().unwrap_or(0)).unwrap();
    let whole = request.body.len() <= limit;
    if !whole && body["allowPartialMessage"] != true {
        return None;
    }
    let seen = request.body[..request.body.len().min(limit)].to_vec();
    let size = if whole {
        i64::try_from(seen.len()).unwrap()
    } else {
        -1
    };
    let (text, raw) = if body["packAsBytes"] == true {
        (String::new(), seen)
    } else {
        (String::from_utf8_lossy(&seen).into_owned(), Vec::new())
    };
    let http = HttpRequest {
        id: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        method: request.method.to_owned(),
        headers: headers(policy, request),
        path: request.path.to_owned(),
        host: "localhost:8443".to_owned(),
        scheme: "https".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        size,
        body: text,
        raw_body: raw,
        ..HttpRequest::default()
    };
    let context = policy["protocol"]["grpc"]["context"].as_object().unwrap();
    let context = context
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
    let wrapped = Wrapped {
        http: Some(http),
        ..Wrapped::default()
    };
    Some(CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(source(request)),
            request: Some(wrapped),
            context_extensions: context.collect(),
            metadata_context: Some(metadata(policy, claims)),
            ..AttributeContext::default()
        }),
    })
}

/// All of them, the pseudo-headers too, unless the policy lists some. What is repeated is joined with `, `.
fn headers(policy: &Value, request: &Request) -> HashMap<String, String> {
    let pseudo = [
        (":method", request.method),
        (":path", request.path),
        (":authority", "localhost:8443"),
        (":scheme", "https"),
    ];
    let mut joined: HashMap<String, String> = pseudo
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    for (name, value) in &request.headers {
        let known = joined.entry(name.to_ascii_lowercase());
        known
            .and_modify(|known| *known = format!("{known}, {value}"))
            .or_insert_with(|| value.clone());
    }
    if let Some(listed) = policy["includeRequestHeaders"].as_array() {
        joined.retain(|name, _| listed.iter().any(|one| one == name));
    }
    joined
}

/// The SPIFFE ID of a certificate that was verified, or nothing; never the certificate.
fn source(request: &Request) -> Peer {
    let socket = SocketAddress {
        address: "127.0.0.1".to_owned(),
        port_specifier: Some(socket_address::PortSpecifier::PortValue(50_000)),
        ..SocketAddress::default()
    };
    Peer {
        address: Some(Address {
            address: Some(address::Address::SocketAddress(socket)),
        }),
        principal: request.workload.unwrap_or_default().to_owned(),
        ..Peer::default()
    }
}

/// The claims, where the policy itself names no metadata.
fn metadata(policy: &Value, claims: Option<Value>) -> Metadata {
    assert_eq!(policy["protocol"]["grpc"]["metadata"], Value::Null);
    let claims = claims.map(|claims| {
        let payload = Struct {
            fields: [("jwt_payload".to_owned(), proto(&claims))].into(),
        };
        ("envoy.filters.http.jwt_authn".to_owned(), payload)
    });
    Metadata {
        filter_metadata: claims.into_iter().collect(),
        ..Metadata::default()
    }
}

fn proto(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(proto).collect(),
        }),
        Value::Object(members) => Kind::StructValue(Struct {
            fields: members
                .iter()
                .map(|(key, value)| (key.clone(), proto(value)))
                .collect(),
        }),
    };
    ProtoValue { kind: Some(kind) }
}

/// The answer on the request: first what is removed, then what is set; or the denial, as it is.
fn apply(
    answer: CheckResponse,
    headers: Vec<(&'static str, String)>,
) -> Result<Vec<(String, String)>, Reply> {
    let mut headers: Vec<(String, String)> = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let allowed = answer.status.is_none_or(|status| status.code == 0);
    match answer.http_response {
        Some(HttpResponse::OkResponse(ok)) if allowed => {
            for name in ok.headers_to_remove {
                headers.retain(|(key, _)| !key.eq_ignore_ascii_case(&name));
            }
            for (name, value) in ok.headers.into_iter().filter_map(pair) {
                headers.retain(|(key, _)| !key.eq_ignore_ascii_case(&name));
                headers.push((name, value));
            }
            Ok(headers)
        }
        // Whatever else is there.
        _ if allowed => Ok(headers),
        Some(HttpResponse::DeniedResponse(denied)) => Err(Reply {
            status: u16::try_from(denied.status.map_or(403, |status| status.code)).unwrap(),
            // Of a repeated one, the last.
            headers: denied.headers.into_iter().filter_map(pair).collect(),
            text: denied.body,
        }),
        _ => Err(Reply::plain(403, "external authorization failed")),
    }
}

fn pair(option: HeaderValueOption) -> Option<(String, String)> {
    option.header.map(|header| (header.key, header.value))
}

impl Reply {
    fn plain(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: HashMap::new(),
            text: text.to_owned(),
        }
    }

    /// The JSON-RPC message: the body, or the last event of a stream.
    pub(crate) fn message(&self) -> Value {
        let json = self.text.rsplit("data: ").next().unwrap();
        serde_json::from_str(json.trim()).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Asserts a denial with this status and reason, as JSON.
    #[track_caller]
    pub(crate) fn assert_denied(&self, status: u16, reason: &str) {
        let message = self.message();
        let found = message["error"]["data"]["reason"].as_str();
        assert_eq!((self.status, found), (status, Some(reason)), "{self:?}");
        // Without one of ours there would be none.
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
    }

    /// A header about the caller, as the MCP server saw it; several values joined.
    #[track_caller]
    pub(crate) fn seen(&self, name: &str) -> Option<String> {
        let message = self.message();
        assert_eq!(message["result"]["isError"], false, "{self:?}");
        let values = message["result"]["_meta"][mcp_authz::dev::client::SEEN].get(name)?;
        let values: Vec<String> = serde_json::from_value(values.clone()).unwrap();
        Some(values.join(" | "))
    }
}
