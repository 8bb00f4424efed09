//! The thread that writes the lines, many at a time, and tries again until they are written.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::target::Target;
use super::{Shared, State};

/// The most lines in one write.
const BATCH: usize = 256;

struct Writer {
    target: Target,
    lines: mpsc::Receiver<Vec<u8>>,
    shared: Arc<Shared>,
    retry: Duration,
}

/// Starts the writer. It ends once the journal is closing, no slot is out and every line is written.
pub(super) fn spawn(
    target: Target,
    lines: mpsc::Receiver<Vec<u8>>,
    shared: Arc<Shared>,
    retry: Duration,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let writer = Writer {
        target,
        lines,
        shared,
        retry,
    };
    // Blocking writes are at home here: nothing else runs on this thread's runtime, which only waits for lines.
    std::thread::Builder::new()
        .name("audit-journal".to_owned())
        .spawn(move || runtime.block_on(writer.run()))?;
    Ok(())
}

impl Writer {
    async fn run(mut self) {
        let mut closing = self.shared.closing.subscribe();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            match self.next(&mut batch, &mut closing).await {
                Next::Lines => self.write(&mut batch).await,
                Next::Idle => self.look(),
                Next::End => break,
            }
        }
        self.shared.tell(State::Closed);
    }

    async fn next(&mut self, batch: &mut Vec<Vec<u8>>, closing: &mut watch::Receiver<bool>) -> Next {
        if *closing.borrow() {
            self.lines.close();
        }
        tokio::select! {
            biased;
            received = timeout(self.retry, self.lines.recv_many(batch, BATCH)) => match received {
                Ok(0) => Next::End,
                Ok(_) => Next::Lines,
                Err(_) => Next::Idle,
            },
            // Woken once; then the branch above sees the queue closed and drains it.
            _ = closing.changed() => Next::Idle,
        }
    }

    /// Nothing to write: see whether something could be, so that readiness tells of a lost folder, or of one that is
    /// back, before the next request does.
    fn look(&mut self) {
        match self.target.refresh() {
            Ok(()) => self.shared.tell(State::Writing),
            Err(error) => self.shared.failed(&error),
        }
    }

    async fn write(&mut self, batch: &mut Vec<Vec<u8>>) {
        let mut waiting: Vec<u8> = batch.concat();
        batch.clear();
        let count = waiting.split_inclusive(|byte| *byte == b'\n').count();
        while !waiting.is_empty() {
            let (done, result) = self.target.write(&waiting);
            waiting.drain(..done.min(waiting.len()));
            let Err(error) = result else { continue };
            self.shared.failed(&error);
            let again = Instant::now().checked_add(self.retry);
            // The only timer here: a disk that is full doesn't tell when it isn't.
            if let Some(again) = again {
                tokio::time::sleep_until(again).await;
            }
        }
        self.shared.written(count);
    }
}

/// What the writer does next.
enum Next {
    /// Write the batch.
    Lines,
    /// Nothing came for a while.
    Idle,
    /// The queue is closed and empty.
    End,
}
