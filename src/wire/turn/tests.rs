use std::future::{pending, poll_fn, ready};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

use super::*;

/// A turn of a connection that never ends, and which has just taken in these streams.
fn turn(turn: &mut Turn, streams: impl IntoIterator<Item = Stream>) {
    for stream in streams {
        turn.taken.execute(stream);
    }
    let connection = pin!(pending::<()>());
    let polled = turn.poll(connection, &mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

fn counting(ended: &Arc<AtomicUsize>) -> Stream {
    let ended = Arc::clone(ended);
    async move {
        ended.fetch_add(1, Ordering::SeqCst);
    }
    .boxed()
}

#[test]
fn who_does_not_wait_needs_no_task() {
    // Without a runtime, `spawn` would panic.
    let (mut connection, ended) = (Turn::of(Taken::default()), Arc::default());
    for turns in 1..=3 {
        turn(&mut connection, (0..AT_ONCE).map(|_| counting(&ended)));
        assert_eq!(ended.load(Ordering::SeqCst), turns * AT_ONCE);
    }
}

#[tokio::test]
async fn who_waits_goes_on_as_a_task_and_keeps_nobody() {
    let (mut connection, ended) = (Turn::of(Taken::default()), Arc::default());
    let (begun, goes_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let waiting = {
        let (begun, goes_on, last) = (Arc::clone(&begun), Arc::clone(&goes_on), counting(&ended));
        async move {
            begun.fetch_add(1, Ordering::SeqCst);
            goes_on.notified().await;
            last.await;
            goes_on.notify_one();
        }
    };
    turn(&mut connection, [waiting.boxed(), counting(&ended)]);
    assert_eq!(ended.load(Ordering::SeqCst), 1, "the one that didn't wait");
    yield_now().await;
    goes_on.notify_one();
    yield_now().await;
    goes_on.notified().await;
    assert_eq!(ended.load(Ordering::SeqCst), 2);
    assert_eq!(
        begun.load(Ordering::SeqCst),
        1,
        "it goes on, it doesn't begin anew"
    );
}

#[tokio::test]
async fn beyond_the_first_few_all_get_tasks() {
    let (mut connection, ended) = (Turn::of(Taken::default()), Arc::default());
    turn(&mut connection, (0..3 * AT_ONCE).map(|_| counting(&ended)));
    assert_eq!(ended.load(Ordering::SeqCst), AT_ONCE);
    yield_now().await;
    assert_eq!(ended.load(Ordering::SeqCst), 3 * AT_ONCE);
}

#[tokio::test]
async fn what_a_stream_does_is_not_counted_as_the_connections() {
    let (mut connection, ended) = (Turn::of(Taken::default()), Arc::default());
    let last = counting(&ended);
    let much = async move {
        for _ in 0..10_000 {
            consume_budget().await;
        }
        last.await;
    };
    turn(&mut connection, [much.boxed()]);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert!(tokio::task::coop::has_budget_remaining());
}

#[tokio::test]
async fn a_panic_ends_its_stream_alone() {
    let (mut connection, ended) = (Turn::of(Taken::default()), Arc::default());
    let panics = async { panic!("a fault") };
    turn(&mut connection, [panics.boxed(), counting(&ended)]);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_has_its_turn_again_to_write_what_was_answered() {
    let taken = Taken::default();
    let mut connection = Turn::of(taken.clone());
    let mut turns = 0;
    let ends_after_the_answer = poll_fn(|_| {
        turns += 1;
        if turns == 1 {
            taken.execute(ready(()));
        }
        if turns == 2 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let mut ends_after_the_answer = pin!(ends_after_the_answer);
    poll_fn(|context| connection.poll(ends_after_the_answer.as_mut(), context)).await;
}
