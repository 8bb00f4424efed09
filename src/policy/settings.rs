//! Which directory the policies come from, how often it is looked at, and how much of what they said is remembered.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use serde::{Deserialize, Serialize};

/// Where policies come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The policy directory. Default `policies`.
    pub directory: PathBuf,
    /// A second, complete policy directory, which is asked beside the first on every call and decides nothing: what it would say is
    /// recorded and counted. Default none.
    pub shadow: Option<PathBuf>,
    /// Whether a change of its files is loaded while serving. Default true.
    pub reload: bool,
    /// How long nothing may change further before a changed directory is loaded. Default `100ms`.
    #[serde(with = "required")]
    pub settle: Duration,
    /// After how long a directory that goes on changing is loaded all the same. Default `1s`.
    #[serde(with = "required")]
    pub settle_at_most: Duration,
    /// Between looks at the directory, for changes that no notification tells of (network file systems); at least `1s`.
    /// Default `5s`.
    #[serde(with = "required")]
    pub poll_interval: Duration,
    /// How much memory verdicts take that were given before, so that the same question isn't put again. Default 8192 kilobytes.
    pub decision_cache: DecisionCache,
}

/// Whether verdicts are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum DecisionCache {
    /// In so many kilobytes.
    Kilobytes(NonZeroU32),
    /// Not: policies are asked anew for every call.
    Off,
}

const EXPECTED: &str = "`decision_cache` is a number of kilobytes, at least 1, or `off`";

/// How it is written. To some readers of YAML `off` is a boolean, to others a text.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`decision_cache` is a number of kilobytes, at least 1, or `off`"
)]
enum Written {
    Kilobytes(NonZeroU32),
    Switch(bool),
    Word(String),
}

impl TryFrom<Written> for DecisionCache {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Kilobytes(kilobytes) => Ok(Self::Kilobytes(kilobytes)),
            Written::Switch(false) => Ok(Self::Off),
            Written::Word(word) if word == "off" => Ok(Self::Off),
            Written::Switch(true) | Written::Word(_) => Err(EXPECTED),
        }
    }
}

impl From<DecisionCache> for Written {
    fn from(room: DecisionCache) -> Self {
        match room {
            DecisionCache::Kilobytes(kilobytes) => Self::Kilobytes(kilobytes),
            DecisionCache::Off => Self::Word("off".to_owned()),
        }
    }
}

impl DecisionCache {
    /// How many bytes there may be; `None` for none.
    #[must_use]
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Kilobytes(kilobytes) => Some(u64::from(kilobytes.get()).saturating_mul(1024)),
            Self::Off => None,
        }
    }
}

impl Default for DecisionCache {
    fn default() -> Self {
        NonZeroU32::new(8192).map_or(Self::Off, Self::Kilobytes)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("policies"),
            shadow: None,
            reload: true,
            settle: Duration::from_millis(100),
            settle_at_most: Duration::from_secs(1),
            poll_interval: Duration::from_secs(5),
            decision_cache: DecisionCache::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decision_cache_has_kilobytes_or_is_off() {
        let read =
            |text: &str| serde_saphyr::from_str::<Settings>(text).map(|settings| settings.decision_cache);
        let bytes = |text: &str| {
            read(text)
                .map(DecisionCache::bytes)
                .map_err(|error| error.to_string())
        };
        assert_eq!(bytes("{}"), Ok(Some(8 * 1024 * 1024)));
        assert_eq!(bytes("decision_cache: 1"), Ok(Some(1024)));
        assert_eq!(bytes("decision_cache: off"), Ok(None));
        assert_eq!(bytes("decision_cache: \"off\""), Ok(None));
        let written = serde_saphyr::to_string(&DecisionCache::Off).unwrap();
        assert_eq!(bytes(&format!("decision_cache: {written}")), Ok(None));
        for wrong in ["0", "-1", "on", "8 MB", "99999999999"] {
            let error = bytes(&format!("decision_cache: {wrong}")).unwrap_err();
            assert!(
                error.contains("a number of kilobytes, at least 1, or `off`"),
                "{error}"
            );
        }
    }
}
