//! Header fields, looked up by lower-case name.

/// The header fields of a request.
///
/// Gateways send names in lower case and join repeated fields with `,`; a raw header map can still hold a name
/// twice. Both are kept apart from a single value: see [`Headers::single`].
///
/// All names stand in one text and all values in another, one after the other: a request has twenty, and brings no more
/// allocations than one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    names: String,
    values: Vec<u8>,
    ends: Vec<Ends>,
    /// How long the names are: a bit for each length. Every request is looked through for thirty names, and most aren't there.
    lengths: u64,
}

/// Where a field's name and value end; they begin where those before them end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ends {
    name: usize,
    value: usize,
}

/// Why a header that must occur once has no usable value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSingle {
    /// The field occurs more than once.
    Repeated,
    /// The value isn't UTF-8.
    NotText,
}

impl Headers {
    /// Adds a field; the name is lower-cased.
    pub fn push(&mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) {
        if self.ends.is_empty() {
            // As many as a usual request has.
            self.ends.reserve(24);
            self.names.reserve(512);
            self.values.reserve(2048);
        }
        let begin = self.names.len();
        self.names.push_str(name.as_ref());
        if let Some(name) = self.names.get_mut(begin..) {
            name.make_ascii_lowercase();
        }
        self.values.extend_from_slice(value.as_ref());
        self.lengths |= length_bit(self.names.len().saturating_sub(begin));
        self.ends.push(Ends {
            name: self.names.len(),
            value: self.values.len(),
        });
    }

    /// Every value of a field, as raw bytes. `name` is lower-case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let (names, name) = (self.names.as_bytes(), name.as_bytes());
        let mut begin = Ends::default();
        let as_long = self.lengths & length_bit(name.len()) != 0;
        let looked_through = if as_long { &*self.ends } else { &[] };
        looked_through.iter().filter_map(move |end| {
            let from = std::mem::replace(&mut begin, *end);
            let same = end.name.checked_sub(from.name) == Some(name.len())
                && names.get(from.name..end.name) == Some(name);
            same.then(|| self.values.get(from.value..end.value).unwrap_or_default())
        })
    }

    /// The one value of a field, `None` if the field is absent. A gateway may have joined repeated fields with
    /// `,`: whoever reads a field whose syntax has no comma must refuse one.
    ///
    /// # Errors
    /// [`NotSingle`] if the field occurs twice or isn't text.
    pub fn single<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, NotSingle> {
        let mut values = self.values(name);
        let Some(first) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(NotSingle::Repeated);
        }
        std::str::from_utf8(first)
            .map(Some)
            .map_err(|_| NotSingle::NotText)
    }

    /// The value of a field that may be shown or logged: the first, if it is text.
    #[must_use]
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name)
            .next()
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether the field is there at all.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// All fields, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut begin = Ends::default();
        self.ends.iter().map(move |end| {
            // Each is within its text, at the end of what was pushed.
            let name = self.names.get(begin.name..end.name).unwrap_or_default();
            let value = self.values.get(begin.value..end.value).unwrap_or_default();
            begin = *end;
            (name, value)
        })
    }
}

/// Of lengths from 63 on, the last.
fn length_bit(length: usize) -> u64 {
    1_u64 << length.min(63)
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(fields: T) -> Self {
        let mut headers = Self::default();
        for (name, value) in fields {
            headers.push(name, value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_its_own_whatever_stands_beside_it() {
        let fields: [(&str, &[u8]); 5] = [
            ("a", b"1"),
            ("", b"nameless"),
            ("AB", b""),
            ("a", b"\xff\x00"),
            ("\u{e4}\u{c4}", "\u{e4}".as_bytes()),
        ];
        let headers: Headers = fields.into_iter().collect();
        let found: Vec<_> = headers.iter().collect();
        assert_eq!(
            found,
            [
                ("a", &b"1"[..]),
                ("", b"nameless"),
                ("ab", b""),
                ("a", b"\xff\x00"),
                ("\u{e4}\u{c4}", "\u{e4}".as_bytes()),
            ]
        );
        assert_eq!(headers.values("a").collect::<Vec<_>>(), [&b"1"[..], b"\xff\x00"]);
        assert_eq!((headers.contains("ab"), headers.contains("b")), (true, false));
    }

    #[test]
    fn a_field_is_found_however_long_its_name_is() {
        let name = |length: usize| "n".repeat(length);
        let some: Headers = (0..200).step_by(2).map(|length| (name(length), "")).collect();
        for length in 0..200 {
            assert_eq!(some.contains(&name(length)), length % 2 == 0, "{length}");
        }
        let long: Headers = [(name(70), "")].into_iter().collect();
        assert_eq!(
            (long.contains(&name(70)), long.contains(&name(71))),
            (true, false)
        );
    }

    #[test]
    fn a_repeated_field_is_not_single() {
        let headers: Headers = [("Authorization", "Bearer a"), ("authorization", "Bearer b")]
            .into_iter()
            .collect();
        assert_eq!(headers.single("authorization"), Err(NotSingle::Repeated));
        assert_eq!(headers.single("host"), Ok(None));
    }
}
