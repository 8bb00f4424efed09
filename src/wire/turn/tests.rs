use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

use super::*;

/// A turn of a connection that never ends, and which takes in these streams.
fn turn(turn: &mut Turn, streams: impl IntoIterator<Item = Stream>) {
    let (taken, mut streams) = (turn.taken.clone(), Some(streams));
    let connection = pin!(poll_fn(|_| {
        for stream in streams.take().into_iter().flatten() {
            taken.execute(stream);
        }
        Poll::<()>::Pending
    }));
    let polled = turn.poll(connection, &mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

/// On a machine that is busy with something else, the usual time may be over at once.
fn patient() -> Turn {
    let mut turn = Turn::of(Taken::default());
    turn.patience = Duration::MAX;
    turn
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
    let (mut connection, ended) = (patient(), Arc::default());
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
    let (mut connection, ended) = (patient(), Arc::default());
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
    // Telling of it may take so long that the other one gets a task.
    yield_now().await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn streams_that_take_long_leave_the_others_to_tasks() {
    let (mut connection, ended) = (Turn::of(Taken::default()), Arc::default());
    let long = |last: Stream| {
        async {
            let since = clock::instant();
            while since.elapsed() <= FOR {}
            last.await;
        }
        .boxed()
    };
    turn(&mut connection, (0..3).map(|_| long(counting(&ended))));
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    yield_now().await;
    assert_eq!(ended.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_was_answered_is_written_in_the_same_turn() {
    let (taken, ended) = (Taken::default(), Arc::default());
    let mut connection = Turn::of(taken.clone());
    let mut polls = 0;
    let ends_after_the_answer = pin!(poll_fn(|_| {
        polls += 1;
        if polls == 1 {
            taken.execute(counting(&ended));
            return Poll::Pending;
        }
        assert_eq!(ended.load(Ordering::SeqCst), 1);
        // Whatever comes as it ends isn't lost.
        taken.execute(counting(&ended));
        Poll::Ready(())
    }));
    let polled = connection.poll(ends_after_the_answer, &mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready());
    yield_now().await;
    assert_eq!(ended.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_comes_while_answers_are_written_has_the_next_turn() {
    let (taken, ended) = (Taken::default(), Arc::default());
    let mut connection = Turn::of(taken.clone());
    let mut polls = 0;
    let mut always_one_more = pin!(poll_fn(|_| {
        polls += 1;
        if polls <= 3 {
            taken.execute(counting(&ended));
            return Poll::Pending;
        }
        Poll::Ready(())
    }));
    let turns = poll_fn(|context| connection.poll(always_one_more.as_mut(), context));
    tokio::time::timeout(Duration::from_secs(10), turns)
        .await
        .unwrap();
    yield_now().await;
    assert_eq!(ended.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_a_stream_brings_later_gets_a_task() {
    let (taken, ended) = (Taken::default(), Arc::default());
    let mut connection = Turn::of(taken.clone());
    let (last, upgraded) = (counting(&ended), taken.clone());
    let upgrades = async move {
        yield_now().await;
        upgraded.execute(last);
    };
    turn(&mut connection, [upgrades.boxed()]);
    for _ in 0..3 {
        yield_now().await;
    }
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[test]
fn a_connection_that_panics_holds_nothing_back() {
    let taken = Taken::default();
    let mut connection = Turn::of(taken.clone());
    let place = Arc::new(());
    let stream = {
        // As hyper's streams do, it knows where streams are handed to.
        let (place, taken) = (Arc::clone(&place), taken.clone());
        async move { drop((place, taken)) }
    };
    let mut stream = Some(stream.boxed());
    let panicking = pin!(poll_fn(|_| -> Poll<()> {
        taken.execute(stream.take().unwrap());
        panic!("a fault")
    }));
    let mut context = Context::from_waker(Waker::noop());
    let polled = panic::catch_unwind(AssertUnwindSafe(|| connection.poll(panicking, &mut context)));
    assert!(polled.is_err());
    drop((connection, stream, taken));
    assert_eq!(Arc::strong_count(&place), 1);
}
