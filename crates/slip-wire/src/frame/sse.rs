//! Server-sent events, taken apart as their bytes arrive.
//!
//! An event that lies inside one chunk is handed out as slices of that chunk; only one that straddles chunks is copied.
//! Whatever the split, the frames are the same.

use super::Frame;
use std::fmt;

/// The longest event that is waited for. Pictures come base64-coded inside one event; nothing real is longer than this.
pub const MAX_EVENT: usize = 16 * 1024 * 1024;
/// A buffer grown past this by one large event is given back afterwards: thousands of idle streams share the memory.
const KEEP_BUFFER: usize = 64 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The event in progress exceeds [`MAX_EVENT`]. Nothing more is read from this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event of the stream is longer than {MAX_EVENT} bytes")
    }
}

impl std::error::Error for TooLong {}

/// Who receives what the scanner finds.
pub trait Sink {
    /// An event with data.
    fn frame(&mut self, frame: Frame<'_>);
    /// The bytes of a complete event (or comment) with their blank line, as they came; after its [`Sink::frame`].
    /// Joined, they are the stream up to its last blank line.
    fn raw(&mut self, _bytes: &[u8]) {}
}

impl<F: FnMut(Frame<'_>)> Sink for F {
    fn frame(&mut self, frame: Frame<'_>) {
        self(frame);
    }
}

#[derive(Debug)]
pub struct Sse {
    /// The bytes so far of an event whose blank line has not come yet.
    pending: Vec<u8>,
    /// `pending` ends with a line end: the next line end completes the event.
    line_start: bool,
    /// The last byte was a CR; an LF that follows belongs to it.
    after_cr: bool,
    /// Nothing but this first event has been seen: it may start with a byte order mark.
    first: bool,
    /// Where the data lines of one event are joined.
    joined: Vec<u8>,
    overflown: bool,
}

impl Default for Sse {
    fn default() -> Sse {
        Sse::new()
    }
}

impl Sse {
    pub fn new() -> Sse {
        Sse {
            pending: Vec::new(),
            line_start: true,
            after_cr: false,
            first: true,
            joined: Vec::new(),
            overflown: false,
        }
    }

    /// The bytes held back for an event that is not complete yet.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    pub fn push(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), TooLong> {
        if self.overflown {
            return Err(TooLong);
        }
        let mut rest = chunk;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            if let Some(after) = rest.strip_prefix(b"\n") {
                rest = after;
                if self.pending.is_empty() {
                    sink.raw(b"\n");
                } else {
                    self.pending.push(b'\n');
                }
            }
        }
        if !self.pending.is_empty() && !rest.is_empty() {
            let Some(end) = self.boundary(rest) else {
                return self.keep(rest);
            };
            self.keep(&rest[..end])?;
            self.after_cr = end == rest.len() && rest.ends_with(b"\r");
            rest = &rest[end..];
            self.flush(sink);
        }
        while !rest.is_empty() {
            let line_start = match scan(rest, self.first, false, &mut self.joined) {
                Scan::Event { event, data, end } => {
                    if end > MAX_EVENT {
                        self.overflown = true;
                        return Err(TooLong);
                    }
                    self.first = false;
                    match data {
                        Data::Line(data) => sink.frame(Frame { event, data }),
                        Data::Joined => sink.frame(Frame { event, data: &self.joined }),
                        Data::None => {}
                    }
                    sink.raw(&rest[..end]);
                    self.after_cr = end == rest.len() && rest.ends_with(b"\r");
                    rest = &rest[end..];
                    continue;
                }
                Scan::Partial { line_start } => line_start,
            };
            self.line_start = line_start;
            return self.keep(rest);
        }
        Ok(())
    }

    /// The stream ended: an event whose blank line never came counts as well.
    pub fn finish(&mut self, sink: &mut impl Sink) -> Result<(), TooLong> {
        if self.overflown {
            return Err(TooLong);
        }
        if !self.pending.is_empty() {
            self.flush(sink);
        }
        Ok(())
    }

    /// Where in `rest` the event in `pending` is complete.
    fn boundary(&mut self, rest: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(found) = memchr::memchr2(b'\n', b'\r', &rest[at..]) {
            let stop = at + found;
            let empty = found == 0 && self.line_start;
            let pair = rest[stop] == b'\r' && rest.get(stop + 1) == Some(&b'\n');
            at = stop + 1 + pair as usize;
            if empty {
                return Some(at);
            }
            self.line_start = true;
        }
        if at < rest.len() {
            self.line_start = false;
        }
        None
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.pending.len() + bytes.len() > MAX_EVENT {
            self.overflown = true;
            self.pending = Vec::new();
            return Err(TooLong);
        }
        self.pending.extend_from_slice(bytes);
        self.after_cr = bytes.ends_with(b"\r");
        Ok(())
    }

    fn flush(&mut self, sink: &mut impl Sink) {
        if let Scan::Event { event, data, .. } = scan(&self.pending, self.first, true, &mut self.joined) {
            match data {
                Data::Line(data) => sink.frame(Frame { event, data }),
                Data::Joined => sink.frame(Frame { event, data: &self.joined }),
                Data::None => {}
            }
        }
        sink.raw(&self.pending);
        self.first = false;
        self.line_start = true;
        self.pending.clear();
        self.pending.shrink_to(KEEP_BUFFER);
        self.joined.shrink_to(KEEP_BUFFER);
    }
}

