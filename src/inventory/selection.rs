//! Which of a call's arguments somebody looks at.

use std::collections::BTreeMap;

/// The arguments that somebody looks at: all of them, or only what lies below some members. By default none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The value as a whole.
    Whole,
    /// Of a record these members, by name, and of each this much. Of the record itself, that it is there.
    Members(BTreeMap<Box<str>, Selection>),
}

impl Default for Selection {
    fn default() -> Self {
        Self::Members(BTreeMap::new())
    }
}

impl Selection {
    /// Adds what lies at a path of member names, outermost first; the empty path is all.
    pub fn add<S: AsRef<str>>(&mut self, path: &[S]) {
        match (path.split_first(), self) {
            (_, Self::Whole) => {}
            (None, selection) => *selection = Self::Whole,
            (Some((first, rest)), Self::Members(members)) => {
                members.entry(first.as_ref().into()).or_default().add(rest);
            }
        }
    }

    /// Adds what another one selects.
    pub fn also(&mut self, other: &Self) {
        match (self, other) {
            (Self::Whole, _) => {}
            (selection, Self::Whole) => *selection = Self::Whole,
            (Self::Members(own), Self::Members(others)) => {
                for (name, other) in others {
                    own.entry(name.clone()).or_default().also(other);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&[&str]]) -> Selection {
        let mut selection = Selection::default();
        for path in paths {
            selection.add(path);
        }
        selection
    }

    #[test]
    fn a_whole_takes_in_its_parts_whichever_came_first() {
        let whole = of(&[&["a"]]);
        assert_eq!(of(&[&["a"], &["a", "b"]]), whole);
        assert_eq!(of(&[&["a", "b"], &["a"]]), whole);
        assert_eq!(of(&[&["a", "b"], &[]]), Selection::Whole);
        assert_ne!(of(&[&["a", "b"]]), whole);
    }

    #[test]
    fn two_selections_together_are_what_their_paths_are_together() {
        let cases: [[&[&[&str]]; 2]; 4] = [
            [&[&["a", "b"]], &[&["a", "c"], &["d"]]],
            [&[&["a", "b"]], &[&["a"]]],
            [&[], &[&["a", "b"]]],
            [&[&["a"]], &[&[]]],
        ];
        for [one, other] in cases {
            let mut together = of(one);
            together.also(&of(other));
            assert_eq!(together, of(&[one, other].concat()), "{one:?} {other:?}");
        }
    }
}
