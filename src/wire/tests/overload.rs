//! More than can be decided: what is taken is answered in time, the rest is denied at once.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tonic::body::Body;
use tower::Service;

use super::harness::{PATIENCE, ask, denial, is_allowed, settings, start};
use crate::wire::Settings;
use crate::wire::check::admission::Admission;
use crate::wire::check::{Asking, Failure, Guard, Rules};

/// A service that decides so many at once, and takes that long for each.
#[derive(Clone)]
struct Deciding {
    at_once: Arc<Semaphore>,
    takes: Duration,
}

impl Service<Request<Body>> for Deciding {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let (at_once, takes) = (Arc::clone(&self.at_once), self.takes);
        Box::pin(async move {
            let _turn = at_once.acquire_owned().await.unwrap();
            pass(takes).await;
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Decided);
            Ok(response)
        })
    }
}

/// Lets this time pass.
async fn pass(span: Duration) {
    let _elapsed = timeout(span, std::future::pending::<()>()).await;
}

#[derive(Clone)]
struct Decided;

type Told = Arc<Mutex<Vec<Failure>>>;

fn guard(admission: Admission, takes: Duration, at_once: usize) -> (Guard<Deciding>, Told) {
    let told = Told::default();
    let tell = Arc::clone(&told);
    let long = Settings {
        max_deadline: Duration::from_hours(1),
        default_deadline: Duration::from_hours(1),
        ..settings()
    };
    let rules = Rules {
        tell: Arc::new(move |failure, _| tell.lock().unwrap().push(failure)),
        admission,
        budget: (&long).into(),
    };
    let deciding = Deciding {
        at_once: Arc::new(Semaphore::new(at_once)),
        takes,
    };
    (Guard::new(deciding, Asking::default(), Arc::new(rules)), told)
}

fn request() -> Request<Body> {
    let path = "/envoy.service.auth.v3.Authorization/Check";
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

fn is_decided(response: &Response<Body>) -> bool {
    response.extensions().get::<Decided>().is_some()
}

#[tokio::test(start_paused = true)]
async fn under_five_times_what_can_be_decided_the_answers_stay_in_time_and_as_many() {
    // 4 at once, 10 ms each: 400 a second. Behind 40 places nobody waits longer than 40 / 400 s.
    let (guard, told) = guard(
        Admission::new(40, Duration::from_hours(1)),
        Duration::from_millis(10),
        4,
    );
    let mut asking = JoinSet::new();
    let seconds = 10;
    for _ in 0..seconds * 1000 {
        for _ in 0..2 {
            let (taken, began) = (guard.take(request()), Instant::now());
            asking.spawn(async move { (is_decided(&taken.await.unwrap()), began.elapsed()) });
        }
        pass(Duration::from_millis(1)).await;
    }
    let (decided, denied): (Vec<_>, Vec<_>) = asking
        .join_all()
        .await
        .into_iter()
        .partition(|(decided, _)| *decided);
    let slowest = decided.iter().map(|(_, took)| *took).max().unwrap();
    assert!(slowest <= Duration::from_millis(101), "{slowest:?}");
    assert!(
        denied.iter().all(|(_, took)| took.is_zero()),
        "a denial is not worth waiting for"
    );
    // No less is decided than if nobody else had asked.
    assert!(decided.len() >= 400 * seconds, "{}", decided.len());
    assert_eq!(told.lock().unwrap().len(), denied.len());
    assert!(
        told.lock()
            .unwrap()
            .iter()
            .all(|failure| *failure == Failure::Overloaded)
    );
}

#[tokio::test]
async fn a_check_whose_turn_comes_too_late_is_denied_and_one_that_began_is_finished() {
    let late = Duration::from_millis(20);
    let (guard, told) = guard(Admission::new(10, late), late * 2, 10);
    let waited = guard.take(request());
    pass(late * 2).await;
    assert!(!is_decided(&waited.await.unwrap()));
    assert_eq!(*told.lock().unwrap(), [Failure::Overloaded]);
    // Its decision takes longer than any may wait, but it waits for nobody's turn.
    let began = loop {
        let began = guard.take(request()).await.unwrap();
        if is_decided(&began) {
            break began;
        }
    };
    assert!(is_decided(&began));
}

#[tokio::test]
async fn beyond_the_bound_checks_are_denied_unread_and_those_taken_are_answered() {
    let server = start(&Settings {
        max_checks: 4,
        max_wait: PATIENCE,
        default_deadline: PATIENCE * 2,
        max_deadline: PATIENCE * 2,
        ..settings()
    })
    .await;
    let mut client = server.client().await;
    let mut waiting = JoinSet::new();
    for _ in 0..4 {
        let mut client = client.clone();
        waiting.spawn(async move { ask(&mut client, "/wait").await });
    }
    let all_in = async {
        while server.decider.seen.lock().unwrap().len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all_in).await.unwrap();
    for _ in 0..3 {
        let answer = ask(&mut client, "/allow").await;
        assert_eq!(denial(&answer), (503, "overloaded".to_owned()));
    }
    assert_eq!(*server.decider.unasked.lock().unwrap(), ["overloaded"; 3]);
    assert_eq!(server.decider.seen.lock().unwrap().len(), 4);
    let released = async {
        while !waiting.is_empty() {
            server.decider.release.notify_waiters();
            if let Some(answer) = waiting.try_join_next() {
                assert!(is_allowed(&answer.unwrap()));
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, released).await.unwrap();
    assert!(is_allowed(&ask(&mut client, "/allow").await));
}
