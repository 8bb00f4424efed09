//! State in a Redis that replicas share.
//!
//! Ids and secrets are asked for there, each by one script. Revocations are there too, and a copy of all of them here, so
//! that [`Store::revoked`] is a look-up in memory; [`Store::caught_up`] says whether the copy is recent enough.
//! Whoever asks while it can't be reached is told so at once; a task connects again.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::moment::Moment;
use super::{Answer, Id, Limits, Revocation, Secret, StateError, Status, Store, Used};

use keys::COMMON;
use link::Shared;

pub use settings::Settings;

mod connect;
mod keys;
mod link;
mod scripts;
mod settings;
mod shards;

/// State in a Redis.
pub struct Redis {
    shared: Arc<Shared>,
    /// Ends with it.
    _task: JoinSet<()>,
}

impl Redis {
    /// Begins to connect. A Redis that is down keeps nobody from starting.
    ///
    /// The settings are sound: see [`Settings::unsound`].
    #[must_use]
    pub fn start(settings: Settings, limits: Limits) -> Self {
        let shared = Arc::new(Shared::new(settings, limits));
        let mut task = JoinSet::new();
        task.spawn(link::run(Arc::clone(&shared)));
        Self { shared, _task: task }
    }

    async fn use_now(&self, id: Id, keep: Duration) -> Result<Used, StateError> {
        let shard = self.shared.scripts.keys().shard_of(&id);
        let mut connection = self.shared.connection(shard).await?;
        let answer = self.shared.scripts.use_once(&mut connection, id, keep).await;
        // That a replay is known says nothing of room for more.
        let (first, remembers_since) = self.shared.answered(shard, answer, |(first, _)| *first)?;
        Ok(if first {
            Used::First { remembers_since }
        } else {
            Used::Again
        })
    }

    async fn secret_named(&self, name: &'static str) -> Result<Secret, StateError> {
        let mut new = [0; 32];
        rand::fill(&mut new).map_err(|_| StateError::Unreachable)?;
        let mut connection = self.shared.connection(COMMON).await?;
        let answer = self
            .shared
            .scripts
            .secret(&mut connection, name, Secret(new))
            .await;
        self.shared
            .answered(COMMON, answer, |secret| *secret == Secret(new))
    }

    /// Holds here at once, and stays so even if nobody else can be told yet.
    async fn revoke_everywhere(&self, revocation: Revocation, deadline: Instant) -> Result<(), StateError> {
        let revocation = in_milliseconds(revocation);
        self.shared.revocations.add(revocation, Moment::now())?;
        let publishing = async {
            let mut connection = self.shared.connection(COMMON).await?;
            let answer = self.shared.scripts.revoke(&mut connection, &[revocation]).await;
            self.shared.answered(COMMON, answer, |_| true)
        };
        let published = in_time(deadline, publishing).await;
        if published.is_err() {
            self.shared.publish_later();
        }
        published.map(|_| ())
    }
}

impl Store for Redis {
    fn use_once(&self, id: Id, keep: Duration, deadline: Instant) -> Answer<'_, Used> {
        Box::pin(in_time(deadline, self.use_now(id, keep)))
    }

    fn secret(&self, name: &'static str, deadline: Instant) -> Answer<'_, Secret> {
        Box::pin(in_time(deadline, self.secret_named(name)))
    }

    fn revoke(&self, revocation: Revocation, deadline: Instant) -> Answer<'_, ()> {
        Box::pin(self.revoke_everywhere(revocation, deadline))
    }

    fn caught_up(&self, now: Instant, deadline: Instant) -> Option<Answer<'_, ()>> {
        if self.shared.is_caught_up(now) {
            return None;
        }
        Some(Box::pin(self.shared.catch_up(now, deadline)))
    }

    fn revoked(&self, id: &Id) -> Option<Timestamp> {
        self.shared.revocations.issued_until(id)
    }

    fn revocations_version(&self) -> u64 {
        self.shared.revocations.version()
    }

    fn propagation(&self) -> Duration {
        self.shared.settings.propagation
    }

    fn status(&self) -> Status {
        Status {
            kind: "redis",
            outage: self.shared.outage(),
            cause: self.shared.cause(),
            revocations_age: self.shared.confirmed_for(),
            used_ids: None,
            revocations: self.shared.revocations.len(),
            bytes: self.shared.revocations.bytes(),
            limits: self.shared.limits,
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Redis")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

async fn in_time<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, StateError>>,
) -> Result<T, StateError> {
    timeout_at(deadline.into(), answer)
        .await
        .unwrap_or(Err(StateError::TooLate))
}

/// As Redis is told it: in whole milliseconds, rounded so that it revokes no less.
fn in_milliseconds(revocation: Revocation) -> Revocation {
    let up = |time: Timestamp| {
        let later = time
            .checked_add(SignedDuration::from_nanos(999_999))
            .unwrap_or(time);
        Timestamp::from_millisecond(later.as_millisecond()).unwrap_or(time)
    };
    Revocation {
        issued_until: up(revocation.issued_until),
        keep_until: up(revocation.keep_until),
        ..revocation
    }
}
