//! Programs of the npm packages in `tests/clients/tools`.

use std::path::Path;
use std::process::Command;

use super::repository;

/// One of their programs.
pub(crate) fn tool(path: &str) -> Command {
    let tools = repository().join("tests/clients/tools");
    let program = tools.join("node_modules").join(path);
    assert!(
        program.is_file(),
        "`{}` is missing: run `scripts/tools.sh --clients`",
        program.display()
    );
    let mut command = Command::new("node");
    let preload = format!("--import \"{}\"", tools.join("preload.mjs").display());
    command.arg(program).env("NODE_OPTIONS", preload);
    command
}

/// Lets it show a client certificate: none of them has an option for that.
pub(crate) fn show_certificate(command: &mut Command, pki: &Path, name: &str) {
    command
        .env("MCP_CLIENT_AUTHORITY", pki.join("ca.pem"))
        .env("MCP_CLIENT_CERTIFICATE", pki.join(name));
}
