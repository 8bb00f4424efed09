#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::spiffe_ids::check(bytes));
