//! What the writer does besides writing: checkpoints, and putting its file aside.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::writer::Writer;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::event::Event;
use crate::audit::settings::{AuditSettings, Rotation};
use crate::clock;

/// How long a rotation that failed is left alone.
const PATIENCE: Duration = Duration::from_mins(1);

/// When what is due.
#[derive(Debug)]
pub(super) struct Upkeep {
    checkpoint_interval: Duration,
    next_checkpoint: Option<Instant>,
    /// The last line that needs no checkpoint: it is one, or it is only about the journal.
    checked: u64,
    rotation: Rotation,
    not_before: Option<Instant>,
    /// The first line of the current file: number and time.
    pub(super) first: Option<(u64, Timestamp)>,
}

impl Upkeep {
    pub(super) fn new(settings: &AuditSettings) -> Self {
        Self {
            checkpoint_interval: settings.checkpoint_interval,
            next_checkpoint: clock::instant().checked_add(settings.checkpoint_interval),
            checked: 0,
            rotation: settings.rotation.clone(),
            not_before: None,
            first: None,
        }
    }

    /// Whether there is something new since the last checkpoint, and it is time.
    fn wants_checkpoint(&self, seq: u64, now: Instant) -> bool {
        seq > self.checked && self.next_checkpoint.is_some_and(|next| next <= now)
    }

    fn wants_rotation(&self, seq: u64, length: u64, now: Instant) -> bool {
        let Some((first, begun)) = self.first else {
            return false;
        };
        // A file with nothing in it but its first line is as good as a new one.
        if seq <= first || self.not_before.is_some_and(|then| now < then) {
            return false;
        }
        let old = self.rotation.max_age.is_some_and(|most| {
            clock::now().duration_since(begun)
                >= SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX)
        });
        old || self.rotation.max_bytes.is_some_and(|most| length >= most)
    }
}

impl Writer {
    /// Does what is due.
    pub(super) fn keep_up(&mut self) {
        let now = clock::instant();
        if self.upkeep.wants_checkpoint(self.chain.seq, now) {
            self.events.push(Event::Checkpoint);
            self.write();
            self.checkpoint();
        }
        if self.target.place().is_some()
            && self
                .upkeep
                .wants_rotation(self.chain.seq, self.target.length(), now)
        {
            self.rotate();
        }
    }

    /// Says in the log, and beside the file, how far the chain is. In the log it reaches another machine.
    pub(super) fn checkpoint(&mut self) {
        let link = self.chain;
        self.upkeep.checked = link.seq;
        self.upkeep.next_checkpoint = clock::instant().checked_add(self.upkeep.checkpoint_interval);
        tracing::info!(
            checkpoint = format!("{}:{}", link.seq, link.hash),
            "the audit's chain"
        );
        if let Some(place) = self.target.place()
            && let Err(error) = Checkpoint(link).write(place, clock::now())
        {
            tracing::warn!(%error, path = %place.checkpoint().display(), "the audit's checkpoint can't be kept");
        }
    }

    fn rotate(&mut self) {
        self.events.push(Event::Rotated);
        self.write();
        // First: with the file gone, only this tells where the chain goes on.
        self.checkpoint();
        let Some((first, _)) = self.upkeep.first else {
            return;
        };
        let Some(name) = self
            .target
            .place()
            .map(|place| place.old(first, self.chain.seq, clock::now()))
        else {
            return;
        };
        match self.target.put_aside(&name) {
            Ok(()) => {
                tracing::info!(file = %name.display(), "the audit's file was put aside");
                self.look();
                self.old_file();
            }
            Err(error) => {
                tracing::warn!(%error, file = %name.display(), "the audit's file can't be put aside");
                self.upkeep.not_before = clock::instant().checked_add(PATIENCE);
            }
        }
    }

    /// The line that opens a file is written: nothing that a checkpoint would have to tell of.
    pub(super) fn opened(&mut self, first: u64) {
        self.upkeep.checked = self.upkeep.checked.max(first);
        if self.upkeep.first.is_none() {
            self.upkeep.first = Some((first, clock::now()));
        }
    }
}
