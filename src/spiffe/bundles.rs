//! The bundles that hold now, by trust domain: sources write, whoever verifies reads without waiting.
//!
//! Every trust domain has one source, so that no source can speak for another's domain: those that are assigned one
//! take it from there alone, all others from the Workload API. What a source said last holds until the source says
//! otherwise, or until it was confirmed too long ago.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::bundle::{Bundle, JwtAuthority, X509Authority};
use super::id::TrustDomain;

/// Where a trust domain's bundle comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The Workload API: our own trust domain and those it federates with.
    WorkloadApi,
    /// A file.
    File,
    /// A bundle endpoint that is authenticated by Web PKI.
    HttpsWeb,
    /// A bundle endpoint that is authenticated by its X.509-SVID.
    HttpsSpiffe,
}

/// What authorities are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// X.509-SVIDs.
    X509,
    /// JWT-SVIDs.
    Jwt,
}

/// Since when a source is known to still say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It would have told otherwise at once: its stream is open.
    Live,
    /// It said so then.
    Confirmed(Instant),
}

/// Why there is nothing to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BundleUnavailable {
    /// Nobody told of such a trust domain.
    #[error("no bundle of the trust domain is known")]
    Unknown,
    /// The source couldn't be asked for too long.
    #[error("the bundle of the trust domain was confirmed too long ago")]
    Stale,
}

/// How a bundle fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleStatus {
    /// Whose.
    pub trust_domain: TrustDomain,
    /// For what.
    pub kind: Kind,
    /// From where.
    pub source: Source,
    /// How many authorities it has.
    pub authorities: usize,
    /// For how long it hasn't been confirmed.
    pub age: Duration,
    /// Whether it is still verified with.
    pub usable: bool,
}

/// The live view.
#[derive(Debug)]
pub struct Bundles {
    view: ArcSwap<View>,
    assigned: HashMap<TrustDomain, Source>,
    max_age: Duration,
    /// Whoever writes; readers never wait.
    writing: Mutex<()>,
    told: watch::Sender<u64>,
}

#[derive(Debug, Clone, Default)]
struct View {
    generation: u64,
    x509: HashMap<TrustDomain, Entry<X509Authority>>,
    jwt: HashMap<TrustDomain, Entry<JwtAuthority>>,
}

#[derive(Debug)]
struct Entry<T> {
    authorities: Arc<[T]>,
    source: Source,
    freshness: Freshness,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            authorities: Arc::clone(&self.authorities),
            source: self.source,
            freshness: self.freshness,
        }
    }
}

impl Bundles {
    /// No bundles yet. `assigned` are the trust domains that have a source other than the Workload API; a bundle that
    /// wasn't confirmed for `max_age` isn't verified with any more.
    pub fn new(assigned: impl IntoIterator<Item = (TrustDomain, Source)>, max_age: Duration) -> Self {
        Self {
            view: ArcSwap::default(),
            assigned: assigned.into_iter().collect(),
            max_age,
            writing: Mutex::new(()),
            told: watch::Sender::new(0),
        }
    }

    /// What X.509-SVIDs of a trust domain are verified with. Their own dates are for the caller to look at.
    ///
    /// # Errors
    /// [`BundleUnavailable`].
    pub fn x509(&self, trust_domain: &str, now: Instant) -> Result<Arc<[X509Authority]>, BundleUnavailable> {
        find(&self.view.load().x509, trust_domain, now, self.max_age)
    }

    /// What JWT-SVIDs of a trust domain are verified with.
    ///
    /// # Errors
    /// [`BundleUnavailable`].
    pub fn jwt(&self, trust_domain: &str, now: Instant) -> Result<Arc<[JwtAuthority]>, BundleUnavailable> {
        find(&self.view.load().jwt, trust_domain, now, self.max_age)
    }

