//! Questions under way: one for each token however many want its answer, so many at once, and so many that wait.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout_at;

use super::fault::IntrospectionFault as Fault;
use crate::identity::known::Fingerprint;

/// The questions of one sort that one issuer is asked.
#[derive(Debug)]
pub(super) struct Flights<T> {
    /// Never held across an await.
    under_way: Mutex<HashMap<Fingerprint, watch::Sender<Option<T>>>>,
    turns: Semaphore,
    capacity: usize,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// At most `at_once` are asked, and `waiting` wait for their turn.
    pub(super) fn new(at_once: usize, waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            under_way: Mutex::default(),
            turns: Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)),
            capacity: at_once.saturating_add(waiting),
        })
    }

    /// The answer about a token: of the question that is under way, or else of this one. It goes on without whoever
    /// gives up, for the others; with nobody left it isn't asked.
    pub(super) async fn ask<F: Future<Output = T> + Send + 'static>(
        self: &Arc<Self>,
        key: Fingerprint,
        deadline: Instant,
        question: impl FnOnce() -> F,
    ) -> Result<T, Fault> {
        let mut answer = self.join(key, question).ok_or(Fault::Overloaded)?;
        let landed = timeout_at(deadline.into(), answer.wait_for(Option::is_some)).await;
        let landed = landed.map_err(|_| Fault::TooLate)?;
        // Gone without an answer: it panicked.
        let value = landed.map_err(|_| Fault::Unavailable)?;
        value.clone().ok_or(Fault::Unavailable)
    }

    fn join<F: Future<Output = T> + Send + 'static>(
        self: &Arc<Self>,
        key: Fingerprint,
        question: impl FnOnce() -> F,
    ) -> Option<watch::Receiver<Option<T>>> {
        let mut under_way = self.under_way();
        if let Some(flight) = under_way.get(&key) {
            return Some(flight.subscribe());
        }
        if under_way.len() >= self.capacity {
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        under_way.insert(key, sender.clone());
        let flight = Flight {
            of: Arc::clone(self),
            key,
            sender,
        };
        tokio::spawn(flight.fly(question()));
        Some(receiver)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Fingerprint, watch::Sender<Option<T>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One question under way; no longer when dropped.
struct Flight<T: Clone + Send + Sync + 'static> {
    of: Arc<Flights<T>>,
    key: Fingerprint,
    sender: watch::Sender<Option<T>>,
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    async fn fly(self, question: impl Future<Output = T>) {
        let turn = loop {
            tokio::select! {
                turn = self.of.turns.acquire() => break turn,
                () = self.sender.closed() => {
                    if self.is_abandoned() {
                        return;
                    }
                }
            }
        };
        if turn.is_ok() && !self.is_abandoned() {
            let answer = question.await;
            // First nobody joins it any more: who heard the answer and asks again asks anew.
            self.leave();
            self.sender.send_replace(Some(answer));
        }
    }

    /// Nobody joins it any more.
    fn leave(&self) {
        let mut under_way = self.of.under_way();
        // Another one may have taken the place of an abandoned one.
        if under_way
            .get(&self.key)
            .is_some_and(|there| there.same_channel(&self.sender))
        {
            under_way.remove(&self.key);
        }
    }

    /// Whether nobody waits for it any more; then nobody joins it either.
    fn is_abandoned(&self) -> bool {
        let mut under_way = self.of.under_way();
        let abandoned = self.sender.receiver_count() == 0;
        if abandoned {
            under_way.remove(&self.key);
        }
        abandoned
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Flight<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;
    use crate::clock;

    fn far() -> Instant {
        clock::instant().checked_add(Duration::from_mins(10)).unwrap()
    }

    async fn until(ready: impl Fn() -> bool) {
        while !ready() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn many_that_ask_the_same_get_one_answer() {
        let flights = Flights::new(1, 0);
        let (asked, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let asking: Vec<_> = (0..100)
            .map(|_| {
                let (flights, asked, go) = (Arc::clone(&flights), Arc::clone(&asked), Arc::clone(&go));
                tokio::spawn(async move {
                    let question = || async move {
                        go.notified().await;
                        asked.fetch_add(1, Ordering::SeqCst)
                    };
                    flights.ask([1; 32], far(), question).await
                })
            })
            .collect();
        let waiting = || {
            flights
                .under_way()
                .get(&[1; 32])
                .map_or(0, watch::Sender::receiver_count)
        };
        until(|| waiting() == 100).await;
        go.notify_one();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), Ok(0));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        until(|| flights.under_way().is_empty()).await;
    }

    /// Woken in the very moment in which an answer is there, it looks whether more could join.
    struct Looking {
        at: Arc<Flights<u8>>,
        under_way: AtomicUsize,
    }

    impl Wake for Looking {
        fn wake(self: Arc<Self>) {
            self.under_way.store(self.at.under_way().len(), Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn who_heard_an_answer_asks_anew() {
        let flights = Flights::new(1, 0);
        let go = Arc::new(Notify::new());
        let question = {
            let go = Arc::clone(&go);
            || async move {
                go.notified().await;
                5
            }
        };
        let mut asking = std::pin::pin!(flights.ask([1; 32], far(), question));
        let looking = Arc::new(Looking {
            at: Arc::clone(&flights),
            under_way: AtomicUsize::new(usize::MAX),
        });
        let waker = Waker::from(Arc::clone(&looking));
        let mut woken = Context::from_waker(&waker);
        assert_eq!(asking.as_mut().poll(&mut woken), Poll::Pending);
        go.notify_one();
        until(|| looking.under_way.load(Ordering::SeqCst) != usize::MAX).await;
        assert_eq!(looking.under_way.load(Ordering::SeqCst), 0);
        assert_eq!(asking.as_mut().poll(&mut woken), Poll::Ready(Ok(5)));
    }

    #[tokio::test]
    async fn beyond_what_may_wait_nothing_is_asked_and_who_gives_up_makes_room() {
        let flights = Flights::<u8>::new(1, 1);
        let spawn = |key: u8, deadline| {
            let flights = Arc::clone(&flights);
            tokio::spawn(async move { flights.ask([key; 32], deadline, std::future::pending).await })
        };
        let first = spawn(1, far());
        until(|| flights.turns.available_permits() == 0).await;
        let second = spawn(2, far());
        until(|| flights.under_way().len() == 2).await;
        assert_eq!(spawn(3, far()).await.unwrap(), Err(Fault::Overloaded));
        second.abort();
        until(|| flights.under_way().len() == 1).await;
        assert_eq!(spawn(4, clock::instant()).await.unwrap(), Err(Fault::TooLate));
        first.abort();
    }

    #[tokio::test]
    async fn a_question_that_panics_is_an_outage_and_may_be_asked_again() {
        let flights = Flights::new(1, 1);
        let broken = async || -> u8 { panic!("on purpose") };
        assert_eq!(flights.ask([1; 32], far(), broken).await, Err(Fault::Unavailable));
        assert_eq!(flights.ask([1; 32], far(), async || 5).await, Ok(5));
    }
}
