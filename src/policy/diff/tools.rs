//! What became of the servers' tools, in the words of `tools diff`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Side;
use crate::inventory::changes::{self, Fate, List, ToolChange};
use crate::inventory::{Problem, ServerName};

/// What became of a server's tools.
#[derive(Debug, Serialize)]
pub struct ServerChange {
    /// The server.
    pub server: String,
    /// Whether it came, went or has other tools.
    pub fate: Fate,
    /// Its tools that aren't the same.
    pub tools: Vec<ToolChange>,
}

/// The servers of both.
pub(super) fn servers(old: Side<'_>, new: Side<'_>) -> BTreeSet<ServerName> {
    names(old).into_iter().chain(names(new)).collect()
}

fn names(side: Side<'_>) -> BTreeSet<ServerName> {
    let servers = side.set.inventory().iter();
    servers.map(|server| server.name.clone()).collect()
}

/// Every server whose tools aren't the same.
pub(super) fn between(old: Side<'_>, new: Side<'_>) -> Result<Vec<ServerChange>, Problem> {
    let (before, after) = (names(old), names(new));
    let mut found = Vec::new();
    for server in before.union(&after) {
        let was = changes::definitions(old.files, server)?;
        let is = changes::definitions(new.files, server)?;
        let tools = changes::between(
            List::new(&was, old.set.inventory().server(server)),
            List::new(&is, new.set.inventory().server(server)),
        );
        let fate = match (before.contains(server), after.contains(server)) {
            (false, _) => Fate::Added,
            (true, false) => Fate::Removed,
            (true, true) => Fate::Changed,
        };
        if fate != Fate::Changed || !tools.is_empty() {
            found.push(ServerChange {
                server: server.to_string(),
                fate,
                tools,
            });
        }
    }
    Ok(found)
}
