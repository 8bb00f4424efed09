//! The Rust half of `make bench` (the other half is `bench/bench.py`): what has to be made before, and what is
//! measured inside of one process.
//!
//! `bench prepare DIRECTORY` writes the keys of an issuer, a call of a tool, and `check.frame`: a whole check of it, as gRPC
//! puts it on the wire.
//! `bench configure DIRECTORY NAME DURABILITY GRPC_PORT HTTP_PORT SETTINGS` writes the configuration of an mcp-authz on
//! loopback that allows it; SETTINGS is JSON, `{}` for the usual ones.
//! `bench users DIRECTORY COUNT` writes tokens of so many users. `bench ask DIRECTORY GRPC_PORT USERS CHECKS` asks for so many
//! of them in turn, CHECKS times in all, and fails unless every answer is an allow.
//! `bench reader` prints how fast the JSON reader is, as lines `name value`; `bench policies` what ten thousand policies cost;
//! `bench lists` what a list of 500 tools does.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

mod frame;
mod grown;
mod lists;
mod policies;
mod reader;
mod texts;
mod users;

const USAGE: &str = "usage: bench prepare DIRECTORY | bench configure DIRECTORY NAME DURABILITY GRPC_PORT HTTP_PORT SETTINGS | \
    bench users DIRECTORY COUNT | bench ask DIRECTORY GRPC_PORT USERS CHECKS | bench reader | bench policies | \
    bench lists";

/// The binary's: what is measured in this process is to cost what it costs in that one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The nesting that the default configuration allows.
const NESTING: usize = 64;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["prepare", directory] => frame::prepare(Path::new(directory)),
        ["configure", directory, name, durability, grpc, http, others] => {
            let (grpc, http) = (grpc.parse()?, http.parse()?);
            frame::configure(Path::new(directory), name, durability, grpc, http, others)
        }
        ["users", directory, count] => users::prepare(Path::new(directory), count.parse()?),
        ["ask", directory, port, users, checks] => users::ask(
            Path::new(directory),
            port.parse()?,
            users.parse()?,
            checks.parse()?,
        ),
        ["reader"] => {
            for (name, value) in reader::measure()? {
                writeln!(std::io::stdout(), "{name} {value:.0}")?;
            }
            Ok(())
        }
        ["policies"] => print(policies::measure()?),
        ["lists"] => print(lists::measure()?),
        _ => Err(USAGE.into()),
    }
}

fn print(figures: impl IntoIterator<Item = (&'static str, f64)>) -> Result<(), Failure> {
    for (name, value) in figures {
        writeln!(std::io::stdout(), "{name} {value:.2}")?;
    }
    Ok(())
}
