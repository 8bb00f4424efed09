//! What keys are called, and in which shard they are.
//!
//! A cluster keeps all keys with the same hash tag on one server. So what is remembered falls into shards with a tag each,
//! and each shard has a head of its own: it says since when that shard has forgotten nothing. A single server has one shard
//! and needs no tag.

use crate::state::Id;

/// Into how many shards a cluster's keys fall. Another number would be another state: what was used would be forgotten.
const SHARDS: usize = 16;

/// The shard of secrets and revocations, which are few.
pub(super) const COMMON: usize = 0;

/// The names of keys.
#[derive(Debug)]
pub(super) struct Keys {
    /// What the keys of each shard begin with.
    beginnings: Vec<String>,
}

impl Keys {
    pub(super) fn new(prefix: &str, cluster: bool) -> Self {
        let tagged = |shard| format!("{prefix}{{{shard}}}:");
        Self {
            beginnings: if cluster {
                (0..SHARDS).map(tagged).collect()
            } else {
                vec![prefix.to_owned()]
            },
        }
    }

    /// How many shards there are.
    pub(super) fn shards(&self) -> usize {
        self.beginnings.len()
    }

    /// The shard of an id. Ids are hashes: they spread evenly.
    pub(super) fn shard_of(&self, id: &Id) -> usize {
        let [first, ..] = id.0;
        usize::from(first).checked_rem(self.shards()).unwrap_or(COMMON)
    }

    /// A key of a shard.
    pub(super) fn name(&self, shard: usize, key: &str) -> String {
        let beginning = self.beginnings.get(shard).map_or("", String::as_str);
        format!("{beginning}{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_finds_the_keys_of_a_shard_by_its_tag_and_a_single_server_needs_none() {
        let single = Keys::new("mcp-authz:", false);
        assert_eq!(
            single.name(single.shard_of(&Id([7; 32])), "head"),
            "mcp-authz:head"
        );
        let cluster = Keys::new("mcp-authz:", true);
        assert_eq!(
            cluster.name(cluster.shard_of(&Id([23; 32])), "head"),
            "mcp-authz:{7}:head"
        );
        let mut used: Vec<usize> = (0..=255)
            .map(|first| cluster.shard_of(&Id([first; 32])))
            .collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), cluster.shards(), "each shard has its share");
    }
}
