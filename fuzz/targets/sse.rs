//! Any split of a stream's bytes gives the same frames, and the bytes come back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slip_wire::frame::Frame;
use slip_wire::frame::sse::{Sink, Sse};

#[derive(Default, PartialEq, Debug)]
struct Seen {
    frames: Vec<(Option<String>, Vec<u8>)>,
    raw: Vec<u8>,
}

impl Sink for Seen {
    fn frame(&mut self, frame: Frame<'_>) {
        self.frames.push((frame.event.map(str::to_owned), frame.data.to_vec()));
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }
}

fn run(chunks: &[&[u8]]) -> Seen {
    let mut sse = Sse::new();
    let mut seen = Seen::default();
    for chunk in chunks {
        sse.push(chunk, &mut seen).expect("fuzzed streams are short");
    }
    sse.finish(&mut seen).expect("fuzzed streams are short");
    seen
}

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, stream)) = bytes.split_first() else { return };
    let whole = run(&[stream]);
    assert_eq!(run(&slip_fuzz::chunks(stream, *seed)), whole);
    assert_eq!(whole.raw, stream);
});
