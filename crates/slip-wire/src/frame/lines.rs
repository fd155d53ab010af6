//! A JSON value per line (NDJSON), taken apart as its bytes arrive. Empty lines say nothing. Whatever the split, the frames are
//! the same.

use super::Frame;
use super::sse::{MAX_EVENT, Sink, TooLong};

/// A buffer grown past this by one large line is given back afterwards.
const KEEP_BUFFER: usize = 64 * 1024;

#[derive(Debug, Default)]
pub struct Lines {
    /// The bytes so far of a line whose end has not come yet.
    pending: Vec<u8>,
    overflown: bool,
}

impl Lines {
    pub fn push(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), TooLong> {
        if self.overflown {
            return Err(TooLong);
        }
        let mut rest = chunk;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at + 1);
            rest = after;
            if self.pending.len() + line.len() > MAX_EVENT {
                return self.overflow();
            }
            if self.pending.is_empty() {
                hand_out(line, sink);
            } else {
                self.pending.extend_from_slice(line);
                self.flush(sink);
            }
        }
        if self.pending.len() + rest.len() > MAX_EVENT {
            return self.overflow();
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// The stream ended: a line without its end counts as well.
    pub fn finish(&mut self, sink: &mut impl Sink) -> Result<(), TooLong> {
        if self.overflown {
            return Err(TooLong);
        }
        if !self.pending.is_empty() {
            self.flush(sink);
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut impl Sink) {
        hand_out(&self.pending, sink);
        self.pending.clear();
        self.pending.shrink_to(KEEP_BUFFER);
    }

    fn overflow(&mut self) -> Result<(), TooLong> {
        self.overflown = true;
        self.pending = Vec::new();
        Err(TooLong)
    }
}

fn hand_out(line: &[u8], sink: &mut impl Sink) {
    let data = line.trim_ascii();
    if !data.is_empty() {
        sink.frame(Frame { event: None, data });
    }
    sink.raw(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Seen {
        lines: Vec<Vec<u8>>,
        raw: Vec<u8>,
    }

    impl Sink for Seen {
        fn frame(&mut self, frame: Frame<'_>) {
            self.lines.push(frame.data.to_vec());
        }

        fn raw(&mut self, bytes: &[u8]) {
            self.raw.extend_from_slice(bytes);
        }
    }

    fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Seen {
        let (mut lines, mut seen) = (Lines::default(), Seen::default());
        for chunk in chunks {
            lines.push(chunk, &mut seen).unwrap();
        }
        lines.finish(&mut seen).unwrap();
        seen
    }

    #[test]
    fn a_line_is_a_message_and_an_empty_one_is_none() {
        let seen = run([b"{\"a\":1}\r\n\n  \n{}\n{\"b\"".as_slice()]);
        assert_eq!(seen.lines, [b"{\"a\":1}".to_vec(), b"{}".to_vec(), b"{\"b\"".to_vec()]);
    }

    #[test]
    fn an_endless_line_is_an_error_and_not_growth() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1024 * 1024];
        let refused = (0..20).find(|_| lines.push(&chunk, &mut |_: Frame<'_>| {}).is_err());
        assert_eq!((refused, lines.pending.len()), (Some(16), 0));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines_and_the_bytes_come_back(
            bytes in proptest::collection::vec(proptest::sample::select(b"\n\n\r {}a\xc5\xbc".to_vec()), 0..80),
            cut in 1usize..9,
        ) {
            let whole = run([bytes.as_slice()]);
            let split = run(bytes.chunks(cut));
            prop_assert_eq!(&split.lines, &whole.lines);
            prop_assert_eq!(split.raw, bytes.clone());
            prop_assert_eq!(whole.raw, bytes);
        }
    }
}
