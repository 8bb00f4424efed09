#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::clock;
use crate::spiffe::workload_api::message::{X509SvidRequest, X509SvidResponse, path};
use crate::spiffe::workload_api::{Client, WorkloadApiError, X509Material};
use crate::spiffe::{TrustDomain, X509Authority};

mod follower;
mod listener;

const PATIENCE: Duration = Duration::from_mins(1);

struct Agent {
    directory: TempDir,
    workload: Workload,
}

fn trust_domain(name: &str) -> Arc<DevTrustDomain> {
    let name = TrustDomain::parse(name).unwrap();
    Arc::new(DevTrustDomain::new(name, clock::now()).unwrap())
}

fn id(id: &str) -> SpiffeId {
    SpiffeId::parse(id).unwrap()
}

impl Agent {
    fn new() -> Self {
        let workload = Workload {
            ids: vec![id("spiffe://own.test/authz"), id("spiffe://own.test/other")],
            trust_domain: trust_domain("own.test"),
            federated: vec![trust_domain("partner.test")],
            svid_lifetime: Duration::from_hours(1),
        };
        Self {
            directory: tempfile::tempdir().unwrap(),
            workload,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("agent.sock")
    }

    fn serve(&self) -> WorkloadApi {
        WorkloadApi::serve(&self.path(), self.workload.clone()).unwrap()
    }

    fn client(&self) -> Client {
        let address = format!("unix://{}", self.path().display());
        Client::new(&address.parse().unwrap()).unwrap()
    }
}

fn authorities(material: &X509Material, domain: &str) -> Vec<Vec<u8>> {
    let der = |authority: &X509Authority| authority.der().to_vec();
    material.bundles[domain].iter().map(der).collect()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("in time")
}

#[tokio::test]
async fn a_workload_gets_its_svids_and_the_bundles_of_its_own_and_federated_domains() {
    let agent = Agent::new();
    let _served = agent.serve();
    let client = agent.client();
    let material = soon(async { client.x509().await.unwrap().next().await })
        .await
        .unwrap();
    let ids: Vec<_> = material.svids.iter().map(|svid| svid.id().to_string()).collect();
    assert_eq!(ids, ["spiffe://own.test/authz", "spiffe://own.test/other"]);
    assert!(material.svids.iter().all(|svid| svid.is_valid_at(clock::now())));
    let bundle = |domain: &DevTrustDomain| vec![domain.x509_bundle()];
    assert_eq!(
        authorities(&material, "own.test"),
        bundle(&agent.workload.trust_domain)
    );
    assert_eq!(
        authorities(&material, "partner.test"),
        bundle(&agent.workload.federated[0])
    );

    let jwt = soon(async { client.jwt_bundles().await.unwrap().next().await })
        .await
        .unwrap();
    assert_eq!(
        jwt.keys().map(TrustDomain::as_str).collect::<Vec<_>>(),
        ["own.test", "partner.test"]
    );

    let other = id("spiffe://own.test/other");
    let svid = soon(client.jwt_svid("https://id.example", Some(&other)))
        .await
        .unwrap();
    assert_eq!(svid.id, other);
    assert!(svid.expires > clock::now());
    let default = soon(client.jwt_svid("https://id.example", None)).await.unwrap();
    assert_eq!(default.id, id("spiffe://own.test/authz"));
    let stranger = id("spiffe://own.test/stranger");
    let refused = soon(client.jwt_svid("https://id.example", Some(&stranger))).await;
    assert_eq!(refused, Err(WorkloadApiError::Denied));
}

#[tokio::test]
async fn a_rotation_is_told_at_once_on_the_open_stream() {
    let agent = Agent::new();
    let _served = agent.serve();
    let mut updates = soon(agent.client().x509()).await.unwrap();
    let first = soon(updates.next()).await.unwrap();
    agent.workload.trust_domain.rotate(clock::now()).unwrap();
    let second = soon(updates.next()).await.unwrap();
    let (old, new) = (authorities(&first, "own.test"), authorities(&second, "own.test"));
    assert_eq!((old.len(), new.len(), &old[0]), (1, 2, &new[0]));
    let leaf = |material: &X509Material| material.svids[0].certified().cert[0].clone();
    assert_ne!(leaf(&first), leaf(&second));
    agent.workload.trust_domain.withdraw();
    let third = soon(updates.next()).await.unwrap();
    assert_eq!(authorities(&third, "own.test"), new[1..]);
}

#[tokio::test]
async fn svids_are_renewed_before_they_expire() {
    let mut agent = Agent::new();
    agent.workload.svid_lifetime = Duration::from_secs(2);
    let _served = agent.serve();
    let mut updates = soon(agent.client().x509()).await.unwrap();
    let first = soon(updates.next()).await.unwrap();
    let renewed = soon(updates.next()).await.unwrap();
    assert!(renewed.svids[0].not_after() > first.svids[0].not_after());
}

#[tokio::test]
async fn an_agent_that_is_gone_denies_or_answers_with_nothing_is_told_apart() {
    let agent = Agent::new();
    let client = agent.client();
    let gone = soon(client.x509()).await.unwrap_err();
    assert!(matches!(gone, WorkloadApiError::Unreachable(_)), "{gone:?}");

    let served = agent.serve();
    served.behave(Mood::Nothing);
    let mut updates = soon(client.x509()).await.unwrap();
    let nothing = WorkloadApiError::Nothing("X.509-SVID");
    assert_eq!(soon(updates.next()).await.unwrap_err(), nothing);
    let empty = soon(client.jwt_svid("https://id.example", None)).await;
    assert_eq!(empty, Err(WorkloadApiError::Nothing("JWT-SVID")));
    let mut bundles = soon(client.jwt_bundles()).await.unwrap();
    let empty = soon(bundles.next()).await;
    assert_eq!(empty, Err(WorkloadApiError::Nothing("JWT bundle")));

    // The stream goes on after an answer that was discarded.
    served.behave(Mood::Serving);
    assert_eq!(soon(updates.next()).await.unwrap().svids.len(), 2);

    served.behave(Mood::Denying);
    assert_eq!(soon(updates.next()).await.unwrap_err(), WorkloadApiError::Denied);
    served.behave(Mood::Serving);
    let mut updates = soon(client.x509()).await.unwrap();
    assert!(soon(updates.next()).await.is_ok());
    drop(served);
    let cut = soon(updates.next()).await.unwrap_err();
    assert!(
        matches!(cut, WorkloadApiError::Unreachable(_) | WorkloadApiError::Ended),
        "{cut:?}"
    );

    // The same client finds the agent again.
    let _again = agent.serve();
    let found = async {
        while client.jwt_svid("https://id.example", None).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon(found).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_hangs_is_not_waited_for_for_ever() {
    let agent = Agent::new();
    let served = agent.serve();
    served.behave(Mood::Hanging);
    let client = agent.client();
    let asked = async { client.x509().await?.next().await };
    assert_eq!(asked.await.unwrap_err(), WorkloadApiError::TooLate);
    let asked = client.jwt_svid("https://id.example", None).await;
    assert_eq!(asked, Err(WorkloadApiError::TooLate));
}

#[tokio::test]
async fn a_request_without_the_security_header_is_refused() {
    let agent = Agent::new();
    let served = agent.serve();
    let channel = tonic::transport::Endpoint::from_shared(served.address())
        .unwrap()
        .connect_lazy();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<X509SvidRequest, X509SvidResponse>::default();
    let path = http::uri::PathAndQuery::from_static(path::FETCH_X509_SVID);
    let request = tonic::Request::new(X509SvidRequest {});
    let refused = soon(grpc.server_streaming(request, path, codec))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}
