//! What is written at once: events and records, sealed into the chain.

use super::correction;
use super::queue::Entry;
use crate::audit::chain::Link;
use crate::audit::event::Event;
use crate::clock;

/// About how many bytes are written, and brought to disk, at once.
const SIZE: usize = 1 << 20;

/// Lines of the chain, and what they are made of.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// The chain after these lines.
    pub(super) end: Link,
    /// How many of the waiting events are in it.
    pub(super) events: usize,
    /// How many of the waiting entries are in it.
    pub(super) entries: usize,
    /// How many of its lines are records.
    pub(super) records: usize,
    /// Which of the entries are followed by a correction already.
    pub(super) corrected: Vec<usize>,
}

impl Chunk {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            end: Link::NONE,
            events: 0,
            entries: 0,
            records: 0,
            corrected: Vec::new(),
        }
    }

    /// Puts together what follows `begin`: first the line that opens a file, if it does, then events, then entries.
    pub(super) fn fill(&mut self, begin: Link, opens: bool, events: &[Event], entries: &[Entry]) {
        self.bytes.clear();
        self.corrected.clear();
        self.end = begin;
        (self.events, self.entries, self.records) = (events.len(), 0, 0);
        let opening = opens.then(|| Event::opened(begin));
        for event in opening.iter().chain(events) {
            self.seal(&event.to_line(clock::now()));
        }
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 && self.bytes.len() >= SIZE {
                break;
            }
            self.records = self.records.saturating_add(self.seal_all(&entry.lines));
            // The request was told otherwise already: its record and what corrects it go together.
            let ended = entry.ticket.as_ref().and_then(|ticket| ticket.ended());
            if let Some(correction) = ended.and_then(|ended| correction::of(&entry.lines, ended)) {
                self.seal_all(&correction);
                self.corrected.push(index);
            }
            self.entries = self.entries.saturating_add(1);
        }
    }

    fn seal_all(&mut self, lines: &[u8]) -> usize {
        let mut count = 0_usize;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.seal(line);
            count = count.saturating_add(1);
        }
        count
    }

    fn seal(&mut self, line: &[u8]) {
        self.end = self.end.seal(line, &mut self.bytes);
    }
}
