//! The gRPC listener whose TLS is by the Workload API, as gateways meet it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::follower::{Followed, until};
use super::*;
use crate::dev::pki::Svid;
use crate::exchange::{Decider, Exchange, Forward, Gateway, Reply};
use crate::spiffe::NoSvid;
use crate::spiffe::bundle::x509_authorities;
use crate::spiffe::svid::Leaf;
use crate::spiffe::tls::{Peers, Refusals, Shown};
use crate::spiffe::workload_api::Choice;
use crate::wire::{Listeners, LiveTls, Settings};

const GATEWAY: &str = "spiffe://own.test/gateway";

/// Lets everybody pass, and remembers by which names.
#[derive(Default)]
struct Everybody(Mutex<Vec<Vec<String>>>);

impl Decider for Everybody {
    async fn answer(&self, exchange: Box<Exchange>) -> Reply {
        self.0.lock().unwrap().push(exchange.gateway.certificate_names);
        Reply::Forward(Forward::default())
    }

    fn denied_by_wire(&self, _: &'static str, _: &Gateway, _: Option<&str>) {}
}

struct Listener {
    address: SocketAddr,
    seen: Arc<Everybody>,
    followed: Followed,
    refusals: Arc<Refusals>,
    _ready: watch::Sender<bool>,
    _serving: JoinSet<()>,
}

impl Listener {
    /// Serves by what the agent gives, to workloads of these trust domains.
    async fn start(agent: &Agent, domains: &[&str]) -> Self {
        let followed = agent.follow(Choice::Default);
        soon(followed.follower.heard(PATIENCE)).await;
        let refusals = Arc::new(Refusals::default());
        let names: HashSet<_> = domains
            .iter()
            .map(|name| TrustDomain::parse(name).unwrap())
            .collect();
        let peers = Peers::new(Arc::clone(&followed.bundles), names, Arc::clone(&refusals));
        let shown = Shown::new(Arc::clone(followed.follower.svid()), Arc::clone(&refusals));
        let live = LiveTls {
            certificate: Arc::new(shown),
            peers: Arc::new(peers),
        };
        let tls = serde_json::json!({"workload_api": {"trust_domains": domains}});
        let settings = Settings {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            tls: Some(serde_json::from_value(tls).unwrap()),
            ..Settings::default()
        };
        let listeners = Listeners::bind_live(&settings, Some(live)).await.unwrap();
        let address = listeners.tcp_addr().unwrap();
        let seen = Arc::new(Everybody::default());
        let (ready, readiness) = watch::channel(true);
        let mut serving = JoinSet::new();
        let decider = Arc::clone(&seen);
        serving.spawn(async move {
            let never = std::future::pending();
            listeners.serve(decider, readiness, never).await.unwrap();
        });
        Self {
            address,
            seen,
            followed,
            refusals,
            _ready: ready,
            _serving: serving,
        }
    }

    fn refused(&self, reason: &str) -> u64 {
        let mut counted = self.refusals.counted();
        counted.find(|(of, _)| *of == reason).unwrap().1
    }

    async fn ask(&self, config: &Arc<ClientConfig>) -> Result<Open, String> {
        let mut open = connect(self.address, config).await?;
        open.ask().await?;
        Ok(open)
    }

    /// Asks and must be refused, and that is counted by this reason once more.
    async fn is_refused(&self, config: &Arc<ClientConfig>, reason: &str) {
        let (before, seen) = (self.refused(reason), self.seen.0.lock().unwrap().len());
        let refused = soon(self.ask(config)).await.err();
        assert!(refused.is_some(), "{reason}: not refused");
        assert_eq!(self.refused(reason), before + 1, "{reason}: {refused:?}");
        assert_eq!(self.seen.0.lock().unwrap().len(), seen, "{reason}");
    }
}

/// A connection that somebody has.
struct Open {
    client: AuthorizationClient<Channel>,
    handshake: HandshakeKind,
}

impl Open {
    async fn ask(&mut self) -> Result<(), String> {
        let http = HttpRequest {
            path: "/mcp".to_owned(),
            method: "POST".to_owned(),
            ..HttpRequest::default()
        };
        let request = Request {
            http: Some(http),
            ..Request::default()
        };
        let attributes = AttributeContext {
            request: Some(request),
            ..AttributeContext::default()
        };
        let asked = self.client.check(CheckRequest {
            attributes: Some(attributes),
        });
        let answer = asked.await.map_err(|error| format!("{error:?}"))?;
        assert_eq!(answer.get_ref().status.as_ref().unwrap().code, 0, "allowed");
        Ok(())
    }
}

async fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<Open, String> {
    let failed = |error: std::io::Error| error.to_string();
    let tcp = TcpStream::connect(address).await.map_err(failed)?;
    let name = ServerName::try_from("authz.test").unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name, tcp).await.map_err(failed)?;
    let handshake = stream.get_ref().1.handshake_kind().unwrap();
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = service_fn(move |_| {
        let stream = once.lock().unwrap().take();
        async move {
            let gone = || std::io::Error::from(std::io::ErrorKind::NotConnected);
            stream.map(TokioIo::new).ok_or_else(gone)
        }
    });
    let endpoint = Endpoint::from_static("http://authz.test");
    let channel = endpoint.connect_with_connector(connector).await;
    Ok(Open {
        client: AuthorizationClient::new(channel.map_err(|error| format!("{error:?}"))?),
        handshake,
    })
}

