//! What every store must do, and what the parts do that stores are made from.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

use std::sync::Arc;

use super::*;
use moment::Moment;
use revocations::Revocations;
use server::Server;
use used::UsedIds;

mod bogus;
mod cluster;
mod faults;
mod login;
mod server;
mod suite;

const MINUTE: Duration = Duration::from_mins(1);

/// Ids of one shard are 256 apart.
fn id(number: u32) -> Id {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[31] = 1;
    Id(bytes)
}

/// A deadline that nothing should need.
fn soon() -> Instant {
    crate::clock::instant() + MINUTE
}

/// Waits for what must come.
#[expect(clippy::disallowed_methods, reason = "what is waited for tells nobody")]
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let patience = soon();
    while !holds().await {
        assert!(crate::clock::instant() < patience, "it never came about: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Patient ones: tests run on loaded machines.
fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        url: url.to_owned(),
        cluster: false,
        seeds: Vec::new(),
        prefix: "test:".to_owned(),
        user: None,
        password_file: None,
        ca_file: None,
        timeout: Duration::from_secs(2),
        propagation: Duration::from_secs(8),
    }
}

/// One more replica of ours.
fn replica(server: &Server) -> Arc<dyn Store> {
    Arc::new(Redis::start(settings(&server.url()), Limits::default()))
}

