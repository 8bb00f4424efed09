//! Two replicas share a Redis: what was used or revoked at one counts at both. While Redis can't tell, what needs it is
//! denied with its reason and the rest goes on; nothing is restarted for it to recover.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use mcp_authz::dev::stack::Stack;
use mcp_authz::identity::revocation::{self, Kind};
use mcp_authz::state::{Redis, RedisSettings, Store};
use serde_json::{Value, json};

use crate::parts::caller::{Caller, Reply};
use crate::parts::redis::Server;
use crate::parts::replica::{Bound, Replica};
use crate::parts::with_stack;

/// How long a replica relies on what it has read last: long enough that a loaded machine doesn't end it early.
const PROPAGATION: &str = "24s";

/// Two replicas, and how to ask each.
struct World {
    stack: &'static Stack,
    redis: Server,
    replicas: [Replica; 2],
    here: Caller,
    there: Caller,
}

impl World {
    async fn start(stack: &'static Stack, name: &str) -> Self {
        let redis = Server::start();
        let state = json!({ "redis": {
            "url": redis.url(), "prefix": "black-box:", "timeout": "2s", "propagation": PROPAGATION,
        } });
        let (first, second) = (format!("{name}-1"), format!("{name}-2"));
        let replicas: [Replica; 2] = tokio::join!(
            Replica::start(stack, &first, &state),
            Replica::start(stack, &second, &state),
        )
        .into();
        let caller = Caller::developer(stack);
        let [here, there] = [0, 1].map(|at: usize| replicas[at].caller(stack, &caller));
        let world = Self {
            stack,
            redis,
            replicas,
            here,
            there,
        };
        // At the very first start each waits for what the others may know.
        for at in [&world.here, &world.there] {
            until_allowed(at, &["revocations_unknown"]).await;
        }
        world
    }

    fn both(&self) -> [&Caller; 2] {
        [&self.here, &self.there]
    }

    /// One more replica, in this process.
    fn third(&self) -> Redis {
        let settings: RedisSettings =
            serde_json::from_value(json!({ "url": self.redis.url(), "prefix": "black-box:" })).unwrap();
        Redis::start(settings, mcp_authz::state::Limits::default())
    }

    /// Asks with new proofs at each until they are taken; until then each is refused for one of these reasons.
    async fn until_proofs_are_taken(&self, bound: &Bound, reasons: &[&str]) {
        for at in self.both() {
            until(async || {
                let reply = bound.call(at, &bound.proof()).await;
                taken(&reply, reasons)
            })
            .await;
        }
    }

    /// Calls of tokens that aren't bound, and of nobody for the metadata, go on at each.
    async fn the_rest_goes_on(&self) {
        for at in self.both() {
            read(at).await.assert_allowed();
            let path = "/.well-known/oauth-protected-resource/workbench/mcp";
            let url = at.url.replace("/workbench/mcp", path);
            let metadata = at.http.get(url).send().await.unwrap();
            assert_eq!(metadata.status(), 200);
        }
    }

    /// Each is ready, whatever its state, and says how that fares.
    async fn says(&self, state: &str) {
        for replica in &self.replicas {
            let ready = replica.ready(&self.here.http).await;
            assert_eq!(ready["ready"], true, "{ready}");
            assert!(ready["state"].as_str().unwrap().starts_with(state), "{ready}");
        }
    }

    /// A new proof is refused at each because nobody can tell whether it was used.
    async fn proofs_are_refused(&self, bound: &Bound, reason: &str) {
        for at in self.both() {
            let reply = bound.call(at, &bound.proof()).await;
            reply.assert_denied(503, reason);
            assert_eq!(reply.header("retry-after"), "1");
        }
    }
}

/// Runs a test in a world of its own; when it fails, the ends of the replicas' logs are shown.
fn with_replicas(name: &str, test: impl AsyncFnOnce(&mut World)) {
    with_stack(async |stack| {
        let mut world = World::start(stack, name).await;
        let ended = AssertUnwindSafe(test(&mut world)).catch_unwind().await;
        if let Err(panic) = ended {
            world
                .replicas
                .iter()
                .for_each(|replica| eprintln!("{}", replica.logs()));
            std::panic::resume_unwind(panic);
        }
        world
            .replicas
            .iter_mut()
            .for_each(Replica::assert_never_restarted);
    });
}

async fn read(at: &Caller) -> Reply {
    at.call("fs_read", &json!({ "path": "/srv/work/hello.txt" }))
        .await
}

/// Waits for what must come.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..2000 {
        ticks.tick().await;
        if holds().await {
            return;
        }
    }
    panic!("it never came about");
}

/// Whether a call was allowed; if not, it was denied for one of these reasons.
fn taken(reply: &Reply, reasons: &[&str]) -> bool {
    if reply.status == 200 {
        reply.assert_allowed();
        return true;
    }
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reasons.contains(&reply.reason().as_str()), "{reply:?}");
    false
}

async fn until_allowed(at: &Caller, reasons: &[&str]) {
    until(async || taken(&read(at).await, reasons)).await;
}

/// Calls are allowed until they are denied, and then for this reason.
async fn until_denied(at: &Caller, status: u16, reason: &str) {
    until(async || {
        let reply = read(at).await;
        if reply.status == 200 {
            reply.assert_allowed();
            return false;
        }
        reply.assert_denied(status, reason);
        true
    })
    .await;
}

