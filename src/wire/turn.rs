//! Where the streams of a connection are served: on the connection's own task, as long as they don't wait.
//!
//! Most checks are decided in some ten microseconds. A task for each of them would be made, queued, taken by another processor
//! and its answer handed back, which costs as much as a fifth of the check. So a stream is polled once where it was
//! read, and the answers of several go out in one write. Who waits (for the rest of a message, an issuer, the disk), or says
//! that there is much to do, goes on as a task; so do all streams beyond the first few that come at once: then there is enough
//! to do for other processors.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::task::coop::unconstrained;

use crate::clock;

/// How many streams are polled before their answers are written, and for how long at most: so much longer waits the first of them.
const AT_ONCE: usize = 16;
const FOR: Duration = Duration::from_millis(1);

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a connection took in and nobody has looked at.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<Mutex<Streams>>);

#[derive(Default)]
struct Streams {
    waiting: Vec<Stream>,
    /// Whether the connection has its turn, and will look at them. A stream may bring another one later (an upgrade).
    open: bool,
}

impl<F> Executor<F> for Taken
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let stream: Stream = Box::pin(stream);
        let left = self.with(|streams| {
            if streams.open {
                streams.waiting.push(stream);
                None
            } else {
                Some(stream)
            }
        });
        left.into_iter().for_each(go_on);
    }
}

impl Taken {
    // Nothing that could panic is done while it is locked.
    fn with<T>(&self, use_it: impl FnOnce(&mut Streams) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A connection, and then what it took in.
pub(super) struct Turn {
    taken: Taken,
    /// Those that haven't begun.
    streams: VecDeque<Stream>,
    patience: Duration,
}

impl Turn {
    /// The turns of the connection that hands its streams to `taken`.
    pub(super) fn of(taken: Taken) -> Self {
        Self {
            taken,
            streams: VecDeque::new(),
            patience: FOR,
        }
    }

    /// Polls the connection, then once each stream that it took in, and the connection again, which writes what they answered.
    pub(super) fn poll<C: Future>(
        &mut self,
        mut connection: Pin<&mut C>,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        let mut polled = self.take_in(connection.as_mut(), context);
        if self.streams.is_empty() {
            return polled;
        }
        self.begin();
        let left = self.streams.len();
        if polled.is_pending() {
            polled = self.take_in(connection, context);
        }
        // Their turn comes when those answers are on their way.
        self.streams.drain(..left).for_each(go_on);
        if polled.is_ready() {
            self.streams.drain(..).for_each(go_on);
        } else if !self.streams.is_empty() {
            context.waker().wake_by_ref();
        }
        polled
    }

    /// Polls the connection, and puts what it takes in behind the other streams.
    fn take_in<C: Future>(&mut self, connection: Pin<&mut C>, context: &mut Context<'_>) -> Poll<C::Output> {
        self.taken.with(|taken| taken.open = true);
        let polled = connection.poll(context);
        let streams = &mut self.streams;
        self.taken.with(|taken| {
            taken.open = false;
            streams.extend(taken.waiting.drain(..));
        });
        polled
    }

    /// Polls the first few streams.
    fn begin(&mut self) {
        let since = clock::instant();
        for _ in 0..AT_ONCE {
            let Some(stream) = self.streams.pop_front() else {
                return;
            };
            begin(stream);
            if clock::instant().saturating_duration_since(since) > self.patience {
                return;
            }
        }
    }
}

/// After a panic in the connection, what it took in holds on to `taken`, and that to what was taken in.
impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.taken.with(|taken| {
            taken.open = false;
            std::mem::take(&mut taken.waiting)
        }));
    }
}

/// Polls a stream once. If that isn't enough, a task polls it anew: so nobody has to be woken for it before.
fn begin(mut stream: Stream) {
    let once = move || {
        let mut context = Context::from_waker(Waker::noop());
        // How much of the task's budget it takes must not matter to the connection.
        let polled = pin!(unconstrained(stream.as_mut())).poll(&mut context);
        if polled.is_pending() {
            go_on(stream);
        }
    };
    // A panic ends this stream alone, as it would end its task; the hook has told of it.
    drop(panic::catch_unwind(AssertUnwindSafe(once)));
}

fn go_on(stream: Stream) {
    tokio::spawn(stream);
}

#[cfg(test)]
mod tests;
