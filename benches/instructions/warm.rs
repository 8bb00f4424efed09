//! A pipeline that has decided the bench's check before: what is asked again and again finds everything remembered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use http_body_util::BodyExt as _;
use mcp_authz::app;
use mcp_authz::clock;
use mcp_authz::config::Config;
use mcp_authz::decide::{self, Asked, Decision, Permit};
use mcp_authz::exchange::{Exchange, Fate, Gateway, Peer};
use mcp_authz::identity::Caller;
use mcp_authz::inventory::Server;
use mcp_authz::mcp::{Call, Id, Operation, Version, json};
use mcp_authz::pipeline::Pipeline;
use mcp_authz::policy::Question;
use mcp_authz::respond::About;
use mcp_authz::wire::Settings;
use mcp_authz::wire::check::request::{self, Frame};
use mcp_authz::wire::check::{self, Asking};
use prost::Message as _;
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
        frame::configure(directory.path(), "bench", "queued", 0, 0).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let config = Config::load(Some(&directory.path().join("bench.yaml")), []).unwrap();
        let pipeline = Arc::new(runtime.block_on(app::pipeline(&config)).unwrap());
        let framed = std::fs::read(directory.path().join("check.frame")).unwrap();
        let message = CheckRequest::decode(framed.get(5..).unwrap()).unwrap();
        let exchange = request::exchange(message, arrival()).unwrap();
        let server = Arc::clone(pipeline.routes.find(&exchange).unwrap());
        let identified = pipeline.verifier.identify(&exchange, &server, exchange.received);
        let caller = runtime.block_on(identified).unwrap();
        let arguments = json::read(arguments.as_bytes(), 64).unwrap();
        let operation = Operation::ToolsCall {
            tool: tool.to_owned(),
            arguments: arguments.as_object().unwrap().clone(),
        };
        let call = Call {
            id: Some(Id::Number(7)),
            operation,
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

    /// The same person and agent with a token that was never seen before.
    pub(crate) fn forgotten(mut self) -> Self {
        let user = self.caller.user.as_deref().unwrap().clone();
        self.caller.user = Some(Arc::new(user));
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
        };
        decide::decide(
            &self.server,
            std::slice::from_ref(&self.call),
            &self.caller,
            vec![asked],
        )
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
    /// Asks, and returns the length of the answer in bytes.
    pub(crate) fn ask(&self) -> usize {
        let mut service = check::service(Arc::clone(&self.warm.pipeline), &Settings::default());
        let body = tonic::body::Body::new(http_body_util::Full::new(self.frame.clone()));
        let asked = http::Request::post("/envoy.service.auth.v3.Authorization/Check")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .extension(Asking(Arc::new(gateway())))
            .body(body)
            .unwrap();
        let answered = async {
            let response = service.call(asked).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes().len()
        };
        self.warm.runtime.block_on(answered)
    }
}