enum Data<'a> {
    None,
    Line(&'a [u8]),
    Joined,
}

enum Scan<'a> {
    Event {
        event: Option<&'a str>,
        data: Data<'a>,
        end: usize,
    },
    /// There is no blank line yet. `line_start`: the bytes end with a line end.
    Partial {
        line_start: bool,
    },
}

/// Read the fields of the event that `bytes` starts with. `whole`: the bytes are all there is, blank line or not.
fn scan<'a>(bytes: &'a [u8], first: bool, whole: bool, joined: &mut Vec<u8>) -> Scan<'a> {
    let mut at = if first && bytes.starts_with(BOM) { BOM.len() } else { 0 };
    let mut event = None;
    let mut data = Data::None;
    loop {
        let found = memchr::memchr2(b'\n', b'\r', &bytes[at..]);
        let stop = match found {
            Some(found) => at + found,
            None if whole => bytes.len(),
            None => return Scan::Partial { line_start: at == bytes.len() && at > 0 },
        };
        let line = &bytes[at..stop];
        let pair = bytes.get(stop) == Some(&b'\r') && bytes.get(stop + 1) == Some(&b'\n');
        at = (stop + 1 + pair as usize).min(bytes.len());
        // A byte order mark alone on its line is not a blank line.
        if line.is_empty() && !(first && stop == BOM.len() && bytes.starts_with(BOM))
            || found.is_none() && line.is_empty()
        {
            return Scan::Event { event, data, end: at };
        }
        if let Some(value) = field(line, b"data") {
            data = match data {
                Data::None => Data::Line(value),
                Data::Line(one) => {
                    joined.clear();
                    joined.extend_from_slice(one);
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                    Data::Joined
                }
                Data::Joined => {
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                    Data::Joined
                }
            };
        } else if let Some(value) = field(line, b"event") {
            event = std::str::from_utf8(value).ok().filter(|name| !name.is_empty());
        }
    }
}

/// The value of the line if it is the field `name`. One space after the colon is not part of it.
#[inline]
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
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

    fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Seen {
        let mut sse = Sse::new();
        let mut seen = Seen::default();
        for chunk in chunks {
            sse.push(chunk, &mut seen).unwrap();
        }
        sse.finish(&mut seen).unwrap();
        seen
    }

    #[test]
    fn every_framing_in_use_gives_the_same_frames() {
        type Row<'a> = (&'a [u8], &'a [(Option<&'a str>, &'a [u8])]);
        let rows: &[Row<'_>] = &[
            (b"data: a\n\ndata: b\n\n", &[(None, b"a"), (None, b"b")]),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", &[(None, b"a"), (None, b"b")]),
            (b"data: a\r\rdata: b\r\r", &[(None, b"a"), (None, b"b")]),
            (b"data:a\n\n", &[(None, b"a")]),
            (b"data:  a\n\n", &[(None, b" a")]),
            (b"\xef\xbb\xbfdata: a\n\n", &[(None, b"a")]),
            (b"\xef\xbb\xbf\ndata: a\n\n", &[(None, b"a")]),
            (b": note\n\n: note\ndata: a\n\n", &[(None, b"a")]),
            (b"event: ping\nid: 7\nretry: 10\ndata: {}\n\n", &[(Some("ping"), b"{}")]),
            (b"data: a\ndata: b\ndata\n\n", &[(None, b"a\nb\n")]),
            (b"data\n\n", &[(None, b"")]),
            (b"event: x\n\n", &[]),
            (b"dataset: 1\n\n", &[]),
            (b"\n\n\ndata: a", &[(None, b"a")]),
            (b"data: a\n", &[(None, b"a")]),
            (b"event:\ndata: a\n\n", &[(None, b"a")]),
        ];
        for (bytes, want) in rows {
            let got = run([*bytes]).frames;
            let got: Vec<(Option<&str>, &[u8])> = got.iter().map(|(e, d)| (e.as_deref(), d.as_slice())).collect();
            assert_eq!(got, *want, "{}", bytes.escape_ascii());
            assert_eq!(run(bytes.chunks(1)).frames, run([*bytes]).frames, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn an_endless_event_is_an_error_and_not_growth() {
        let mut sse = Sse::new();
        let chunk = vec![b'x'; 1024 * 1024];
        let mut ignore = |_: Frame<'_>| {};
        let refused = (0..20).find(|_| sse.push(&chunk, &mut ignore).is_err());
        assert_eq!(refused, Some(16));
        assert_eq!(sse.pending().len(), 0);
        assert_eq!(sse.push(b"data: a\n\n", &mut ignore), Err(TooLong));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames_and_the_bytes_come_back(
            bytes in proptest::collection::vec(
                proptest::sample::select(b"\n\n\r\r: xdata:event:\xef\xbb\xbf\xc5\xbc".to_vec()), 0..80)
                .prop_map(|mut b| { if b.len() % 3 == 0 { b.splice(0..0, *b"\xef\xbb\xbfdata: "); } b }),
            cuts in proptest::collection::vec(1usize..9, 1..20),
        ) {
            let whole = run([bytes.as_slice()]);
            let mut chunks = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle().take(bytes.len()) {
                let (chunk, after) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            let split = run(chunks);
            prop_assert_eq!(&split.frames, &whole.frames);
            prop_assert_eq!(split.raw, bytes.clone());
            prop_assert_eq!(whole.raw, bytes);
        }
    }
}
