//! What the parts of a decision cost, in instructions: the same count on a busy machine and on an idle one.
//!
//! Each bench has a limit: 5 % above the count that `baseline` holds. `make instructions` runs them and fails where
//! one is passed. A change that is meant to cost more, or that costs less, writes its new count here.

#![expect(
    clippy::unwrap_used,
    clippy::allow_attributes_without_reason,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench may fail on the spot; its macros document nothing and exit by themselves"
)]

use std::hint::black_box;

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use mcp_authz::decide::Permit;
use mcp_authz::mcp::{self, json};
use mcp_authz::respond;

#[path = "../../examples/bench/frame.rs"]
mod frame;
#[path = "../../examples/bench/grown.rs"]
mod grown;
#[path = "../../examples/bench/policies.rs"]
#[expect(dead_code, reason = "what is measured in microseconds is not measured here")]
mod policies;
mod signatures;
#[path = "../../examples/bench/texts.rs"]
mod texts;
mod warm;

use policies::Many;
use signatures::{P256, Token};
use warm::{Warm, Wire};

/// What `frame` fails with.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How large the texts for the reader are.
const TEXT_BYTES: usize = 64 * 1024;

/// What a policy reads.
const LIMITED: &str = r#"{"sql":"select 1","limit":100}"#;

fn limit(baseline: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, baseline.saturating_add(baseline / 20))]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// The counts as they were measured.
mod baseline {
    pub(crate) const OBJECTS: u64 = 4_085_440;
    pub(crate) const STRINGS: u64 = 474_837;
    pub(crate) const MESSAGE: u64 = 20_229;
    pub(crate) const SETTLED: u64 = 6_027;
    pub(crate) const REMEMBERED: u64 = 7_332;
    pub(crate) const EVALUATED: u64 = 67_181;
    pub(crate) const STRANGER: u64 = 230_189;
    pub(crate) const AMONG_FEW: u64 = 292_243;
    pub(crate) const ANSWER: u64 = 8_692;
    pub(crate) const CHECK: u64 = 142_635;
    pub(crate) const ES256: u64 = 772_893;
    pub(crate) const RS256: u64 = 342_931;
    pub(crate) const PS256: u64 = 365_700;
    pub(crate) const EDDSA: u64 = 502_282;
    pub(crate) const ES256_BY_P256: u64 = 2_447_535;
    pub(crate) const PROVED: u64 = 992_949;
}

#[library_benchmark]
#[bench::objects(args = (texts::objects(TEXT_BYTES)), config = limit(baseline::OBJECTS))]
#[bench::strings(args = (texts::strings(TEXT_BYTES)), config = limit(baseline::STRINGS))]
fn reader(text: String) -> json::Value {
    json::read(black_box(text.as_bytes()), 64).unwrap()
}

#[library_benchmark]
#[bench::tools_call(args = (Warm::default()), config = limit(baseline::MESSAGE))]
fn message(warm: Warm) -> (mcp::Message, Warm) {
    (mcp::read(&warm.exchange, &warm.pipeline.limits).unwrap(), warm)
}

#[library_benchmark]
#[bench::settled(args = (Warm::of("fs_write", r#"{"path":"/srv/work/a","content":"b","create":true}"#)), config = limit(baseline::SETTLED))]
#[bench::remembered(args = (Warm::of("db_read", LIMITED)), config = limit(baseline::REMEMBERED))]
#[bench::with_other_values(args = (Warm::of("db_read", LIMITED).then(r#"{"sql":"select 1","limit":99}"#)), config = limit(baseline::EVALUATED))]
#[bench::unremembered(args = (Warm::of("db_read", LIMITED).unremembered()), config = limit(baseline::EVALUATED))]
#[bench::of_a_stranger(args = (Warm::default().forgotten()), config = limit(baseline::STRANGER))]
fn evaluation(warm: Warm) -> (usize, Warm) {
    let policies = warm.pipeline.policies.current();
    let question = warm.question();
    let verdicts = policies.ask(black_box(&question)).unwrap();
    (verdicts.len(), warm)
}

// Thousands of policies that a call isn't in the scope of are nothing to it: at most 1.2 times what it costs with the shipped ones.
// Ten thousand take valgrind too long to load; `make bench` has them.
#[library_benchmark]
#[bench::among_few(args = (Many::new((0, 0)).unwrap()), config = limit(baseline::AMONG_FEW))]
#[bench::among_thousands(args = (Many::new((2_000, 100)).unwrap()), config = limit(baseline::AMONG_FEW / 7 * 8))]
fn stranger(many: Many) -> (bool, Many) {
    (many.allows(black_box(&many.stranger(0))), many)
}

#[library_benchmark]
#[bench::allow(args = (Warm::default().permitted()), config = limit(baseline::ANSWER))]
fn answer((permit, warm): (Permit, Warm)) -> (usize, Permit, Warm) {
    let forward = respond::allow(black_box(&permit), &warm.about());
    (forward.set.len(), permit, warm)
}

#[library_benchmark]
#[bench::from_frame_to_frame(args = (Wire::default()), config = limit(baseline::CHECK))]
#[bench::with_a_proof(args = (Wire::proved()), config = limit(baseline::PROVED))]
fn check(wire: Wire) -> (usize, Wire) {
    (wire.ask(), wire)
}

#[library_benchmark]
#[bench::es256(args = (Token::es256()), config = limit(baseline::ES256))]
#[bench::rs256(args = (Token::rs256()), config = limit(baseline::RS256))]
#[bench::ps256(args = (Token::ps256()), config = limit(baseline::PS256))]
#[bench::eddsa(args = (Token::eddsa()), config = limit(baseline::EDDSA))]
fn verification(token: Token) -> (bool, Token) {
    (black_box(&token).verifies(), token)
}

#[library_benchmark]
#[bench::es256(args = (P256::default()), config = limit(baseline::ES256_BY_P256))]
fn verification_by_p256(token: P256) -> (bool, P256) {
    (black_box(&token).verifies(), token)
}

library_benchmark_group!(
    name = parts;
    benchmarks = reader, message, evaluation, stranger, answer, check
);

library_benchmark_group!(
    name = signatures_of_tokens;
    benchmarks = verification, verification_by_p256
);

main!(library_benchmark_groups = parts, signatures_of_tokens);
