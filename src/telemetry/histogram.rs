//! A histogram of durations in buckets that are there from the start.
//!
//! Not the exporter's: it holds every sample in memory until somebody drains it, and a sample that is recorded
//! while it is drained may be lost. Here a sample is two additions, and nothing grows.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in nanoseconds, and in seconds as Prometheus writes them: from a cached decision to the longest
/// deadline that is sensible.
const BOUNDS: [(u64, &str); 14] = [
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
];

/// How many samples fell in each bucket, and their sum.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    /// Above the last bound.
    beyond: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Histogram {
    /// Counts a sample.
    pub(super) fn record(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        // A bound belongs to its bucket: `le` is «less than or equal».
        let place = BOUNDS.partition_point(|(bound, _)| *bound < nanoseconds);
        self.buckets
            .get(place)
            .unwrap_or(&self.beyond)
            .fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Writes the samples in Prometheus' text format. `label` is a whole label, for instance `server="a"`.
    pub(super) fn write(&self, text: &mut String, name: &str, label: &str) {
        let mut count = 0_u64;
        // Writing to a String doesn't fail.
        for (bucket, (_, bound)) in self.buckets.iter().zip(BOUNDS) {
            count = count.saturating_add(bucket.load(Ordering::Relaxed));
            let _ = writeln!(text, "{name}_bucket{{{label},le=\"{bound}\"}} {count}");
        }
        count = count.saturating_add(self.beyond.load(Ordering::Relaxed));
        let sum = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        let _ = write!(
            text,
            "{name}_bucket{{{label},le=\"+Inf\"}} {count}\n{name}_sum{{{label}}} {sum}\n{name}_count{{{label}}} {count}\n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_in_every_bucket_from_its_own_on() {
        let histogram = Histogram::default();
        for micros in [1, 50, 51, 1_000_000, 1_000_001, 90_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut text = String::new();
        histogram.write(&mut text, "h", "server=\"a\"");
        let value = |series: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap();
            line.trim().parse::<f64>().unwrap()
        };
        let bucket = |bound: &str| format!("h_bucket{{server=\"a\",le=\"{bound}\"}}");
        let counts = ["0.00005", "0.0001", "0.5", "1", "+Inf"].map(|bound| value(&bucket(bound)));
        assert_eq!(counts.map(|count| count.to_string()), ["2", "3", "3", "4", "6"]);
        assert_eq!(value("h_count{server=\"a\"}").to_string(), "6");
        assert_eq!(value("h_sum{server=\"a\"}").to_string(), "92.000103");
    }

    #[test]
    fn the_bounds_in_seconds_are_those_in_nanoseconds() {
        for (nanoseconds, seconds) in BOUNDS {
            assert_eq!(
                Duration::from_nanos(nanoseconds).as_secs_f64().to_string(),
                seconds
            );
        }
    }
}