    /// Grows whenever authorities came, changed or went (and not when they were merely confirmed): who remembers what
    /// was verified, remembers it for one generation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.view.load().generation
    }

    /// Tells of each new generation.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// A source's word on one trust domain, of both kinds. Ignored unless the domain is this source's.
    pub fn put(&self, trust_domain: &TrustDomain, bundle: &Bundle, source: Source, freshness: Freshness) {
        self.edit(|view| {
            if self.source_of(trust_domain) != source {
                return false;
            }
            let x509 = put(&mut view.x509, trust_domain, &bundle.x509, source, freshness);
            let jwt = put(&mut view.jwt, trust_domain, &bundle.jwt, source, freshness);
            x509 || jwt
        });
    }

    /// A source's whole word on X.509 authorities: domains of this source that aren't in it are gone.
    pub fn replace_x509(
        &self,
        all: &BTreeMap<TrustDomain, Vec<X509Authority>>,
        source: Source,
        freshness: Freshness,
    ) {
        self.edit(|view| self.replace(&mut view.x509, all, source, freshness));
    }

    /// A source's whole word on JWT authorities: domains of this source that aren't in it are gone.
    pub fn replace_jwt(
        &self,
        all: &BTreeMap<TrustDomain, Vec<JwtAuthority>>,
        source: Source,
        freshness: Freshness,
    ) {
        self.edit(|view| self.replace(&mut view.jwt, all, source, freshness));
    }

    /// A source whose word was live can't be heard any more: what it said last ages from now on.
    pub fn no_longer_live(&self, source: Source, kind: Kind, now: Instant) {
        self.edit(|view| {
            match kind {
                Kind::X509 => end_live(&mut view.x509, source, now),
                Kind::Jwt => end_live(&mut view.jwt, source, now),
            }
            false
        });
    }

    /// How every bundle fares, by trust domain and kind.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<BundleStatus> {
        let view = self.view.load();
        let x509 = view
            .x509
            .iter()
            .map(|(domain, entry)| self.fares(domain, entry, Kind::X509, now));
        let jwt = view
            .jwt
            .iter()
            .map(|(domain, entry)| self.fares(domain, entry, Kind::Jwt, now));
        let mut all: Vec<_> = x509.chain(jwt).collect();
        all.sort_by(|one, other| (&one.trust_domain, one.kind).cmp(&(&other.trust_domain, other.kind)));
        all
    }

    fn fares<T>(&self, domain: &TrustDomain, entry: &Entry<T>, kind: Kind, now: Instant) -> BundleStatus {
        let age = age(entry.freshness, now);
        BundleStatus {
            trust_domain: domain.clone(),
            kind,
            source: entry.source,
            authorities: entry.authorities.len(),
            age,
            usable: age <= self.max_age,
        }
    }

    fn source_of(&self, trust_domain: &TrustDomain) -> Source {
        self.assigned
            .get(trust_domain)
            .copied()
            .unwrap_or(Source::WorkloadApi)
    }

    fn replace<T: Clone + PartialEq>(
        &self,
        entries: &mut HashMap<TrustDomain, Entry<T>>,
        all: &BTreeMap<TrustDomain, Vec<T>>,
        source: Source,
        freshness: Freshness,
    ) -> bool {
        let before = entries.len();
        entries.retain(|domain, entry| entry.source != source || all.contains_key(domain));
        let mut changed = entries.len() != before;
        for (domain, authorities) in all {
            if self.source_of(domain) == source {
                changed |= put(entries, domain, authorities, source, freshness);
            }
        }
        changed
    }

    fn edit(&self, change: impl FnOnce(&mut View) -> bool) {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut view = View::clone(&self.view.load());
        let changed = change(&mut view);
        if changed {
            view.generation = view.generation.wrapping_add(1);
        }
        let generation = view.generation;
        self.view.store(Arc::new(view));
        if changed {
            self.told.send_replace(generation);
        }
    }
}

fn find<T>(
    entries: &HashMap<TrustDomain, Entry<T>>,
    trust_domain: &str,
    now: Instant,
    max_age: Duration,
) -> Result<Arc<[T]>, BundleUnavailable> {
    let entry = entries.get(trust_domain).ok_or(BundleUnavailable::Unknown)?;
    if age(entry.freshness, now) > max_age {
        return Err(BundleUnavailable::Stale);
    }
    Ok(Arc::clone(&entry.authorities))
}

fn put<T: Clone + PartialEq>(
    entries: &mut HashMap<TrustDomain, Entry<T>>,
    trust_domain: &TrustDomain,
    authorities: &[T],
    source: Source,
    freshness: Freshness,
) -> bool {
    if let Some(entry) = entries.get_mut(trust_domain)
        && *entry.authorities == *authorities
    {
        entry.freshness = freshness;
        return false;
    }
    let authorities = authorities.into();
    let entry = Entry {
        authorities,
        source,
        freshness,
    };
    entries.insert(trust_domain.clone(), entry);
    true
}

fn end_live<T>(entries: &mut HashMap<TrustDomain, Entry<T>>, source: Source, now: Instant) {
    for entry in entries.values_mut() {
        if entry.source == source && entry.freshness == Freshness::Live {
            entry.freshness = Freshness::Confirmed(now);
        }
    }
}

