//! What the Workload API says, followed for good: our own SVID and the bundles, kept as it said them last.
//!
//! One task for each stream. A stream that breaks is opened again after a pause that grows; an answer that can't be used
//! leaves the last good one in its place. What is denied or missing from a good answer is withdrawn (Workload API §4.4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::address::Address;
use super::client::{Client, JwtBundles, Updates, WorkloadApiError, X509Material};
use crate::clock;
use crate::spiffe::bundles::{Bundles, Freshness, Kind, Source};
use crate::spiffe::id::{SpiffeId, TrustDomain};
use crate::spiffe::own::OwnSvid;
use crate::spiffe::svid::X509Svid;

/// How long a lost stream is waited after at first, doubled each time, and at most.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const MAX_RETRY: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Our X.509-SVID, and the X.509 bundles that come with it.
    pub x509: Option<Choice>,
    /// The JWT bundles.
    pub jwt: bool,
}

/// Which X.509-SVID is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The first, which is the default (Workload API §5.3).
    Default,
    /// That of an identity, and no other.
    Of(SpiffeId),
}

/// How a stream fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamStatus {
    /// Whether it is open and has answered.
    pub open: bool,
    /// How often it could not be opened, or broke.
    pub lost: u64,
    /// How many answers were discarded.
    pub discarded: u64,
    /// What was wrong last; `None` after a good answer.
    pub problem: Option<String>,
    /// How often something came of it, good or bad.
    rounds: u64,
}

/// The Workload API at work; it is no longer followed once this is dropped.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    bundles: Arc<Bundles>,
    svid: Arc<OwnSvid>,
    wanted: Wanted,
    x509: watch::Sender<StreamStatus>,
    jwt: watch::Sender<StreamStatus>,
}

impl Follower {
    /// Starts to follow, whether or not anybody serves there already.
    ///
    /// # Errors
    /// [`WorkloadApiError`] if the address can't be one.
    pub fn start(address: &Address, wanted: Wanted, bundles: Arc<Bundles>) -> Result<Self, WorkloadApiError> {
        let shared = Arc::new(Shared {
            client: Client::new(address)?,
            bundles,
            svid: Arc::default(),
            wanted,
            x509: watch::Sender::default(),
            jwt: watch::Sender::default(),
        });
        let mut tasks = JoinSet::new();
        if shared.wanted.x509.is_some() {
            tasks.spawn(Arc::clone(&shared).follow_x509());
        }
        if shared.wanted.jwt {
            tasks.spawn(Arc::clone(&shared).follow_jwt());
        }
        Ok(Self {
            shared,
            _tasks: tasks,
        })
    }

    /// Waits until something came of every stream, good or bad, but never longer than this.
    pub async fn heard(&self, at_most: Duration) {
        let heard = async {
            for (_, stream) in self.shared.streams() {
                // Its sender lives as long as we do.
                let _ = stream.subscribe().wait_for(|status| status.rounds > 0).await;
            }
        };
        let _too_late = timeout(at_most, heard).await;
    }

    /// Our X.509-SVID; it changes.
    #[must_use]
    pub fn svid(&self) -> &Arc<OwnSvid> {
        &self.shared.svid
    }

    /// How each stream fares that was asked for.
    #[must_use]
    pub fn status(&self) -> Vec<(Kind, StreamStatus)> {
        let streams = self.shared.streams();
        streams
            .map(|(kind, stream)| (kind, stream.borrow().clone()))
            .collect()
    }
}

impl Shared {
    fn streams(&self) -> impl Iterator<Item = (Kind, &watch::Sender<StreamStatus>)> {
        let x509 = self.wanted.x509.is_some().then_some((Kind::X509, &self.x509));
        let jwt = self.wanted.jwt.then_some((Kind::Jwt, &self.jwt));
        x509.into_iter().chain(jwt)
    }

