//! Header fields, looked up by lower-case name.

/// The header fields of a request.
///
/// Gateways send names in lower case and join repeated fields with `,`; a raw header map can still hold a name
/// twice. Both are kept apart from a single value: see [`Headers::single`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

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
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        let mut name = name.into();
        name.make_ascii_lowercase();
        self.0.push((name, value.into()));
    }

    /// Every value of a field, as raw bytes. `name` is lower-case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_slice())
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
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl<N: AsRef<str>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(fields: T) -> Self {
        let mut headers = Self::default();
        for (name, value) in fields {
            headers.push(name.as_ref(), value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_field_is_not_single() {
        let headers: Headers = [("Authorization", "Bearer a"), ("authorization", "Bearer b")]
            .into_iter()
            .collect();
        assert_eq!(headers.single("authorization"), Err(NotSingle::Repeated));
        assert_eq!(headers.single("host"), Ok(None));
    }
}
