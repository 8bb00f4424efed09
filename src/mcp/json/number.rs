//! Numbers: their spelling, kept, and which spellings parsers read differently.

use std::fmt;

/// Longer spellings are refused: Python refuses integers of over 4,300 digits, others read floats of any
/// length; nobody writes one.
const LONGEST: usize = 1024;

/// A finite double has at most 309 digits before the point; a spelling shorter than this and without exponent
/// can't overflow, nor underflow.
const SURELY_FINITE: usize = 300;

/// A number as spelt in the text, for instance `48.858370` or `9007199254740993`.
#[derive(Clone, PartialEq, Eq)]
pub struct Number(Spelling);

/// Short spellings, nearly all, are held without an allocation.
#[derive(Clone)]
enum Spelling {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

const SHORT: usize = 22;

impl Number {
    /// A number from a spelling that the reader has found to be one.
    pub(crate) fn new(spelling: &str) -> Self {
        let mut short = [0; SHORT];
        let held = short
            .get_mut(..spelling.len())
            .zip(u8::try_from(spelling.len()).ok());
        match held {
            Some((place, length)) => {
                place.copy_from_slice(spelling.as_bytes());
                Self(Spelling::Short(length, short))
            }
            None => Self(Spelling::Long(spelling.into())),
        }
    }

    /// The spelling in the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Spelling::Short(length, text) => text
                .get(..usize::from(*length))
                .and_then(|spelling| std::str::from_utf8(spelling).ok())
                .unwrap_or_default(),
            Spelling::Long(text) => text,
        }
    }

    /// The integer, if the number is spelt as one (no point, no exponent) and fits. `-0` is 0.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_str().parse().ok()
    }

    /// Whether the number is spelt as an integer: no point, no exponent.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        !self
            .as_str()
            .bytes()
            .any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    }
}

impl PartialEq for Spelling {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Short(a, x), Self::Short(b, y)) => a == b && x == y,
            (Self::Long(x), Self::Long(y)) => x == y,
            _ => false,
        }
    }
}

impl Eq for Spelling {}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({})", self.as_str())
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::new(&number.to_string())
    }
}

/// Whether every parser finds the same number: no infinity to one, error to another (`1e400`); no zero to one,
/// non-zero to another (`1e-400`).
pub(super) fn reads_alike(spelling: &str) -> bool {
    let exponent = spelling.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    if !exponent && spelling.len() <= SURELY_FINITE {
        return true;
    }
    if spelling.len() > LONGEST {
        return false;
    }
    let Ok(double) = spelling.parse::<f64>() else {
        return false;
    };
    let mantissa = spelling.split(['e', 'E']).next().unwrap_or_default();
    let zero = !mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    double.is_finite() && (double != 0.0 || zero)
}
