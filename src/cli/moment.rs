//! Times as people write them.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};

use crate::clock;

/// A time: RFC 3339, a day (UTC), or how long ago.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let utc = if let Ok(day) = text.parse::<civil::Date>() {
        day.to_zoned(TimeZone::UTC)
    } else {
        let ago = text.parse::<Span>();
        ago.and_then(|ago| clock::now().to_zoned(TimeZone::UTC).checked_sub(ago))
    };
    utc.map(|time| time.timestamp()).map_err(|_| {
        format!("`{text}` is no time: write 2026-11-21T09:00:00Z, 2026-11-21, or 90m for that long ago")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(
            moment("2026-11-21").unwrap(),
            moment("2026-11-21T00:00:00Z").unwrap()
        );
        assert!(moment("2d").unwrap() < moment("90m").unwrap());
        assert!(moment("90m").unwrap() < clock::now());
        assert!(moment("yesterday").unwrap_err().contains("is no time"));
    }
}
