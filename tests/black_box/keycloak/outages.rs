//! A real Keycloak that is down, or whose proxy answers in its place.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{Html, IntoResponse as _, Response};
use mcp_authz::dev::keycloak::{Client, Grant, Keycloak, Ports, Realm};
use mcp_authz::dev::part;
use mcp_authz::dev::stack::{self, Stack};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::sync::watch;

use super::read;
use crate::parts::caller::{Reply, TRUSTED};
use crate::parts::keycloak::{self, bearing, decoded, denied};
use crate::parts::{repository, run, settings, temporary};

/// An mcp-authz whose only issuer can't be asked.
async fn unready(name: &str, ports: stack::Ports, configuration: Value) -> Stack {
    let settings = settings(
        &format!("keycloak-{name}"),
        repository().join("policies"),
        configuration,
    );
    let stack = Stack::start_unready(&settings, ports).await.unwrap();
    assert!(!part::answers_ok(stack.ports.http, "/ready").await);
    stack
}

async fn mint(realm: &Realm) -> String {
    let backend = Client::Secret("mcp-backend", "only-for-the-demo");
    let tokens = realm
        .tokens(backend, Grant::ClientCredentials, "workbench", None)
        .await;
    tokens.unwrap().access_token
}

async fn call(stack: &Stack, token: &str) -> Reply {
    bearing(token, stack, TRUSTED, "workbench")
        .call("fs_read", &read())
        .await
}

/// Calls until it is allowed: nobody restarts anything meanwhile, and there is no other reason for a denial.
async fn recovers(stack: &Stack, token: &str) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let allowed = async {
        loop {
            ticks.tick().await;
            let reply = call(stack, token).await;
            if reply.status == 200 {
                return reply.assert_allowed();
            }
            reply.assert_denied(503, "keys_unavailable");
        }
    };
    tokio::time::timeout(Duration::from_mins(1), allowed)
        .await
        .unwrap();
}

#[test]
fn with_a_real_keycloak_down_at_the_start_and_later_known_keys_serve_and_new_ones_come_by_themselves() {
    run(async {
        let (there, ports) = (Ports::free().unwrap(), stack::Ports::free(None).await.unwrap());
        let mut keycloak = keycloak::start("keycloak-down", there).await.unwrap();
        let realm = keycloak.realm(&keycloak::places("mcp", &ports)).await.unwrap();
        let early = mint(&realm).await;
        keycloak.stop().await;

        let configuration = keycloak::configuration(&ports, &realm.issuer());
        let stack = unready("down", ports, configuration).await;
        denied(&stack, call(&stack, &early).await, 503, "keys_unavailable").await;

        // The same database, and with it the same keys.
        let tools = repository().join(".tools");
        let mut keycloak = Keycloak::start(&tools, &temporary("keycloak-down"), there)
            .await
            .unwrap();
        recovers(&stack, &early).await;
        let unseen = mint(&realm).await;
        keycloak.stop().await;
        call(&stack, &early).await.assert_allowed();
        call(&stack, &unseen).await.assert_allowed();
        stack.stop().await;
    });
}

/// What answers in Keycloak's place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    /// Keycloak itself.
    Passes,
    /// 500.
    Fails,
    /// 200, and a page for people.
    Page,
    /// Nobody.
    Sleeps,
}

const OUTAGES: [Mood; 3] = [Mood::Fails, Mood::Page, Mood::Sleeps];

struct Proxy {
    url: String,
    mood: watch::Sender<Mood>,
    /// How many requests came since the mood changed.
    asked: watch::Sender<usize>,
    http: reqwest::Client,
    behind: watch::Sender<String>,
}

impl Proxy {
    async fn start(mood: Mood) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            mood: watch::Sender::new(mood),
            asked: watch::Sender::new(0),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            behind: watch::Sender::new(String::new()),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&proxy));
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    /// From now on it answers so; returns after it was asked for something.
    async fn turns(&self, mood: Mood) {
        self.mood.send_replace(mood);
        let mut asked = self.asked.subscribe();
        self.asked.send_replace(0);
        asked.wait_for(|asked| *asked > 0).await.unwrap();
    }
}

async fn answer(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let mood = *proxy.mood.borrow();
    proxy.asked.send_modify(|asked| *asked = asked.saturating_add(1));
    match mood {
        Mood::Fails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mood::Page => Html("<!doctype html><title>Back soon</title>").into_response(),
        Mood::Sleeps => std::future::pending().await,
        Mood::Passes => {
            let url = format!("{}{}", *proxy.behind.borrow(), request.uri());
            let response = proxy.http.get(url).send().await.unwrap();
            (response.status(), response.text().await.unwrap()).into_response()
        }
    }
}

#[test]
fn nonsense_and_silence_in_a_real_keycloaks_place_take_no_known_key_away_and_nothing_new_is_believed() {
    run(async {
        let ports = stack::Ports::free(None).await.unwrap();
        let keycloak = keycloak::keycloak().await.unwrap();
        let proxy = Proxy::start(Mood::Fails).await;
        let realm = keycloak
            .realm(&keycloak::places("outages", &ports))
            .await
            .unwrap();
        proxy.behind.send_replace(keycloak.ports().base());
        realm.move_behind(&proxy.url).await.unwrap();
        let issuer = format!("{}/realms/outages", proxy.url);
        let mut configuration = keycloak::configuration(&ports, &issuer);
        let keys = &mut configuration["identity"]["issuers"][0];
        keys["fetch_timeout"] = "1s".into();
        keys["refresh_interval"] = "1s".into();
        keys["unknown_kid_interval"] = "100ms".into();
        let stack = unready("outages", ports, configuration).await;
        let first = mint(&realm).await;
        assert_eq!(decoded(&first)[1]["iss"], issuer);

        for outage in OUTAGES {
            proxy.turns(outage).await;
            denied(&stack, call(&stack, &first).await, 503, "keys_unavailable").await;
        }
        proxy.turns(Mood::Passes).await;
        recovers(&stack, &first).await;

        let second = mint(&realm).await;
        let mut newest = second.clone();
        for (outage, priority) in OUTAGES.into_iter().zip(200..) {
            proxy.turns(outage).await;
            call(&stack, &first).await.assert_allowed();
            realm.rotate("RS256", priority).await.unwrap();
            newest = mint(&realm).await;
            denied(&stack, call(&stack, &newest).await, 503, "keys_unavailable").await;
        }
        // A token that nobody has seen, of a key that is known.
        call(&stack, &second).await.assert_allowed();
        proxy.turns(Mood::Passes).await;
        recovers(&stack, &newest).await;
        stack.stop().await;
    });
}
