//! How each shard fares: whether its server can be asked, and whether it takes more.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::connect::Connection;
use crate::state::StateError;

/// How the way to a shard fares.
#[derive(Clone)]
enum Link {
    /// The first attempt is under way: who asks waits for it.
    Connecting,
    /// It can be asked.
    Up(Connection),
    /// The last attempt failed: who asks is told at once. With what was said of it.
    Down(StateError, String),
}

/// How much is kept of what is said: whoever answers in place of Redis may say a lot.
const LONGEST: usize = 300;

/// All shards.
pub(super) struct Shards(Vec<Shard>);

struct Shard {
    link: watch::Sender<Link>,
    /// The last write was refused because the server is full.
    full: AtomicBool,
    /// A question went wrong: its server is to be looked at.
    doubted: AtomicBool,
}

impl Shards {
    pub(super) fn new(count: usize) -> Self {
        let shard = || Shard {
            link: watch::Sender::new(Link::Connecting),
            full: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
        };
        Self((0..count).map(|_| shard()).collect())
    }

    /// How to ask a shard, once the first attempt has ended.
    pub(super) async fn connection(&self, shard: usize) -> Result<Connection, StateError> {
        let shard = self.0.get(shard).ok_or(StateError::Unreachable)?;
        let mut link = shard.link.subscribe();
        let ended = link.wait_for(|link| !matches!(link, Link::Connecting)).await;
        match ended.as_deref() {
            Ok(Link::Up(connection)) => Ok(connection.clone()),
            Ok(Link::Down(why, _)) => Err(*why),
            Ok(Link::Connecting) | Err(_) => Err(StateError::Unreachable),
        }
    }

    /// Waits until a shard can't be asked, and says why.
    pub(super) async fn lost(&self, shard: usize) -> StateError {
        let Some(shard) = self.0.get(shard) else {
            return StateError::Unreachable;
        };
        let mut link = shard.link.subscribe();
        match link
            .wait_for(|link| matches!(link, Link::Down(..)))
            .await
            .as_deref()
        {
            Ok(Link::Down(why, _)) => *why,
            _ => StateError::Unreachable,
        }
    }

    /// Why not all of them can be asked and take more.
    pub(super) fn outage(&self) -> Option<StateError> {
        let outages = self.0.iter().filter_map(Shard::outage);
        // That one can't be asked is worse.
        outages.min_by_key(|why| *why == StateError::Full)
    }

    /// What was said of one that can't be asked.
    pub(super) fn cause(&self) -> Option<String> {
        let said = |shard: &Shard| match &*shard.link.borrow() {
            Link::Down(_, said) => Some(said.clone()),
            Link::Connecting | Link::Up(_) => None,
        };
        self.0.iter().find_map(said)
    }

    /// Whether a shard has room, as a write just showed.
    pub(super) fn has_room(&self, shard: usize, room: bool) {
        if let Some(shard) = self.0.get(shard) {
            shard.full.store(!room, Ordering::Relaxed);
        }
    }

    /// Something went wrong with a question to a shard.
    pub(super) fn doubt(&self, shard: usize) {
        if let Some(shard) = self.0.get(shard) {
            shard.doubted.store(true, Ordering::Release);
        }
    }

    /// Those that are to be looked at: from now on only if they are doubted again, or still down.
    pub(super) fn doubtful(&self) -> Vec<usize> {
        let doubtful = |shard: &Shard| {
            let doubted = shard.doubted.swap(false, Ordering::AcqRel);
            doubted || !shard.is_up()
        };
        let numbered = self.0.iter().enumerate();
        numbered
            .filter_map(|(number, shard)| doubtful(shard).then_some(number))
            .collect()
    }

    /// Whether any can be asked.
    pub(super) fn any_up(&self) -> bool {
        self.0.iter().any(Shard::is_up)
    }

    /// These can be asked this way.
    pub(super) fn rise(&self, shards: impl IntoIterator<Item = usize>, connection: &Connection) {
        let risen = self.turn(shards, |link| {
            let was_up = matches!(link, Link::Up(_));
            *link = Link::Up(connection.clone());
            !was_up
        });
        if !risen.is_empty() {
            tracing::info!(shards = ?risen, of = self.0.len(), "the shared state can be asked");
        }
    }

    /// These can't be asked.
    pub(super) fn fall(
        &self,
        shards: impl IntoIterator<Item = usize>,
        why: StateError,
        cause: &dyn std::error::Error,
    ) {
        let letters = cause.to_string();
        let letters = letters.chars().map(|c| if c.is_control() { ' ' } else { c });
        let said: String = letters.take(LONGEST).collect();
        let fallen = self.turn(shards, |link| {
            let was_down = matches!(link, Link::Down(..));
            *link = Link::Down(why, said.clone());
            !was_down
        });
        if !fallen.is_empty() {
            tracing::error!(
                shards = ?fallen,
                of = self.0.len(),
                error = said,
                "the shared state can't be asked: what needs it is denied"
            );
        }
    }

    /// None can be asked.
    pub(super) fn fall_all(&self, why: StateError, cause: &dyn std::error::Error) {
        self.fall(0..self.0.len(), why, cause);
    }

    /// Those of these that were turned.
    fn turn(&self, shards: impl IntoIterator<Item = usize>, turn: impl Fn(&mut Link) -> bool) -> Vec<usize> {
        let turned = |number: &usize| {
            let mut news = false;
            if let Some(shard) = self.0.get(*number) {
                shard.link.send_modify(|link| news = turn(link));
            }
            news
        };
        shards.into_iter().filter(turned).collect()
    }
}

impl Shard {
    fn is_up(&self) -> bool {
        matches!(*self.link.borrow(), Link::Up(_))
    }

    fn outage(&self) -> Option<StateError> {
        match &*self.link.borrow() {
            Link::Up(_) => self.full.load(Ordering::Relaxed).then_some(StateError::Full),
            Link::Down(why, _) => Some(*why),
            Link::Connecting => Some(StateError::Unreachable),
        }
    }
}
