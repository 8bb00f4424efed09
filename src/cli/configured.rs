//! The configuration that a command works with.

use std::path::PathBuf;

use crate::config::{Config, ConfigProblem};

use super::Terminal;

/// Which configuration file.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ConfigFile {
    /// The configuration file; environment variables (`MCP_AUTHZ__…`) come over it
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "MCP_AUTHZ_CONFIG",
        default_value = "mcp-authz.yaml"
    )]
    pub(super) config: PathBuf,
}

impl ConfigFile {
    /// The configuration, with the environment over it.
    ///
    /// # Errors
    /// The first problem; the others are shown before it.
    pub(super) fn load(&self, terminal: Terminal) -> miette::Result<Config> {
        Config::load(Some(&self.config), std::env::vars_os()).map_err(|problems| last(problems, terminal))
    }
}

/// Shows all problems but the last, which becomes the command's error.
fn last(mut problems: Vec<ConfigProblem>, terminal: Terminal) -> miette::Report {
    let last = problems.pop();
    for problem in problems {
        terminal.failure(&problem.into());
    }
    last.map_or_else(|| miette::miette!("the configuration can't be used"), Into::into)
}
