//! No bytes break the canonical form; written anew in another order and spelling, a body has the key it had.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use slip_cache::{Keyer, Scope};
use slip_ir::{Dialect, Op};

fuzz_target!(|bytes: &[u8]| {
    let mut keyer = Keyer::default();
    for dialect in Dialect::ALL {
        let scope = Scope { tenant: "t", policy: b"", model: "m", op: Op::Chat, dialect };
        let key = keyer.key(&scope, bytes);
        // Keyed again with the room of before.
        assert_eq!(keyer.key(&scope, bytes), key);
        let Ok(key) = key else { continue };
        // Values that serde_json reads with loss (numbers beyond its own, halves of surrogate pairs) are left out.
        let lossy = bytes.iter().any(|b| matches!(b, b'.' | b'e' | b'E'))
            || bytes.split(|b| !b.is_ascii_digit()).any(|digits| digits.len() > 18)
            || bytes.windows(2).any(|pair| pair == b"-0");
        let Some(value) = serde_json::from_slice::<Value>(bytes).ok().filter(|_| !lossy) else { continue };
        assert_eq!(keyer.key(&scope, value.to_string().as_bytes()), Ok(key), "{value}");
    }
    keyer.raw(&Scope { tenant: "t", policy: b"", model: "m", op: Op::Speech, dialect: Dialect::OpenAiChat }, [bytes]);
});
