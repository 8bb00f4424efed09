//! A real Keycloak changes its keys while calls go on.

use std::sync::Arc;
use std::time::Duration;

use mcp_authz::dev::keycloak::{Client, Grant, Realm};
use mcp_authz::dev::stack::Stack;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::read;
use crate::parts::caller::{Reply, TRUSTED};
use crate::parts::keycloak::{self, Ground, bearing, decoded, denied};
use crate::parts::run;

/// Services of the shipped realm, whose tokens are signed with this algorithm.
const SERVICES: [(&str, &str); 2] = [("RS256", "mcp-backend"), ("ES256", "mcp-backend-es256")];

/// A token that nobody has seen.
async fn mint(realm: &Realm, client: &str) -> String {
    let client = Client::Secret(client, "only-for-the-demo");
    let tokens = realm
        .tokens(client, Grant::ClientCredentials, "workbench", None)
        .await;
    tokens.unwrap().access_token
}

fn kid(token: &str) -> String {
    let [header, _] = decoded(token);
    header["kid"].as_str().unwrap().to_owned()
}

async fn call(stack: &Stack, token: &str) -> Reply {
    let caller = bearing(token, stack, TRUSTED, "workbench");
    caller.call("fs_read", &read()).await
}

/// Calls by several callers, each with a new token and then again with all that it has had, until it is stopped.
struct Load {
    callers: JoinSet<()>,
    /// How many answers there were.
    answers: Arc<watch::Sender<usize>>,
    stop: watch::Sender<bool>,
}

impl Load {
    fn start(realm: &Realm, stack: &'static Stack) -> Self {
        let (stop, answers) = (watch::Sender::new(false), Arc::new(watch::Sender::new(0)));
        let mut callers = JoinSet::new();
        for (_, client) in SERVICES {
            for _ in 0..2 {
                let (realm, answers, stopped) = (realm.clone(), Arc::clone(&answers), stop.subscribe());
                callers.spawn(async move {
                    let mut tokens = Vec::new();
                    while !*stopped.borrow() {
                        tokens.push(mint(&realm, client).await);
                        for token in &tokens {
                            let reply = call(stack, token).await;
                            assert_eq!(reply.status, 200, "{}: {reply:?}", kid(token));
                            reply.assert_allowed();
                            answers.send_modify(|count: &mut usize| *count = count.saturating_add(1));
                        }
                    }
                });
            }
        }
        Self {
            callers,
            answers,
            stop,
        }
    }

    /// Returns after so many more answers, unless a caller was denied.
    async fn go_on(&mut self, answers: usize) {
        let mut seen = self.answers.subscribe();
        let enough = seen.borrow().saturating_add(answers);
        tokio::select! {
            ended = self.callers.join_next() => ended.unwrap().unwrap(),
            counted = seen.wait_for(|count| *count >= enough) => drop(counted.unwrap()),
        }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.callers.join_all().await;
    }
}

#[test]
fn no_call_is_denied_while_a_real_keycloak_rotates_its_keys() {
    run(async {
        // With the default pace: it is the calls that ask for the new keys.
        let Ground { realm, stack } = keycloak::own("rotation", |_| {}).await;
        let stack = Box::leak(Box::new(stack));
        let mut load = Load::start(&realm, stack);
        load.go_on(20).await;
        for (priority, (algorithm, client)) in (200..).zip(SERVICES) {
            let old = kid(&mint(&realm, client).await);
            realm.rotate(algorithm, priority).await.unwrap();
            let new = mint(&realm, client).await;
            assert_ne!(kid(&new), old, "{algorithm}");
            let [header, _] = decoded(&new);
            assert_eq!(header["alg"], algorithm);
            call(stack, &new).await.assert_allowed();
            load.go_on(40).await;
        }
        load.end().await;
    });
}

/// Calls until it is denied; its tokens go on being taken until then.
async fn denied_in_time(stack: &Stack, token: &str) -> Reply {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let denied = async {
        loop {
            ticks.tick().await;
            let reply = call(stack, token).await;
            if reply.status != 200 {
                return reply;
            }
        }
    };
    // What is promised for the default `refresh_interval`.
    tokio::time::timeout(Duration::from_mins(1), denied)
        .await
        .unwrap()
}

#[test]
fn what_a_withdrawn_key_of_a_real_keycloak_signed_is_refused_and_nothing_else() {
    run(async {
        let Ground { realm, stack } = keycloak::own("withdrawal", |configuration| {
            let issuer = &mut configuration["identity"]["issuers"][0];
            issuer["refresh_interval"] = "1s".into();
            // Each refusal asks for the key; the next rotation must not have to wait for that.
            issuer["unknown_kid_interval"] = "100ms".into();
        })
        .await;
        let stack = Box::leak(Box::new(stack));
        for (priority, (algorithm, client)) in (200..).zip(SERVICES) {
            let (known, unseen) = (mint(&realm, client).await, mint(&realm, client).await);
            assert_eq!(kid(&known), kid(&unseen));
            call(stack, &known).await.assert_allowed();
            realm.rotate(algorithm, priority).await.unwrap();

            let mut load = Load::start(&realm, stack);
            load.go_on(10).await;
            realm.withdraw(&kid(&known)).await.unwrap();
            let reply = denied_in_time(stack, &known).await;
            denied(stack, reply, 401, "kid_unknown").await;
            denied(stack, call(stack, &unseen).await, 401, "kid_unknown").await;
            load.go_on(20).await;
            denied(stack, call(stack, &known).await, 401, "kid_unknown").await;
            load.end().await;
        }
    });
}
