//! A Redis that is reached by TLS and a password.

use std::fs;
use std::net::TcpListener;

use super::cluster::Cluster;
use super::*;

/// A port that was free just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A server with a certificate for `localhost`, and the folder of its files.
fn server(port: u16, more: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("certificate"), made.cert.pem()).unwrap();
    fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
    fs::write(path("password"), "open-sesame\n").unwrap();
    let port = port.to_string();
    let arguments = [
        ["--tls-port", &port],
        ["--tls-cert-file", &path("certificate")],
        ["--tls-key-file", &path("key")],
        ["--tls-ca-cert-file", &path("certificate")],
        ["--tls-auth-clients", "no"],
        ["--requirepass", "open-sesame"],
    ];
    let server = Server::with(
        &arguments
            .concat()
            .into_iter()
            .chain(more.iter().copied())
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    );
    server.wait();
    (server, folder)
}

#[tokio::test]
async fn tls_and_a_password_are_asked_for_and_checked() {
    let port = free_port();
    let (_server, files) = server(port, &[]);
    let right = RedisSettings {
        password_file: Some(files.path().join("password")),
        ca_file: Some(files.path().join("certificate")),
        ..settings(&format!("rediss://localhost:{port}"))
    };
    let asked = async |settings: &RedisSettings| {
        let store = Redis::start(settings.clone(), Limits::default());
        store.use_once(id(1), MINUTE, soon()).await
    };
    let first = asked(&right).await;
    assert!(matches!(first, Ok(Used::First { .. })), "{first:?}");

    let untrusted = RedisSettings {
        ca_file: None,
        ..right.clone()
    };
    assert_eq!(asked(&untrusted).await, Err(StateError::Unreachable));
    let other_name = RedisSettings {
        url: format!("rediss://127.0.0.1:{port}"),
        ..right.clone()
    };
    assert_eq!(asked(&other_name).await, Err(StateError::Unreachable));
    let without = RedisSettings {
        password_file: None,
        ..right.clone()
    };
    assert_eq!(asked(&without).await, Err(StateError::Unreachable));
    fs::write(files.path().join("password"), "wrong").unwrap();
    assert_eq!(asked(&right).await, Err(StateError::Unreachable));
}

#[tokio::test]
async fn a_cluster_is_reached_by_tls_and_a_password_too() {
    let [port, bus] = [free_port(), free_port()];
    let bus = bus.to_string();
    let words = [
        "--cluster-enabled",
        "yes",
        "--tls-cluster",
        "yes",
        "--cluster-port",
        &bus,
    ];
    let (server, files) = server(port, &words);
    server.command("--no-auth-warning -a open-sesame CLUSTER ADDSLOTSRANGE 0 16383");
    let right = RedisSettings {
        cluster: true,
        password_file: Some(files.path().join("password")),
        ca_file: Some(files.path().join("certificate")),
        ..settings(&format!("rediss://localhost:{port}"))
    };
    let store = Redis::start(right.clone(), Limits::default());
    until("it can be asked", async || {
        store.use_once(id(1), MINUTE, soon()).await.is_ok()
    })
    .await;
    let without = RedisSettings {
        password_file: None,
        ..right.clone()
    };
    let untrusted = RedisSettings {
        ca_file: None,
        ..right
    };
    for wrong in [without, untrusted] {
        let store = Redis::start(wrong, Limits::default());
        let refused = store.use_once(id(1), MINUTE, soon()).await;
        assert_eq!(refused, Err(StateError::Unreachable));
    }
}

#[tokio::test]
async fn a_password_that_was_put_right_needs_no_restart() {
    let port = free_port();
    let (_server, files) = server(port, &[]);
    let password = files.path().join("password");
    fs::remove_file(&password).unwrap();
    let store = Redis::start(
        RedisSettings {
            password_file: Some(password.clone()),
            ca_file: Some(files.path().join("certificate")),
            ..settings(&format!("rediss://localhost:{port}"))
        },
        Limits::default(),
    );
    let refused = store.use_once(id(1), MINUTE, soon()).await;
    assert_eq!(refused, Err(StateError::Unreachable));
    fs::write(&password, "open-sesame").unwrap();
    until("it is let in", async || {
        store.use_once(id(1), MINUTE, soon()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_user_who_may_do_no_more_than_is_told_in_operations_will_do() {
    let server = Server::start();
    server.command(&user());
    will_do(settings(&server.url())).await;
}

#[tokio::test]
async fn the_same_user_will_do_in_a_cluster() {
    let cluster = Cluster::shared();
    cluster.command(&user());
    will_do(cluster.settings("test:")).await;
}

/// The user of the page, for another prefix.
fn user() -> String {
    let page = include_str!("../../../docs/operations.md");
    let rights = page.split("`user mcp-authz on >… ~mcp-authz:* ").nth(1).unwrap();
    let rights = rights.split('`').next().unwrap();
    format!("ACL SETUSER mcp-authz on >sesame ~test:* {rights}")
}

async fn will_do(settings: RedisSettings) {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "sesame\n").unwrap();
    let settings = RedisSettings {
        user: Some("mcp-authz".to_owned()),
        password_file: Some(password),
        ..settings
    };
    let store = Redis::start(settings, Limits::default());
    let first = store.use_once(id(1), MINUTE, soon()).await;
    assert!(matches!(first, Ok(Used::First { .. })), "{first:?}");
    store.secret("nonces", soon()).await.unwrap();
    let revocation = revocation(1, start().time, Duration::from_hours(24 * 3650));
    store.revoke(revocation, soon()).await.unwrap();
    let now = crate::clock::instant() + store.propagation();
    store.caught_up(now, soon()).unwrap().await.unwrap();
    assert_eq!(store.status().outage, None);
}
