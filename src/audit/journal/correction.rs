//! The line that follows a record whose answer was another than the record says.
//!
//! A record can reach the disk after its request was given up: the disk was asleep until the deadline, and the
//! gateway heard 503. What was decided stays in the journal, as it happened; the correction names the same decision
//! and says what was answered.

use serde::{Deserialize, Serialize};

use super::ticket::Ended;
use crate::clock;
use crate::decide::Reason;

/// What is read of the record.
#[derive(Deserialize)]
struct Corrected {
    decision_id: String,
    outcome: String,
}

#[derive(Serialize)]
struct Correction {
    time: String,
    decision_id: String,
    outcome: &'static str,
    reason: &'static str,
    corrects: String,
}

/// The correction of an entry's lines, unless it was answered as they say.
pub(super) fn of(lines: &[u8], ended: &Ended) -> Option<Vec<u8>> {
    let (outcome, reason) = match ended {
        Ended::Durable => return None,
        Ended::Refused(_) | Ended::Late => ("denied", Reason::AuditUnavailable),
        Ended::Gone => ("gateway_gone", Reason::GatewayGone),
    };
    let first = lines.split(|byte| *byte == b'\n').next()?;
    // Only our own lines come here: one that is no record has no answer either.
    let record: Corrected = serde_json::from_slice(first).ok()?;
    let correction = Correction {
        time: format!("{:.6}", clock::now()),
        decision_id: record.decision_id,
        outcome,
        reason: reason.code(),
        corrects: record.outcome,
    };
    let mut line = serde_json::to_vec(&correction).ok()?;
    line.push(b'\n');
    Some(line)
}
