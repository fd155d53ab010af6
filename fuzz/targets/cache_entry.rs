//! No bytes break the reader of entries, with their checksum made right or not; what is read can be written and read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use slip_cache::{Key, codec};

fuzz_target!(|bytes: &[u8]| {
    let key = |bytes: &[u8]| Key::new(bytes.get(9..41).and_then(|k| k.try_into().ok()).unwrap_or([0; 32]));
    let _ = codec::decode(&key(bytes), &Bytes::copy_from_slice(bytes));
    // A whole entry but for its end, which is made to fit.
    let mut whole = bytes.to_vec();
    whole.extend(crc32fast::hash(bytes).to_le_bytes());
    if let Ok(entry) = codec::decode(&key(bytes), &whole.clone().into()) {
        assert!(entry.is_whole());
        assert_eq!(codec::encode(&entry).as_deref(), Some(&whole[..]));
        whole[bytes.len() / 2] ^= 1;
        assert!(codec::decode(&key(bytes), &whole.into()).is_err());
    }
});
