//! No bytes break the completions dialect: requests, replies, errors, streams.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| slip_fuzz::decode(slip_ir::Dialect::Completions, bytes));