fn age(freshness: Freshness, now: Instant) -> Duration {
    match freshness {
        Freshness::Live => Duration::ZERO,
        Freshness::Confirmed(at) => now.saturating_duration_since(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn domain(name: &str) -> TrustDomain {
        TrustDomain::parse(name).unwrap()
    }

    fn keys(names: &[&str]) -> Vec<JwtAuthority> {
        let keys: Vec<_> = names
            .iter()
            .map(|kid| serde_json::json!({"kty": "EC", "kid": kid}))
            .collect();
        super::super::bundle::jwt_authorities(serde_json::json!({ "keys": keys }).to_string().as_bytes())
            .unwrap()
    }

    fn kids(bundles: &Bundles, domain: &str, now: Instant) -> Result<Vec<String>, BundleUnavailable> {
        let keys = bundles.jwt(domain, now)?;
        Ok(keys.iter().map(|key| key.kid().to_owned()).collect())
    }

    #[test]
    fn the_workload_api_speaks_for_all_domains_but_those_with_a_source_of_their_own() {
        let bundles = Bundles::new([(domain("file.test"), Source::File)], DAY);
        let now = crate::clock::instant();
        let all = BTreeMap::from([
            (domain("own.test"), keys(&["a"])),
            (domain("file.test"), keys(&["forged"])),
        ]);
        bundles.replace_jwt(&all, Source::WorkloadApi, Freshness::Live);
        assert_eq!(kids(&bundles, "own.test", now).unwrap(), ["a"]);
        assert_eq!(kids(&bundles, "file.test", now), Err(BundleUnavailable::Unknown));

        let bundle = Bundle {
            jwt: keys(&["b"]),
            ..Bundle::default()
        };
        bundles.put(
            &domain("file.test"),
            &bundle,
            Source::File,
            Freshness::Confirmed(now),
        );
        bundles.put(
            &domain("own.test"),
            &bundle,
            Source::File,
            Freshness::Confirmed(now),
        );
        assert_eq!(kids(&bundles, "own.test", now).unwrap(), ["a"]);
        assert_eq!(kids(&bundles, "file.test", now).unwrap(), ["b"]);

        // Silence on a domain withdraws it, but not what others say.
        bundles.replace_jwt(&BTreeMap::new(), Source::WorkloadApi, Freshness::Live);
        assert_eq!(kids(&bundles, "own.test", now), Err(BundleUnavailable::Unknown));
        assert_eq!(kids(&bundles, "file.test", now).unwrap(), ["b"]);
    }

    #[test]
    fn the_generation_grows_with_each_change_and_with_nothing_else() {
        let bundles = Bundles::new([], DAY);
        let now = crate::clock::instant();
        let all = |names: &[&str]| BTreeMap::from([(domain("own.test"), keys(names))]);
        let mut told = bundles.subscribe();
        for (names, generation) in [(&["a"][..], 1), (&["a"], 1), (&["a", "b"], 2), (&["b"], 3)] {
            bundles.replace_jwt(&all(names), Source::WorkloadApi, Freshness::Live);
            assert_eq!(bundles.generation(), generation, "{names:?}");
        }
        bundles.no_longer_live(Source::WorkloadApi, Kind::Jwt, now);
        assert_eq!(*told.borrow_and_update(), 3);
        bundles.replace_jwt(&BTreeMap::new(), Source::WorkloadApi, Freshness::Live);
        assert_eq!(bundles.generation(), 4);
    }

    #[test]
    fn a_bundle_ages_once_its_source_is_silent_and_is_not_used_for_ever() {
        let bundles = Bundles::new([], DAY);
        let start = crate::clock::instant();
        let all = BTreeMap::from([(domain("own.test"), keys(&["a"]))]);
        bundles.replace_jwt(&all, Source::WorkloadApi, Freshness::Live);
        let lost = start + DAY * 7;
        assert!(
            kids(&bundles, "own.test", lost).is_ok(),
            "an open stream doesn't age"
        );
        bundles.no_longer_live(Source::WorkloadApi, Kind::X509, lost);
        assert!(
            kids(&bundles, "own.test", lost + DAY * 2).is_ok(),
            "another stream's end"
        );
        bundles.no_longer_live(Source::WorkloadApi, Kind::Jwt, lost);
        assert!(kids(&bundles, "own.test", lost + DAY).is_ok());
        let late = lost + DAY + Duration::from_secs(1);
        assert_eq!(kids(&bundles, "own.test", late), Err(BundleUnavailable::Stale));
        let [status] = &bundles.status(late)[..] else {
            panic!("one bundle");
        };
        assert!(!status.usable && status.age > DAY && status.kind == Kind::Jwt);
        bundles.replace_jwt(&all, Source::WorkloadApi, Freshness::Live);
        assert!(kids(&bundles, "own.test", late).is_ok());
    }
}
