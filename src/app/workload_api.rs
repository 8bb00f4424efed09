//! The SPIFFE Workload API, joined to what needs it: the listener's TLS, and whoever verifies with bundles.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::config::Config;
use crate::spiffe::tls::{Peers, Refusals, Shown};
use crate::spiffe::workload_api::follower::label;
use crate::spiffe::workload_api::{Follower, WorkloadApiError};
use crate::spiffe::{Bundles, TrustDomain};
use crate::telemetry::{StreamStatus, WorkloadApiStatus, WorkloadTlsStatus};
use crate::wire::LiveTls;

/// How long the start waits for the first answers: an agent that is there gives them at once, and one that isn't keeps
/// nobody from starting.
const FIRST_ANSWERS: Duration = Duration::from_secs(3);

/// The Workload API, followed.
#[derive(Debug)]
pub(super) struct WorkloadApi {
    follower: Follower,
    /// Who may connect, where the listener's TLS is by the Workload API.
    peers: Option<Arc<Peers>>,
    refusals: Arc<Refusals>,
}

impl WorkloadApi {
    /// Starts to follow, if anything needs it.
    pub(super) async fn start(
        config: &Config,
        bundles: &Arc<Bundles>,
    ) -> Result<Option<Self>, WorkloadApiError> {
        let (Some(address), Some(wanted)) = (&config.workload_api.socket, config.wanted_of_workload_api())
        else {
            return Ok(None);
        };
        let follower = Follower::start(address, wanted, Arc::clone(bundles))?;
        let refusals = Arc::new(Refusals::default());
        let peers = config.tls_by_workload_api().map(|tls| {
            let names = tls.trust_domains.iter();
            let domains: HashSet<_> = names.filter_map(|name| TrustDomain::parse(name).ok()).collect();
            Arc::new(Peers::new(Arc::clone(bundles), domains, Arc::clone(&refusals)))
        });
        follower.heard(FIRST_ANSWERS).await;
        Ok(Some(Self {
            follower,
            peers,
            refusals,
        }))
    }

    /// What the listener's TLS is made of.
    pub(super) fn tls(&self) -> Option<LiveTls> {
        let peers = Arc::clone(self.peers.as_ref()?);
        let shown = Shown::new(Arc::clone(self.follower.svid()), Arc::clone(&self.refusals));
        Some(LiveTls {
            certificate: Arc::new(shown),
            peers,
        })
    }

    /// How it fares.
    pub(super) fn status(&self) -> WorkloadApiStatus {
        let streams = self
            .follower
            .status()
            .into_iter()
            .map(|(kind, stream)| StreamStatus {
                name: label(kind),
                open: stream.open,
                lost: stream.lost,
                discarded: stream.discarded,
                problem: stream.problem,
            });
        WorkloadApiStatus {
            streams: streams.collect(),
            tls: self.peers.as_deref().map(|peers| self.tls_status(peers)),
        }
    }

    fn tls_status(&self, peers: &Peers) -> WorkloadTlsStatus {
        let now = clock::now();
        let last = self.follower.svid().last();
        let anchors = peers.anchors(now).into_iter();
        WorkloadTlsStatus {
            svid: last
                .as_ref()
                .map(|svid| (svid.id().to_string(), svid.not_after())),
            valid: last.is_some_and(|svid| svid.is_valid_at(now)),
            authorities: anchors
                .map(|anchors| (anchors.trust_domain, anchors.authorities))
                .collect(),
            refused: self.refusals.counted().collect(),
        }
    }
}