fn start() -> Moment {
    Moment {
        instant: crate::clock::instant(),
        time: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

/// So many seconds later on the monotonic clock and on the clock of the day.
fn later(from: Moment, steady: u64, of_day: i64) -> Moment {
    Moment {
        instant: from.instant + Duration::from_secs(steady),
        time: from.time + jiff::SignedDuration::from_secs(of_day),
    }
}

fn revocation(number: u32, issued_until: Timestamp, keep: Duration) -> Revocation {
    Revocation {
        id: id(number),
        issued_until,
        keep_until: issued_until + jiff::SignedDuration::try_from(keep).unwrap(),
    }
}

#[test]
fn an_id_may_be_used_again_when_it_is_forgotten_and_not_before() {
    let start = start();
    let used = UsedIds::new(10, start);
    assert_eq!(used.is_first(id(1), MINUTE, start), Ok(true));
    assert_eq!(used.is_first(id(1), MINUTE, later(start, 60, 60)), Ok(false));
    assert_eq!(used.is_first(id(1), MINUTE, later(start, 62, 62)), Ok(true));
    assert_eq!(used.is_first(id(1), MINUTE, later(start, 122, 122)), Ok(false));
    assert_eq!(used.len(), 1);
}

#[test]
fn a_clock_that_is_set_back_or_ahead_has_no_id_used_twice() {
    let start = start();
    let used = UsedIds::new(10, start);
    assert_eq!(used.is_first(id(1), MINUTE, start), Ok(true));
    // An hour ahead: on the monotonic clock it is too early.
    assert_eq!(used.is_first(id(1), MINUTE, later(start, 5, 3605)), Ok(false));
    // An hour back: what carries the id is valid again when the clock has come there again.
    used.forget(later(start, 3600, 10));
    assert_eq!(used.is_first(id(1), MINUTE, later(start, 3600, 10)), Ok(false));
    assert_eq!(used.is_first(id(1), MINUTE, later(start, 3662, 62)), Ok(true));
}

#[test]
fn full_means_refused_until_something_has_run_out() {
    let start = start();
    let used = UsedIds::new(1000, start);
    for number in 0..1000 {
        assert_eq!(used.is_first(id(number), MINUTE, start), Ok(true));
    }
    assert_eq!(used.is_first(id(1000), MINUTE, start), Err(StateError::Full));
    assert_eq!(
        used.is_first(id(7), MINUTE, start),
        Ok(false),
        "a replay is still known as one"
    );
    let then = later(start, 62, 62);
    assert_eq!(used.is_first(id(1000), MINUTE, then), Ok(true));
    assert_eq!(used.len(), 1);
}

#[test]
fn what_has_run_out_makes_no_memory_grow() {
    let start = start();
    let used = UsedIds::new(1_000_000, start);
    let mut most = 0;
    for number in 0..200_000_u32 {
        let now = later(start, u64::from(number / 100), i64::from(number / 100));
        assert_eq!(used.is_first(id(number), Duration::from_secs(10), now), Ok(true));
        most = most.max(used.len());
    }
    assert!(most <= 8192, "{most} were kept at once");
    assert!(used.bytes() < 1_000_000, "{} bytes", used.bytes());
}

#[test]
fn each_used_id_takes_less_than_100_bytes() {
    let used = UsedIds::new(200_000, start());
    for number in 0..200_000_u32 {
        used.is_first(id(number.wrapping_mul(0x9E37_79B1)), MINUTE, start())
            .unwrap();
    }
    let each = used.bytes() / used.len();
    assert!((40..100).contains(&each), "{each} bytes each");
}

#[test]
fn of_two_revocations_with_one_id_the_later_moments_count() {
    let start = start();
    let revocations = Revocations::new(10, start);
    let (early, late) = (start.time, later(start, 0, 60).time);
    revocations.add(revocation(1, late, MINUTE), start).unwrap();
    revocations.add(revocation(1, early, MINUTE), start).unwrap();
    assert_eq!(revocations.issued_until(&id(1)), Some(late));
    assert_eq!(revocations.issued_until(&id(2)), None);
    assert_eq!(revocations.len(), 1);
}

#[test]
fn a_revocation_is_forgotten_an_hour_after_what_it_is_about_is_gone() {
    let start = start();
    let revocations = Revocations::new(10, start);
    revocations.add(revocation(1, start.time, MINUTE), start).unwrap();
    let version = revocations.version();
    revocations.forget(later(start, 3660, 3660));
    assert_eq!(revocations.issued_until(&id(1)), Some(start.time));
    revocations.forget(later(start, 3662, 62));
    assert_eq!(revocations.len(), 1, "the clock was set back");
    assert_eq!(revocations.version(), version);
    revocations.forget(later(start, 3662, 3662));
    assert_eq!(revocations.issued_until(&id(1)), None);
    assert!(
        revocations.version() > version,
        "whoever cached an answer asks again"
    );
    assert_eq!(revocations.len(), 0);
}

#[test]
fn revocations_are_bounded_and_known_ones_can_still_be_extended() {
    let start = start();
    let revocations = Revocations::new(2, start);
    for number in 0..2 {
        revocations
            .add(revocation(number, start.time, MINUTE), start)
            .unwrap();
    }
    let refused = revocations.add(revocation(2, start.time, MINUTE), start);
    assert_eq!(refused, Err(StateError::Full));
    let late = later(start, 0, 60).time;
    revocations.add(revocation(1, late, MINUTE), start).unwrap();
    assert_eq!(revocations.issued_until(&id(1)), Some(late));
}

#[tokio::test]
async fn what_a_store_is_asked_is_counted_with_what_came_of_it_also_if_nobody_waits() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let one = Settings {
        limits: Limits {
            used_ids: 1,
            revocations: 1,
        },
        redis: None,
    };
    let store = one.open(Arc::new(move |operation, outcome, _took| {
        telling.lock().unwrap().push((operation, outcome));
    }));
    for number in [1, 1, 2] {
        let _ = store.use_once(id(number), MINUTE, soon()).await;
    }
    store.secret("nonces", soon()).await.unwrap();
    store
        .revoke(revocation(1, start().time, MINUTE), soon())
        .await
        .unwrap();
    drop(store.use_once(id(3), MINUTE, soon()));
    assert!(store.caught_up(crate::clock::instant(), soon()).is_none());
    assert_eq!(
        *told.lock().unwrap(),
        [
            ("use_once", "first"),
            ("use_once", "again"),
            ("use_once", "full"),
            ("secret", "ok"),
            ("revoke", "ok"),
            ("use_once", "abandoned"),
        ]
    );
}
