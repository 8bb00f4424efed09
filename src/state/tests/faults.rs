//! A Redis that is gone, slow, restarted, flushed, full, another's replica: what can't be told is never guessed, and nothing
//! of ours needs a restart.

use super::*;

/// Of what nobody minds to keep.
const LONG: Duration = Duration::from_hours(24 * 3650);

async fn since(store: &Arc<dyn Store>, number: u32) -> Result<Timestamp, StateError> {
    match store.use_once(id(number), MINUTE, soon()).await? {
        Used::First { remembers_since } => Ok(remembers_since),
        Used::Again => panic!("{number} was used before"),
    }
}

/// The store is asked until it answers: for a new id each time.
#[expect(
    clippy::disallowed_methods,
    reason = "it recovers by itself: there is nothing but to ask again"
)]
async fn recovered(store: &Arc<dyn Store>, from: u32) -> Timestamp {
    for number in from.. {
        if let Ok(since) = since(store, number).await {
            return since;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(
            number < from + 3000,
            "it doesn't recover: {:?}",
            store.status().outage
        );
    }
    unreachable!("there are numbers enough")
}

#[tokio::test]
async fn a_redis_that_is_gone_at_the_start_is_an_error_until_it_is_there() {
    let mut server = Server::not_started(&[]);
    let store = replica(&server);
    assert_eq!(since(&store, 1).await, Err(StateError::Unreachable));
    assert_eq!(store.status().outage, Some(StateError::Unreachable));
    let now = crate::clock::instant();
    let catching_up = store.caught_up(now, soon()).expect("nothing is known yet");
    assert_eq!(catching_up.await, Err(StateError::Unreachable));
    server.again();
    recovered(&store, 2).await;
    assert_eq!(store.status().outage, None);
}

#[tokio::test]
async fn a_revocation_while_redis_is_gone_is_an_error_holds_here_and_reaches_the_others_later() {
    let mut server = Server::start();
    let (here, there) = (replica(&server), replica(&server));
    since(&here, 1).await.unwrap();
    since(&there, 2).await.unwrap();
    server.kill();
    let revocation = revocation(1, start().time, LONG);
    let refused = here.revoke(revocation, soon()).await;
    assert!(refused.is_err(), "nobody else knows: {refused:?}");
    assert_eq!(here.revoked(&id(1)), Some(revocation.issued_until));
    assert!(since(&there, 3).await.is_err());
    server.again();
    recovered(&here, 10_000).await;
    until("it has reached the other", async || {
        there.revoked(&id(1)).is_some()
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_says_nothing_is_too_late_and_then_down_until_it_speaks() {
    let server = Server::start();
    let store = replica(&server);
    since(&store, 1).await.unwrap();
    server.freeze();
    let brief = crate::clock::instant() + Duration::from_millis(100);
    let late = store.use_once(id(2), MINUTE, brief).await;
    assert_eq!(late, Err(StateError::TooLate));
    until("it is down", async || store.status().outage.is_some()).await;
    // By now who asks doesn't wait for a deadline that is minutes away.
    assert!(since(&store, 3).await.is_err());
    server.thaw();
    recovered(&store, 10_000).await;
}

#[tokio::test]
async fn a_restart_from_a_snapshot_counts_as_lost_memory() {
    let mut server = Server::start();
    let (here, there) = (replica(&server), replica(&server));
    let before = since(&here, 1).await.unwrap();
    server.command("SAVE");
    // Neither is in the snapshot.
    since(&here, 2).await.unwrap();
    let used = crate::clock::now();
    here.revoke(revocation(1, start().time, LONG), soon())
        .await
        .unwrap();
    server.kill();
    server.again();
    let after = recovered(&here, 10_000).await;
    assert!(after > before);
    assert!(after >= used, "{after}: 2 was used at {used}");
    assert_eq!(recovered(&there, 20_000).await, after, "both say the same");
    assert_eq!(
        here.use_once(id(1), MINUTE, soon()).await,
        Ok(Used::Again),
        "what was saved is known"
    );
    let third = replica(&server);
    until("what was revoked is published again", async || {
        third.revoked(&id(1)).is_some()
    })
    .await;
}

#[tokio::test]
async fn a_flush_counts_as_lost_memory_and_revocations_outlive_it() {
    let server = Server::start();
    let here = replica(&server);
    let before = since(&here, 1).await.unwrap();
    for number in 0..1200 {
        here.revoke(revocation(number, start().time, LONG), soon())
            .await
            .unwrap();
    }
    server.command("FLUSHALL");
    let after = since(&here, 1).await.unwrap();
    assert!(after > before);
    let there = replica(&server);
    until("all are published again", async || {
        there.status().revocations == 1200
    })
    .await;
    let caught_up = there.caught_up(crate::clock::instant(), soon());
    if let Some(caught_up) = caught_up {
        caught_up.await.unwrap();
    }
    assert_eq!(there.revoked(&id(1199)), Some(start().time));
}

#[tokio::test]
async fn a_new_replica_waits_until_the_others_have_published_again() {
    let server = Server::start();
    let store = replica(&server);
    since(&store, 1).await.unwrap();
    // It was met just now: others may know what was revoked before it was emptied.
    let now = crate::clock::instant();
    let brief = now + Duration::from_millis(1);
    let caught_up = store.caught_up(now, brief).expect("it is too early");
    assert_eq!(caught_up.await, Err(StateError::TooLate));
    store.caught_up(now, soon()).unwrap().await.unwrap();
    assert!(store.caught_up(now, soon()).is_none());
}

#[tokio::test]
async fn a_full_redis_refuses_and_still_knows_a_replay() {
    let server = Server::start();
    let store = replica(&server);
    since(&store, 1).await.unwrap();
    server.command("CONFIG SET maxmemory 1");
    assert_eq!(since(&store, 2).await, Err(StateError::Full));
    assert_eq!(store.use_once(id(1), MINUTE, soon()).await, Ok(Used::Again));
    assert_eq!(
        store.status().outage,
        Some(StateError::Full),
        "to know a replay takes no room"
    );
    let revoked = store.revoke(revocation(1, start().time, LONG), soon()).await;
    assert_eq!(revoked, Err(StateError::Full));
    let now = crate::clock::instant() + store.propagation();
    store.caught_up(now, soon()).unwrap().await.unwrap();
    assert_eq!(
        store.use_once(id(1), MINUTE, soon()).await,
        Ok(Used::Again),
        "what it knows it tells"
    );
    assert_eq!(since(&store, 2).await, Err(StateError::Full));
    assert_eq!(store.status().outage, Some(StateError::Full));
    server.command("CONFIG SET maxmemory 0");
    recovered(&store, 2).await;
    let there = replica(&server);
    until("what could not be published is", async || {
        there.revoked(&id(1)).is_some()
    })
    .await;
    assert_eq!(store.status().outage, None);
}

#[tokio::test]
async fn scripts_that_were_flushed_are_loaded_again() {
    let server = Server::start();
    let store = replica(&server);
    since(&store, 1).await.unwrap();
    server.command("SCRIPT FLUSH");
    assert_eq!(store.use_once(id(1), MINUTE, soon()).await, Ok(Used::Again));
}

#[tokio::test]
async fn a_redis_that_would_drop_keys_is_not_used() {
    let words = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let server = Server::with(&words.map(str::to_owned));
    server.wait();
    let store = replica(&server);
    assert_eq!(since(&store, 1).await, Err(StateError::Unreachable));
    server.command("CONFIG SET maxmemory-policy noeviction");
    recovered(&store, 2).await;
}

#[tokio::test]
async fn a_redis_that_became_a_replica_is_not_used_and_a_new_primary_has_lost_memory() {
    let server = Server::start();
    let store = replica(&server);
    let before = since(&store, 1).await.unwrap();
    server.command("REPLICAOF 127.0.0.1 1");
    assert_eq!(since(&store, 2).await, Err(StateError::Unreachable));
    until("it is down", async || store.status().outage.is_some()).await;
    server.command("REPLICAOF NO ONE");
    assert!(recovered(&store, 10_000).await > before);
}

#[tokio::test]
async fn more_revocations_than_there_is_room_for_are_an_outage() {
    let server = Server::start();
    let few = Limits {
        revocations: 2,
        ..Limits::default()
    };
    let (large, small) = (replica(&server), Redis::start(settings(&server.url()), few));
    for number in 0..3 {
        large
            .revoke(revocation(number, start().time, LONG), soon())
            .await
            .unwrap();
    }
    until("it is full", async || {
        small.status().outage == Some(StateError::Full)
    })
    .await;
    let caught_up = small.caught_up(crate::clock::instant() + small.propagation(), soon());
    assert_eq!(caught_up.unwrap().await, Err(StateError::Full));
}

#[test]
fn settings_that_can_not_work_are_named() {
    let of = |change: fn(&mut RedisSettings)| {
        let mut settings = settings("redis://redis.example/0");
        change(&mut settings);
        settings.unsound().map(|(key, _)| key)
    };
    assert_eq!(of(|_| ()), None);
    assert_eq!(
        of(|settings| settings.url = "https://redis.example".to_owned()),
        Some("url")
    );
    assert_eq!(
        of(|settings| settings.url = "redis://:secret@redis.example".to_owned()),
        Some("url")
    );
    assert_eq!(
        of(|settings| settings.url = "rediss://redis.example/#insecure".to_owned()),
        Some("url")
    );
    assert_eq!(
        of(|settings| settings.url = "redis://redis.example/one".to_owned()),
        Some("url")
    );
    assert_eq!(
        of(|settings| settings.ca_file = Some("ca.pem".into())),
        Some("ca_file")
    );
    assert_eq!(
        of(|settings| settings.user = Some("mcp-authz".to_owned())),
        Some("user")
    );
    assert_eq!(of(|settings| settings.cluster = true), None);
    assert_eq!(
        of(|settings| {
            settings.cluster = true;
            settings.prefix = "{mine}:".to_owned();
        }),
        Some("prefix")
    );
    let seeds = |seed: &str| {
        let mut settings = settings("redis://redis.example");
        settings.cluster = true;
        settings.seeds = vec![seed.to_owned()];
        settings.unsound().map(|(key, _)| key)
    };
    assert_eq!(seeds("redis://other.example:6380"), None);
    assert_eq!(seeds("rediss://other.example"), Some("seeds"));
    assert_eq!(seeds("redis://other.example/1"), Some("seeds"));
    assert_eq!(seeds("redis+unix:///socket"), Some("seeds"));
    assert_eq!(
        of(|settings| settings.seeds = vec!["redis://other.example".to_owned()]),
        Some("seeds")
    );
    assert_eq!(of(|settings| settings.timeout = Duration::ZERO), Some("timeout"));
    assert_eq!(
        of(|settings| settings.propagation = settings.timeout),
        Some("propagation")
    );
}
