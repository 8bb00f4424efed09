//! What every store must do, whichever it is: each test runs against each.

use std::collections::HashSet;

use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::*;

/// Two replicas that share a store. In memory they are one.
struct World {
    here: Arc<dyn Store>,
    there: Arc<dyn Store>,
    _server: Option<Server>,
    _cluster: Option<Arc<Cluster>>,
}

impl World {
    fn memory() -> Self {
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        Self {
            here: Arc::clone(&store),
            there: store,
            _server: None,
            _cluster: None,
        }
    }

    fn redis() -> Self {
        let server = Server::start();
        Self {
            here: replica(&server),
            there: replica(&server),
            _server: Some(server),
            _cluster: None,
        }
    }

    fn cluster(prefix: &str) -> Self {
        let cluster = Cluster::shared();
        Self {
            here: cluster.replica(prefix),
            there: cluster.replica(prefix),
            _server: None,
            _cluster: Some(cluster),
        }
    }
}

macro_rules! of_every_store {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::World::memory()).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::World::redis()).await;
            })*
        }
        mod cluster {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::World::cluster(stringify!($name))).await;
            })*
        }
    };
}

of_every_store!(
    an_id_that_was_used_here_is_known_there,
    of_a_thousand_at_once_one_alone_is_first,
    an_id_is_forgotten_when_its_time_is_over,
    a_secret_is_the_same_at_every_replica_and_another_by_each_name,
    a_revocation_holds_here_at_once_and_there_soon,
    the_later_of_two_revocations_counts_at_every_replica,
    who_is_caught_up_knows_what_was_revoked_before,
    nothing_that_is_remembered_is_out_of_bounds,
);

async fn an_id_that_was_used_here_is_known_there(world: World) {
    let before = crate::clock::now();
    let first = world.here.use_once(id(1), MINUTE, soon()).await.unwrap();
    let Used::First { remembers_since } = first else {
        panic!("{first:?}");
    };
    assert!(
        remembers_since <= crate::clock::now() + jiff::SignedDuration::from_secs(1),
        "{before}"
    );
    assert_eq!(world.there.use_once(id(1), MINUTE, soon()).await, Ok(Used::Again));
    assert_eq!(world.here.use_once(id(1), MINUTE, soon()).await, Ok(Used::Again));
    let other = world.there.use_once(id(257), MINUTE, soon()).await;
    assert_eq!(
        other,
        Ok(Used::First { remembers_since }),
        "both remember since the same moment"
    );
}

async fn of_a_thousand_at_once_one_alone_is_first(world: World) {
    let mut asking = JoinSet::new();
    for number in 0..1000 {
        let store = Arc::clone(if number % 2 == 0 {
            &world.here
        } else {
            &world.there
        });
        asking.spawn(async move { store.use_once(id(7), MINUTE, soon()).await.unwrap() });
    }
    let answers = asking.join_all().await;
    let first = answers
        .iter()
        .filter(|used| matches!(used, Used::First { .. }))
        .count();
    assert_eq!((first, answers.len()), (1, 1000));
}

async fn an_id_is_forgotten_when_its_time_is_over(world: World) {
    let keep = Duration::from_millis(1);
    let first = world.here.use_once(id(1), keep, soon()).await;
    assert!(matches!(first, Ok(Used::First { .. })), "{first:?}");
    until("it is forgotten", async || {
        matches!(
            world.there.use_once(id(1), keep, soon()).await,
            Ok(Used::First { .. })
        )
    })
    .await;
}

async fn a_secret_is_the_same_at_every_replica_and_another_by_each_name(world: World) {
    let mut seen = HashSet::new();
    for name in ["nonces", "others"] {
        let here = world.here.secret(name, soon()).await.unwrap();
        assert_eq!(world.there.secret(name, soon()).await.unwrap(), here);
        assert_eq!(world.here.secret(name, soon()).await.unwrap(), here);
        assert!(seen.insert(here.0), "another name, another secret");
    }
}

async fn a_revocation_holds_here_at_once_and_there_soon(world: World) {
    let version = world.there.revocations_version();
    let revocation = revocation(1, start().time, Duration::from_hours(24 * 3650));
    world.here.revoke(revocation, soon()).await.unwrap();
    assert_eq!(world.here.revoked(&id(1)), Some(revocation.issued_until));
    until("it holds there", async || world.there.revoked(&id(1)).is_some()).await;
    assert_eq!(world.there.revoked(&id(1)), Some(revocation.issued_until));
    assert_eq!(world.there.revoked(&id(2)), None);
    assert!(
        world.there.revocations_version() > version,
        "who remembers answers asks again"
    );
}

async fn the_later_of_two_revocations_counts_at_every_replica(world: World) {
    let (early, late) = (start().time, later(start(), 0, 60).time);
    let keep = Duration::from_hours(24 * 3650);
    world
        .here
        .revoke(revocation(1, late, keep), soon())
        .await
        .unwrap();
    world
        .there
        .revoke(revocation(1, early, keep), soon())
        .await
        .unwrap();
    world
        .there
        .revoke(revocation(2, early, keep), soon())
        .await
        .unwrap();
    for store in [&world.here, &world.there] {
        until("the last one is known", async || store.revoked(&id(2)).is_some()).await;
        until("the later one counts", async || {
            store.revoked(&id(1)) == Some(late)
        })
        .await;
    }
}

async fn who_is_caught_up_knows_what_was_revoked_before(world: World) {
    let keep = Duration::from_hours(24 * 3650);
    world
        .here
        .revoke(revocation(1, start().time, keep), soon())
        .await
        .unwrap();
    // Somebody who asks so much later relies on nothing that was heard before.
    let now = crate::clock::instant() + world.there.propagation();
    if let Some(catching_up) = world.there.caught_up(now, soon()) {
        catching_up.await.unwrap();
        assert!(world.there.caught_up(now, soon()).is_none(), "now it is known");
    }
    assert_eq!(world.there.revoked(&id(1)), Some(start().time));
}

async fn nothing_that_is_remembered_is_out_of_bounds(world: World) {
    let far = Revocation {
        id: id(1),
        issued_until: Timestamp::MAX,
        keep_until: Timestamp::MAX,
    };
    world.here.revoke(far, soon()).await.unwrap();
    until("it holds there", async || world.there.revoked(&id(1)).is_some()).await;
    let first = world.here.use_once(id(1), Duration::MAX, soon()).await;
    assert!(matches!(first, Ok(Used::First { .. })), "{first:?}");
    assert_eq!(
        world.there.use_once(id(1), Duration::ZERO, soon()).await,
        Ok(Used::Again)
    );
    assert_eq!(world.here.status().outage, None);
}
