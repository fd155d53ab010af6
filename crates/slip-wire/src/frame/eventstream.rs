//! Amazon's event streams (`application/vnd.amazon.eventstream`), both ways: binary messages of a length, headers, a payload and two
//! checksums. Whatever the split, the frames are the same.
//!
//! A message that lies inside one chunk is handed out as slices of that chunk; only one that straddles chunks is copied.

use super::sse::{MAX_EVENT, Sink};
use super::{Frame, Unframed};
use bytes::{BufMut, BytesMut};

/// Length of everything, length of the headers, and the checksum of both.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// A buffer grown past this by one large message is given back afterwards.
const KEEP_BUFFER: usize = 64 * 1024;

#[derive(Debug, Default)]
pub struct EventStream {
    /// The bytes so far of a message that is not complete yet.
    pending: Vec<u8>,
    broken: Option<Unframed>,
}

impl EventStream {
    pub fn push(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), Unframed> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let done = self.take(chunk, sink);
        if let Err(broken) = done {
            self.broken = Some(broken);
            self.pending = Vec::new();
        }
        done
    }

    fn take(&mut self, mut rest: &[u8], sink: &mut impl Sink) -> Result<(), Unframed> {
        while !rest.is_empty() {
            if self.pending.is_empty() {
                match length(rest)? {
                    Some(length) if length <= rest.len() => {
                        let (message, after) = rest.split_at(length);
                        hand_out(message, sink)?;
                        rest = after;
                    }
                    _ => {
                        self.pending.extend_from_slice(rest);
                        return Ok(());
                    }
                }
                continue;
            }
            // First what is missing of the prelude, which says how much more there is.
            let whole = match length(&self.pending)? {
                Some(length) => length,
                None => PRELUDE,
            };
            let (more, after) = rest.split_at(rest.len().min(whole - self.pending.len()));
            self.pending.extend_from_slice(more);
            rest = after;
            if length(&self.pending)? == Some(self.pending.len()) {
                hand_out(&self.pending, sink)?;
                self.pending.clear();
                self.pending.shrink_to(KEEP_BUFFER);
            }
        }
        Ok(())
    }

    /// The stream ended. A message that was cut is none: its checksum never came.
    pub fn finish(&mut self) -> Result<(), Unframed> {
        self.broken.map_or(Ok(()), Err)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

/// How long the message that `bytes` begins with is, once its prelude is there.
fn length(bytes: &[u8]) -> Result<Option<usize>, Unframed> {
    let (Some(total), Some(headers), Some(check)) = (number(bytes, 0), number(bytes, 4), number(bytes, 8)) else {
        return Ok(None);
    };
    if crc32fast::hash(&bytes[..8]) != check {
        return Err(Unframed::Corrupt);
    }
    let (total, headers) = (total as usize, headers as usize);
    if total > MAX_EVENT {
        return Err(Unframed::TooLong);
    }
    if total < PRELUDE + CHECKSUM || headers > total - PRELUDE - CHECKSUM {
        return Err(Unframed::Corrupt);
    }
    Ok(Some(total))
}

fn hand_out(message: &[u8], sink: &mut impl Sink) -> Result<(), Unframed> {
    let (body, check) = message.split_at(message.len() - CHECKSUM);
    if number(check, 0) != Some(crc32fast::hash(body)) {
        return Err(Unframed::Corrupt);
    }
    let headers = number(message, 4).ok_or(Unframed::Corrupt)? as usize;
    let (headers, data) = body[PRELUDE..].split_at(headers);
    let event = name(headers).ok_or(Unframed::Corrupt)?;
    sink.frame(Frame { event, data });
    sink.raw(message);
    Ok(())
}

/// What kind of message it is: the type of its event, or of its exception. `None` when the headers cannot be read.
fn name(headers: &[u8]) -> Option<Option<&str>> {
    let mut rest = headers;
    let mut found = None;
    while !rest.is_empty() {
        let (name, value, after) = header(rest)?;
        rest = after;
        if matches!(name, b":event-type" | b":exception-type" | b":error-code") {
            found = value.and_then(|value| std::str::from_utf8(value).ok()).filter(|text| !text.is_empty()).or(found);
        }
    }
    Some(found)
}

/// Name, value where it is a string, and what comes after.
type Header<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

fn header(bytes: &[u8]) -> Option<Header<'_>> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (kind, rest) = rest.split_first()?;
    let fixed = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | 7 => {
            let (length, rest) = rest.split_first_chunk()?;
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            return Some((name, (*kind == 7).then_some(value), rest));
        }
        _ => return None,
    };
    let (_, rest) = rest.split_at_checked(fixed)?;
    Some((name, None, rest))
}

