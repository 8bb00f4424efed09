//! The connection to Redis: made, followed and made again by a task; through it every revocation gets here.
//!
//! In a cluster the servers fare each on its own: a shard whose server can't be asked takes no other with it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, sleep_until};

use super::Settings;
use super::connect::{ConnectError, Connection, connect, said};
use super::keys::{COMMON, Keys};
use super::scripts::{BATCH, Changes, Place, Scripts};
use super::shards::Shards;
use crate::clock;
use crate::state::moment::Moment;
use crate::state::revocations::Revocations;
use crate::state::{Limits, StateError};

/// What the task and those who ask share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    pub(super) scripts: Scripts,
    pub(super) revocations: Revocations,
    shards: Shards,
    /// When the round began after which every revocation was known here.
    confirmed: watch::Sender<Option<Instant>>,
    /// Something went wrong: look now rather than at the next turn.
    look: Notify,
    /// A revocation is known here that the server may not know.
    unpublished: AtomicBool,
}

/// Why the connection is given up.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{}", said(.0))]
    Redis(#[from] RedisError),
    #[error("there are more revocations than `state.limits.revocations`")]
    TooMany,
}

/// How far this replica has read, and whether it may rely on that.
#[derive(Default)]
struct Reading {
    place: Place,
    /// It was up to date with the incarnation before this one: a fresh one must first be filled by the others.
    continued: bool,
}

impl Shared {
    pub(super) fn new(settings: Settings, limits: Limits) -> Self {
        let keys = Keys::new(&settings.prefix, settings.cluster);
        Self {
            shards: Shards::new(keys.shards()),
            scripts: Scripts::new(keys),
            revocations: Revocations::new(limits.revocations, Moment::now()),
            confirmed: watch::Sender::new(None),
            look: Notify::new(),
            unpublished: AtomicBool::new(false),
            settings,
            limits,
        }
    }

    /// How to ask a shard, once the first attempt has ended.
    pub(super) async fn connection(&self, shard: usize) -> Result<Connection, StateError> {
        self.shards.connection(shard).await
    }

    /// Why not everything can be asked just now.
    pub(super) fn outage(&self) -> Option<StateError> {
        self.shards.outage()
    }

    /// Why a server can't be asked, as it or the way to it said.
    pub(super) fn cause(&self) -> Option<String> {
        self.shards.cause()
    }

    /// Whether every revocation is known here that was added longer than [`Settings::propagation`] ago.
    pub(super) fn is_caught_up(&self, now: Instant) -> bool {
        self.is_recent(*self.confirmed.borrow(), now)
    }

    /// How long ago every revocation was known.
    pub(super) fn confirmed_for(&self) -> Option<Duration> {
        let confirmed = *self.confirmed.borrow();
        Some(clock::instant().saturating_duration_since(confirmed?))
    }

    /// Waits until it is.
    pub(super) async fn catch_up(&self, now: Instant, deadline: Instant) -> Result<(), StateError> {
        let mut confirmed = self.confirmed.subscribe();
        tokio::select! {
            biased;
            _ = confirmed.wait_for(|confirmed| self.is_recent(*confirmed, now)) => Ok(()),
            why = self.shards.lost(COMMON) => Err(why),
            () = sleep_until(deadline.into()) => Err(StateError::TooLate),
        }
    }

    /// A revocation could not be published: the task does it as soon as it can.
    pub(super) fn publish_later(&self) {
        self.unpublished.store(true, Ordering::Release);
        self.look.notify_one();
    }

    /// What a shard said, which may have been to write something.
    pub(super) fn answered<T>(
        &self,
        shard: usize,
        answer: RedisResult<T>,
        has_written: impl FnOnce(&T) -> bool,
    ) -> Result<T, StateError> {
        match answer {
            Ok(told) => {
                if has_written(&told) {
                    self.shards.has_room(shard, true);
                }
                Ok(told)
            }
            Err(error) => {
                let why = meaning(&error);
                if why == StateError::Full {
                    self.shards.has_room(shard, false);
                } else {
                    self.shards.doubt(shard);
                    self.look.notify_one();
                }
                Err(why)
            }
        }
    }

    fn is_recent(&self, confirmed: Option<Instant>, now: Instant) -> bool {
        confirmed.is_some_and(|at| now.saturating_duration_since(at) < self.settings.propagation)
    }

