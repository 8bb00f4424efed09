//! What of a call its candidates read, as bytes: two calls have the same ones only if no candidate can tell them apart.
//!
//! In: a question, and what is read of it. Out: each value that is read, as the client wrote it, with its kind and its length before
//! it, in an order that what is read settles. So bytes that are equal come from equal values: `1`, `1.0` and `"1"`,
//! `null` and nothing, `[1,2]` and `[2,1]` are each themselves, though Cedar may not see the difference. Refused: more than
//! [`MAX_BYTES`], and the time, which is never the same again.

use std::net::IpAddr;

use super::context::Needs;
use super::target::Target;
use crate::inventory::Selection;
use crate::mcp::json::{Object, Value};
use crate::policy::Question;

/// The most bytes that values may have to be remembered by. A path, an address, a few limits take a tenth of it; a document, a query
/// of many lines are not sent twice often enough.
pub(in crate::policy) const MAX_BYTES: usize = 1024;

/// What comes before a value.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Absent,
    Null,
    False,
    True,
    Number,
    Text,
    Array,
    Object,
    /// An object of which some members follow, as selected.
    Part,
    V4,
    V6,
}

/// The values that are read; `None` if no other call will have the same, or there are too many.
pub(in crate::policy) fn values(
    question: &Question<'_>,
    target: &Target<'_>,
    needs: Needs,
    selection: &Selection,
) -> Option<Vec<u8>> {
    if needs.now {
        return None;
    }
    let mut values = Values(Vec::with_capacity(64));
    if needs.session {
        values.optional(question.session)?;
    }
    if needs.version {
        values.text(Kind::Text, question.version.as_str())?;
    }
    if needs.address {
        values.address(question.address)?;
    }
    if let Some((_, arguments)) = target.arguments.filter(|_| needs.arguments) {
        values.selected(arguments, selection)?;
    }
    Some(values.0)
}

struct Values(Vec<u8>);

impl Values {
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let left = MAX_BYTES.checked_sub(self.0.len())?;
        (bytes.len() <= left).then(|| self.0.extend_from_slice(bytes))
    }

    fn kind(&mut self, kind: Kind) -> Option<()> {
        self.bytes(&[kind as u8])
    }

    fn length(&mut self, length: usize) -> Option<()> {
        self.bytes(&u32::try_from(length).ok()?.to_be_bytes())
    }

    fn text(&mut self, kind: Kind, text: &str) -> Option<()> {
        self.kind(kind)?;
        self.length(text.len())?;
        self.bytes(text.as_bytes())
    }

    fn optional(&mut self, text: Option<&str>) -> Option<()> {
        match text {
            None => self.kind(Kind::Absent),
            Some(text) => self.text(Kind::Text, text),
        }
    }

    /// As policies see it: `::ffff:192.0.2.1` is 192.0.2.1.
    fn address(&mut self, address: Option<IpAddr>) -> Option<()> {
        match address.map(|address| address.to_canonical()) {
            None => self.kind(Kind::Absent),
            Some(IpAddr::V4(address)) => {
                self.kind(Kind::V4)?;
                self.bytes(&address.octets())
            }
            Some(IpAddr::V6(address)) => {
                self.kind(Kind::V6)?;
                self.bytes(&address.octets())
            }
        }
    }

    /// An object, as far as it is selected: whole, or the selected members in the selection's order.
    fn selected(&mut self, object: &Object, selection: &Selection) -> Option<()> {
        let members = match selection {
            Selection::Whole => return self.object(object),
            Selection::Members(members) => members,
        };
        self.kind(Kind::Part)?;
        for (name, selection) in members {
            match object.get(name) {
                None => self.kind(Kind::Absent)?,
                Some(Value::Object(inner)) => self.selected(inner, selection)?,
                Some(value) => self.value(value)?,
            }
        }
        Some(())
    }

    fn object(&mut self, object: &Object) -> Option<()> {
        self.kind(Kind::Object)?;
        self.length(object.len())?;
        for (name, value) in object.iter() {
            self.text(Kind::Text, name)?;
            self.value(value)?;
        }
        Some(())
    }

    /// A value as it is written, numbers to the digit. The reader bounds how deep this goes.
    fn value(&mut self, value: &Value) -> Option<()> {
        match value {
            Value::Null => self.kind(Kind::Null),
            Value::Bool(false) => self.kind(Kind::False),
            Value::Bool(true) => self.kind(Kind::True),
            Value::Number(number) => self.text(Kind::Number, number.as_str()),
            Value::String(text) => self.text(Kind::Text, text),
            Value::Array(items) => {
                self.kind(Kind::Array)?;
                self.length(items.len())?;
                items.iter().try_for_each(|item| self.value(item))
            }
            Value::Object(object) => self.object(object),
        }
    }
}

#[cfg(test)]
mod tests;
