//! Anthropic's events inside Amazon's: each message named `chunk` holds one of them, base64-coded, as a stream of Bedrock's
//! InvokeModel does. They come out as the server-sent events they would be elsewhere.

use super::eventstream::EventStream;
use super::sse::Sink;
use super::{Frame, Unframed};
use crate::dialect::put_event;
use crate::json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

/// What an exception is called where an `error` event tells it.
const EXCEPTIONS: [(&str, &str); 5] = [
    ("throttlingException", "rate_limit_error"),
    ("validationException", "invalid_request_error"),
    ("modelTimeoutException", "timeout_error"),
    ("serviceUnavailableException", "overloaded_error"),
    ("accessDeniedException", "permission_error"),
];

#[derive(Debug, Default)]
pub struct Chunks {
    stream: EventStream,
}

impl Chunks {
    pub fn push(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), Unframed> {
        self.stream.push(chunk, &mut Unwrap { sink })
    }

    pub fn finish(&mut self) -> Result<(), Unframed> {
        self.stream.finish()
    }
}

struct Unwrap<'s, S> {
    sink: &'s mut S,
}

impl<S: Sink> Sink for Unwrap<'_, S> {
    fn frame(&mut self, frame: Frame<'_>) {
        let inner = match frame.event {
            Some("chunk") => {
                let coded = json::field(frame.data, "bytes").and_then(json::string).unwrap_or_default();
                // What cannot be read is handed on empty: a hole must not look like the end.
                STANDARD.decode(coded.as_bytes()).unwrap_or_default()
            }
            Some(name) => error(name, frame.data),
            None => return,
        };
        let kind = json::field(&inner, "type").and_then(json::string);
        let event = kind.as_deref().filter(|kind| kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        let data = if inner.is_empty() { b"?" } else { inner.as_slice() };
        self.sink.frame(Frame { event, data });
        let mut raw = BytesMut::with_capacity(data.len() + 64);
        put_event(event, data, &mut raw);
        self.sink.raw(&raw);
    }
}

/// An exception as Anthropic would say it.
fn error(name: &str, payload: &[u8]) -> Vec<u8> {
    let kind = EXCEPTIONS.iter().find(|(known, _)| *known == name).map_or("api_error", |(_, kind)| kind);
    let words = ["message", "originalMessage"];
    let message = words.iter().find_map(|word| json::field(payload, word).and_then(json::string)).unwrap_or_default();
    let error = serde_json::json!({"type": "error", "error": {"type": kind, "message": message}});
    error.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::eventstream::{put_exception, put_message};
    use super::*;

    #[derive(Default)]
    struct Seen {
        frames: Vec<(Option<String>, String)>,
        raw: Vec<u8>,
    }

    impl Sink for Seen {
        fn frame(&mut self, frame: Frame<'_>) {
            self.frames.push((frame.event.map(str::to_owned), String::from_utf8_lossy(frame.data).into_owned()));
        }

        fn raw(&mut self, bytes: &[u8]) {
            self.raw.extend_from_slice(bytes);
        }
    }

    #[test]
    fn what_is_inside_comes_out_as_server_sent_events() {
        let mut bytes = BytesMut::new();
        let inner = r#"{"type":"ping"}"#;
        put_message("chunk", format!(r#"{{"bytes":"{}","p":"abc"}}"#, STANDARD.encode(inner)).as_bytes(), &mut bytes);
        put_message("chunk", br#"{"bytes":"?"}"#, &mut bytes);
        put_exception("throttlingException", br#"{"message":"slow \"down\""}"#, &mut bytes);
        let (mut chunks, mut seen) = (Chunks::default(), Seen::default());
        bytes.chunks(7).for_each(|chunk| chunks.push(chunk, &mut seen).unwrap());
        chunks.finish().unwrap();
        let error = r#"{"error":{"message":"slow \"down\"","type":"rate_limit_error"},"type":"error"}"#;
        let row = |event: Option<&str>, data: &str| (event.map(str::to_owned), data.to_owned());
        assert_eq!(seen.frames, [row(Some("ping"), inner), row(None, "?"), row(Some("error"), error)]);
        let sse = format!("event: ping\ndata: {inner}\n\ndata: ?\n\nevent: error\ndata: {error}\n\n");
        assert_eq!(String::from_utf8_lossy(&seen.raw), sse);
    }
}
