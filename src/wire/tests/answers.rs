use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use http::uri::PathAndQuery;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use super::harness::{PATIENCE, ask, check, denial, is_allowed, settings, start};
use crate::clock;
use crate::exchange::{Gateway, Peer};
use crate::wire::Settings;

/// No `CheckRequest`: its first field is a number where that of a check is a message.
#[derive(Clone, PartialEq, prost::Message)]
struct NotACheck {
    #[prost(uint64, tag = "1")]
    number: u64,
}

async fn send_raw(channel: Channel, message: NotACheck) -> Result<CheckResponse, tonic::Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/envoy.service.auth.v3.Authorization/Check");
    let codec = ProstCodec::<NotACheck, CheckResponse>::default();
    let answer = client.unary(tonic::Request::new(message), path, codec).await?;
    Ok(answer.into_inner())
}

#[tokio::test]
async fn answers_over_tcp_and_knows_who_asks() {
    let server = start(&settings()).await;
    let mut client = server.client().await;
    assert!(is_allowed(&ask(&mut client, "/allow").await));
    let loopback = Peer::Tcp("127.0.0.1".parse().unwrap());
    assert_eq!(
        server.last_seen().gateway,
        Gateway {
            peer: loopback,
            certificate_names: vec![]
        }
    );
}

#[tokio::test]
async fn answers_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authz.sock");
    let yaml = format!(
        "listen: null\nunix: {{path: {}, mode: \"0600\"}}\n",
        path.display()
    );
    let settings: Settings = serde_saphyr::from_str(&yaml).unwrap();
    let mut server = start(&settings).await;
    server.url = Some(format!("unix:{}", path.display()));
    let mut client = server.client().await;
    assert!(is_allowed(&ask(&mut client, "/allow").await));
    assert_eq!(server.last_seen().gateway.peer, Peer::Unix);

    server.tell_to_stop();
    server.ended().await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_denial_arrives_with_both_challenges() {
    let server = start(&settings()).await;
    let answer = ask(&mut server.client().await, "/deny").await;
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else {
        panic!()
    };
    assert_eq!(denied.status.unwrap().code, 401);
    assert_eq!(denied.headers.len(), 2);
}

#[tokio::test]
async fn a_panic_denies_its_own_request_and_no_other() {
    // The one that waits has time while the panic is written down, which may take long.
    let server = start(&Settings {
        default_deadline: PATIENCE,
        max_deadline: PATIENCE,
        max_wait: PATIENCE,
        ..settings()
    })
    .await;
    let mut client = server.client().await;
    let mut other = client.clone();
    let waiting = tokio::spawn(async move { ask(&mut other, "/wait").await });
    server.decider.entered.notified().await;
    let answer = ask(&mut client, "/panic").await;
    assert_eq!(denial(&answer), (503, "internal_fault".to_owned()));
    server.decider.release.notify_one();
    assert!(is_allowed(&waiting.await.unwrap()));
}

#[tokio::test]
async fn a_reply_that_smuggles_a_header_is_denied() {
    let server = start(&settings()).await;
    let answer = ask(&mut server.client().await, "/unfit").await;
    assert_eq!(denial(&answer), (503, "reply_unfit".to_owned()));
}

#[tokio::test]
async fn a_check_without_http_is_denied() {
    let server = start(&settings()).await;
    let empty = CheckRequest { attributes: None };
    let answer = server.client().await.check(empty).await.unwrap().into_inner();
    assert_eq!(denial(&answer), (503, "check_without_http".to_owned()));
    assert_eq!(*server.decider.unasked.lock().unwrap(), ["check_without_http"]);
}

#[tokio::test]
async fn a_message_over_the_limit_is_denied_unread() {
    let server = start(&settings()).await;
    let mut client = server.client().await;
    let answer = ask(&mut client, &"x".repeat(20_000_000)).await;
    assert_eq!(denial(&answer), (413, "check_too_large".to_owned()));
    assert!(server.decider.seen.lock().unwrap().is_empty());
    assert_eq!(*server.decider.unasked.lock().unwrap(), ["check_too_large"]);
    assert!(is_allowed(&ask(&mut client, "/allow").await));
}

