//! How long a check may take: `grpc-timeout`, less a margin.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};

use crate::wire::settings::Settings;

/// The time that checks are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    margin: Duration,
    default: Duration,
    max: Duration,
}

/// The moments that matter to one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// When the decider must have answered, so that a denial for lateness is its own and recorded.
    pub decide_by: Instant,
    /// When the wire answers in its stead; still before the gateway stops listening.
    pub give_up: Instant,
    /// When the gateway stops listening.
    pub over: Instant,
}

impl From<&Settings> for Budget {
    fn from(settings: &Settings) -> Self {
        Self {
            margin: settings.deadline_margin,
            default: settings.default_deadline,
            max: settings.max_deadline,
        }
    }
}

impl Budget {
    /// The deadlines of a check that came in at `started` from a gateway that waits for `timeout`.
    #[must_use]
    pub fn deadlines(&self, timeout: Option<Duration>, started: Instant) -> Deadlines {
        let time = timeout.unwrap_or(self.default).min(self.max);
        // A gateway with little patience still leaves half of it for the decision.
        let margin = self.margin.min(half(time));
        let after = |span: Duration| started.checked_add(span).unwrap_or(started);
        Deadlines {
            decide_by: after(time.saturating_sub(margin)),
            give_up: after(time.saturating_sub(half(margin))),
            over: after(time),
        }
    }
}

fn half(span: Duration) -> Duration {
    span.checked_div(2).unwrap_or_default()
}

/// The shortest `grpc-timeout` of a request; `None` if there is none that can be read.
#[must_use]
pub(super) fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    headers.get_all("grpc-timeout").iter().filter_map(parse).min()
}

// gRPC over HTTP/2: TimeoutValue is at most eight ASCII digits, TimeoutUnit one letter.
fn parse(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(amount.saturating_mul(3600))),
        b'M' => Some(Duration::from_secs(amount.saturating_mul(60))),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn reads_grpc_timeouts_of_the_protocol_and_no_others() {
        let cases = [
            ("200m", Some(Duration::from_millis(200))),
            ("199999u", Some(Duration::from_micros(199_999))),
            ("1n", Some(Duration::from_nanos(1))),
            ("0m", Some(Duration::ZERO)),
            ("2S", Some(Duration::from_secs(2))),
            ("3M", Some(Duration::from_mins(3))),
            ("1H", Some(Duration::from_hours(1))),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("999999999m", None),
            ("m", None),
            ("", None),
            ("200", None),
            ("200ms", None),
            ("-1m", None),
            ("+1m", None),
            (" 1m", None),
            ("1.5S", None),
            ("1x", None),
        ];
        for (text, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_static(text));
            assert_eq!(timeout_of(&headers), expected, "{text:?}");
        }
        assert_eq!(timeout_of(&HeaderMap::new()), None);
    }

    #[test]
    fn of_several_timeouts_the_shortest_counts() {
        let mut headers = HeaderMap::new();
        for text in ["5S", "200m", "nonsense"] {
            headers.append("grpc-timeout", HeaderValue::from_static(text));
        }
        assert_eq!(timeout_of(&headers), Some(Duration::from_millis(200)));
    }

    #[test]
    fn the_margin_is_taken_off_and_never_more_than_half() {
        let millis = Duration::from_millis;
        let budget = Budget {
            margin: millis(20),
            default: millis(1000),
            max: millis(5000),
        };
        let cases = [
            (Some(millis(200)), 180, 190, 200),
            (Some(millis(20)), 10, 15, 20),
            (Some(millis(0)), 0, 0, 0),
            (Some(millis(60_000)), 4980, 4990, 5000),
            (Some(Duration::MAX), 4980, 4990, 5000),
            (None, 980, 990, 1000),
        ];
        let started = clock::instant();
        for (timeout, decide_by, give_up, over) in cases {
            let expected = Deadlines {
                decide_by: started + millis(decide_by),
                give_up: started + millis(give_up),
                over: started + millis(over),
            };
            assert_eq!(budget.deadlines(timeout, started), expected, "{timeout:?}");
        }
    }
}
