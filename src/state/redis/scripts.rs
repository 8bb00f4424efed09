//! What is asked of Redis: each question is one script, so that it is answered whole.
//!
//! The keys of a question are those of one shard: see `keys`.

use std::time::Duration;

use jiff::Timestamp;
use redis::{FromRedisValue, RedisResult, ToRedisArgs};
use uuid::Uuid;

use super::connect::Connection;
use super::keys::{COMMON, Keys};
use crate::clock;
use crate::state::{Id, Revocation, Secret};

use script::Script;

mod script;

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(include_str!("head.lua"), include_str!($file)))
    };
}

/// How many revocations are told or published at once.
pub(super) const BATCH: usize = 500;
/// How long revocations stay beyond their time: clocks are set back.
const BEYOND: Duration = Duration::from_hours(1);

/// The scripts, and the names of the keys that they are about.
#[derive(Debug)]
pub(super) struct Scripts {
    use_once: Script,
    secret: Script,
    revoke: Script,
    changes: Script,
    look: Script,
    keys: Keys,
}

/// Up to where changes have been read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Of which incarnation; empty: of none yet.
    pub(super) incarnation: String,
    change: String,
}

/// What has changed since a place.
pub(super) struct Changes {
    pub(super) revocations: Vec<Revocation>,
    /// Up to where they have been told.
    pub(super) place: Place,
    /// How old the incarnation is.
    pub(super) age: Duration,
}

impl Scripts {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            use_once: script!("use_once.lua"),
            secret: script!("secret.lua"),
            revoke: script!("revoke.lua"),
            changes: script!("changes.lua"),
            look: script!("look.lua"),
            keys,
        }
    }

    /// The names of the keys.
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whether an id is used for the first time, and since when its shard has forgotten none.
    pub(super) async fn use_once(
        &self,
        connection: &mut Connection,
        id: Id,
        keep: Duration,
    ) -> RedisResult<(bool, Timestamp)> {
        let shard = self.keys.shard_of(&id);
        let mut name = self.keys.name(shard, "used:").into_bytes();
        name.extend(id.0);
        let keep = u64::try_from(keep.as_millis())
            .unwrap_or(u64::MAX)
            .clamp(1, LONGEST);
        let mut question = Question::new(self, &self.use_once, shard);
        question.key(name);
        question.argument(keep);
        // Who this is: a question that a cluster's client asks again, because it lost the answer, is no other one.
        question.argument(&Uuid::now_v7().as_bytes()[..]);
        let (first, since): (bool, i64) = question.ask(connection).await?;
        Ok((first, time(since)))
    }

    /// The secret of this name, which is `new` if there was none.
    pub(super) async fn secret(
        &self,
        connection: &mut Connection,
        name: &str,
        new: Secret,
    ) -> RedisResult<Secret> {
        let mut question = Question::new(self, &self.secret, COMMON);
        question.key(self.keys.name(COMMON, "secrets").into_bytes());
        question.argument(name);
        question.argument(&new.0[..]);
        Ok(Secret(question.ask(connection).await?))
    }

    /// Adds revocations, and says to which incarnation.
    pub(super) async fn revoke(
        &self,
        connection: &mut Connection,
        revocations: &[Revocation],
    ) -> RedisResult<String> {
        let mut question = Question::of_revocations(self, &self.revoke);
        for revocation in revocations {
            question.argument(&revocation.id.0[..]);
            question.argument(revocation.issued_until.as_millisecond());
            question.argument(revocation.keep_until.as_millisecond());
        }
        question.ask(connection).await
    }

    /// The next changes after a place.
    pub(super) async fn changes(&self, connection: &mut Connection, place: &Place) -> RedisResult<Changes> {
        type Told = (String, i64, String, Vec<([u8; 32], i64, i64)>);
        let mut question = Question::of_revocations(self, &self.changes);
        question.argument(&place.incarnation);
        question.argument(if place.change.is_empty() {
            "0"
        } else {
            &place.change
        });
        question.argument(BATCH);
        question.argument(BEYOND.as_secs().saturating_mul(1000));
        let (incarnation, age, change, told): Told = question.ask(connection).await?;
        let revocations = told.into_iter().map(|(id, issued, keep)| Revocation {
            id: Id(id),
            issued_until: time(issued),
            keep_until: time(keep),
        });
        Ok(Changes {
            revocations: revocations.collect(),
            place: Place { incarnation, change },
            age: Duration::from_millis(u64::try_from(age).unwrap_or_default()),
        })
    }

    /// Whether the server of a shard answers, and forgets nothing on its own.
    pub(super) async fn look(&self, connection: &mut Connection, shard: usize) -> RedisResult<()> {
        Question::new(self, &self.look, shard).ask(connection).await
    }
}

/// A script, its keys and its arguments.
struct Question<'a> {
    script: &'a Script,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl<'a> Question<'a> {
    /// With what `head.lua` asks for.
    fn new(scripts: &Scripts, script: &'a Script, shard: usize) -> Self {
        let mut question = Self {
            script,
            keys: vec![scripts.keys.name(shard, "head").into_bytes()],
            arguments: Vec::new(),
        };
        question.argument(Uuid::now_v7().to_string());
        question.argument(clock::now().as_millisecond());
        question
    }

    fn of_revocations(scripts: &Scripts, script: &'a Script) -> Self {
        let mut question = Self::new(scripts, script, COMMON);
        for name in ["revoked", "changes", "ends"] {
            question.key(scripts.keys.name(COMMON, name).into_bytes());
        }
        question
    }

    fn key(&mut self, key: Vec<u8>) {
        self.keys.push(key);
    }

    fn argument(&mut self, argument: impl ToRedisArgs) {
        self.arguments.extend(argument.to_redis_args());
    }

    async fn ask<T: FromRedisValue>(self, connection: &mut Connection) -> RedisResult<T> {
        self.script.run(connection, &self.keys, &self.arguments).await
    }
}

/// Redis refuses times that overflow its clock: a century is as good.
const LONGEST: u64 = 100 * 365 * 86_400_000;

/// The moment of so many milliseconds; what no clock can show is as late as one can.
fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(if milliseconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
