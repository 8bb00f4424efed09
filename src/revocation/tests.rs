//! Notices and questions as they come in: what is answered, kept, recorded and counted.
#![expect(clippy::too_many_lines, reason = "tables of cases are long")]
#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

mod notices;
mod questions;
mod world;
