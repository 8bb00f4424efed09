//! The strict reader: one pass, no backtracking, nothing quadratic.

use std::collections::HashSet;

use super::{NESTING_CEILING, Number, Object, Value, number, text};
use text::Escape;

/// Where and why a text isn't read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Byte offset in the text; for a duplicate key, of the object that has it.
    pub at: usize,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It begins with a byte order mark (of UTF-8 or UTF-16).
    ByteOrderMark,
    /// It isn't UTF-8.
    NotUtf8,
    /// It holds a raw NUL byte, as UTF-16 and C strings do.
    NulByte,
    /// It isn't JSON: this was expected.
    Syntax(&'static str),
    /// Something follows the value.
    TrailingBytes,
    /// An object has a key twice, spelt alike or not.
    DuplicateKey,
    /// A string escapes half of a surrogate pair.
    LoneSurrogate,
    /// Arrays and objects are nested too deep.
    Nesting,
    /// A number that a double can't hold: some parsers say infinity or zero, others refuse.
    NumberRange,
}

/// Objects up to this size are checked for duplicates by comparing each key with each.
const FEW: usize = 8;

/// Reads one whole JSON text, nested at most `max_nesting` (and never over [`NESTING_CEILING`]) deep.
///
/// # Errors
/// [`Fault`]: the first thing in the text that the profile doesn't allow.
pub fn read(bytes: &[u8], max_nesting: usize) -> Result<Value, Fault> {
    whole(bytes, |reader| reader.value(max_nesting.min(NESTING_CEILING)))
}

/// What `read` finds, if nothing comes after it.
pub(super) fn whole<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let text = decode(bytes)?;
    let mut reader = Reader { text, rest: text };
    reader.space();
    let value = read(&mut reader)?;
    reader.space();
    if reader.rest.is_empty() {
        Ok(value)
    } else {
        Err(reader.fault(FaultKind::TrailingBytes))
    }
}

/// Only UTF-8, without a mark (RFC 8259 §8.1), without a raw NUL: a C parser would end there.
fn decode(bytes: &[u8]) -> Result<&str, Fault> {
    const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
    if MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(Fault {
            at: 0,
            kind: FaultKind::ByteOrderMark,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Fault {
        at: error.valid_up_to(),
        kind: FaultKind::NotUtf8,
    })?;
    match memchr::memchr(0, bytes) {
        Some(at) => Err(Fault {
            at,
            kind: FaultKind::NulByte,
        }),
        None => Ok(text),
    }
}

/// A place in a text.
pub(super) struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn fault(&self, kind: FaultKind) -> Fault {
        Fault {
            at: self.offset(),
            kind,
        }
    }

    pub(super) fn expected<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(self.fault(FaultKind::Syntax(what)))
    }

    pub(super) fn offset(&self) -> usize {
        self.text.len().saturating_sub(self.rest.len())
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    /// Goes on by so many bytes; the callers have seen that they are there and end with a whole character.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    pub(super) fn space(&mut self) {
        if !matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            return;
        }
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let blanks = self.rest.as_bytes().iter().take_while(blank).count();
        self.skip(blanks);
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.object(depth).map(Value::Object),
            Some(b'[') => self.array(depth).map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.expected("a value"),
        }
    }

    pub(super) fn word(&mut self, word: &'static str, value: Value) -> Result<Value, Fault> {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                Ok(value)
            }
            None => self.expected("a value"),
        }
    }

    pub(super) fn deeper(&self, depth: usize) -> Result<usize, Fault> {
        depth.checked_sub(1).ok_or_else(|| self.fault(FaultKind::Nesting))
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, Fault> {
        let depth = self.deeper(depth)?;
        let mut items = Vec::new();
        self.each_item(|reader| {
            items.push(reader.value(depth)?);
            Ok(())
        })?;
        Ok(items)
    }

    /// An array, of whose items each is read by `item`.
    #[inline]
    pub(super) fn each_item(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.skip(1);
        self.space();
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.space();
            item(self)?;
            self.space();
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return self.expected("`,` or `]`");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object, Fault> {
        let depth = self.deeper(depth)?;
        let duplicate = self.fault(FaultKind::DuplicateKey);
        let mut members = Vec::new();
        self.each_member(|reader| {
            let key = reader.string()?;
            reader.colon()?;
            members.push((key, reader.value(depth)?));
            Ok(())
        })?;
        if has_duplicates(&members) {
            Err(duplicate)
        } else {
            Ok(Object(members))
        }
    }

    /// An object, of whose members each is read by `member`, from the quote on with which its key begins.
    #[inline]
    pub(super) fn each_member(
        &mut self,
        mut member: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.skip(1);
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return self.expected("a key in quotes");
            }
            member(self)?;
            self.space();
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return self.expected("`,` or `}`");
            }
        }
    }

    /// What stands between a key and its value.
    pub(super) fn colon(&mut self) -> Result<(), Fault> {
        self.space();
        if !self.eat(b':') {
            return self.expected("`:`");
        }
        self.space();
        Ok(())
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.skip(1);
        }
        found
    }

    pub(super) fn string(&mut self) -> Result<String, Fault> {
        self.skip(1);
        let plain = self.plain();
        if self.eat(b'"') {
            return Ok(plain.to_owned());
        }
        self.escaped(plain)
    }

    /// The bytes up to the next quote, backslash or control character.
    pub(super) fn plain(&mut self) -> &'a str {
        let length = text::plain_prefix(self.rest.as_bytes());
        // A boundary: the text is UTF-8, and what follows is ASCII or the end.
        let (plain, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        plain
    }

    /// Goes on with a string that has escapes, or isn't one.
    fn escaped(&mut self, begin: &str) -> Result<String, Fault> {
        let mut string = begin.to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.skip(1);
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => return self.expected("no raw control character in a string"),
                None => return self.expected("the end of a string"),
            }
            string.push_str(self.plain());
        }
    }

    pub(super) fn escape(&mut self) -> Result<char, Fault> {
        match text::unescape(self.rest.as_bytes().get(1..).unwrap_or_default()) {
            Escape::Char(character, length) => {
                self.skip(length.saturating_add(1));
                Ok(character)
            }
            Escape::LoneSurrogate => Err(self.fault(FaultKind::LoneSurrogate)),
            Escape::Unknown => self.expected("an escape of JSON"),
        }
    }

    fn number(&mut self) -> Result<Number, Fault> {
        self.spelling().map(Number::new)
    }

    /// A number (RFC 8259 §6): `-`, digits without a leading zero, a fraction, an exponent.
    pub(super) fn spelling(&mut self) -> Result<&'a str, Fault> {
        let (start, begin) = (self.rest, self.fault(FaultKind::NumberRange));
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let length = start.len().saturating_sub(self.rest.len());
        let spelling = start.get(..length).unwrap_or_default();
        if number::reads_alike(spelling) {
            Ok(spelling)
        } else {
            Err(begin)
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return self.expected("a digit");
        }
        self.skip(count);
        Ok(())
    }
}

/// Keys are compared unescaped. Large objects go through a hash set with a random key, so 40,000 keys cost 40,000
/// steps whoever chose them.
pub(super) fn has_duplicates<T>(members: &[(String, T)]) -> bool {
    if members.len() > FEW {
        let mut seen = HashSet::with_capacity(members.len());
        return !members.iter().all(|(key, _)| seen.insert(key.as_str()));
    }
    let mut rest = members;
    while let Some(((key, _), others)) = rest.split_first() {
        if others.iter().any(|(other, _)| other == key) {
            return true;
        }
        rest = others;
    }
    false
}