/// How a gateway verifies us: by the bundle as it is now.
#[derive(Debug)]
struct ByBundle {
    roots: RootCertStore,
    provider: CryptoProvider,
}

impl ByBundle {
    fn of(domain: &DevTrustDomain) -> Arc<Self> {
        let mut roots = RootCertStore::empty();
        for authority in x509_authorities(&domain.x509_bundle()).unwrap() {
            roots.add(authority.der().clone()).unwrap();
        }
        let provider = aws_lc_rs::default_provider();
        Arc::new(Self { roots, provider })
    }
}

impl ServerCertVerifier for ByBundle {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        signers: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        assert_eq!(Leaf::parse(leaf).unwrap().id.as_str(), "spiffe://own.test/authz");
        let leaf = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, signers, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A gateway that shows this certificate and believes the authorities that `server` has now.
fn gateway(server: &DevTrustDomain, svid: impl Into<Option<Svid>>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(ByBundle::of(server));
    let mut config = match svid.into() {
        None => builder.with_no_client_auth(),
        Some(svid) => {
            let key = PrivateKeyDer::Pkcs8(svid.key.into());
            builder
                .with_client_auth_cert(vec![svid.certificate.into()], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

fn svid(domain: &DevTrustDomain, of: &str) -> Svid {
    domain
        .x509_svid(&id(of), Duration::from_hours(1), clock::now())
        .unwrap()
}

#[tokio::test]
async fn a_gateway_is_known_by_its_spiffe_id_and_by_no_other_name() {
    let agent = Agent::new();
    let _served = agent.serve();
    let listener = Listener::start(&agent, &["own.test"]).await;
    let own = &agent.workload.trust_domain;
    let config = gateway(own, svid(own, GATEWAY));
    assert!(soon(listener.ask(&config)).await.is_ok());
    assert_eq!(*listener.seen.0.lock().unwrap(), [[GATEWAY]]);
    // Nothing of the first connection makes the second one cheaper, or the look at its certificate unneeded.
    let again = soon(listener.ask(&config)).await.unwrap();
    assert_eq!(again.handshake, HandshakeKind::Full);

    assert!(soon(listener.ask(&gateway(own, None))).await.is_err());
    assert_eq!(listener.seen.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_federated_trust_domain_is_taken_only_where_it_is_listed_and_never_for_another() {
    let agent = Agent::new();
    let _served = agent.serve();
    let (own, partner) = (&agent.workload.trust_domain, &agent.workload.federated[0]);
    let federated = gateway(own, svid(partner, "spiffe://partner.test/gateway"));
    let alone = Listener::start(&agent, &["own.test"]).await;
    alone.is_refused(&federated, "trust_domain").await;

    let both = Listener::start(&agent, &["own.test", "partner.test"]).await;
    assert!(soon(both.ask(&federated)).await.is_ok());
    // The partner's authority speaks for its own trust domain alone, and a stranger's for none.
    both.is_refused(&gateway(own, svid(partner, GATEWAY)), "untrusted")
        .await;
    let stranger = trust_domain("own.test");
    both.is_refused(&gateway(own, svid(&stranger, GATEWAY)), "untrusted")
        .await;

    // Listed, and nobody told of its bundle.
    let unknown = Listener::start(&agent, &["own.test", "third.test"]).await;
    let third = trust_domain("third.test");
    let config = gateway(own, svid(&third, "spiffe://third.test/gateway"));
    unknown.is_refused(&config, "no_bundle").await;
}

#[tokio::test]
async fn a_withdrawn_authority_is_refused_from_then_on_and_open_connections_go_on() {
    let agent = Agent::new();
    let _served = agent.serve();
    let listener = Listener::start(&agent, &["own.test"]).await;
    let own = &agent.workload.trust_domain;
    let old = svid(own, GATEWAY);
    let mut open = soon(listener.ask(&gateway(own, old.clone()))).await.unwrap();
    own.rotate(clock::now()).unwrap();
    until("both", || listener.followed.x509("own.test").len() == 2).await;
    assert!(soon(listener.ask(&gateway(own, old.clone()))).await.is_ok());

    own.withdraw();
    until("the old one gone", || {
        listener.followed.x509("own.test").len() == 1
    })
    .await;
    listener.is_refused(&gateway(own, old), "untrusted").await;
    soon(open.ask()).await.unwrap();
    assert!(
        soon(listener.ask(&gateway(own, svid(own, GATEWAY))))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn without_an_svid_that_is_valid_no_handshake_succeeds() {
    let mut agent = Agent::new();
    agent.workload.svid_lifetime = Duration::from_secs(5);
    let own = Arc::clone(&agent.workload.trust_domain);
    let listener = Listener::start(&agent, &["own.test"]).await;
    let config = gateway(&own, svid(&own, GATEWAY));
    listener.is_refused(&config, "no_svid").await;

    let served = agent.serve();
    until("an SVID", || listener.followed.svid().is_ok()).await;
    assert!(soon(listener.ask(&config)).await.is_ok());

    // Gone later: the last good one serves until it expires.
    drop(served);
    until("a lost stream", || listener.followed.both(|status| !status.open)).await;
    assert!(soon(listener.ask(&config)).await.is_ok() || listener.followed.svid().is_err());
    until("expiry", || listener.followed.svid() == Err(NoSvid::NotValidNow)).await;
    listener.is_refused(&config, "svid_not_valid").await;

    let served = agent.serve();
    until("a valid one", || listener.followed.svid().is_ok()).await;
    assert!(soon(listener.ask(&config)).await.is_ok() || listener.followed.svid().is_err());
    served.behave(Mood::Denying);
    until("none", || listener.followed.svid() == Err(NoSvid::Missing)).await;
    listener.is_refused(&config, "no_svid").await;
}

/// Gateways that ask without end: what they have asked, and the first thing that went wrong.
struct Load {
    stop: Arc<AtomicBool>,
    rounds: Vec<Arc<AtomicUsize>>,
    asking: JoinSet<Result<usize, String>>,
}

/// Asks so often on one connection before a gateway makes the next.
const ON_ONE: usize = 5;

impl Load {
    /// Half of the gateways keep their connection, the others connect again and again with an SVID of the moment.
    fn start(listener: &Listener, own: &Arc<DevTrustDomain>) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            rounds: Vec::new(),
            asking: JoinSet::new(),
        };
        for stays in [true, false, true, false] {
            let rounds = Arc::new(AtomicUsize::new(0));
            load.rounds.push(Arc::clone(&rounds));
            let (own, stop, address) = (Arc::clone(own), Arc::clone(&load.stop), listener.address);
            load.asking.spawn(async move {
                let mut asked = 0;
                while !stop.load(Ordering::SeqCst) {
                    let mut open = connect(address, &gateway(&own, svid(&own, GATEWAY))).await?;
                    let mut on_this_one = 0;
                    while !stop.load(Ordering::SeqCst) && (stays || on_this_one < ON_ONE) {
                        open.ask().await?;
                        (asked, on_this_one) = (asked + 1, on_this_one + 1);
                        if stays && on_this_one % ON_ONE == 0 {
                            rounds.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    rounds.fetch_add(1, Ordering::SeqCst);
                }
                Ok(asked)
            });
        }
        load
    }

    /// Waits until each gateway has begun and ended a round since.
    async fn goes_on(&self) {
        let now = || -> Vec<usize> {
            self.rounds
                .iter()
                .map(|rounds| rounds.load(Ordering::SeqCst))
                .collect()
        };
        let then = now();
        until("rounds of every gateway", || {
            now().iter().zip(&then).all(|(now, then)| *now >= then + 2)
        })
        .await;
    }

    async fn stop(self) -> Vec<usize> {
        self.stop.store(true, Ordering::SeqCst);
        let ended = soon(self.asking.join_all()).await;
        ended.into_iter().collect::<Result<_, _>>().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn svids_and_authorities_rotate_under_load_and_no_request_is_dropped() {
    let agent = Agent::new();
    let served = agent.serve();
    let listener = Listener::start(&agent, &["own.test"]).await;
    let own = &agent.workload.trust_domain;
    let load = Load::start(&listener, own);
    for round in 1..=3 {
        load.goes_on().await;
        own.prepare(clock::now()).unwrap();
        until("the next authority", || {
            listener.followed.x509("own.test").len() == 2
        })
        .await;
        let next = listener
            .followed
            .bundles
            .x509("own.test", clock::instant())
            .unwrap();
        own.activate();
        let is_of_next = || {
            let svid = listener.followed.follower.svid().last().unwrap();
            svid.verify(&next[1..], clock::now()).is_ok()
        };
        until("an SVID of it", is_of_next).await;
        load.goes_on().await;
        own.withdraw();
        until("the old authority gone", || {
            listener.followed.x509("own.test").len() == 1
        })
        .await;
        if round == 2 {
            served.behave(Mood::Nothing);
            load.goes_on().await;
            served.behave(Mood::Serving);
        }
    }
    load.goes_on().await;
    let asked = load.stop().await;
    assert!(asked.iter().all(|asked| *asked > 10), "{asked:?}");
    assert_eq!(
        listener.refusals.counted().map(|(_, count)| count).sum::<u64>(),
        0
    );
    assert_eq!(listener.seen.0.lock().unwrap().len(), asked.iter().sum::<usize>());
}