    /// Reads what has changed, and publishes what the server may have forgotten or never heard of. Says whether all that
    /// replicas knew is known here now.
    async fn round(&self, connection: &mut Connection, reading: &mut Reading) -> Result<bool, Broken> {
        let now = Moment::now();
        let age = loop {
            let changes = self.scripts.changes(connection, &reading.place).await?;
            let Changes {
                revocations,
                place,
                age,
            } = changes;
            if place.incarnation != reading.place.incarnation {
                reading.continued = self.is_caught_up(now.instant);
                self.unpublished.store(true, Ordering::Release);
            }
            for revocation in &revocations {
                self.revocations
                    .add(*revocation, now)
                    .map_err(|_| Broken::TooMany)?;
            }
            reading.place = place;
            if revocations.len() < BATCH {
                break age;
            }
        };
        if self.unpublished.swap(false, Ordering::AcqRel) {
            let published = self.publish(connection).await;
            self.unpublished.fetch_or(published.is_err(), Ordering::AcqRel);
            match published {
                // What is read holds all the same: a server that is full still tells.
                Err(error) if meaning(&error) == StateError::Full => self.shards.has_room(COMMON, false),
                published => published?,
            }
        }
        // By then every replica that is connected has published what it knew.
        Ok(reading.continued || age >= self.settings.part_of_propagation(2))
    }

    async fn publish(&self, connection: &mut Connection) -> Result<(), RedisError> {
        for some in self.revocations.all().chunks(BATCH) {
            self.scripts.revoke(connection, some).await?;
        }
        Ok(())
    }

    /// Round after round, until nothing can be asked.
    #[expect(
        clippy::disallowed_methods,
        reason = "changes are polled: between two rounds there is nothing to wait for"
    )]
    async fn follow(&self, reading: &mut Reading) -> Result<Infallible, Broken> {
        let connection = connect(&self.settings).await?;
        let all = self.scripts.keys().shards();
        (0..all).for_each(|shard| self.shards.doubt(shard));
        loop {
            let doubtful = self.shards.doubtful();
            let (others, common) = tokio::join!(
                self.look_at(&connection, &doubtful),
                self.read(connection.clone(), reading, doubtful.contains(&COMMON)),
            );
            let looked = others.into_iter().chain([(COMMON, common)]);
            let (answered, failed): (Vec<_>, Vec<_>) = looked.partition(|(_, looked)| looked.is_ok());
            self.shards
                .rise(answered.into_iter().map(|(shard, _)| shard), &connection);
            let failed = failed
                .into_iter()
                .filter_map(|(shard, looked)| Some((shard, looked.err()?)));
            if let Some(broken) = self.fall(failed)
                && !self.shards.any_up()
            {
                return Err(broken);
            }
            tokio::select! {
                () = sleep(self.settings.poll()) => {}
                () = self.look.notified() => {}
            }
        }
    }

    /// These can't be asked; says why the last of them can't.
    fn fall(&self, failed: impl Iterator<Item = (usize, Broken)>) -> Option<Broken> {
        let mut last = None;
        for (shard, broken) in failed {
            self.shards.fall([shard], broken.meaning(), &broken);
            last = Some(broken);
        }
        last
    }

    /// Looks at those that are doubtful; at that of the revocations reading does.
    async fn look_at(&self, connection: &Connection, doubtful: &[usize]) -> Vec<(usize, Result<(), Broken>)> {
        let others = doubtful.iter().copied().filter(|shard| *shard != COMMON);
        let looks = others.map(async |shard| {
            let looked = self.scripts.look(&mut connection.clone(), shard).await;
            (shard, looked.map_err(Broken::Redis))
        });
        join_all(looks).await
    }

    /// Reads what has changed, after a look if there is doubt.
    async fn read(
        &self,
        mut connection: Connection,
        reading: &mut Reading,
        doubted: bool,
    ) -> Result<(), Broken> {
        let began = clock::instant();
        if doubted {
            self.scripts.look(&mut connection, COMMON).await?;
        }
        if self.round(&mut connection, reading).await? {
            self.confirmed.send_replace(Some(began));
        }
        Ok(())
    }
}

/// Connects and follows, for as long as the process lives.
#[expect(
    clippy::disallowed_methods,
    reason = "a server that is down isn't asked again at once"
)]
pub(super) async fn run(shared: Arc<Shared>) {
    let mut reading = Reading::default();
    let most = shared.settings.part_of_propagation(4);
    let mut pause = FIRST_PAUSE;
    loop {
        let began = clock::instant();
        let Err(broken) = shared.follow(&mut reading).await;
        shared.shards.fall_all(broken.meaning(), &broken);
        // What was followed for a while is worth trying again at once.
        let followed = clock::instant().saturating_duration_since(began) > most;
        pause = if followed {
            FIRST_PAUSE
        } else {
            pause.saturating_mul(2).min(most)
        };
        sleep(pause).await;
    }
}

/// After a connection was lost that had served.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

impl Broken {
    fn meaning(&self) -> StateError {
        match self {
            Self::Redis(error) | Self::Connect(ConnectError::Redis(error)) => meaning(error),
            Self::Connect(_) => StateError::Unreachable,
            Self::TooMany => StateError::Full,
        }
    }
}

fn meaning(error: &RedisError) -> StateError {
    let full = error.code() == Some("OOM")
        // Before Redis 7 an error within a script is told as the script's.
        || (error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError)
            && error.detail().is_some_and(|detail| detail.contains("OOM command not allowed")));
    if full {
        StateError::Full
    } else if error.is_timeout() {
        StateError::TooLate
    } else {
        StateError::Unreachable
    }
}
