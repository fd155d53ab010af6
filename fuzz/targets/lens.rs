//! Whatever the upstream sends and however it is split, each lens writes the same bytes and ends.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use slip_ir::Dialect;
use slip_wire::{End, Lens, Tally, lens};

fn cross(up: Dialect, caller: Dialect, chunks: &[&[u8]]) -> (BytesMut, Tally) {
    let mut lens = Lens::new(up, caller, slip_fuzz::stamp(), &slip_fuzz::quirks(up));
    let mut out = BytesMut::new();
    for chunk in chunks {
        lens.push(chunk, &mut out);
    }
    let tally = lens.end(End::Eof, &mut out);
    (out, tally)
}

fuzz_target!(|bytes: &[u8]| {
    let [pair, seed, stream @ ..] = bytes else { return };
    let many = Dialect::ALL.len();
    let up = Dialect::ALL[*pair as usize % many];
    let caller = Dialect::ALL[*pair as usize / many % many];
    let whole = cross(up, caller, &[stream]);
    assert_eq!(cross(up, caller, &slip_fuzz::chunks(stream, *seed)), whole);
    if matches!(caller, Dialect::OpenAiChat | Dialect::Completions) {
        assert!(whole.0.ends_with(b"data: [DONE]\n\n"));
    }
    let _ = lens::reply(up, caller, stream, &slip_fuzz::stamp(), &slip_fuzz::quirks(up));
});
