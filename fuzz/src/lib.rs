//! What must hold of any bytes whatsoever. A check takes bytes and panics where something doesn't hold.
//!
//! Two run them: libFuzzer (`targets/`), which looks for bytes that break one, and `cargo test`
//! (`tests/fuzz_corpora.rs`), which replays every file in `corpora/` and `regressions/`.

pub mod check_request;
pub mod headers;
pub mod http;
pub mod json;
pub mod message;
pub mod proofs;
pub mod reader;
pub mod spiffe_ids;
pub mod tokens;
pub mod world;
pub mod xfcc;

/// What takes any bytes.
pub type Check = fn(&[u8]);

/// Every check by the name of its target.
pub const TARGETS: &[(&str, Check)] = &[
    ("reader", reader::check),
    ("message", message::check),
    ("headers", headers::check),
    ("xfcc", xfcc::check),
    ("spiffe_ids", spiffe_ids::check),
    ("tokens", tokens::check),
    ("proofs", proofs::check),
    ("check_request", check_request::check),
];
