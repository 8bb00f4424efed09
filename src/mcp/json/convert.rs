//! To `serde_json`, for JSON Schema validation.

use super::{Number, Value};

impl Value {
    /// The same value for `serde_json`, as it would have read the text itself.
    ///
    /// Exact but for numbers that aren't integers of 64 bits: those become the nearest double, as in any
    /// JavaScript server. [`Number::is_rounded`] tells an integer that was rounded so.
    #[must_use]
    pub fn to_serde(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(truth) => serde_json::Value::Bool(*truth),
            Self::Number(number) => number.to_serde(),
            Self::String(text) => serde_json::Value::String(text.clone()),
            Self::Array(items) => serde_json::Value::Array(items.iter().map(Self::to_serde).collect()),
            Self::Object(object) => serde_json::Value::Object(object.to_serde()),
        }
    }
}

impl super::Object {
    /// The same members for `serde_json`: see [`Value::to_serde`].
    #[must_use]
    pub fn to_serde(&self) -> serde_json::Map<String, serde_json::Value> {
        let member = |(key, value): (&str, &Value)| (key.to_owned(), value.to_serde());
        self.iter().map(member).collect()
    }
}

impl Number {
    /// Whether the number is spelt as an integer and needs more than 64 bits: [`Value::to_serde`] gives the
    /// nearest double.
    #[must_use]
    pub fn is_rounded(&self) -> bool {
        let text = self.as_str();
        self.is_integer() && text.parse::<i64>().is_err() && text.parse::<u64>().is_err()
    }

    fn to_serde(&self) -> serde_json::Value {
        let text = self.as_str();
        // `-0` is a double to serde_json, as it is to JavaScript.
        if text != "-0" {
            if let Ok(integer) = text.parse::<i64>() {
                return integer.into();
            }
            if let Ok(integer) = text.parse::<u64>() {
                return integer.into();
            }
        }
        // The reader lets no number through that a double can't hold.
        text.parse::<f64>().map_or(serde_json::Value::Null, Into::into)
    }
}
