//! What is asked of Redis: each question is one script, so that it is answered whole.

use std::time::Duration;

use jiff::Timestamp;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script, ScriptInvocation};
use uuid::Uuid;

use crate::clock;
use crate::state::{Id, Revocation, Secret};

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
    prefix: String,
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
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            use_once: script!("use_once.lua"),
            secret: script!("secret.lua"),
            revoke: script!("revoke.lua"),
            changes: script!("changes.lua"),
            prefix: prefix.to_owned(),
        }
    }

    /// Whether an id is used for the first time, and since when the server has forgotten none.
    pub(super) async fn use_once(
        &self,
        mut connection: MultiplexedConnection,
        id: Id,
        keep: Duration,
    ) -> RedisResult<(bool, Timestamp)> {
        let mut name = format!("{}used:", self.prefix).into_bytes();
        name.extend(id.0);
        let keep = u64::try_from(keep.as_millis())
            .unwrap_or(u64::MAX)
            .clamp(1, LONGEST);
        let mut question = self.begin(&self.use_once);
        let (first, since): (bool, i64) = question.key(name).arg(keep).invoke_async(&mut connection).await?;
        Ok((first, time(since)))
    }

    /// The secret of this name, which is `new` if there was none.
    pub(super) async fn secret(
        &self,
        mut connection: MultiplexedConnection,
        name: &str,
        new: Secret,
    ) -> RedisResult<Secret> {
        let mut question = self.begin(&self.secret);
        question
            .key(format!("{}secrets", self.prefix))
            .arg(name)
            .arg(&new.0[..]);
        let secret: [u8; 32] = question.invoke_async(&mut connection).await?;
        Ok(Secret(secret))
    }

    /// Adds revocations, and says to which incarnation.
    pub(super) async fn revoke(
        &self,
        connection: &mut MultiplexedConnection,
        revocations: &[Revocation],
    ) -> RedisResult<String> {
        let mut question = self.begin(&self.revoke);
        self.revocation_keys(&mut question);
        for revocation in revocations {
            question
                .arg(&revocation.id.0[..])
                .arg(revocation.issued_until.as_millisecond())
                .arg(revocation.keep_until.as_millisecond());
        }
        question.invoke_async(connection).await
    }

    /// The next changes after a place.
    pub(super) async fn changes(
        &self,
        connection: &mut MultiplexedConnection,
        place: &Place,
    ) -> RedisResult<Changes> {
        type Told = (String, i64, String, Vec<([u8; 32], i64, i64)>);
        let mut question = self.begin(&self.changes);
        self.revocation_keys(&mut question);
        question
            .arg(&place.incarnation)
            .arg(if place.change.is_empty() {
                "0"
            } else {
                &place.change
            })
            .arg(BATCH)
            .arg(BEYOND.as_secs().saturating_mul(1000));
        let (incarnation, age, change, told): Told = question.invoke_async(connection).await?;
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

    /// What `head.lua` asks for.
    fn begin<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut question = script.key(format!("{}head", self.prefix));
        question
            .arg(Uuid::now_v7().to_string())
            .arg(clock::now().as_millisecond());
        question
    }

    fn revocation_keys(&self, question: &mut ScriptInvocation<'_>) {
        for name in ["revoked", "changes", "ends"] {
            question.key(format!("{}{name}", self.prefix));
        }
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
