//! argv to exit code.

/// A check makes some 150 small allocations: with the system's allocator they took a fifth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    mcp_authz::cli::run(std::env::args_os())
}
