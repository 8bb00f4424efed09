//! The configuration that a command works with.

use std::path::{Path, PathBuf};

use crate::config::{Config, ConfigProblem};
use crate::inventory::Server;

use super::Terminal;

/// Where the configuration is if nobody says.
const USUAL: &str = "mcp-authz.yaml";

/// Which configuration file.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ConfigFile {
    /// The configuration file; environment variables (`MCP_AUTHZ__…`) come over it, or stand alone. Default:
    /// `mcp-authz.yaml`, where there is one
    #[arg(long, short, value_name = "FILE", env = "MCP_AUTHZ_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The configuration, with the environment over it.
    ///
    /// # Errors
    /// The last problem; the others are shown before it.
    pub(super) fn load(&self, terminal: Terminal) -> miette::Result<Config> {
        load(self.config.as_deref()).map_err(|problems| terminal.last(problems))
    }

    /// The servers of the configuration, where there is one: a policy directory can be looked at without.
    ///
    /// # Errors
    /// As [`ConfigFile::load`].
    pub(super) fn servers(&self, terminal: Terminal) -> miette::Result<Vec<Server>> {
        if self.config.is_none() && usual().is_none() {
            return Ok(Vec::new());
        }
        Ok(self.load(terminal)?.servers)
    }
}

/// The file of that name, or the usual one, or the environment alone.
pub(super) fn load(file: Option<&Path>) -> Result<Config, Vec<ConfigProblem>> {
    Config::load(file.or_else(usual), std::env::vars_os())
}

/// The usual file, where there is one.
pub(super) fn usual<'a>() -> Option<&'a Path> {
    Some(Path::new(USUAL)).filter(|path| path.exists())
}
