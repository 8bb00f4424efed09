//! The one connection to Redis: made, followed and made again by a task; through it every revocation gets here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, sleep_until};

use super::Settings;
use super::connect::{ConnectError, connect};
use super::scripts::{BATCH, Changes, Place, Scripts};
use crate::clock;
use crate::state::moment::Moment;
use crate::state::revocations::Revocations;
use crate::state::{Limits, StateError};

/// How the connection fares.
#[derive(Clone)]
pub(super) enum Link {
    /// The first attempt is under way: who asks waits for it.
    Connecting,
    /// It can be asked.
    Up(MultiplexedConnection),
    /// The last attempt failed: who asks is told at once.
    Down(StateError),
}

/// What the task and those who ask share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    pub(super) scripts: Scripts,
    pub(super) revocations: Revocations,
    /// The last write was refused because the server is full.
    pub(super) full: AtomicBool,
    link: watch::Sender<Link>,
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
    #[error(transparent)]
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
        Self {
            scripts: Scripts::new(&settings.prefix),
            revocations: Revocations::new(limits.revocations, Moment::now()),
            full: AtomicBool::new(false),
            link: watch::Sender::new(Link::Connecting),
            confirmed: watch::Sender::new(None),
            look: Notify::new(),
            unpublished: AtomicBool::new(false),
            settings,
            limits,
        }
    }

    /// The connection, once the first attempt has ended.
    pub(super) async fn connection(&self) -> Result<MultiplexedConnection, StateError> {
        let mut link = self.link.subscribe();
        let ended = link.wait_for(|link| !matches!(link, Link::Connecting)).await;
        match ended.as_deref() {
            Ok(Link::Up(connection)) => Ok(connection.clone()),
            Ok(Link::Down(why)) => Err(*why),
            Ok(Link::Connecting) | Err(_) => Err(StateError::Unreachable),
        }
    }

    /// Why nothing can be asked just now.
    pub(super) fn outage(&self) -> Option<StateError> {
        match &*self.link.borrow() {
            Link::Up(_) => self.full.load(Ordering::Relaxed).then_some(StateError::Full),
            Link::Down(why) => Some(*why),
            Link::Connecting => Some(StateError::Unreachable),
        }
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
        let (mut confirmed, mut link) = (self.confirmed.subscribe(), self.link.subscribe());
        tokio::select! {
            biased;
            _ = confirmed.wait_for(|confirmed| self.is_recent(*confirmed, now)) => Ok(()),
            down = link.wait_for(|link| matches!(link, Link::Down(_))) => match down.as_deref() {
                Ok(Link::Down(why)) => Err(*why),
                _ => Err(StateError::Unreachable),
            },
            () = sleep_until(deadline.into()) => Err(StateError::TooLate),
        }
    }

    /// A revocation could not be published: the task does it as soon as it can.
    pub(super) fn publish_later(&self) {
        self.unpublished.store(true, Ordering::Release);
        self.look.notify_one();
    }

    /// What an error means to who asked.
    pub(super) fn failed(&self, error: &RedisError) -> StateError {
        let why = meaning(error);
        if why != StateError::Full {
            self.look.notify_one();
        }
        why
    }

    fn is_recent(&self, confirmed: Option<Instant>, now: Instant) -> bool {
        confirmed.is_some_and(|at| now.saturating_duration_since(at) < self.settings.propagation)
    }

    /// Reads what has changed, and publishes what the server may have forgotten or never heard of. Says whether all that
    /// replicas knew is known here now.
    async fn round(
        &self,
        connection: &mut MultiplexedConnection,
        reading: &mut Reading,
    ) -> Result<bool, Broken> {
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
                Err(error) if meaning(&error) == StateError::Full => self.full.store(true, Ordering::Relaxed),
                published => published?,
            }
        }
        // By then every replica that is connected has published what it knew.
        Ok(reading.continued || age >= self.settings.part_of_propagation(2))
    }

    async fn publish(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        for some in self.revocations.all().chunks(BATCH) {
            self.scripts.revoke(connection, some).await?;
        }
        Ok(())
    }

    /// Round after round, until one fails.
    #[expect(
        clippy::disallowed_methods,
        reason = "changes are polled: between two rounds there is nothing to wait for"
    )]
    async fn follow(&self, reading: &mut Reading) -> Result<(), Broken> {
        let mut connection = connect(&self.settings).await?;
        loop {
            let began = Moment::now().instant;
            if self.round(&mut connection, reading).await? {
                self.confirmed.send_replace(Some(began));
            }
            let was_up = matches!(*self.link.borrow(), Link::Up(_));
            if !was_up {
                tracing::info!("the shared state can be asked");
                self.link.send_replace(Link::Up(connection.clone()));
            }
            tokio::select! {
                () = sleep(self.settings.poll()) => {}
                () = self.look.notified() => {}
            }
        }
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
    let mut pause = Duration::from_millis(10);
    loop {
        let Err(broken) = shared.follow(&mut reading).await else {
            continue;
        };
        let was_up = matches!(*shared.link.borrow(), Link::Up(_));
        let was_down = matches!(*shared.link.borrow(), Link::Down(_));
        shared.link.send_replace(Link::Down(broken.meaning()));
        if !was_down {
            tracing::error!(%broken, "the shared state can't be asked: what needs it is denied");
        }
        pause = if was_up {
            Duration::from_millis(10)
        } else {
            pause.saturating_mul(2).min(most)
        };
        sleep(pause).await;
    }
}

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
