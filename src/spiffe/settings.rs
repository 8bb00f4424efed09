//! What the configuration says of trust domains and of where their bundles come from.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A trust domain whose workloads may call: its name alone, or `{name, bundle}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustDomain {
    /// For instance `mcp-identity.local`.
    pub name: String,
    /// Where the keys come from that its JWT-SVIDs are verified with. `None`: its workloads are known by the certificates
    /// that a gateway vouches for, and by nothing else.
    pub bundle: Option<BundleSource>,
}

/// Where a trust domain's bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BundleSource {
    /// A file in the SPIFFE bundle format, looked at again every `file_interval`.
    File(PathBuf),
    /// A bundle endpoint whose certificate is of the Web PKI.
    HttpsWeb(HttpsWeb),
    /// A bundle endpoint that shows its X.509-SVID.
    HttpsSpiffe(HttpsSpiffe),
    /// The Workload API: our own trust domain, or one that it federates with.
    WorkloadApi,
}

/// A bundle endpoint with the profile `https_web` (SPIFFE Federation §5.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpsWeb {
    /// Where.
    pub url: String,
    /// PEM file of the only certificate authorities believed. Default: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// A bundle endpoint with the profile `https_spiffe` (SPIFFE Federation §5.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpsSpiffe {
    /// Where; its host name is no part of who it is.
    pub url: String,
    /// The SPIFFE ID that it must show, for instance `spiffe://partner.example/spire/server`.
    pub endpoint_id: String,
    /// A file in the SPIFFE bundle format by which the endpoint is known the first time. Needed where the endpoint is of
    /// the trust domain whose bundle it serves; otherwise that of its own trust domain, which must be configured, serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<PathBuf>,
}

/// How often bundles are asked for, and how long one serves that can't be had again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Refresh {
    /// How often an endpoint is asked whose bundle doesn't say (`spiffe_refresh_hint`). Default: `5m`.
    #[serde(with = "required")]
    pub interval: Duration,
    /// An endpoint is asked no more often, whatever its bundle says. Default: `30s`.
    #[serde(with = "required")]
    pub min_interval: Duration,
    /// And no less often. Default: `1h`.
    #[serde(with = "required")]
    pub max_interval: Duration,
    /// How often files are looked at. Default: `5s`.
    #[serde(with = "required")]
    pub file_interval: Duration,
    /// How long fetching may take. Default: `5s`.
    #[serde(with = "required")]
    pub timeout: Duration,
    /// How long a bundle serves whose source can't be asked. Default: `24h`.
    #[serde(with = "required")]
    pub max_age: Duration,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(5),
            min_interval: Duration::from_secs(30),
            max_interval: Duration::from_hours(1),
            file_interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            max_age: Duration::from_hours(24),
        }
    }
}

impl Refresh {
    /// What contradicts itself.
    #[must_use]
    pub fn unsound(&self) -> Option<&'static str> {
        let all = [
            self.interval,
            self.min_interval,
            self.max_interval,
            self.file_interval,
            self.timeout,
            self.max_age,
        ];
        if all.contains(&Duration::ZERO) {
            return Some("each time must be more than 0");
        }
        (self.min_interval > self.max_interval).then_some("`min_interval` is longer than `max_interval`")
    }
}

impl TrustDomain {
    /// A trust domain by its name alone.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            bundle: None,
        }
    }
}

/// The long form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bundle: Option<BundleSource>,
}

impl Serialize for TrustDomain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.bundle {
            None => serializer.serialize_str(&self.name),
            bundle => Whole {
                name: self.name.clone(),
                bundle: bundle.clone(),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TrustDomain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DomainVisitor)
    }
}

struct DomainVisitor;

impl<'de> de::Visitor<'de> for DomainVisitor {
    type Value = TrustDomain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a trust domain, or `{name: …, bundle: …}`")
    }

    fn visit_str<E>(self, name: &str) -> Result<TrustDomain, E> {
        Ok(TrustDomain::named(name))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<TrustDomain, A::Error> {
        let Whole { name, bundle } = Whole::deserialize(MapAccessDeserializer::new(map))?;
        Ok(TrustDomain { name, bundle })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_trust_domain_by_its_name_or_with_its_bundles_source() {
        let web = |ca_file: Option<&str>| {
            BundleSource::HttpsWeb(HttpsWeb {
                url: "https://b.test/x".to_owned(),
                ca_file: ca_file.map(PathBuf::from),
            })
        };
        let spiffe = BundleSource::HttpsSpiffe(HttpsSpiffe {
            url: "https://b.test/x".to_owned(),
            endpoint_id: "spiffe://b.test/server".to_owned(),
            bootstrap: Some("b.json".into()),
        });
        let cases = [
            ("b.test", None),
            ("{name: b.test}", None),
            (
                "{name: b.test, bundle: {file: b.json}}",
                Some(BundleSource::File("b.json".into())),
            ),
            (
                "{name: b.test, bundle: {https_web: {url: 'https://b.test/x'}}}",
                Some(web(None)),
            ),
            (
                "{name: b.test, bundle: {https_web: {url: 'https://b.test/x', ca_file: ca.pem}}}",
                Some(web(Some("ca.pem"))),
            ),
            (
                "{name: b.test, bundle: {https_spiffe: {url: 'https://b.test/x', \
                 endpoint_id: 'spiffe://b.test/server', bootstrap: b.json}}}",
                Some(spiffe),
            ),
            (
                "{name: b.test, bundle: workload_api}",
                Some(BundleSource::WorkloadApi),
            ),
        ];
        for (yaml, bundle) in cases {
            let read: TrustDomain = serde_saphyr::from_str(yaml).unwrap();
            assert_eq!((read.name.as_str(), &read.bundle), ("b.test", &bundle), "{yaml}");
            let written = serde_saphyr::to_string(&read).unwrap();
            assert_eq!(serde_saphyr::from_str::<TrustDomain>(&written).unwrap(), read);
        }
        for yaml in [
            "5",
            "[a]",
            "{bundle: {file: b}}",
            "{name: b, bundel: {file: b}}",
            "{name: b, bundle: spire}",
            "{name: b, bundle: {file: a, https_web: {url: b}}}",
        ] {
            assert!(serde_saphyr::from_str::<TrustDomain>(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn times_that_contradict_each_other_are_unsound() {
        assert_eq!(Refresh::default().unsound(), None);
        let zero = Refresh {
            timeout: Duration::ZERO,
            ..Refresh::default()
        };
        let crossed = Refresh {
            min_interval: Duration::from_hours(2),
            ..Refresh::default()
        };
        assert!(zero.unsound().is_some() && crossed.unsound().is_some());
    }
}
