//! What policies would say that don't rule: asked as long as there is time, counted, and kept for the record.

use std::time::Instant;

use super::case::Case;
use crate::audit::{PolicyEffect, ShadowOpinion};
use crate::clock;
use crate::policy::{AskError, Opinion, Question, Verdict};

/// The opinions on one call.
pub(super) fn opinions(
    case: &Case<'_>,
    question: &Question<'_>,
    ruling: &Result<Vec<Verdict>, AskError>,
) -> Vec<Opinion> {
    let (pipeline, exchange) = (case.pipeline, &case.exchange);
    let annotated = Opinion::annotated(ruling);
    let other = pipeline.shadow.as_ref().and_then(|shadow| {
        let in_time = is_in_time(exchange.started, clock::instant(), exchange.deadline);
        shadow.ask(question, ruling, in_time)
    });
    let opinions: Vec<Opinion> = annotated.into_iter().chain(other).collect();
    for opinion in &opinions {
        let ruling = if opinion.ruling { "allowed" } else { "denied" };
        let (from, would) = (opinion.from.as_str(), opinion.would.as_str());
        pipeline
            .metrics
            .shadow(question.server.name.as_str(), from, ruling, would);
    }
    opinions
}

/// Whether at least half of the time is left: nothing that decides waits for what doesn't.
fn is_in_time(started: Instant, now: Instant, deadline: Instant) -> bool {
    now.saturating_duration_since(started) <= deadline.saturating_duration_since(now)
}

/// An opinion as it is recorded. `effects` says what the policies did.
pub(super) fn recorded(
    opinion: &Opinion,
    effects: fn(&[Verdict]) -> Vec<PolicyEffect<'_>>,
) -> ShadowOpinion<'_> {
    ShadowOpinion {
        from: opinion.from.as_str(),
        would: opinion.would.as_str(),
        code: opinion.code(),
        because: opinion.would.because(),
        policies: effects(&opinion.verdicts),
        policy_version: opinion.version.as_deref().map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn in_the_second_half_of_its_time_nothing_is_asked_that_decides_nothing() {
        let started = clock::instant();
        let at = |milliseconds| started + Duration::from_millis(milliseconds);
        for (now, expected) in [(0, true), (100, true), (101, false), (200, false), (300, false)] {
            assert_eq!(is_in_time(started, at(now), at(200)), expected, "{now}");
        }
    }
}
