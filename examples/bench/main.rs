//! The Rust half of `make bench` (the other half is `bench/bench.py`): what has to be made before, and what is
//! measured inside of one process.
//!
//! `bench prepare DIRECTORY GRPC_PORT HTTP_PORT` writes the configuration of an mcp-authz on loopback, the keys of
//! an issuer, and `check.frame`: a whole check that it allows, as gRPC puts it on the wire.
//! `bench reader` prints how fast the JSON reader is, as lines `name value`.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

mod frame;
mod reader;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["prepare", directory, grpc, http] => {
            frame::prepare(Path::new(directory), grpc.parse()?, http.parse()?)
        }
        ["reader"] => {
            for (name, value) in reader::measure()? {
                writeln!(std::io::stdout(), "{name} {value:.0}")?;
            }
            Ok(())
        }
        _ => Err("usage: bench prepare DIRECTORY GRPC_PORT HTTP_PORT | bench reader".into()),
    }
}
