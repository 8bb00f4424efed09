//! The line that follows a record whose answer was another than the record says.
//!
//! A record can reach the disk after its request was given up: the disk was asleep until the deadline, and the
//! gateway heard 503. What was decided stays in the journal, as it happened; the correction is the same record, without
//! the arguments, with what was answered.

use serde_json::{Map, Value};

use super::ticket::Ended;
use crate::decide::Reason;

/// The corrections of an entry's lines, unless it was answered as they say.
pub(super) fn of(lines: &[u8], ended: &Ended) -> Option<Vec<u8>> {
    let (outcome, reason) = match ended {
        Ended::Durable => return None,
        Ended::Refused(_) => ("denied", Reason::AuditUnavailable.code()),
        Ended::Otherwise { outcome, reason } => (*outcome, *reason),
    };
    let mut corrections = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        // Only our own lines come here, and what is no record has no answer either.
        let Ok(mut record) = serde_json::from_slice::<Map<String, Value>>(line) else {
            continue;
        };
        let Some(recorded) = record.insert("outcome".to_owned(), outcome.into()) else {
            continue;
        };
        record.insert("reason".to_owned(), reason.into());
        // As values of another reader they would be spelt in another way.
        record.remove("arguments");
        record.remove("arguments_omitted");
        record.remove("arguments_as");
        record.insert("corrects".to_owned(), recorded);
        corrections.extend(crate::audit::record::to_plain_json(&record));
        corrections.push(b'\n');
    }
    Some(corrections).filter(|corrections| !corrections.is_empty())
}