/// One event, framed.
pub fn put_message(name: &str, payload: &[u8], out: &mut BytesMut) {
    put(&[(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload, out);
}

/// One exception, framed: nothing comes after it.
pub fn put_exception(name: &str, payload: &[u8], out: &mut BytesMut) {
    put(
        &[(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")],
        payload,
        out,
    );
}

/// Names and values are ours, and short.
fn put(headers: &[(&str, &str)], payload: &[u8], out: &mut BytesMut) {
    let length: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let total = PRELUDE + length + payload.len() + CHECKSUM;
    let start = out.len();
    out.reserve(total);
    out.put_u32(total as u32);
    out.put_u32(length as u32);
    out.put_u32(crc32fast::hash(&out[start..]));
    for (name, value) in headers {
        out.put_u8(name.len() as u8);
        out.put_slice(name.as_bytes());
        out.put_u8(7);
        out.put_u16(value.len() as u16);
        out.put_slice(value.as_bytes());
    }
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out[start..]));
}

/// Our own messages again, with a member at the beginning of the first one's payload. False: there is none to put it in.
pub fn with_member(messages: &[u8], member: &[u8], out: &mut BytesMut) -> bool {
    let (Ok(Some(total)), Some(headers)) = (length(messages), number(messages, 4)) else {
        out.extend_from_slice(messages);
        return false;
    };
    let payload_at = PRELUDE + headers as usize;
    let parts = messages.get(PRELUDE..payload_at).zip(messages.get(payload_at..total.saturating_sub(CHECKSUM)));
    let Some((headers, [b'{', rest @ ..])) = parts else {
        out.extend_from_slice(messages);
        return false;
    };
    let start = out.len();
    out.put_u32((total + member.len()) as u32);
    out.put_u32(headers.len() as u32);
    out.put_u32(crc32fast::hash(&out[start..]));
    out.put_slice(headers);
    out.put_u8(b'{');
    out.put_slice(member);
    out.put_slice(rest);
    out.put_u32(crc32fast::hash(&out[start..]));
    out.put_slice(messages.get(total..).unwrap_or_default());
    true
}

/// Whole messages again, each with what `change` makes of its payload. Whatever is none stays as it is.
pub fn rewritten(messages: &[u8], change: impl Fn(&[u8]) -> Vec<u8>, out: &mut BytesMut) {
    let mut rest = messages;
    while let (Ok(Some(total)), Some(headers)) = (length(rest), number(rest, 4)) {
        let payload_at = PRELUDE + headers as usize;
        let parts = rest.get(PRELUDE..payload_at).zip(rest.get(payload_at..total - CHECKSUM)).zip(rest.get(total..));
        let Some(((headers, payload), after)) = parts else { break };
        let (payload, start) = (change(payload), out.len());
        out.put_u32((PRELUDE + headers.len() + payload.len() + CHECKSUM) as u32);
        out.put_u32(headers.len() as u32);
        out.put_u32(crc32fast::hash(&out[start..]));
        out.put_slice(headers);
        out.put_slice(&payload);
        out.put_u32(crc32fast::hash(&out[start..]));
        rest = after;
    }
    out.put_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Default, PartialEq)]
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

    fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Seen {
        let (mut stream, mut seen) = (EventStream::default(), Seen::default());
        for chunk in chunks {
            seen.broken = stream.push(chunk, &mut seen).err();
        }
        seen.broken = stream.finish().err();
        seen
    }

    fn message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&((16 + headers.len() + payload.len()) as u32).to_be_bytes());
        out.extend_from_slice(&(headers.len() as u32).to_be_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        out.extend_from_slice(headers);
        out.extend_from_slice(payload);
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        out
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = BytesMut::new();
        put_message("messageStart", br#"{"role":"assistant"}"#, &mut out);
        put_message("chunk", b"", &mut out);
        put_exception("throttlingException", br#"{"message":"m"}"#, &mut out);
        let seen = run([&out[..]]);
        let frames: Vec<_> = seen.frames.iter().map(|(name, data)| (name.as_deref(), data.as_slice())).collect();
        let want: [(Option<&str>, &[u8]); 3] = [
            (Some("messageStart"), br#"{"role":"assistant"}"#),
            (Some("chunk"), b""),
            (Some("throttlingException"), br#"{"message":"m"}"#),
        ];
        assert_eq!((frames.as_slice(), seen.raw, seen.broken), (&want[..], out.to_vec(), None));
    }

    #[test]
    fn messages_are_rewritten_whole_and_what_is_none_is_left_alone() {
        let mut before = BytesMut::new();
        put_message("a", b"{}", &mut before);
        put_exception("b", b"{\"x\":1}", &mut before);
        let mut after = BytesMut::new();
        rewritten(&before, |payload| [payload, b" "].concat(), &mut after);
        let mut want = BytesMut::new();
        put_message("a", b"{} ", &mut want);
        put_exception("b", b"{\"x\":1} ", &mut want);
        assert_eq!(after, want);
        for odd in [&b""[..], b"ID3 sound", &before[..before.len() - 1]] {
            let mut out = BytesMut::new();
            rewritten(odd, <[u8]>::to_vec, &mut out);
            assert_eq!(out, odd);
        }
    }

    #[test]
    fn an_empty_message_is_the_one_amazon_documents() {
        let bytes = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(message(b"", b""), bytes);
        assert_eq!(run([&bytes[..]]).frames, [(None, Vec::new())]);
    }

    #[test]
    fn headers_of_every_type_are_passed_over() {
        let mut headers = Vec::new();
        for (kind, value) in [
            (0u8, &b""[..]),
            (1, b""),
            (2, b"1"),
            (3, b"12"),
            (4, b"1234"),
            (5, b"12345678"),
            (6, b"\0\x02ab"),
            (8, b"12345678"),
            (9, b"0123456789abcdef"),
        ] {
            headers.extend_from_slice(b"\x01x");
            headers.push(kind);
            headers.extend_from_slice(value);
        }
        headers.extend_from_slice(b"\x0b:event-type\x07\0\x01e");
        assert_eq!(run([&message(&headers, b"{}")[..]]).frames, [(Some("e".to_owned()), b"{}".to_vec())]);
        for bad in [&b"\x01"[..], b"\x01x", b"\x01x\x07\0\x05abc", b"\x01x\x0a", b"\x01x\x09abc"] {
            let seen = run([&message(bad, b"{}")[..]]);
            assert_eq!((seen.frames.len(), seen.broken), (0, Some(Unframed::Corrupt)), "{bad:?}");
        }
    }

    #[test]
    fn a_changed_byte_and_an_absurd_length_are_errors_and_not_growth() {
        let whole = message(b"\x0b:event-type\x07\0\x01e", br#"{"a":1}"#);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            let seen = run([&bytes[..]]);
            assert_eq!((seen.frames.len(), seen.broken), (0, Some(Unframed::Corrupt)), "byte {at}");
        }
        for (total, headers, want) in [
            (u32::MAX, 0, Unframed::TooLong),
            (MAX_EVENT as u32 + 1, 0, Unframed::TooLong),
            (15, 0, Unframed::Corrupt),
            (20, 5, Unframed::Corrupt),
        ] {
            let mut bytes = Vec::new();
            bytes.extend_from_slice(&total.to_be_bytes());
            bytes.extend_from_slice(&u32::to_be_bytes(headers));
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
            assert_eq!(run([&bytes[..]]).broken, Some(want), "{total} {headers}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames_and_the_bytes_come_back(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            damage in proptest::option::weighted(0.3, (any::<proptest::sample::Index>(), any::<u8>())),
            cut in proptest::option::weighted(0.3, any::<proptest::sample::Index>()),
            sizes in proptest::collection::vec(1usize..30, 1..6),
        ) {
            let mut bytes = BytesMut::new();
            payloads.iter().for_each(|payload| put_message("e", payload, &mut bytes));
            let mut bytes = bytes.to_vec();
            if let (Some((at, byte)), false) = (damage, bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let (Some(at), false) = (cut, bytes.is_empty()) {
                bytes.truncate(at.index(bytes.len()));
            }
            let whole = run([bytes.as_slice()]);
            let (mut chunks, mut rest) = (Vec::new(), bytes.as_slice());
            for size in sizes.iter().cycle().take(bytes.len()) {
                let (chunk, after) = rest.split_at((*size).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(&run(chunks), &whole);
            if damage.is_none() && cut.is_none() {
                prop_assert_eq!(whole.raw, bytes);
                prop_assert_eq!(whole.frames.len(), payloads.len());
            }
        }
    }
}
