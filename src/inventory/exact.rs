//! JSON numbers, exactly: what every reader of a number takes for the same value, and nothing else.
//!
//! Most JSON readers keep numbers as IEEE 754 doubles (RFC 8259 §6). An integer beyond ±(2^53 − 1), or a fraction of
//! more than 15 significant digits, may be another number to the server than to us: such a value is not decided on.

use crate::mcp::json::Number;

/// The largest integer that a double and all its neighbours hold exactly: 2^53 − 1.
pub(crate) const MAX_SAFE: i64 = 9_007_199_254_740_991;
/// Any decimal of up to 15 significant digits survives the way through a double.
const MAX_DIGITS: usize = 15;
/// Cedar's `decimal` has four places.
const PLACES: i64 = 4;

/// A number as `±digits × 10^exponent`, without leading or trailing zeros; zero has no digits.
#[derive(Debug, PartialEq, Eq)]
struct Scientific {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Scientific {
    /// From JSON's grammar (RFC 8259 §6), which the strict reader has checked; anything else is `None`.
    fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let trimmed = all.trim_end_matches('0');
        let zeros = i64::try_from(all.len().checked_sub(trimmed.len())?).ok()?;
        let places = i64::try_from(fraction.len()).ok()?;
        let exponent = exponent.checked_sub(places)?.checked_add(zeros)?;
        let digits = trimmed.trim_start_matches('0').to_owned();
        Some(Self {
            negative,
            exponent: if digits.is_empty() { 0 } else { exponent },
            digits,
        })
    }

    /// The value × 10^places, if that is an integer of at most 18 digits.
    fn scaled(&self, places: i64) -> Option<i64> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let shift = u32::try_from(self.exponent.checked_add(places)?).ok()?;
        let magnitude = self
            .digits
            .parse::<i64>()
            .ok()?
            .checked_mul(10_i64.checked_pow(shift)?)?;
        Some(if self.negative {
            magnitude.checked_neg()?
        } else {
            magnitude
        })
    }
}

/// The integer that a number is, whichever way it is spelt (`3`, `3.0`, `30e-1`), within ±(2^53 − 1).
pub(crate) fn integer(number: &Number) -> Option<i64> {
    let value = match number.as_i64() {
        Some(value) => value,
        None => Scientific::parse(number.as_str())?.scaled(0)?,
    };
    (-MAX_SAFE..=MAX_SAFE).contains(&value).then_some(value)
}

/// The integer that a text outside JSON (a header's) spells, within ±(2^53 − 1).
pub(crate) fn spelt_integer(text: &str) -> Option<i64> {
    let value = Scientific::parse(text)?.scaled(0)?;
    (-MAX_SAFE..=MAX_SAFE).contains(&value).then_some(value)
}

/// Whether a number is an integer, of whatever size (JSON Schema 2020-12 validation §6.1.1: `1.0` is).
pub(crate) fn is_integer(number: &Number) -> bool {
    number.as_i64().is_some() || Scientific::parse(number.as_str()).is_some_and(|number| number.exponent >= 0)
}

/// The number as Cedar's `decimal` literal, if four places and its range hold it exactly.
pub(crate) fn decimal(number: &Number) -> Option<String> {
    let parsed = Scientific::parse(number.as_str())?;
    if parsed.digits.len() > MAX_DIGITS {
        return None;
    }
    let scaled = parsed.scaled(PLACES)?;
    let magnitude = scaled.unsigned_abs();
    let (whole, fraction) = (magnitude.checked_div(10_000)?, magnitude.checked_rem(10_000)?);
    if whole > MAX_SAFE.unsigned_abs() {
        return None;
    }
    let sign = if scaled < 0 { "-" } else { "" };
    Some(format!("{sign}{whole}.{fraction:04}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::number;
    use super::*;

    #[test]
    fn integers_are_taken_in_every_spelling_and_never_rounded() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.0", Some(0)),
            ("5", Some(5)),
            ("1.0", Some(1)),
            ("1e2", Some(100)),
            ("1.5E1", Some(15)),
            ("100e-2", Some(1)),
            ("1.5", None),
            ("9007199254740991", Some(MAX_SAFE)),
            ("9007199254740992", None),
            ("9007199254740993", None),
            ("-9007199254740993", None),
            ("9223372036854775808", None),
            ("1e18", None),
            ("1e99999", None),
            ("1e99999999999999999999", None),
            ("0e99999", Some(0)),
            ("4.0000000000000000000001", None),
        ] {
            assert_eq!(integer(&number(text)), expected, "{text}");
        }
    }

    #[test]
    fn decimals_are_exact_or_nothing() {
        for (text, expected) in [
            ("1", Some("1.0000")),
            ("-1.5", Some("-1.5000")),
            ("0.0001", Some("0.0001")),
            ("-0.0001", Some("-0.0001")),
            ("0.00001", None),
            ("48.858370", None),
            ("48.8583", Some("48.8583")),
            ("48.85830", Some("48.8583")),
            ("1e-4", Some("0.0001")),
            ("12345e-2", Some("123.4500")),
            ("922337203685477.5807", None),
            ("99999999999.9999", Some("99999999999.9999")),
            ("999999999999999", None),
            ("1e300", None),
            ("-0", Some("0.0000")),
        ] {
            assert_eq!(decimal(&number(text)).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_integer_is_one_whatever_its_size() {
        for (text, expected) in [
            ("1.0", true),
            ("9007199254740993.5", false),
            ("1e300", true),
            ("0.1", false),
        ] {
            assert_eq!(is_integer(&number(text)), expected, "{text}");
        }
    }
}
