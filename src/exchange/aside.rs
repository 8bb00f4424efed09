//! How a decision that takes long makes room for others.

use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Says that what follows takes long without waiting for anything. A wire polls decisions one after the other where it read them,
/// with a waker that does nothing: this ends that for this one, which goes on as a task of its own. On a task, it does nothing.
pub async fn stand_aside() {
    let mut asked = false;
    poll_fn(|context| {
        // Asked twice by such a wire, it goes on: to wait for nothing would be to wait for ever.
        if !std::mem::replace(&mut asked, true) && context.waker().will_wake(Waker::noop()) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    #[tokio::test]
    async fn who_is_polled_in_passing_goes_on_the_next_time() {
        let mut aside = pin!(stand_aside());
        let mut in_passing = Context::from_waker(Waker::noop());
        assert!(aside.as_mut().poll(&mut in_passing).is_pending());
        aside.await;
        let mut again = pin!(stand_aside());
        assert!(again.as_mut().poll(&mut in_passing).is_pending());
        assert!(again.as_mut().poll(&mut in_passing).is_ready());
    }
}