#[tokio::test]
async fn what_is_no_check_request_is_denied() {
    let server = start(&settings()).await;
    let channel = server.endpoint().connect().await.unwrap();
    let answer = send_raw(channel, NotACheck { number: 7 }).await.unwrap();
    assert_eq!(denial(&answer), (503, "check_unreadable".to_owned()));
}

#[tokio::test]
async fn a_decider_that_never_answers_is_cut_off_before_the_gateway_stops_listening() {
    let server = start(&settings()).await;
    let mut request = tonic::Request::new(check("/never"));
    // The client gives up by itself, with an error, when its own time has passed.
    request.set_timeout(Duration::from_millis(500));
    let answer = server.client().await.check(request).await.unwrap().into_inner();
    assert_eq!(denial(&answer), (503, "deadline_passed".to_owned()));
    timeout(PATIENCE, server.decider.dropped.notified())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_decider_is_told_the_gateways_deadline_less_the_margin() {
    let server = start(&settings()).await;
    let mut client = server.client().await;
    let cases = [(Some(500), 450), (None, 950), (Some(3_600_000), 4950)];
    for (millis, expected) in cases {
        let mut request = tonic::Request::new(check("/allow"));
        if let Some(millis) = millis {
            request.set_timeout(Duration::from_millis(millis));
        }
        client.check(request).await.unwrap();
        let seen = server.last_seen();
        let given = seen.deadline.duration_since(seen.started);
        assert_eq!(given, Duration::from_millis(expected), "{millis:?}");
    }
}

#[tokio::test]
async fn a_gateway_without_a_timeout_gets_the_default_one() {
    let settings = Settings {
        default_deadline: Duration::from_millis(100),
        ..settings()
    };
    let server = start(&settings).await;
    let before = clock::instant();
    let answer = ask(&mut server.client().await, "/never").await;
    assert_eq!(denial(&answer), (503, "deadline_passed".to_owned()));
    assert!(before.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_check_that_the_gateway_gave_up_on_is_dropped_at_once() {
    let settings = Settings {
        default_deadline: PATIENCE * 2,
        max_deadline: PATIENCE * 2,
        ..settings()
    };
    let server = start(&settings).await;
    let mut client = server.client().await;
    let asking = tokio::spawn(async move { client.check(check("/never")).await });
    server.decider.entered.notified().await;
    asking.abort();
    timeout(PATIENCE, server.decider.dropped.notified())
        .await
        .expect("the decision is dropped");
}

#[tokio::test]
async fn a_lasting_connection_answers_many_checks_at_once() {
    let server = start(&settings()).await;
    let client = server.client().await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let mut client = client.clone();
        asking.spawn(async move { ask(&mut client, "/allow").await });
    }
    for answer in asking.join_all().await {
        assert!(is_allowed(&answer));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_checks_at_once_on_one_connection_each_is_answered_for_itself() {
    let server = start(&settings()).await;
    let client = server.client().await;
    let mut asking = tokio::task::JoinSet::new();
    // Several times what has its turn at once, some that panic, some that are long.
    for number in 0..200 {
        let mut client = client.clone();
        asking.spawn(async move {
            let path = match number % 20 {
                7 => "/panic",
                number => ["/allow", "/deny", "/long"][number % 3],
            };
            let mut check = check(path);
            if path == "/long" {
                let http = check.attributes.as_mut().unwrap().request.as_mut().unwrap();
                http.http.as_mut().unwrap().raw_body = vec![b' '; 100_000];
            }
            let answer = timeout(PATIENCE, client.check(check)).await.unwrap();
            let answer = answer.unwrap().into_inner();
            match path {
                "/panic" => assert_eq!(denial(&answer).1, "internal_fault"),
                "/deny" => assert!(!is_allowed(&answer)),
                _ => assert!(is_allowed(&answer)),
            }
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    assert_eq!(server.decider.seen.lock().unwrap().len(), 200);
}
