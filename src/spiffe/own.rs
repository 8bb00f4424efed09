//! Our own X.509-SVID: what the Workload API gave last, in use for as long as it is valid.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;

use super::svid::X509Svid;

/// The SVID in use; replaced while connections are made.
#[derive(Debug, Default)]
pub struct OwnSvid(ArcSwapOption<X509Svid>);

/// Why we can't say who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoSvid {
    /// None was given yet, or it was withdrawn.
    #[error("there is no X.509-SVID of ours")]
    Missing,
    /// It wasn't renewed, or our clock is wrong.
    #[error("our X.509-SVID is not valid now")]
    NotValidNow,
}

impl OwnSvid {
    /// The SVID, if it is valid now.
    ///
    /// # Errors
    /// [`NoSvid`].
    pub fn valid_at(&self, now: Timestamp) -> Result<Arc<X509Svid>, NoSvid> {
        let svid = self.0.load_full().ok_or(NoSvid::Missing)?;
        if svid.is_valid_at(now) {
            Ok(svid)
        } else {
            Err(NoSvid::NotValidNow)
        }
    }

    /// The SVID as it was given last, valid or not.
    #[must_use]
    pub fn last(&self) -> Option<Arc<X509Svid>> {
        self.0.load_full()
    }

    /// Takes another; says whether it is another certificate.
    pub fn replace(&self, svid: X509Svid) -> bool {
        let chain = Arc::clone(svid.certified());
        let before = self.0.swap(Some(Arc::new(svid)));
        before.is_none_or(|before| before.certified().cert != chain.cert)
    }

    /// From now on there is none; says whether there was one.
    pub fn withdraw(&self) -> bool {
        self.0.swap(None).is_some()
    }
}
