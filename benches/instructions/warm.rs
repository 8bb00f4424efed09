//! A pipeline that has decided the bench's check before: what is asked again and again finds everything remembered.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use http_body_util::BodyExt as _;
use mcp_authz::app;
use mcp_authz::clock;
use mcp_authz::config::Config;
use mcp_authz::decide::{self, Asked, Decision, Permit};
use mcp_authz::dev::dpop::{Proof, ProofKey};
use mcp_authz::dev::{DevIssuer, Mint};
use mcp_authz::exchange::{Exchange, Fate, Gateway, Peer};
use mcp_authz::identity::Caller;
use mcp_authz::inventory::Server;
use mcp_authz::mcp::{Call, Id, Operation, Version, json};
use mcp_authz::pipeline::Pipeline;
use mcp_authz::policy::{DecisionCache, PolicyStore, Question, Settings};
use mcp_authz::respond::About;
use mcp_authz::wire;
use mcp_authz::wire::check::request::{self, Frame};
use mcp_authz::wire::check::{self, Asking};
use prost::Message as _;
use serde_json::{Map, Value, json};
use tower::Service as _;

use super::frame;

/// Everything that stages before the one that is measured would have found out.
pub(crate) struct Warm {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) exchange: Exchange,
    pub(crate) server: Arc<Server>,
    pub(crate) caller: Caller,
    pub(crate) call: Call,
    runtime: tokio::runtime::Runtime,
    /// The configuration and the audit.
    directory: tempfile::TempDir,
}

impl Default for Warm {
    fn default() -> Self {
        Self::of(
            "fs_write",
            r#"{"path":"/srv/work/a","content":"b","create":true}"#,
        )
    }
}

impl Warm {
    /// Before the call of a tool that was called before.
    pub(crate) fn of(tool: &str, arguments: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        frame::prepare(directory.path()).unwrap();
        frame::configure(directory.path(), "bench", "queued", 0, 0, "{}").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let config = Config::load(Some(&directory.path().join("bench.yaml")), []).unwrap();
        let pipeline = Arc::new(runtime.block_on(app::pipeline(&config)).unwrap());
        let framed = std::fs::read(directory.path().join("check.frame")).unwrap();
        let exchange = request::exchange(framed.get(5..).unwrap(), arrival()).unwrap();
        let server = Arc::clone(pipeline.routes.find(&exchange).unwrap());
        let identified = pipeline.verifier.identify(&exchange, &server, exchange.received);
        let caller = runtime.block_on(identified).unwrap();
        let call = Call {
            id: Some(Id::Number(7)),
            operation: called(tool, arguments),
        };
        let warm = Self {
            pipeline,
            exchange,
            server,
            caller,
            call,
            runtime,
            directory,
        };
        assert!(matches!(warm.decided(), Decision::Permit(_)));
        warm
    }

    /// The same agent, for somebody like whom nobody was seen before.
    pub(crate) fn forgotten(mut self) -> Self {
        let mut user = self.caller.user.as_deref().unwrap().clone();
        user.groups.push("others".to_owned());
        self.caller.user = Some(Arc::new(user));
        self
    }

    /// With nothing remembered of what policies said, as where `policies.decision_cache` is off.
    pub(crate) fn unremembered(mut self) -> Self {
        let settings = Settings {
            decision_cache: DecisionCache::Off,
            directory: Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"),
            ..Settings::default()
        };
        let server = Server::clone(&self.server);
        let policies = PolicyStore::open(&settings, vec![server], clock::now()).unwrap();
        Arc::get_mut(&mut self.pipeline).unwrap().policies = Arc::new(policies);
        assert!(matches!(self.decided(), Decision::Permit(_)));
        self
    }

    /// Before a call of the same tool with other arguments.
    pub(crate) fn then(mut self, arguments: &str) -> Self {
        let Operation::ToolsCall { tool, .. } = self.call.operation else {
            unreachable!("a call of a tool")
        };
        self.call.operation = called(&tool, arguments);
        self
    }

    pub(crate) fn permitted(self) -> (Permit, Self) {
        match self.decided() {
            Decision::Permit(permit) => (permit, self),
            Decision::Denial(denial) => unreachable!("{denial:?}"),
        }
    }

    pub(crate) fn about(&self) -> About<'_> {
        About {
            decision_id: "01990b3e-5b1c-7c44-8a5e-3f6d2b9c1a70",
            server: Some(&self.server),
            caller: &self.caller,
            message: None,
            action: "workbench/fs_write",
            withheld: self.pipeline.verifier.svid_header(),
        }
    }

    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            server: &self.server,
            call: &self.call,
            caller: &self.caller,
            session: None,
            address: self.exchange.source.address,
            version: Version::V2026_07_28,
            now: self.exchange.received,
        }
    }

    fn decided(&self) -> Decision {
        let verdicts = self.pipeline.policies.current().ask(&self.question());
        let asked = Asked {
            verdicts,
            may_know: true,
            missing: None,
            remedies: Vec::new(),
        };
        decide::decide(
            &self.server,
            std::slice::from_ref(&self.call),
            &self.caller,
            vec![asked],
        )
    }
}

