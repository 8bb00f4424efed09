//! Where in the arguments of a call a value stands. Names only, never values.

use std::fmt;
use std::sync::Arc;

/// A place under `context.arguments` that a call fills and Cedar doesn't see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    path: Vec<Arc<str>>,
    /// Not the place itself but members of it other than these, which the Cedar type has (sorted).
    rest: Option<Arc<[Arc<str>]>>,
}

impl Place {
    /// The place at a path of member names, outermost first; the empty path is `arguments` itself.
    pub fn at(path: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        Self {
            path: path.into_iter().map(Into::into).collect(),
            rest: None,
        }
    }

    /// Members of the record at a path, too many to be named one by one, but none of the `known` (sorted) ones.
    pub(crate) fn rest_of(path: &[Arc<str>], known: &Arc<[Arc<str>]>) -> Self {
        Self {
            path: path.to_vec(),
            rest: Some(Arc::clone(known)),
        }
    }

    /// The member names, outermost first.
    #[must_use]
    pub fn path(&self) -> &[Arc<str>] {
        &self.path
    }

    /// Whether an expression that reads `read` (a path of member names under `context.arguments`, as deep as the
    /// expression goes; `has` is a reading of what it asks for) reads this place, or something above or below it.
    ///
    /// Using a whole record reads all of it, so `read` above the place counts; so does `read` below it.
    pub fn is_read_by<S: AsRef<str>>(&self, read: &[S]) -> bool {
        let common = self
            .path
            .iter()
            .zip(read)
            .take_while(|(own, other)| own.as_ref() == other.as_ref())
            .count();
        let Some(known) = &self.rest else {
            return common == self.path.len() || common == read.len();
        };
        match read.get(self.path.len()) {
            None => common == read.len(),
            Some(member) => {
                common == self.path.len()
                    && known
                        .binary_search_by(|name| name.as_ref().cmp(member.as_ref()))
                        .is_err()
            }
        }
    }

    /// Whether this stands for members that were too many to name.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        self.rest.is_some()
    }
}

/// As an author writes it: `location.latitude`; `arguments` for all of them.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str("arguments")?;
        }
        for (index, segment) in self.path.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            if is_identifier(segment) {
                write!(f, "{dot}{segment}")?;
            } else {
                write!(f, "[{segment:?}]")?;
            }
        }
        if self.rest.is_some() {
            f.write_str(".*")?;
        }
        Ok(())
    }
}

fn is_identifier(segment: &str) -> bool {
    segment
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && segment
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_above_from_below_and_by_itself_but_not_from_beside() {
        let place = Place::at(["location", "latitude"]);
        for (read, expected) in [
            (&["location", "latitude"][..], true),
            (&["location"], true),
            (&[], true),
            (&["location", "latitude", "degrees"], true),
            (&["location", "name"], false),
            (&["namespace"], false),
        ] {
            assert_eq!(place.is_read_by(read), expected, "{read:?}");
        }
        let rest = Place::rest_of(
            &["location".into()],
            &vec!["latitude".into(), "name".into()].into(),
        );
        assert!(rest.is_read_by(&["location"]) && rest.is_read_by(&["location", "unheard"]));
        assert!(!rest.is_read_by(&["location", "name"]) && !rest.is_read_by(&["namespace"]));
        assert_eq!(rest.to_string(), "location.*");
        assert_eq!(place.to_string(), "location.latitude");
        assert_eq!(Place::at(["a b", "c"]).to_string(), "[\"a b\"].c");
        assert_eq!(Place::at([""; 0]).to_string(), "arguments");
    }
}
