//! Loading beside the calls that are decided meanwhile.
//!
//! In: what is to be done, for as long as it takes. Out: what came of it. It has a thread of its own ([`apart`]): what it needed of memory
//! beside what it leaves goes back when the thread ends. Once calls are decided ([`run`]), that gets a twentieth of a processor where calls
//! want all of them, and as much as it can use where they don't: reading ten thousand policies is seconds of work, and nobody's
//! call is to wait for it. (Elsewhere than on Linux it is a thread like any other.)

use std::io;

use tokio::sync::oneshot;

/// How far the thread stands back (`nice(2)`): another of the usual niceness gets eighteen times as much of a processor that both want.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 13;

/// Does something aside, behind the calls that are decided meanwhile.
///
/// # Errors
/// [`io::Error`] if there is no thread to be had, or if what is done panics.
pub(in crate::policy) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let standing_back = || {
        stand_back();
        work()
    };
    apart(standing_back).await
}

/// Does something on a thread of its own.
///
/// # Errors
/// [`io::Error`] if there is no thread to be had, or if what is done panics.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, outcome) = oneshot::channel();
    let thread = std::thread::Builder::new().name("policies".to_owned());
    // Nobody waits any more where the service ends.
    thread.spawn(move || drop(done.send(work())))?;
    outcome
        .await
        .map_err(|_| io::Error::other("it panicked: see the log"))
}

#[cfg(target_os = "linux")]
fn stand_back() {
    // On Linux a thread has its own niceness. Where that can't be changed, it is done like anything else.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "policies are loaded with as much of a processor as calls are decided with");
    }
}

#[cfg(not(target_os = "linux"))]
const fn stand_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn what_is_done_aside_gets_less_of_a_processor_and_nothing_else_does() {
        let niceness = || rustix::process::nice(0).unwrap();
        let before = niceness();
        assert_eq!(run(niceness).await.unwrap(), (before + NICENESS).min(19));
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn a_panic_aside_is_an_error_here() {
        let failed = run(|| panic!("on purpose")).await;
        assert!(failed.is_err_and(|error: io::Error| error.to_string().contains("panicked")));
    }
}
