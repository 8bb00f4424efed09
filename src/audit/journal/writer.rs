//! The thread that writes the lines, many at a time, and tries again until they are written.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::chunk::Chunk;
use super::correction;
use super::queue::{Entry, Next};
use super::resume::{self, Ends};
use super::target::Target;
use super::ticket::Ended;
use super::upkeep::Upkeep;
use super::{Shared, State, housekeeping};
use crate::audit::chain::Link;
use crate::audit::event::Event;
use crate::audit::settings::AuditSettings;

pub(super) struct Writer {
    pub(super) target: Target,
    shared: Arc<Shared>,
    retry: Duration,
    /// The last line that is where it is to be.
    pub(super) chain: Link,
    /// Whether the next line opens a file.
    opens: bool,
    /// To be written before any entry.
    pub(super) events: Vec<Event>,
    /// Taken and not written yet, in order.
    pending: Vec<Entry>,
    /// The first of all these, as they are written.
    chunk: Chunk,
    pub(super) upkeep: Upkeep,
    /// Who compresses and removes old files; told when there is one more.
    housekeeper: Option<Sender<()>>,
}

/// Starts the writer. It ends once the journal is closing, no slot is out and every line is written.
pub(super) fn spawn(
    target: Target,
    found: &Ends,
    shared: Arc<Shared>,
    settings: &AuditSettings,
) -> io::Result<()> {
    let place = target.place().cloned();
    let chain = place.as_ref().map_or(Ok(Link::NONE), resume::before)?;
    let housekeeper = place
        .map(|place| housekeeping::spawn(place, Arc::clone(&shared), settings))
        .transpose()?;
    let mut writer = Writer {
        target,
        shared,
        retry: settings.retry_interval.max(Duration::from_millis(1)),
        chain,
        opens: true,
        events: Vec::new(),
        pending: Vec::new(),
        chunk: Chunk::new(),
        upkeep: Upkeep::new(settings),
        housekeeper,
    };
    writer.found(found);
    std::thread::Builder::new()
        .name("audit-journal".to_owned())
        .spawn(move || writer.run())?;
    Ok(())
}

impl Writer {
    fn run(mut self) {
        self.write();
        loop {
            match self.shared.queue.take(&mut self.pending, self.retry) {
                Next::Lines => self.write(),
                Next::Idle => self.look(),
                Next::End => break,
            }
            self.keep_up();
        }
        self.close();
        let Self { target, shared, .. } = self;
        // The lock is free before anybody is told.
        drop(target);
        shared.tell(State::Closed);
    }

    /// Nothing to write: see whether something could be, so that readiness tells of a lost folder, or of one that is
    /// back, before the next request does.
    pub(super) fn look(&mut self) {
        match self.refresh() {
            Ok(()) if self.opens => self.write(),
            Ok(()) => self.shared.tell(State::Writing),
            Err(error) => self.shared.failed(&error.to_string().into()),
        }
    }

    /// Writes all that waits, however long that takes.
    pub(super) fn write(&mut self) {
        while self.opens || !self.events.is_empty() || !self.pending.is_empty() {
            match self.attempt() {
                Ok(()) => self.done(),
                Err(error) => {
                    let why: Arc<str> = error.to_string().into();
                    self.shared.failed(&why);
                    self.refuse(&why);
                    // A disk that is full doesn't tell when it isn't: only time helps.
                    self.shared.queue.rest(self.retry);
                    self.shared.queue.take_now(&mut self.pending);
                    if self.shared.is_abandoned() && self.pending.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    fn refresh(&mut self) -> io::Result<()> {
        if let Some(found) = self.target.refresh()? {
            self.found(&found);
        }
        Ok(())
    }

    /// A file was opened: goes on where it ends.
    fn found(&mut self, found: &Ends) {
        self.opens = true;
        if let Some(last) = found.last {
            if last.seq < self.chain.seq {
                tracing::warn!(
                    ends = last.seq,
                    known = self.chain.seq,
                    "the audit's file ends before the last line that is known: lines are missing"
                );
            } else {
                self.chain = last;
            }
        }
        if !found.torn.is_empty() {
            tracing::warn!(
                bytes = found.torn.len(),
                "the audit's last line was torn, and is mended"
            );
            self.events.push(Event::mended(&found.torn));
        }
        self.upkeep.first = found.first;
    }

    fn attempt(&mut self) -> io::Result<()> {
        let opened_before = self.opens;
        self.refresh()?;
        // What was begun of a chunk and can't be cut off again must go on as it began.
        if !self.target.has_begun() || (self.opens && !opened_before) {
            self.chunk
                .fill(self.chain, self.opens, &self.events, &self.pending);
        }
        self.target.write(&self.chunk.bytes)?;
        if self.shared.strict {
            self.target.sync(&self.chunk.bytes)?;
        }
        Ok(())
    }

    /// The chunk is where it is to be: tells who waits, gives the places back.
    fn done(&mut self) {
        if std::mem::take(&mut self.opens) {
            self.opened(self.chain.seq.saturating_add(1));
        }
        let chunk = std::mem::replace(&mut self.chunk, Chunk::new());
        self.chain = chunk.end;
        self.events.drain(..chunk.events.min(self.events.len()));
        let mut places = 0_usize;
        let mut corrections = Vec::new();
        let written = self.pending.drain(..chunk.entries.min(self.pending.len()));
        for (index, entry) in written.enumerate() {
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
        self.shared.written(chunk.records);
        self.pending.splice(..0, corrections);
        self.shared.queue.free(places);
        self.chunk.bytes = chunk.bytes;
    }

    /// Whoever waits is told at once, not at its deadline.
    fn refuse(&self, why: &Arc<str>) {
        for ticket in self.pending.iter().filter_map(|entry| entry.ticket.as_ref()) {
            ticket.end(Ended::Refused(Arc::clone(why)));
        }
    }

    /// The last line says that all is there. Where it can't be written, nothing waits for it.
    fn close(&mut self) {
        self.events.push(Event::Closed);
        match self.attempt() {
            Ok(()) => {
                self.done();
                self.checkpoint();
            }
            Err(error) => tracing::warn!(%error, "the audit was closed without its last line"),
        }
    }

    /// There is one more old file.
    pub(super) fn old_file(&self) {
        if let Some(housekeeper) = &self.housekeeper {
            // It is gone only if its thread failed, which it logged.
            let _ = housekeeper.send(());
        }
    }
}
