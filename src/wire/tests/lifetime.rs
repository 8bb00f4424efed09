use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::harness::{PATIENCE, ask, is_allowed, settings, start};
use crate::clock;
use crate::wire::{Listeners, Settings, SettingsError, WireError};

#[tokio::test]
async fn finishes_the_checks_under_way_and_takes_no_new_connections() {
    let mut server = start(&settings()).await;
    let endpoint = server.endpoint();
    let mut client = server.client().await;
    let waiting = tokio::spawn(async move { ask(&mut client, "/wait").await });
    server.decider.entered.notified().await;
    server.tell_to_stop();
    let refused = async {
        while endpoint.connect().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused)
        .await
        .expect("new connections are refused");
    server.decider.release.notify_one();
    assert!(is_allowed(&waiting.await.unwrap()));
    server.ended().await.unwrap();
}

#[tokio::test]
async fn no_check_is_lost_when_the_service_stops_under_load() {
    let mut server = start(&settings()).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = server.client().await;
        asking.spawn(async move {
            let mut answered = 0_usize;
            // A refused check was never taken (connection refused, or a stream beyond GOAWAY's last one, RFC 9113 §6.8: tonic calls that
            // internal): another replica's turn. A check that was taken is answered.
            loop {
                match client.check(super::harness::check("/allow")).await {
                    Ok(_) => answered += 1,
                    Err(status) => return (answered, status),
                }
            }
        });
    }
    server.decider.entered.notified().await;
    server.tell_to_stop();
    let mut answers = 0;
    for (answered, status) in asking.join_all().await {
        let refused = status.code() == tonic::Code::Unavailable
            || format!("{status:?}").contains("GoAway(b\"\", NO_ERROR");
        assert!(refused, "{status:?}");
        answers += answered;
    }
    assert_eq!(server.decider.seen.lock().unwrap().len(), answers);
    server.ended().await.unwrap();
}

#[tokio::test]
async fn waits_for_stragglers_no_longer_than_the_grace() {
    let settings = Settings {
        shutdown_grace: Duration::from_millis(300),
        default_deadline: PATIENCE * 2,
        max_deadline: PATIENCE * 2,
        ..settings()
    };
    let mut server = start(&settings).await;
    let mut client = server.client().await;
    let straggler = tokio::spawn(async move { client.check(super::harness::check("/never")).await });
    server.decider.entered.notified().await;
    let before = clock::instant();
    server.tell_to_stop();
    server.ended().await.unwrap();
    assert!(before.elapsed() < PATIENCE);
    straggler.abort();
}

#[tokio::test]
async fn a_peer_that_says_nothing_loses_its_place() {
    let settings = Settings {
        handshake_timeout: Duration::from_millis(100),
        max_connections: 1,
        ..settings()
    };
    let server = start(&settings).await;
    let address = server.url.clone().unwrap().replace("http://", "");
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert!(is_allowed(&ask(&mut server.client().await, "/allow").await));
    let mut settings_of_the_server = Vec::new();
    let end = silent.read_to_end(&mut settings_of_the_server);
    let _closed = timeout(PATIENCE, end).await.expect("the connection is closed");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let server = start(&Settings {
        max_connections: 1,
        ..settings()
    })
    .await;
    let mut first = server.client().await;
    assert!(is_allowed(&ask(&mut first, "/allow").await));
    let mut second = server.client().await;
    let waiting = ask(&mut second, "/allow");
    let mut waiting = std::pin::pin!(waiting);
    assert!(timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    drop(first);
    assert!(is_allowed(&timeout(PATIENCE, waiting).await.unwrap()));
}

#[tokio::test]
async fn an_old_connection_makes_way_and_loses_nothing() {
    let settings = Settings {
        max_connection_age: Some(Duration::from_millis(50)),
        ..settings()
    };
    let server = start(&settings).await;
    let mut client = server.client().await;
    let waiting = tokio::spawn(async move {
        let answer = ask(&mut client, "/wait").await;
        (answer, client)
    });
    server.decider.entered.notified().await;
    let _aged = timeout(Duration::from_millis(150), std::future::pending::<()>()).await;
    server.decider.release.notify_one();
    let (answer, mut client) = waiting.await.unwrap();
    assert!(is_allowed(&answer));
    assert!(is_allowed(&ask(&mut client, "/allow").await));
}

#[tokio::test]
async fn health_follows_readiness() {
    let server = start(&settings()).await;
    let mut health = HealthClient::new(server.endpoint().connect().await.unwrap());
    let service = "envoy.service.auth.v3.Authorization".to_owned();
    let mut watched = health
        .watch(HealthCheckRequest { service })
        .await
        .unwrap()
        .into_inner();
    for expected in [true, false, true] {
        server.ready.send_replace(expected);
        let told = async {
            loop {
                let status = watched.message().await.unwrap().unwrap().status();
                if (status == tonic_health::pb::health_check_response::ServingStatus::Serving) == expected {
                    return;
                }
            }
        };
        timeout(PATIENCE, told).await.expect("the change is told");
    }
    let whole = health
        .check(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(whole.status, 1);
}

#[tokio::test]
async fn refuses_to_bind_what_it_must_not_or_cannot() {
    let exposed = Settings {
        listen: Some("0.0.0.0:0".parse().unwrap()),
        ..Settings::default()
    };
    let refused = Listeners::bind(&exposed).await.err().unwrap();
    assert!(
        matches!(refused, WireError::Settings(SettingsError::Exposed(_))),
        "{refused}"
    );

    let first = Listeners::bind(&settings()).await.unwrap();
    let taken = Settings {
        listen: first.tcp_addr(),
        ..Settings::default()
    };
    let refused = Listeners::bind(&taken).await.err().unwrap();
    assert!(matches!(refused, WireError::Tcp { .. }), "{refused}");
}
