//! A walk through a JSON text that makes no values of it: whoever goes along says of each part whether to go in or to pass by.
//!
//! In: bytes. Out: what the walker found, and where. The text is held to the profile of [`read`](super::read), but that an object that
//! is passed by may have a key twice: whoever passes by doesn't ask what it says.

use std::ops::Range;

use super::reader::{Fault, FaultKind, Reader, has_duplicates, whole};
use super::{NESTING_CEILING, Value};

/// Before a value.
pub struct Walk<'r, 'a> {
    reader: &'r mut Reader<'a>,
    depth: usize,
}

/// Walks through one whole text, nested at most `max_nesting` (and never over [`NESTING_CEILING`]) deep.
///
/// # Errors
/// [`Fault`]: the first thing in the text that the profile doesn't allow, or that the walker doesn't.
pub fn walk<'a, T>(
    bytes: &'a [u8],
    max_nesting: usize,
    walker: impl FnOnce(Walk<'_, 'a>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let depth = max_nesting.min(NESTING_CEILING);
    whole(bytes, |reader| walker(Walk { reader, depth }))
}

impl<'a> Walk<'_, 'a> {
    /// Goes into an object: `member` is given each key, and is to read its value. Says where it was; `None` if it passed by what is no
    /// object.
    ///
    /// # Errors
    /// A [`Fault`], also for a key that is there twice.
    pub fn object(
        self,
        mut member: impl FnMut(&str, Walk<'_, 'a>) -> Result<(), Fault>,
    ) -> Result<Option<Range<usize>>, Fault> {
        if self.reader.peek() != Some(b'{') {
            return self.pass().map(|_| None);
        }
        let from = self.reader.offset();
        let depth = self.reader.deeper(self.depth)?;
        let duplicate = self.reader.fault(FaultKind::DuplicateKey);
        let mut keys = Vec::new();
        self.reader.each_member(|reader| {
            let key = reader.string()?;
            reader.colon()?;
            member(&key, Walk { reader, depth })?;
            keys.push((key, ()));
            Ok(())
        })?;
        if has_duplicates(&keys) {
            Err(duplicate)
        } else {
            Ok(Some(from..self.reader.offset()))
        }
    }

    /// Goes into an array: `item` is to read each value. Says where it was; `None` if it passed by what is no array.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn array(
        self,
        mut item: impl FnMut(Walk<'_, 'a>) -> Result<(), Fault>,
    ) -> Result<Option<Range<usize>>, Fault> {
        if self.reader.peek() != Some(b'[') {
            return self.pass().map(|_| None);
        }
        let from = self.reader.offset();
        let depth = self.reader.deeper(self.depth)?;
        self.reader.each_item(|reader| item(Walk { reader, depth }))?;
        Ok(Some(from..self.reader.offset()))
    }

    /// Reads a string. Passes by what is none.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn string(self) -> Result<Option<String>, Fault> {
        if self.reader.peek() == Some(b'"') {
            return self.reader.string().map(Some);
        }
        self.pass().map(|_| None)
    }

    /// Passes by a value, and says from where to where it goes.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn pass(self) -> Result<Range<usize>, Fault> {
        let from = self.reader.offset();
        pass(self.reader, self.depth)?;
        Ok(from..self.reader.offset())
    }
}

fn pass(reader: &mut Reader<'_>, depth: usize) -> Result<(), Fault> {
    match reader.peek() {
        Some(b'"') => pass_string(reader),
        Some(b'{') => {
            let depth = reader.deeper(depth)?;
            reader.each_member(|reader| {
                pass_string(reader)?;
                reader.colon()?;
                pass(reader, depth)
            })
        }
        Some(b'[') => {
            let depth = reader.deeper(depth)?;
            reader.each_item(|reader| pass(reader, depth))
        }
        Some(b'-' | b'0'..=b'9') => reader.spelling().map(drop),
        Some(b't') => reader.word("true", Value::Null).map(drop),
        Some(b'f') => reader.word("false", Value::Null).map(drop),
        Some(b'n') => reader.word("null", Value::Null).map(drop),
        _ => reader.expected("a value"),
    }
}

fn pass_string(reader: &mut Reader<'_>) -> Result<(), Fault> {
    reader.skip(1);
    loop {
        reader.plain();
        match reader.peek() {
            Some(b'"') => {
                reader.skip(1);
                return Ok(());
            }
            Some(b'\\') => drop(reader.escape()?),
            Some(_) => return reader.expected("no raw control character in a string"),
            None => return reader.expected("the end of a string"),
        }
    }
}
