//! Where in a token's claims something stands.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use super::IdentitySetupError;

/// The names of the members on the way to a claim, written `realm_access.roles`, with `\.` for a dot and `\\` for a
/// backslash in a name, or as a list of names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// A path of these names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// What stands there; `None` where nothing or `null` does.
    #[must_use]
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (last, parents) = self.0.split_last()?;
        let mut members = claims;
        for name in parents {
            members = members.get(name)?.as_object()?;
        }
        members.get(last).filter(|value| !value.is_null())
    }
}

impl std::str::FromStr for ClaimPath {
    type Err = IdentitySetupError;

    fn from_str(text: &str) -> Result<Self, IdentitySetupError> {
        let malformed = || IdentitySetupError::ClaimPath(text.to_owned());
        let mut names = vec![String::new()];
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            let char = match char {
                '.' => {
                    names.push(String::new());
                    continue;
                }
                '\\' => chars
                    .next()
                    .filter(|escaped| ['.', '\\'].contains(escaped))
                    .ok_or_else(malformed)?,
                other => other,
            };
            if let Some(name) = names.last_mut() {
                name.push(char);
            }
        }
        if names.iter().any(String::is_empty) {
            return Err(malformed());
        }
        Ok(Self(names))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&name.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

impl Serialize for ClaimPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClaimPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PathVisitor)
    }
}

struct PathVisitor;

impl<'de> de::Visitor<'de> for PathVisitor {
    type Value = ClaimPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a claim path such as `realm_access.roles`, or a list of names")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ClaimPath, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<ClaimPath, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element::<String>()? {
            names.push(name);
        }
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(de::Error::custom("a claim path needs names"));
        }
        Ok(ClaimPath(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dots_escapes_and_lists() {
        let cases = [
            ("groups", vec!["groups"]),
            ("realm_access.roles", vec!["realm_access", "roles"]),
            (r"https://acme\.example/roles", vec!["https://acme.example/roles"]),
            (r"a\\b.c", vec![r"a\b", "c"]),
        ];
        for (text, names) in cases {
            let path: ClaimPath = text.parse().unwrap();
            assert_eq!(path, ClaimPath::new(names), "{text}");
            assert_eq!(path.to_string(), text);
        }
        let list: ClaimPath = serde_json::from_str(r#"["resource_access","https://a.b/","roles"]"#).unwrap();
        assert_eq!(list, ClaimPath::new(["resource_access", "https://a.b/", "roles"]));
    }

    #[test]
    fn refuses_empty_names_and_unknown_escapes() {
        for text in ["", ".", "a.", ".a", "a..b", r"a\b", r"a\"] {
            assert!(text.parse::<ClaimPath>().is_err(), "{text}");
        }
    }
}
