//! Any split of Amazon's messages gives the same frames, the same bytes back and the same end; bytes at random rarely have a right
//! checksum, so that the input is also framed as one that has.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use slip_wire::frame::eventstream::{EventStream, put_exception, put_message};
use slip_wire::frame::sse::Sink;
use slip_wire::frame::{Frame, Framer, Framing, Unframed};

#[derive(Default, PartialEq, Debug)]
struct Seen {
    frames: Vec<(Option<String>, Vec<u8>)>,
    raw: Vec<u8>,
    broken: Option<Unframed>,
}

impl Sink for Seen {
    fn frame(&mut self, frame: Frame<'_>) {
        self.frames.push((frame.event.map(str::to_owned), frame.data.to_vec()));
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }
}

fn run(framing: Framing, chunks: &[&[u8]]) -> Seen {
    let (mut framer, mut seen) = (Framer::new(framing), Seen::default());
    for chunk in chunks {
        if let Err(broken) = framer.push(chunk, &mut seen) {
            seen.broken = Some(broken);
            return seen;
        }
    }
    framer.finish(&mut seen).expect("nothing was wrong until the end");
    seen
}

fuzz_target!(|bytes: &[u8]| {
    let Some((seed, stream)) = bytes.split_first() else { return };
    let mut framed = BytesMut::new();
    for (n, payload) in slip_fuzz::chunks(stream, *seed).into_iter().enumerate() {
        match n % 3 {
            0 => put_message("chunk", payload, &mut framed),
            1 => put_message("contentBlockDelta", payload, &mut framed),
            _ => put_exception("throttlingException", payload, &mut framed),
        }
    }
    for framing in [Framing::EventStream, Framing::Chunks] {
        for stream in [stream, &framed] {
            let whole = run(framing, &[stream]);
            assert_eq!(run(framing, &slip_fuzz::chunks(stream, *seed)), whole);
        }
    }
    let mut seen = Seen::default();
    EventStream::default().push(&framed, &mut seen).expect("framed by our own hand");
    assert_eq!(seen.raw, framed);
});
