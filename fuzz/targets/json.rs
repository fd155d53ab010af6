//! The scanner accepts what serde_json accepts (up to its depth), and finds the same members.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slip_wire::json;

fuzz_target!(|bytes: &[u8]| {
    let theirs = serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok();
    match json::check(bytes) {
        Ok(()) => assert!(theirs, "serde_json refuses it"),
        Err(why) => assert!(!theirs || why.why.contains("nested deeper"), "serde_json accepts it: {why}"),
    }
    if let Ok(members) = json::members(bytes) {
        assert_eq!(json::fields(bytes).count(), members.len());
        for member in members {
            assert!(json::check(&bytes[member.value]).is_ok());
        }
    }
    let _ = slip_wire::openai_chat::usage::parse_usage(bytes);
});
