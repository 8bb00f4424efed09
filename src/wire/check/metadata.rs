//! `google.protobuf.Struct` to JSON and back.

use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value as ProtoValue};
use serde_json::{Map, Number, Value};

/// How deep metadata may be nested, in either direction.
const MAX_DEPTH: u8 = 32;

/// Why a structure has no counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// Nested beyond the bound.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// NaN or an infinity.
    #[error("a number is not finite")]
    NotFinite,
    /// A `Value` without a kind.
    #[error("a value has no kind")]
    NoKind,
}

/// A `Struct` as a JSON object.
///
/// # Errors
/// [`NotJson`] if JSON can't hold it.
pub(super) fn to_json(structure: Struct) -> Result<Map<String, Value>, NotJson> {
    object(structure, MAX_DEPTH)
}

fn object(structure: Struct, depth: u8) -> Result<Map<String, Value>, NotJson> {
    let depth = depth.checked_sub(1).ok_or(NotJson::TooDeep)?;
    let fields = structure.fields.into_iter();
    fields
        .map(|(name, field)| Ok((name, value(field, depth)?)))
        .collect()
}

fn value(field: ProtoValue, depth: u8) -> Result<Value, NotJson> {
    Ok(match field.kind.ok_or(NotJson::NoKind)? {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(truth) => Value::Bool(truth),
        Kind::NumberValue(number) => Value::Number(self::number(number)?),
        Kind::StringValue(text) => Value::String(text),
        Kind::StructValue(structure) => Value::Object(object(structure, depth)?),
        Kind::ListValue(list) => {
            let depth = depth.checked_sub(1).ok_or(NotJson::TooDeep)?;
            let items = list.values.into_iter().map(|item| value(item, depth));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
    })
}

/// Every number of a `Struct` is a double: one that stands for an integer becomes an integer again (`exp`).
fn number(double: f64) -> Result<Number, NotJson> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    if double.fract() == 0.0 && double.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "an integer within 2^53")]
        return Ok(Number::from(double as i64));
    }
    Number::from_f64(double).ok_or(NotJson::NotFinite)
}

/// A text as a `Value`.
pub(super) fn text(text: &str) -> ProtoValue {
    ProtoValue {
        kind: Some(Kind::StringValue(text.to_owned())),
    }
}

/// A JSON object as a `Struct`. Integers beyond 2^53 lose digits: a `Struct` has doubles only.
///
/// # Errors
/// [`NotJson::TooDeep`].
pub(super) fn from_json(object: Map<String, Value>) -> Result<Struct, NotJson> {
    structure(object, MAX_DEPTH)
}

fn structure(object: Map<String, Value>, depth: u8) -> Result<Struct, NotJson> {
    let depth = depth.checked_sub(1).ok_or(NotJson::TooDeep)?;
    let fields = object
        .into_iter()
        .map(|(name, field)| Ok((name, kind(field, depth)?)));
    Ok(Struct {
        fields: fields.collect::<Result<_, _>>()?,
    })
}

fn kind(field: Value, depth: u8) -> Result<ProtoValue, NotJson> {
    let kind = match field {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().ok_or(NotJson::NotFinite)?),
        Value::String(text) => Kind::StringValue(text),
        Value::Object(object) => Kind::StructValue(structure(object, depth)?),
        Value::Array(items) => {
            let depth = depth.checked_sub(1).ok_or(NotJson::TooDeep)?;
            let values = items.into_iter().map(|item| kind(item, depth));
            Kind::ListValue(ListValue {
                values: values.collect::<Result<_, _>>()?,
            })
        }
    };
    Ok(ProtoValue { kind: Some(kind) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else {
            panic!("not an object: {value}")
        };
        object
    }

    #[test]
    fn every_json_value_survives_the_way_there_and_back() {
        let object = map(json!({
            "null": null, "yes": true, "text": "a\nb", "exp": 1_790_000_000, "minus": -1, "half": 0.5,
            "list": [1, "two", [], {}], "object": {"a": {"b": {}}},
        }));
        assert_eq!(to_json(from_json(object.clone()).unwrap()), Ok(object));
    }

    #[test]
    fn refuses_what_json_cannot_hold() {
        let one = |kind| Struct {
            fields: [("a".to_owned(), ProtoValue { kind })].into(),
        };
        assert_eq!(
            to_json(one(Some(Kind::NumberValue(f64::NAN)))),
            Err(NotJson::NotFinite)
        );
        assert_eq!(
            to_json(one(Some(Kind::NumberValue(f64::INFINITY)))),
            Err(NotJson::NotFinite)
        );
        assert_eq!(to_json(one(None)), Err(NotJson::NoKind));
        assert_eq!(
            to_json(one(Some(Kind::NumberValue(1e300)))).unwrap()["a"],
            json!(1e300)
        );
    }

    #[test]
    fn refuses_nesting_beyond_the_bound_both_ways() {
        let nested = |levels: u8| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
        let lists = |levels: u8| (1..levels).fold(json!([]), |inner, _| json!([inner]));
        assert!(to_json(from_json(map(nested(32))).unwrap()).is_ok());
        assert_eq!(from_json(map(nested(33))), Err(NotJson::TooDeep));
        assert_eq!(from_json(map(json!({"a": lists(32)}))), Err(NotJson::TooDeep));
        let deep = from_json(map(nested(32))).unwrap();
        let deeper = ProtoValue {
            kind: Some(Kind::StructValue(deep)),
        };
        let deeper = Struct {
            fields: [("a".to_owned(), deeper)].into(),
        };
        assert_eq!(to_json(deeper), Err(NotJson::TooDeep));
    }
}
