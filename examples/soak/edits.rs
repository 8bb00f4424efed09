//! The policy directory, edited every second: mostly soundly, now and then broken for a second.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::Failure;
use crate::calls::CLOSED;
use crate::load::Tally;

const FILE: &str = "soak.cedar";

/// Each so-manieth edit is broken.
const BROKEN: u32 = 10;

/// What was edited.
#[derive(Debug, Default)]
pub(crate) struct Edited {
    sound: usize,
    broken: usize,
}

/// Edits until the end; the last edit is a sound one or the next to last was.
pub(crate) async fn run(policies: PathBuf, end: Instant) -> Result<Edited, Failure> {
    let mut edited = Edited::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for edit in 1_u32.. {
        if tokio::time::timeout_at(end, ticks.tick()).await.is_err() {
            break;
        }
        if edit.is_multiple_of(BROKEN) {
            std::fs::write(policies.join(FILE), "permit (principal,")?;
            edited.broken = edited.broken.saturating_add(1);
        } else {
            write(&policies, edit)?;
            edited.sound = edited.sound.saturating_add(1);
        }
    }
    Ok(edited)
}

/// A policy that closes one call and says which edit it is of. It is written in place, as careless editors do.
pub(crate) fn write(policies: &Path, edit: u32) -> std::io::Result<()> {
    let (tool, owner) = CLOSED;
    let text = format!(
        "@id(\"soak\")\n@reason(\"Edit {edit}\")\nforbid (principal, action == Action::\"workbench/{tool}\", resource)\n\
         when {{ context.arguments has owner && context.arguments.owner == \"{owner}\" }};\n"
    );
    std::fs::write(policies.join(FILE), text)
}

impl Edited {
    /// For people.
    pub(crate) fn sentence(&self, tally: &Tally) -> String {
        format!(
            "edits: {} sound, {} broken; {} of them seen in answers",
            self.sound,
            self.broken,
            tally.edits_seen()
        )
    }

    /// Most edits must have come to rule. Not all: one may be replaced before a call met it.
    pub(crate) fn complaints(&self, tally: &Tally) -> Option<String> {
        let seen = tally.edits_seen();
        (seen < self.sound.saturating_mul(3) / 4)
            .then(|| format!("only {seen} of {} edits came to rule", self.sound))
    }
}
