//! How fast the JSON reader is, on a text of many small objects and on one of long strings.

use std::hint::black_box;
use std::time::Duration;

use mcp_authz::clock;
use mcp_authz::mcp::json;

use crate::policies::median;
use crate::{Failure, NESTING, texts};

/// How large each text is, about: a body at the limit of the shipped configuration of Envoy.
const BYTES: usize = 1024 * 1024;

/// How long each is read, again and again.
const TIME: Duration = Duration::from_secs(1);

const ROUNDS: usize = 5;

/// Megabytes (10⁶ bytes) a second, the median of five.
pub(crate) fn measure() -> Result<[(&'static str, f64); 2], Failure> {
    Ok([
        ("reader_objects_mb_per_s", median_speed(&texts::objects(BYTES))?),
        ("reader_strings_mb_per_s", median_speed(&texts::strings(BYTES))?),
    ])
}

fn median_speed(text: &str) -> Result<f64, Failure> {
    let speeds: Result<Vec<f64>, Failure> = (0..ROUNDS).map(|_| speed(text)).collect();
    median(speeds?)
}

fn speed(text: &str) -> Result<f64, Failure> {
    let started = clock::instant();
    let mut bytes = 0_u32;
    while started.elapsed() < TIME {
        let value = json::read(black_box(text.as_bytes()), NESTING).map_err(|fault| format!("{fault:?}"))?;
        black_box(value);
        // In kB, so that even a very fast reader doesn't overflow it.
        bytes = bytes.saturating_add(u32::try_from(text.len() / 1000)?);
    }
    Ok(f64::from(bytes) / 1000.0 / started.elapsed().as_secs_f64())
}
