//! The thread that writes the lines, many at a time, and tries again until they are written.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::correction;
use super::queue::{Entry, Next};
use super::target::Target;
use super::ticket::Ended;
use super::{Shared, State};

/// About how many bytes are written, and brought to disk, at once.
const CHUNK: usize = 1 << 20;

struct Writer {
    target: Target,
    shared: Arc<Shared>,
    retry: Duration,
    /// Whether answers wait until their records are on disk.
    strict: bool,
    /// Taken and not written yet, in order.
    pending: Vec<Entry>,
    /// The lines of the first pending entries, as they are written; empty before they are put together.
    chunk: Chunk,
}

#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    entries: usize,
    lines: usize,
    /// Which of the entries are followed by a correction already.
    corrected: Vec<usize>,
}

/// Starts the writer. It ends once the journal is closing, no slot is out and every line is written.
pub(super) fn spawn(target: Target, shared: Arc<Shared>, retry: Duration, strict: bool) -> io::Result<()> {
    let writer = Writer {
        target,
        shared,
        retry,
        strict,
        pending: Vec::new(),
        chunk: Chunk::default(),
    };
    std::thread::Builder::new()
        .name("audit-journal".to_owned())
        .spawn(move || writer.run())?;
    Ok(())
}

impl Writer {
    fn run(mut self) {
        loop {
            match self.shared.queue.take(&mut self.pending, self.retry) {
                Next::Lines => self.write(),
                Next::Idle => self.look(),
                Next::End => break,
            }
        }
        let Self { target, shared, .. } = self;
        drop(target);
        shared.tell(State::Closed);
    }

    /// Nothing to write: see whether something could be, so that readiness tells of a lost folder, or of one that is
    /// back, before the next request does.
    fn look(&mut self) {
        match self.target.refresh() {
            Ok(_) => self.shared.tell(State::Writing),
            Err(error) => self.shared.failed(&error.to_string().into()),
        }
    }

    /// Writes all that is pending, however long that takes.
    fn write(&mut self) {
        while !self.pending.is_empty() {
            match self.attempt() {
                Ok(()) => self.done(),
                Err(error) => {
                    let why: Arc<str> = error.to_string().into();
                    self.shared.failed(&why);
                    self.refuse(&why);
                    // A disk that is full doesn't tell when it isn't: only time helps.
                    self.shared.queue.rest(self.retry);
                    self.shared.queue.take_now(&mut self.pending);
                }
            }
        }
    }

    fn attempt(&mut self) -> io::Result<()> {
        let anew = self.target.refresh()?;
        // What was begun of a chunk and can't be cut off again must go on as it began.
        if anew || !self.target.has_begun() {
            self.put_together();
        }
        self.target.write(&self.chunk.bytes)?;
        if self.strict {
            self.target.sync(&self.chunk.bytes)?;
        }
        Ok(())
    }

    fn put_together(&mut self) {
        let chunk = &mut self.chunk;
        chunk.bytes.clear();
        chunk.corrected.clear();
        chunk.entries = 0;
        for (index, entry) in self.pending.iter().enumerate() {
            if index > 0 && chunk.bytes.len() >= CHUNK {
                break;
            }
            chunk.bytes.extend_from_slice(&entry.lines);
            // The request was told otherwise already: its record and what corrects it go together.
            if let Some(correction) = entry
                .ticket
                .as_ref()
                .and_then(|ticket| ticket.ended())
                .and_then(|ended| correction::of(&entry.lines, ended))
            {
                chunk.bytes.extend_from_slice(&correction);
                chunk.corrected.push(index);
            }
            chunk.entries = chunk.entries.saturating_add(1);
        }
        chunk.lines = memchr::memchr_iter(b'\n', &chunk.bytes).count();
    }

    /// The chunk is where it is to be: tells who waits, gives the places back.
    fn done(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let mut places = 0_usize;
        let mut corrections = Vec::new();
        for (index, entry) in self
            .pending
            .drain(..chunk.entries.min(self.pending.len()))
            .enumerate()
        {
            places = places.saturating_add(usize::from(entry.holds_place));
            let Some(ticket) = &entry.ticket else { continue };
            let ended = ticket.end(Ended::Durable);
            if !chunk.corrected.contains(&index)
                && let Some(lines) = correction::of(&entry.lines, ended)
            {
                corrections.push(Entry {
                    lines,
                    ticket: None,
                    holds_place: false,
                });
            }
        }
        self.shared.written(chunk.lines);
        self.pending.splice(..0, corrections);
        self.shared.queue.free(places);
        self.chunk.bytes = chunk.bytes;
        self.chunk.bytes.clear();
    }

    /// Whoever waits is told at once, not at its deadline.
    fn refuse(&self, why: &Arc<str>) {
        for ticket in self.pending.iter().filter_map(|entry| entry.ticket.as_ref()) {
            ticket.end(Ended::Refused(Arc::clone(why)));
        }
    }
}
