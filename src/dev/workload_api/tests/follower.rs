use super::*;
use crate::spiffe::workload_api::StreamStatus;
use crate::spiffe::workload_api::{Choice, Follower, Wanted};
use crate::spiffe::{Bundles, Kind, NoSvid};

const DAY: Duration = Duration::from_hours(24);

pub(super) struct Followed {
    pub(super) follower: Follower,
    pub(super) bundles: Arc<Bundles>,
}

impl Agent {
    pub(super) fn follow(&self, choice: Choice) -> Followed {
        let bundles = Arc::new(Bundles::new([], DAY));
        let address = format!("unix://{}", self.path().display());
        let wanted = Wanted {
            x509: Some(choice),
            jwt: true,
        };
        let follower = Follower::start(&address.parse().unwrap(), wanted, Arc::clone(&bundles)).unwrap();
        Followed { follower, bundles }
    }
}

impl Followed {
    pub(super) fn svid(&self) -> Result<String, NoSvid> {
        let svid = self.follower.svid().valid_at(clock::now())?;
        Ok(svid.id().to_string())
    }

    pub(super) fn leaf(&self) -> Vec<u8> {
        self.follower.svid().last().unwrap().certified().cert[0].to_vec()
    }

    pub(super) fn x509(&self, domain: &str) -> Vec<Vec<u8>> {
        let found = self.bundles.x509(domain, clock::instant());
        let authorities = found.unwrap_or_else(|_| Arc::from([]));
        authorities
            .iter()
            .map(|authority| authority.der().to_vec())
            .collect()
    }

    fn jwt(&self, domain: &str) -> usize {
        let found = self.bundles.jwt(domain, clock::instant());
        found.map_or(0, |authorities| authorities.len())
    }

    fn status(&self, kind: Kind) -> StreamStatus {
        let status = self.follower.status();
        status.into_iter().find(|(of, _)| *of == kind).unwrap().1
    }

    pub(super) fn both(&self, is: impl Fn(&StreamStatus) -> bool) -> bool {
        self.follower.status().iter().all(|(_, status)| is(status))
    }
}

/// Waits until it is so.
pub(super) async fn until(what: &str, is: impl Fn() -> bool) {
    let come = async {
        while !is() {
            let _a_moment = timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
        }
    };
    timeout(PATIENCE, come)
        .await
        .unwrap_or_else(|_| panic!("in time: {what}"));
}

#[tokio::test]
async fn follows_the_svid_and_the_bundles_through_rotations() {
    let agent = Agent::new();
    let _served = agent.serve();
    let followed = agent.follow(Choice::Default);
    soon(followed.follower.heard(PATIENCE)).await;
    assert_eq!(followed.svid().unwrap(), "spiffe://own.test/authz");
    assert_eq!((followed.jwt("own.test"), followed.jwt("partner.test")), (1, 1));
    let (first, own) = (followed.leaf(), followed.x509("own.test"));
    assert_eq!(
        followed.x509("partner.test"),
        [agent.workload.federated[0].x509_bundle()]
    );

    agent.workload.trust_domain.rotate(clock::now()).unwrap();
    until("both authorities", || {
        followed.x509("own.test").len() == 2 && followed.jwt("own.test") == 2
    })
    .await;
    until("another SVID", || followed.leaf() != first).await;
    agent.workload.trust_domain.withdraw();
    until("the old ones gone", || {
        followed.x509("own.test").len() == 1 && followed.jwt("own.test") == 1
    })
    .await;
    assert_ne!(followed.x509("own.test"), own);
    assert!(followed.both(|status| status.open && status.lost == 0));
}

#[tokio::test]
async fn an_agent_gone_at_start_and_gone_later_is_found_again() {
    let agent = Agent::new();
    let followed = agent.follow(Choice::Default);
    soon(followed.follower.heard(PATIENCE)).await;
    assert_eq!(followed.svid(), Err(NoSvid::Missing));
    let status = followed.status(Kind::X509);
    assert!(!status.open && status.problem.unwrap().contains("can't be reached"));

    let served = agent.serve();
    until("an SVID", || {
        followed.svid().is_ok() && followed.both(|status| status.open)
    })
    .await;
    let (first, own) = (followed.leaf(), followed.x509("own.test"));
    drop(served);
    until("a lost stream", || followed.both(|status| !status.open)).await;
    assert_eq!((followed.leaf(), followed.x509("own.test")), (first.clone(), own));
    assert_eq!(followed.svid().unwrap(), "spiffe://own.test/authz");

    agent.workload.trust_domain.rotate(clock::now()).unwrap();
    let _again = agent.serve();
    until("the news", || {
        followed.leaf() != first && followed.x509("own.test").len() == 2
    })
    .await;
    until("open streams", || followed.both(|status| status.open)).await;
}

