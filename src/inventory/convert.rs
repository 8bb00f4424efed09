//! The arguments of a call as a Cedar record: typed expressions built from what the strict reader gave.
//!
//! In: arguments that have passed the tool's JSON Schema, and which of them matter. Out: a record of what of these Cedar
//! holds exactly, and the places that it doesn't. Never through `Context::from_json_*`: there, a client's `{"__extn":…}` would be an extension value.

use std::sync::Arc;

use cedar_policy::RestrictedExpression;

use super::exact;
use super::normal::MAX_BACKTRACKED;
use super::place::Place;
use super::selection::Selection;
use super::shape::{Record, Shape};
use crate::mcp::json::{Object, Value};

/// Elements of all the sets of one call that matter; a set that goes beyond is left out as a whole.
pub const MAX_ELEMENTS: usize = 10_000;
/// Members that the schema doesn't declare are named one by one up to here, then together.
const MAX_NAMED: usize = 256;

/// What Cedar sees of a call's arguments, or of those that matter.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The record that becomes `context.arguments`.
    pub record: RestrictedExpression,
    /// What the call carries and the record doesn't. A policy that reads one of these can't be asked.
    pub omitted: Vec<Place>,
}

/// Converts those of the arguments that are selected, as far as `shape` goes.
///
/// The outcome hangs on the values that are selected and on nothing else of the call: not on what else it holds, nor on the order in which its
/// selected members come. Verdicts are remembered by these values.
pub(crate) fn convert(shape: &Record, arguments: &Object, selection: &Selection) -> Converted {
    let mut converting = Converting {
        path: Vec::new(),
        omitted: Vec::new(),
        elements: 0,
        named: 0,
    };
    match converting.record(shape, arguments, selection) {
        Some(record) => Converted {
            record,
            omitted: converting.omitted,
        },
        None => Converted {
            record: empty(),
            omitted: vec![Place::at([""; 0])],
        },
    }
}

/// Whether the text's pattern has been checked.
fn is_short(text: &str) -> bool {
    text.chars().nth(MAX_BACKTRACKED).is_none()
}

/// The record without attributes.
fn empty() -> RestrictedExpression {
    // A record can be refused for one attribute given twice only; the fallback is no record, and matches no type.
    RestrictedExpression::new_record([]).unwrap_or_else(|_| RestrictedExpression::new_bool(false))
}

struct Converting {
    path: Vec<Arc<str>>,
    omitted: Vec<Place>,
    elements: usize,
    named: usize,
}

impl Converting {
    fn omit(&mut self) {
        self.omitted.push(Place::at(self.path.iter().cloned()));
    }

    /// `None` only if Cedar refuses the record as a whole.
    fn record(
        &mut self,
        shape: &Record,
        object: &Object,
        selection: &Selection,
    ) -> Option<RestrictedExpression> {
        let mut record = Vec::with_capacity(object.len().min(shape.names().len()));
        let mut rest = false;
        match selection {
            Selection::Whole => {
                for (name, value) in object.iter() {
                    rest |= self.member(shape, (name, value), selection, &mut record);
                }
            }
            Selection::Members(members) => {
                for (name, selection) in members {
                    if let Some(value) = object.get(name) {
                        rest |= self.member(shape, (name, value), selection, &mut record);
                    }
                }
            }
        }
        if rest {
            self.omitted.push(Place::rest_of(&self.path, shape.names()));
        }
        RestrictedExpression::new_record(record).ok()
    }

    /// Adds a member to a record, or its place to what is omitted. Whether it is one of too many to name.
    fn member(
        &mut self,
        shape: &Record,
        (name, value): (&str, &Value),
        selection: &Selection,
        record: &mut Vec<(String, RestrictedExpression)>,
    ) -> bool {
        // null is absence: `has` is false.
        if matches!(value, Value::Null) {
            return false;
        }
        let Some((name, attribute)) = shape.get(name) else {
            if self.named >= MAX_NAMED {
                return true;
            }
            self.named = self.named.saturating_add(1);
            self.path.push(name.into());
            self.omit();
            self.path.pop();
            return false;
        };
        self.path.push(Arc::clone(name));
        match self.value(&attribute.shape, value, selection) {
            Some(expression) => record.push((String::from(name.as_ref()), expression)),
            None => self.omit(),
        }
        self.path.pop();
        false
    }

    /// The value, if the shape holds it exactly.
    fn value(&mut self, shape: &Shape, value: &Value, selection: &Selection) -> Option<RestrictedExpression> {
        match (shape, value) {
            (Shape::Bool, Value::Bool(value)) => Some(RestrictedExpression::new_bool(*value)),
            (Shape::Long, Value::Number(number)) => {
                exact::integer(number).map(RestrictedExpression::new_long)
            }
            (Shape::Decimal, Value::Number(number)) => {
                exact::decimal(number).map(RestrictedExpression::new_decimal)
            }
            (Shape::String, Value::String(text)) => Some(RestrictedExpression::new_string(text.clone())),
            (Shape::ShortString, Value::String(text)) if is_short(text) => {
                Some(RestrictedExpression::new_string(text.clone()))
            }
            (Shape::Set(element), Value::Array(items)) => self.set(element, items),
            (Shape::Record(record), Value::Object(object)) => self.record(record, object, selection),
            _ => None,
        }
    }

    /// A set only if every item is held whole: a set with an item left out is another set.
    fn set(&mut self, element: &Shape, items: &[Value]) -> Option<RestrictedExpression> {
        let elements = self.elements.checked_add(items.len())?;
        if elements > MAX_ELEMENTS {
            return None;
        }
        self.elements = elements;
        let (omitted, named) = (self.omitted.len(), self.named);
        let mut converted = Vec::with_capacity(items.len());
        for item in items {
            match self.value(element, item, &Selection::Whole) {
                Some(item) if self.omitted.len() == omitted => converted.push(item),
                _ => {
                    self.omitted.truncate(omitted);
                    self.named = named;
                    return None;
                }
            }
        }
        Some(RestrictedExpression::new_set(converted))
    }
}

#[cfg(test)]
mod tests;