fn called(tool: &str, arguments: &str) -> Operation {
    let arguments = json::read(arguments.as_bytes(), 64).unwrap();
    Operation::ToolsCall {
        tool: tool.to_owned(),
        arguments: arguments.as_object().unwrap().clone(),
    }
}

fn gateway() -> Gateway {
    Gateway {
        peer: Peer::Tcp([127, 0, 0, 1].into()),
        certificate_names: Vec::new(),
    }
}

fn arrival() -> Frame {
    let started = clock::instant();
    Frame {
        gateway: gateway(),
        received: clock::now(),
        started,
        deadline: started.checked_add(Duration::from_mins(1)).unwrap(),
        fate: Fate::default(),
    }
}

/// The gRPC service over a warm pipeline, with a check as its bytes come in.
pub(crate) struct Wire {
    warm: Warm,
    frame: Bytes,
}

impl Default for Wire {
    fn default() -> Self {
        let warm = Warm::default();
        let frame = std::fs::read(warm.directory.path().join("check.frame"))
            .unwrap()
            .into();
        let wire = Self { warm, frame };
        wire.ask();
        wire
    }
}

impl Wire {
    /// The same call with a token that is bound to a key, and a proof that was never used.
    pub(crate) fn proved() -> Self {
        let mut wire = Self::default();
        let directory = wire.warm.directory.path();
        let (issuer, key) = (DevIssuer::open(directory).unwrap(), ProofKey::generate());
        let mut check = CheckRequest::decode(wire.frame.get(5..).unwrap()).unwrap();
        let token = bound(field(&mut check, "authorization"), &issuer, &key);
        *field(&mut check, "authorization") = format!("DPoP {token}").into_bytes();
        // State in memory takes no proof that may have been made in the second in which it began.
        std::thread::sleep(Duration::from_secs(1));
        for _ in 0..2 {
            wire.frame = framed(&with_proof(check.clone(), &key, &token));
            if wire.answer().is_none() {
                unreachable!("the proof isn't taken");
            }
        }
        wire.frame = framed(&with_proof(check, &key, &token));
        wire
    }

    /// The answer, if it is a yes.
    fn answer(&self) -> Option<CheckResponse> {
        let answer = self.warm.runtime.block_on(self.asked());
        let answer = CheckResponse::decode(answer.get(5..)?).ok()?;
        (answer.status.as_ref()?.code == 0).then_some(answer)
    }

    /// Asks, and returns the length of the answer in bytes.
    pub(crate) fn ask(&self) -> usize {
        self.warm.runtime.block_on(self.asked()).len()
    }

    async fn asked(&self) -> Bytes {
        let mut service = check::service(Arc::clone(&self.warm.pipeline), &wire::Settings::default());
        let body = tonic::body::Body::new(http_body_util::Full::new(self.frame.clone()));
        let asked = http::Request::post("/envoy.service.auth.v3.Authorization/Check")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .extension(Asking(Arc::new(gateway())))
            .body(body)
            .unwrap();
        let response = service.call(asked).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    }
}

/// A header field of the call, as its bytes.
fn field<'a>(check: &'a mut CheckRequest, name: &str) -> &'a mut Vec<u8> {
    let fields = fields(check);
    let field = fields.iter_mut().find(|field| field.key == name).unwrap();
    &mut field.raw_value
}

fn fields(check: &mut CheckRequest) -> &mut Vec<HeaderValue> {
    let request = check.attributes.as_mut().unwrap().request.as_mut().unwrap();
    &mut request
        .http
        .as_mut()
        .unwrap()
        .header_map
        .as_mut()
        .unwrap()
        .headers
}

/// The same token, but bound to a key.
fn bound(authorization: &[u8], issuer: &DevIssuer, key: &ProofKey) -> String {
    let claims = std::str::from_utf8(authorization).unwrap().split('.').nth(1);
    let claims = URL_SAFE_NO_PAD.decode(claims.unwrap()).unwrap();
    let mut extra: Map<String, Value> = serde_json::from_slice(&claims).unwrap();
    extra.insert("cnf".to_owned(), json!({ "jkt": key.thumbprint() }));
    let mint = Mint {
        extra,
        ..Mint::default()
    };
    issuer.mint(&mint, clock::now()).unwrap()
}

fn with_proof(mut check: CheckRequest, key: &ProofKey, token: &str) -> CheckRequest {
    let now = clock::now();
    let proof = Proof {
        method: "POST",
        url: "https://localhost:8443/workbench/mcp",
        token: Some(token),
        // As far ahead as a client's clock may be.
        extra: Map::from_iter([("iat".to_owned(), json!(now.as_second().saturating_add(5)))]),
        ..Proof::default()
    };
    let field = HeaderValue {
        key: "dpop".to_owned(),
        raw_value: key.proof(&proof, now).unwrap().into_bytes(),
        ..HeaderValue::default()
    };
    fields(&mut check).push(field);
    check
}

/// A message of gRPC: not compressed, its length, itself.
fn framed(check: &CheckRequest) -> Bytes {
    let message = check.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame.into()
}