#[tokio::test]
async fn an_answer_with_nothing_or_with_a_wrong_svid_leaves_the_last_good_one() {
    let agent = Agent::new();
    let served = agent.serve();
    let followed = agent.follow(Choice::Default);
    soon(followed.follower.heard(PATIENCE)).await;
    let (first, own) = (followed.leaf(), followed.x509("own.test"));
    let wrong = [
        (Mood::Nothing, "no X.509-SVID"),
        (Mood::Wrong(Wrong::NotCanonical), "is no SPIFFE ID"),
        (
            Mood::Wrong(Wrong::OtherId),
            "names another workload than the message",
        ),
        (
            Mood::Wrong(Wrong::OtherKey),
            "the private key is not the certificate's",
        ),
        (Mood::Wrong(Wrong::OtherBundle), "doesn't lead to the bundle"),
        (Mood::Wrong(Wrong::NoBundle), "no X.509 bundle"),
        (
            Mood::Wrong(Wrong::NoCertificate),
            "there is no certificate in DER",
        ),
    ];
    for (mood, problem) in wrong {
        served.behave(mood);
        let told = || {
            followed
                .status(Kind::X509)
                .problem
                .is_some_and(|told| told.contains(problem))
        };
        until(problem, told).await;
        assert_eq!(
            (followed.leaf(), followed.x509("own.test")),
            (first.clone(), own.clone())
        );
        assert_eq!(followed.jwt("own.test"), 1);
    }
    served.behave(Mood::Serving);
    until("a good answer", || followed.leaf() != first).await;
    let status = followed.status(Kind::X509);
    assert_eq!((status.open, status.lost, status.problem), (true, 0, None));
    assert!(status.discarded >= 7, "{}", status.discarded);
}

#[tokio::test]
async fn what_the_agent_denies_is_withdrawn_until_it_is_given_again() {
    let agent = Agent::new();
    let served = agent.serve();
    let followed = agent.follow(Choice::Default);
    soon(followed.follower.heard(PATIENCE)).await;
    assert!(followed.svid().is_ok());
    served.behave(Mood::Denying);
    until("no SVID", || followed.svid() == Err(NoSvid::Missing)).await;
    until("no bundles", || {
        followed.x509("own.test").is_empty() && followed.jwt("partner.test") == 0
    })
    .await;
    assert!(
        followed
            .status(Kind::X509)
            .problem
            .unwrap()
            .contains("is it registered?")
    );
    served.behave(Mood::Serving);
    until("an SVID again", || {
        followed.svid().is_ok() && followed.jwt("partner.test") == 1
    })
    .await;
}

#[tokio::test]
async fn the_identity_that_was_asked_for_is_taken_and_no_other() {
    let mut agent = Agent::new();
    let served = agent.serve();
    let followed = agent.follow(Choice::Of(id("spiffe://own.test/other")));
    soon(followed.follower.heard(PATIENCE)).await;
    assert_eq!(followed.svid().unwrap(), "spiffe://own.test/other");

    // Registered no more: what a good answer leaves out is withdrawn.
    drop(served);
    agent.workload.ids.truncate(1);
    let _again = agent.serve();
    until("no SVID", || followed.svid() == Err(NoSvid::Missing)).await;
    let problem = followed.status(Kind::X509).problem.unwrap();
    assert!(
        problem.contains("no X.509-SVID of `spiffe://own.test/other`"),
        "{problem}"
    );
}

#[tokio::test]
async fn an_svid_that_is_not_renewed_is_used_until_it_expires() {
    let mut agent = Agent::new();
    agent.workload.svid_lifetime = Duration::from_secs(3);
    let served = agent.serve();
    let followed = agent.follow(Choice::Default);
    soon(followed.follower.heard(PATIENCE)).await;
    assert!(followed.svid().is_ok());
    drop(served);
    until("expiry", || followed.svid() == Err(NoSvid::NotValidNow)).await;
    let _again = agent.serve();
    until("a valid one", || followed.svid().is_ok()).await;
}
