//! Which servers there are, which tools each has, as approved, and the Cedar schema made from them.
//!
//! In: the policy directory's `tools/<server>.json` and `tools/<server>.overrides.yaml`. Out: an [`Inventory`], or every
//! [`Problem`]. At a call, a [`Tool`] says whether arguments fit its schema, and what Cedar sees of them.

pub mod accept;
pub mod approvals;
pub mod changes;
pub mod convert;
mod exact;
pub mod files;
pub mod headers;
mod instance;
mod load;
pub mod name;
mod normal;
pub mod operation;
mod overrides;
pub mod place;
pub mod problem;
pub mod route;
pub mod schema;
pub mod selection;
pub mod sender;
pub mod server;
pub mod shape;
#[cfg(test)]
mod testing;
pub mod tool;
pub mod unseen;
mod weight;

use std::collections::HashMap;
use std::path::Path;

pub use accept::ArgumentError;
pub use convert::Converted;
pub use files::Files;
pub use headers::{HeaderArgument, HeaderError};
pub use name::ServerName;
pub use operation::OperationKind;
pub use place::Place;
pub use problem::Problem;
pub use route::{RouteError, Routes};
pub use selection::Selection;
pub use sender::{Dpop, Nonces, SenderConstraint};
pub use server::{Denials, Disclosure, Requirement, Server};
pub use tool::Tool;
pub use unseen::{Unseen, Why};

/// The tools of every server, as approved.
#[derive(Debug, Default)]
pub struct Inventory {
    servers: Vec<ServerTools>,
    by_name: HashMap<ServerName, usize>,
}

/// The tools of one server, as approved.
#[derive(Debug)]
pub struct ServerTools {
    /// The server's name.
    pub name: ServerName,
    tools: Vec<Tool>,
    by_name: HashMap<String, usize>,
}

impl Inventory {
    /// Loads from a policy directory: its folder `tools`.
    ///
    /// # Errors
    /// Every problem found.
    pub fn load(policies: &Path) -> Result<Self, Vec<Problem>> {
        load::from_directory(policies)
    }

    /// Loads from a policy directory that has been read.
    ///
    /// # Errors
    /// Every problem found.
    pub fn from_files(files: &Files) -> Result<Self, Vec<Problem>> {
        load::from_files(files)
    }

    fn of(servers: HashMap<ServerName, ServerTools>) -> Self {
        let mut servers: Vec<ServerTools> = servers.into_values().collect();
        servers.sort_by(|left, right| left.name.cmp(&right.name));
        let by_name = servers
            .iter()
            .enumerate()
            .map(|(index, server)| (server.name.clone(), index));
        Self {
            by_name: by_name.collect(),
            servers,
        }
    }

    /// The tools of a server.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<&ServerTools> {
        self.servers.get(*self.by_name.get(name)?)
    }

    /// The servers in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &ServerTools> {
        self.servers.iter()
    }
}

impl ServerTools {
    fn of(name: ServerName, tools: Vec<Tool>, by_name: HashMap<String, usize>) -> Self {
        Self { name, tools, by_name }
    }

    /// The tool of exactly this name, byte for byte.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(*self.by_name.get(name)?)
    }

    /// The tools in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter()
    }
}