/// What a token says of this name.
fn claim(token: &str, name: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims[name].as_str().unwrap().to_owned()
}

#[test]
fn a_proof_used_at_one_replica_is_refused_at_the_other() {
    with_replicas("replicas-replay", async |world| {
        let bound = Bound::developer(world.stack);
        world.until_proofs_are_taken(&bound, &["replays_forgotten"]).await;
        for (first, second) in [(&world.here, &world.there), (&world.there, &world.here)] {
            let proof = bound.proof();
            bound.call(first, &proof).await.assert_allowed();
            for at in [second, first] {
                bound.call(at, &proof).await.assert_denied(401, "proof_replayed");
            }
        }
        // At the same moment.
        let proof = bound.proof();
        let asking = (0..20).map(|at: usize| bound.call(world.both()[at % 2], &proof));
        let replies = futures_util::future::join_all(asking).await;
        let (allowed, rest): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
        assert_eq!(allowed.len(), 1, "{replies:?}");
        for reply in rest {
            reply.assert_denied(401, "proof_replayed");
        }
    });
}

#[test]
fn a_revocation_holds_at_both_replicas_and_outlives_a_flush_of_redis() {
    with_replicas("replicas-revocation", async |world| {
        let other = Caller::developer(world.stack);
        let other = world.replicas[1].caller(world.stack, &other);
        let token = claim(world.here.token.as_deref().unwrap(), "jti");
        world.replicas[0].revoke(&["--issuer", "demo", "--token", &token]);
        read(&world.here).await.assert_denied(401, "token_revoked");
        until_denied(&world.there, 401, "token_revoked").await;
        read(&other).await.assert_allowed();

        let bound = Bound::developer(world.stack);
        world.until_proofs_are_taken(&bound, &["replays_forgotten"]).await;
        let used = bound.proof();
        bound.call(&world.here, &used).await.assert_allowed();
        world.redis.command("FLUSHALL");
        // Redis takes it for new, but nothing was forgotten here.
        bound
            .call(&world.there, &used)
            .await
            .assert_denied(503, "replays_forgotten");
        world.until_proofs_are_taken(&bound, &["replays_forgotten"]).await;
        for at in world.both() {
            read(at).await.assert_denied(401, "token_revoked");
        }
        read(&other).await.assert_allowed();
        let third = world.third();
        let id = revocation::id(Kind::Token, world.stack.issuer.issuer(), &token);
        until(async || third.revoked(&id).is_some()).await;
    });
}

#[test]
fn with_redis_gone_bound_tokens_are_denied_and_the_rest_goes_on_until_revocations_are_too_old() {
    with_replicas("replicas-gone", async |world| {
        let bound = Bound::developer(world.stack);
        world.until_proofs_are_taken(&bound, &["replays_forgotten"]).await;
        let used = bound.proof();
        bound.call(&world.here, &used).await.assert_allowed();

        world.redis.kill();
        world.proofs_are_refused(&bound, "replays_unknown").await;
        world.the_rest_goes_on().await;
        world
            .says("failing: redis: the shared state can't be reached")
            .await;
        for at in world.both() {
            until_denied(at, 503, "revocations_unknown").await;
        }

        world.redis.again();
        for at in world.both() {
            until_allowed(at, &["revocations_unknown"]).await;
        }
        bound
            .call(&world.there, &used)
            .await
            .assert_denied(503, "replays_forgotten");
        world.until_proofs_are_taken(&bound, &["replays_forgotten"]).await;
    });
}

#[test]
fn with_redis_asleep_bound_tokens_are_denied_in_time_and_when_it_wakes_it_has_forgotten_nothing() {
    with_replicas("replicas-asleep", async |world| {
        let bound = Bound::developer(world.stack);
        world.until_proofs_are_taken(&bound, &["replays_forgotten"]).await;
        let used = bound.proof();
        bound.call(&world.here, &used).await.assert_allowed();

        world.redis.freeze();
        // Our own words: in time for the gateway, which has others.
        world.proofs_are_refused(&bound, "replays_unknown").await;
        world.the_rest_goes_on().await;
        for at in world.both() {
            until_denied(at, 503, "revocations_unknown").await;
        }

        world.redis.thaw();
        for at in world.both() {
            until_allowed(at, &["revocations_unknown"]).await;
            until(async || {
                let reply = bound.call(at, &used).await;
                if reply.status == 503 {
                    reply.assert_denied(503, "replays_unknown");
                    return false;
                }
                reply.assert_denied(401, "proof_replayed");
                true
            })
            .await;
        }
        world.until_proofs_are_taken(&bound, &[]).await;
    });
}

#[test]
fn with_redis_full_new_proofs_are_denied_replays_are_known_and_the_rest_goes_on() {
    with_replicas("replicas-full", async |world| {
        let bound = Bound::developer(world.stack);
        world.until_proofs_are_taken(&bound, &["replays_forgotten"]).await;
        let used = bound.proof();
        bound.call(&world.here, &used).await.assert_allowed();

        world.redis.command("CONFIG SET maxmemory 1");
        world.proofs_are_refused(&bound, "replays_unknown").await;
        bound
            .call(&world.there, &used)
            .await
            .assert_denied(401, "proof_replayed");
        world.the_rest_goes_on().await;
        world.says("failing: redis: the shared state is full").await;

        world.redis.command("CONFIG SET maxmemory 0");
        world.until_proofs_are_taken(&bound, &[]).await;
        world.says("ok: redis").await;
    });
}
