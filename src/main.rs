//! argv to exit code.

fn main() -> std::process::ExitCode {
    mcp_authz::cli::run(std::env::args_os())
}
