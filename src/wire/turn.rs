//! Where the streams of a connection are served: on the connection's own task, as long as they don't wait.
//!
//! Most checks are decided in some ten microseconds. A task for each of them would be made, queued, taken by another processor
//! and its answer handed back, which costs as much as a fifth of the check. So a stream is polled once where it was
//! read, and the answers of several go out in one write. Who waits (for the rest of a message, an issuer, the disk), or says
//! that there is much to do, goes on as a task; so do all streams beyond the first few that come at once: then there is enough
//! to do for other processors.

use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::rt::Executor;
use tokio::task::coop::unconstrained;

/// How many streams are polled before their answers are written: their time is what the first of them waits longer.
const AT_ONCE: usize = 16;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a connection took in and nobody has looked at.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<Mutex<Vec<Stream>>>);

impl<F> Executor<F> for Taken
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.with(|taken| taken.push(Box::pin(stream)));
    }
}

impl Taken {
    // Nothing that could panic is done while it is locked.
    fn with<T>(&self, use_it: impl FnOnce(&mut Vec<Stream>) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A connection, and then what it took in.
pub(super) struct Turn {
    taken: Taken,
    /// Empty between turns.
    streams: Vec<Stream>,
}

impl Turn {
    /// The turns of the connection that hands its streams to `taken`.
    pub(super) fn of(taken: Taken) -> Self {
        Self {
            taken,
            streams: Vec::new(),
        }
    }

    /// Polls the connection, and then once each stream that it took in.
    pub(super) fn poll<C: Future>(
        &mut self,
        connection: Pin<&mut C>,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        let polled = connection.poll(context);
        let streams = &mut self.streams;
        self.taken.with(|taken| std::mem::swap(taken, streams));
        if streams.is_empty() {
            return polled;
        }
        for stream in streams.drain(streams.len().min(AT_ONCE)..) {
            tokio::spawn(stream);
        }
        streams.drain(..).for_each(begin);
        // What they answered has to be written.
        context.waker().wake_by_ref();
        polled
    }
}

/// Polls a stream once. If that isn't enough, a task polls it anew: so nobody has to be woken for it before.
fn begin(mut stream: Stream) {
    let mut context = Context::from_waker(Waker::noop());
    // How much of the task's budget it takes must not matter to the connection.
    let mut once = pin!(unconstrained(stream.as_mut()));
    let polled = panic::catch_unwind(AssertUnwindSafe(|| once.as_mut().poll(&mut context)));
    // A panic ends this stream alone, as it would end its task.
    if matches!(polled, Ok(Poll::Pending)) {
        tokio::spawn(stream);
    }
}

#[cfg(test)]
mod tests;
