//! One YAML file and the environment, to settings that can't be wrong.
//!
//! In: the text of a file, and environment variables ([`environment`]). Out: a [`Config`] composed of every stage's
//! own settings, or every [`ConfigProblem`] with its place. Refused: keys that nobody reads, values of another type,
//! and settings that contradict each other ([`check`]).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::audit::AuditSettings;
use crate::inventory::Server;
use crate::telemetry::{HttpSettings, LogSettings};
use crate::{identity, mcp, policy, revocation, spiffe, state, wire};

mod check;
mod deserialize;
mod environment;
mod fault;
mod problem;
mod read;
mod tree;
mod workload_api;

pub use problem::ConfigProblem;

use problem::{File, Problem};
use tree::{Node, Place};

const NAME_THE_FILE: &str = "name the file with `--config`, or `MCP_AUTHZ_CONFIG`";

/// The whole configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where gateways ask.
    pub grpc: wire::Settings,
    /// Where health and metrics are served.
    pub http: HttpSettings,
    /// The SPIFFE Workload API of this machine.
    pub workload_api: spiffe::workload_api::Settings,
    /// The MCP servers behind the gateways. At least one.
    pub servers: Vec<Server>,
    /// Whom to believe, and about what.
    pub identity: identity::Settings,
    /// Where policies come from.
    pub policies: policy::Settings,
    /// What replicas share, and how much of it there may be.
    pub state: state::Settings,
    /// Where issuers and operators say what is revoked.
    pub revocation: revocation::Settings,
    /// How large and deep a message may be.
    pub messages: mcp::Limits,
    /// Where decisions are recorded, and how much of them.
    pub audit: AuditSettings,
    /// The program's own log.
    pub log: LogSettings,
}

impl Config {
    /// Reads a configuration file and puts what the environment says over it; without a file, the environment alone.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Vec<ConfigProblem>> {
        let environment: Vec<_> = environment.into_iter().collect();
        let Some(path) = path else {
            let ours = |name: &OsString| name.to_string_lossy().starts_with(environment::PREFIX);
            if environment.iter().any(|(name, _)| ours(name)) {
                return Self::read(None, "", environment);
            }
            let told = "no configuration: neither a file nor an environment variable `MCP_AUTHZ__…`";
            let problem = Problem::at(Place::Nowhere, told).help(NAME_THE_FILE);
            return Err(vec![ConfigProblem::new(problem, None)]);
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::read(Some(path.to_owned()), &text, environment),
            Err(error) => {
                let problem =
                    Problem::at(Place::Nowhere, format!("can't be read: {error}")).help(NAME_THE_FILE);
                Err(vec![ConfigProblem::new(
                    problem,
                    Some(&File::new(path.to_owned(), "")),
                )])
            }
        }
    }

    /// The same, from a text that was read already.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn read(
        path: Option<PathBuf>,
        text: &str,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Vec<ConfigProblem>> {
        let file = path.map(|path| File::new(path, text));
        let readable = |problem| ConfigProblem::new(problem, file.as_ref());
        let mut root = Node::from_yaml(text).map_err(|problem| vec![readable(*problem)])?;
        let mut problems = Vec::new();
        let environment: Vec<_> = environment.into_iter().collect();
        let agent = workload_api::variable(&environment).map(ToOwned::to_owned);
        environment::merge(&mut root, environment, &mut problems);
        let mut config = read::read(&mut root, &mut problems);
        if let Some(config) = &mut config {
            workload_api::complete(config, agent.as_deref(), &mut problems);
        }
        if let (Some(config), true) = (&config, problems.is_empty()) {
            check::check(config, &root, &mut problems);
        }
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems.into_iter().map(readable).collect()),
        }
    }
}

#[cfg(test)]
mod tests;
