//! Several records about one object, to one: parts of an `allOf`, alternatives of an `anyOf` or `oneOf`.
//!
//! A merged record is where to look, not what is true: a value is asked again when it is converted, and left out where
//! it has another type. So alternatives may be laid over one another as long as they don't contradict.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Attribute, Record, Shape};

/// How the records belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Each of them holds: what one requires is required.
    All,
    /// At least one holds: what all require is required.
    Any,
}

/// Lays records over one another. A member that has two types in them is in neither: `clash` gets its path.
pub(super) fn records(records: Vec<Record>, how: How, clash: &mut impl FnMut(&[Arc<str>])) -> Record {
    merged(records, how, &mut Vec::new(), clash)
}

fn merged(
    mut records: Vec<Record>,
    how: How,
    path: &mut Vec<Arc<str>>,
    clash: &mut impl FnMut(&[Arc<str>]),
) -> Record {
    if records.len() == 1
        && let Some(only) = records.pop()
    {
        return only;
    }
    let count = records.len();
    let mut found: BTreeMap<Arc<str>, Vec<Attribute>> = BTreeMap::new();
    for (name, attribute) in records.into_iter().flat_map(|record| record.attributes) {
        found.entry(name).or_default().push(attribute);
    }
    let mut attributes = BTreeMap::new();
    for (name, each) in found {
        let required = match how {
            How::All => each.iter().any(|attribute| attribute.required),
            How::Any => each.len() == count && each.iter().all(|attribute| attribute.required),
        };
        path.push(Arc::clone(&name));
        match shape(each, how, path, clash) {
            Some(shape) => {
                attributes.insert(name, Attribute { shape, required });
            }
            None => clash(path),
        }
        path.pop();
    }
    Record::new(attributes)
}

/// The one shape of several attributes: the same, or records over one another.
fn shape(
    each: Vec<Attribute>,
    how: How,
    path: &mut Vec<Arc<str>>,
    clash: &mut impl FnMut(&[Arc<str>]),
) -> Option<Shape> {
    let mut shapes = each.into_iter().map(|attribute| attribute.shape);
    let first = shapes.next()?;
    let others: Vec<Shape> = shapes.filter(|shape| *shape != first).collect();
    if others.is_empty() {
        return Some(first);
    }
    let mut records = Vec::with_capacity(others.len().saturating_add(1));
    for shape in std::iter::once(first).chain(others) {
        match shape {
            Shape::Record(record) => records.push(record),
            _ => return None,
        }
    }
    Some(Shape::Record(merged(records, how, path, clash)))
}
