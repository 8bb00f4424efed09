//! A real Redis Cluster: three primaries, each with a replica where a test wants one to take over.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Weak};

use super::*;

/// The servers of a cluster on loopback.
pub(super) struct Cluster {
    _folder: tempfile::TempDir,
    children: Vec<Child>,
    ports: Vec<u16>,
}

impl Cluster {
    /// Three primaries for all tests that do them no harm: each has a prefix of its own.
    pub(super) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::start(0));
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    fn start(replicas: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports: Vec<u16> = (0..3 * (replicas + 1)).map(|_| free_port()).collect();
        let start = |port: &u16| {
            let own = folder.path().join(port.to_string());
            std::fs::create_dir(&own).unwrap();
            let mut command = Command::new("redis-server");
            command
                .args(["--bind", "127.0.0.1", "--save", "", "--cluster-enabled", "yes"])
                .args([
                    "--port",
                    &port.to_string(),
                    "--cluster-port",
                    &free_port().to_string(),
                ])
                .args([
                    "--cluster-node-timeout",
                    "5000",
                    "--cluster-require-full-coverage",
                    "no",
                ])
                .args(["--cluster-replica-validity-factor", "0"])
                .arg("--dir")
                .arg(&own);
            command.stdout(File::create(own.join("log")).unwrap());
            command.spawn().unwrap()
        };
        let cluster = Self {
            children: ports.iter().map(start).collect(),
            _folder: folder,
            ports,
        };
        cluster.join(replicas);
        cluster
    }

    fn join(&self, replicas: usize) {
        for &port in &self.ports {
            wait("it answers", || ask(port, "PING").trim() == "PONG");
        }
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "create"]);
        command.args(self.ports.iter().map(|port| format!("127.0.0.1:{port}")));
        command.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
        let created = command.output().unwrap();
        assert!(created.status.success(), "{created:?}");
        for &port in &self.ports {
            wait("it is joined", || {
                ask(port, "CLUSTER INFO").contains("cluster_state:ok")
            });
            wait("it has what its primary has", || {
                !ask(port, "INFO replication").contains("master_link_status:down")
            });
        }
    }

    /// An operator's command, at each server.
    pub(super) fn command(&self, words: &str) {
        for &port in &self.ports {
            assert_eq!(ask(port, words).trim(), "OK", "{words}");
        }
    }

    pub(super) fn settings(&self, prefix: &str) -> RedisSettings {
        let url = |port: &u16| format!("redis://127.0.0.1:{port}");
        RedisSettings {
            prefix: prefix.to_owned(),
            cluster: true,
            seeds: self.ports[1..].iter().map(url).collect(),
            ..settings(&url(&self.ports[0]))
        }
    }

    pub(super) fn replica(&self, prefix: &str) -> Arc<dyn Store> {
        Arc::new(Redis::start(self.settings(prefix), Limits::default()))
    }

    /// Which primary has which shards.
    fn shards(&self, prefix: &str) -> BTreeMap<u16, Vec<u32>> {
        let primary = |port: &&u16| ask(**port, "ROLE").starts_with("master");
        let of = |port: &u16| {
            let heads = ask(*port, &format!("KEYS {prefix}*:head"));
            let shard = |head: &str| head.split(['{', '}']).nth(1).unwrap().parse().unwrap();
            (*port, heads.lines().map(shard).collect())
        };
        self.ports.iter().filter(primary).map(of).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that was free just now, and that no system hands out by itself.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    let mut ports = (0..8000).map(|_| {
        let next = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        u16::try_from(11_000 + next % 8000).unwrap()
    });
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// What a server says to an operator.
fn ask(port: u16, words: &str) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &port.to_string()]).args(words.split(' '));
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a server says nothing when it is there")]
fn wait(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it never came about: {what}");
}

/// Since when the shard of this number has forgotten nothing; `round` makes the id a new one.
async fn since(store: &Arc<dyn Store>, shard: u32, round: u32) -> Result<Timestamp, StateError> {
    match store.use_once(id(shard + 256 * round), MINUTE, soon()).await? {
        Used::First { remembers_since } => Ok(remembers_since),
        Used::Again => panic!("round {round} of {shard} was used before"),
    }
}

/// A primary is killed and its replica takes its place; says which shards have another memory since then.
async fn fail_over(of_common: bool) -> (Cluster, Arc<dyn Store>) {
    let mut cluster = Cluster::start(1);
    let store = cluster.replica("failover:");
    let mut before = Vec::new();
    for shard in 0..16 {
        before.push(since(&store, shard, 0).await.unwrap());
    }
    let keep = Duration::from_hours(24 * 3650);
    store
        .revoke(revocation(1, start().time, keep), soon())
        .await
        .unwrap();
    let shards = cluster.shards("failover:");
    let of_one = shards.values().find(|shards| shards.contains(&0) == of_common);
    let lost = of_one.unwrap().clone();
    assert!(!lost.is_empty() && lost.len() < 16, "{shards:?}");
    let victim = shards.iter().find(|(_, shards)| **shards == lost).unwrap().0;
    let victim = cluster.ports.iter().position(|port| port == victim).unwrap();
    // At once: it says nothing to anybody any more.
    cluster.children[victim].kill().unwrap();

    let (mut round, mut told_of_it) = (1, false);
    let mut after = BTreeMap::new();
    while after.len() < lost.len() {
        round += 1;
        for shard in 0..16 {
            let told = since(&store, shard, round).await;
            match told {
                Ok(since) if lost.contains(&shard) => {
                    after.insert(shard, since);
                }
                Ok(since) => assert_eq!(since, before[shard as usize], "{shard} forgot nothing"),
                Err(why) => {
                    assert!(lost.contains(&shard), "{shard} is somewhere else: {why}");
                    assert_ne!(why, StateError::Full);
                }
            }
        }
        told_of_it |= store.status().outage.is_some();
        assert!(round < 100_000, "nobody took over: {:?}", store.status().outage);
    }
    assert!(told_of_it);
    for (shard, since) in after {
        assert!(since > before[shard as usize], "{shard} may have forgotten");
    }
    until("all can be asked", async || store.status().outage.is_none()).await;
    (cluster, store)
}

#[tokio::test]
async fn a_primary_of_a_cluster_that_failed_over_has_lost_memory_and_the_others_have_not() {
    let (_cluster, store) = fail_over(false).await;
    assert_eq!(store.revoked(&id(1)), Some(start().time));
}

#[tokio::test]
async fn revocations_outlive_the_failover_of_the_primary_that_keeps_them() {
    let (cluster, store) = fail_over(true).await;
    let now = crate::clock::instant() + store.propagation();
    if let Some(catching_up) = store.caught_up(now, soon()) {
        catching_up.await.unwrap();
    }
    assert_eq!(store.revoked(&id(1)), Some(start().time));
    let other = cluster.replica("failover:");
    until("another hears of it", async || other.revoked(&id(1)).is_some()).await;
}
