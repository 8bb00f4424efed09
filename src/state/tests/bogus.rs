//! What is no Redis of ours, or won't have us: each is told apart, and none is taken at its word.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

use super::*;

/// Somebody else's server, which does this with each connection; gone with the test.
fn somebody(does: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().flatten().for_each(does));
    url
}

/// What is said of a server that can't be asked, once it is known, and that nothing is taken from it.
async fn said_of(settings: RedisSettings) -> (StateError, String) {
    let store = Redis::start(settings, Limits::default());
    until("it is known", async || store.status().cause.is_some()).await;
    let why = store.use_once(id(1), MINUTE, soon()).await.unwrap_err();
    let status = store.status();
    assert_eq!(status.outage, Some(why));
    (why, status.cause.unwrap_or_default())
}

#[tokio::test]
async fn who_does_not_speak_as_redis_does_is_told_apart_and_never_believed() {
    let garbage = somebody(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    });
    let closes = somebody(drop);
    let kept = std::sync::Mutex::new(Vec::new());
    let silent = somebody(move |stream| kept.lock().unwrap().push(stream));
    let yes = somebody(|mut stream| while stream.write_all(b"+OK\r\n").is_ok() {});
    let nobody = "redis://127.0.0.1:1".to_owned();
    let cases = [
        (
            garbage,
            StateError::Unreachable,
            "it does not answer as Redis does: ",
        ),
        (closes, StateError::Unreachable, ""),
        (silent, StateError::TooLate, "timed out"),
        (yes, StateError::Unreachable, "it does not answer as Redis does: "),
        (nobody, StateError::Unreachable, "refused"),
    ];
    let mut wrong = Vec::new();
    for (url, expected, words) in cases {
        let (why, said) = said_of(settings(&url)).await;
        if why != expected || said.is_empty() || said.contains('\n') || !said.contains(words) {
            wrong.push(format!("{words}: {why:?}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_redis_that_is_not_ours_to_use_says_why() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "wrong").unwrap();
    let with_password = || RedisSettings {
        password_file: Some(password.clone()),
        ..settings(&server.url())
    };
    let without_file = RedisSettings {
        password_file: Some(folder.path().join("none")),
        ..settings(&server.url())
    };
    let mut told = Vec::new();
    told.push(("can't be read", said_of(without_file).await));
    server.command("CONFIG SET requirepass sesame");
    told.push(("Authentication required", said_of(settings(&server.url())).await));
    told.push(("authentication failed", said_of(with_password()).await));
    std::fs::write(&password, "sesame").unwrap();
    server.command("--no-auth-warning -a sesame ACL SETUSER default -info");
    told.push(("can't run this command", said_of(with_password()).await));
    server.command("--no-auth-warning -a sesame ACL SETUSER default +@all");
    server.command("--no-auth-warning -a sesame REPLICAOF 127.0.0.1 1");
    told.push(("this server is a replica", said_of(with_password()).await));
    server.command("--no-auth-warning -a sesame REPLICAOF NO ONE");
    server.command("--no-auth-warning -a sesame CONFIG SET maxmemory 100mb");
    server.command("--no-auth-warning -a sesame CONFIG SET maxmemory-policy volatile-ttl");
    told.push(("`maxmemory-policy volatile-ttl`", said_of(with_password()).await));
    server.command("--no-auth-warning -a sesame CONFIG SET maxmemory-policy noeviction");
    let cluster = RedisSettings {
        cluster: true,
        ..settings("redis://127.0.0.1:1")
    };
    told.push(("refused", said_of(cluster).await));
    let mut wrong = Vec::new();
    for (words, (why, said)) in told {
        if why != StateError::Unreachable || !said.contains(words) {
            wrong.push(format!("{words}: {why:?}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let store = Redis::start(with_password(), Limits::default());
    store.use_once(id(1), MINUTE, soon()).await.unwrap();
    assert_eq!(store.status().cause, None);
}