    async fn follow_x509(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            let opened = clock::instant();
            let lost = match self.client.x509().await {
                Ok(updates) => self.read(updates, Kind::X509, Self::take_x509).await,
                Err(error) => error,
            };
            if lost.withdraws() {
                self.withdraw_x509();
            }
            self.lost(Kind::X509, &lost);
            backoff.pause(opened).await;
        }
    }

    async fn follow_jwt(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        let take_jwt = |this: &Self, bundles: &JwtBundles| {
            this.take_jwt(bundles);
            Ok(())
        };
        loop {
            let opened = clock::instant();
            let lost = match self.client.jwt_bundles().await {
                Ok(updates) => self.read(updates, Kind::Jwt, take_jwt).await,
                Err(error) => error,
            };
            if lost.withdraws() {
                let nothing = JwtBundles::new();
                self.bundles
                    .replace_jwt(&nothing, Source::WorkloadApi, Freshness::Live);
            }
            self.lost(Kind::Jwt, &lost);
            backoff.pause(opened).await;
        }
    }

    /// Reads a stream to its end.
    async fn read<M, T>(
        &self,
        mut updates: Updates<M, T>,
        kind: Kind,
        take: fn(&Self, &T) -> Result<(), WorkloadApiError>,
    ) -> WorkloadApiError {
        loop {
            let taken = updates.next().await.and_then(|answer| take(self, &answer));
            match taken {
                Ok(()) => {
                    self.tell(kind, |status| {
                        status.open = true;
                        status.problem = None;
                    });
                }
                Err(error) if error.is_of_an_answer() => {
                    tracing::warn!(stream = label(kind), %error, "an answer of the Workload API is not used");
                    self.tell(kind, |status| {
                        status.discarded = status.discarded.saturating_add(1);
                        status.problem = Some(error.to_string());
                    });
                }
                Err(error) => return error,
            }
        }
    }

    /// The bundles first: whoever believes the new SVID's authority must find it here, too.
    fn take_x509(&self, material: &X509Material) -> Result<(), WorkloadApiError> {
        let svid = self.chosen(material)?;
        let before = self.bundles.generation();
        let (all, source) = (&material.bundles, Source::WorkloadApi);
        self.bundles.replace_x509(all, source, Freshness::Live);
        if self.bundles.generation() != before {
            let domains = names(&material.bundles);
            tracing::info!(domains, "the Workload API told of other X.509 bundles");
        }
        let (id, not_after) = (svid.id().clone(), svid.not_after());
        if self.svid.replace(svid) {
            tracing::info!(%id, %not_after, "the Workload API gave us an X.509-SVID: new connections see it");
        }
        Ok(())
    }

    /// The SVID that is ours among those given, if it will do.
    fn chosen(&self, material: &X509Material) -> Result<X509Svid, WorkloadApiError> {
        let found = match &self.wanted.x509 {
            Some(Choice::Of(id)) => material.svids.iter().find(|svid| svid.id() == id),
            Some(Choice::Default) | None => material.svids.first(),
        };
        let Some(svid) = found else {
            // §5.2.1: what a good answer leaves out is withdrawn.
            self.withdraw_x509();
            return Err(WorkloadApiError::NotAmong(match &self.wanted.x509 {
                Some(Choice::Of(id)) => id.to_string(),
                Some(Choice::Default) | None => "anybody".to_owned(),
            }));
        };
        let authorities = material.bundles.get(svid.id().trust_domain());
        svid.verify(authorities.map_or(&[], Vec::as_slice), clock::now())
            .map_err(|error| WorkloadApiError::Svid {
                id: svid.id().to_string(),
                error,
            })?;
        Ok(svid.clone())
    }

    fn take_jwt(&self, bundles: &JwtBundles) {
        let before = self.bundles.generation();
        self.bundles
            .replace_jwt(bundles, Source::WorkloadApi, Freshness::Live);
        if self.bundles.generation() != before {
            tracing::info!(
                domains = names(bundles),
                "the Workload API told of other JWT bundles"
            );
        }
    }

    fn withdraw_x509(&self) {
        let nothing = BTreeMap::new();
        self.bundles
            .replace_x509(&nothing, Source::WorkloadApi, Freshness::Live);
        if self.svid.withdraw() {
            tracing::error!("the Workload API withdrew our X.509-SVID: no new connection is taken");
        }
    }

    fn lost(&self, kind: Kind, error: &WorkloadApiError) {
        self.bundles
            .no_longer_live(Source::WorkloadApi, kind, clock::instant());
        let lost = self.tell(kind, |status| {
            status.open = false;
            status.lost = status.lost.saturating_add(1);
            status.problem = Some(error.to_string());
        });
        tracing::warn!(stream = label(kind), %error, lost, "the Workload API is asked again; what it said last stays");
    }

    fn tell(&self, kind: Kind, change: impl FnOnce(&mut StreamStatus)) -> u64 {
        let stream = match kind {
            Kind::X509 => &self.x509,
            Kind::Jwt => &self.jwt,
        };
        stream.send_modify(|status| {
            change(status);
            status.rounds = status.rounds.saturating_add(1);
        });
        stream.borrow().lost
    }
}

/// How long to wait before a stream is opened again.
#[derive(Debug, Default)]
struct Backoff(u32);

impl Backoff {
    /// A stream that was open for long was a good one: the next attempt comes soon.
    async fn pause(&mut self, opened: Instant) {
        if clock::instant().saturating_duration_since(opened) > MAX_RETRY {
            self.0 = 0;
        }
        let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(self.0));
        self.0 = self.0.saturating_add(1);
        sleep(clock::jittered(doubled.min(MAX_RETRY))).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells that an agent is back: it is tried"
)]
async fn sleep(pause: Duration) {
    tokio::time::sleep(pause).await;
}

/// A stream, for logs and metrics.
#[must_use]
pub fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::X509 => "x509",
        Kind::Jwt => "jwt",
    }
}

fn names<T>(bundles: &BTreeMap<TrustDomain, T>) -> String {
    let names: Vec<_> = bundles.keys().map(TrustDomain::as_str).collect();
    names.join(", ")
}
