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
        self.ends.push(Ends {
            name: self.names.len(),
            value: self.values.len(),
        });
    }

    /// Every value of a field, as raw bytes. `name` is lower-case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let (names, name) = (self.names.as_bytes(), name.as_bytes());
        let mut begin = Ends::default();
        self.ends.iter().filter_map(move |end| {
            let from = std::mem::replace(&mut begin, *end);
            // Every request is looked through for thirty names: the length says of most fields that they are others.
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
    fn a_repeated_field_is_not_single() {
        let headers: Headers = [("Authorization", "Bearer a"), ("authorization", "Bearer b")]
            .into_iter()
            .collect();
        assert_eq!(headers.single("authorization"), Err(NotSingle::Repeated));
        assert_eq!(headers.single("host"), Ok(None));
    }
}
