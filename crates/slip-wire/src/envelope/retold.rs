//! A stream in a maker's tongue, told as the dialect's own: what comes out of here is framed as the dialect frames it, so that
//! nobody behind it knows the difference.

use super::tongue::{Said, Tongue, count};
use super::{METRICS, chat, cohere, nova};
use crate::dialect::put_event;
use crate::frame::eventstream::{EventStream, put_exception, put_message};
use crate::frame::lines::Lines;
use crate::frame::sse::Sink;
use crate::frame::{Frame, Unframed};
use crate::json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use serde_json::{Value, json};
use slip_ir::Dialect;

/// Takes such a stream apart as its bytes arrive.
#[derive(Debug)]
pub struct Retold {
    cut: Cut,
    teller: Teller,
}

#[derive(Debug)]
enum Cut {
    /// Each message inside one of Amazon's, base64-coded.
    Chunks(EventStream),
    /// A line each.
    Lines(Lines),
}

impl Retold {
    pub fn chunks(tongue: Tongue) -> Retold {
        Retold { cut: Cut::Chunks(EventStream::default()), teller: Teller::new(tongue) }
    }

    pub fn lines(tongue: Tongue) -> Retold {
        Retold { cut: Cut::Lines(Lines::default()), teller: Teller::new(tongue) }
    }

    pub fn push(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), Unframed> {
        let mut into = Into { teller: &mut self.teller, sink };
        match &mut self.cut {
            Cut::Chunks(stream) => stream.push(chunk, &mut into),
            Cut::Lines(lines) => Ok(lines.push(chunk, &mut into)?),
        }
    }

    pub fn finish(&mut self, sink: &mut impl Sink) -> Result<(), Unframed> {
        let mut into = Into { teller: &mut self.teller, sink };
        let done = match &mut self.cut {
            Cut::Chunks(stream) => stream.finish(),
            Cut::Lines(lines) => lines.finish(&mut into).map_err(Unframed::from),
        };
        self.teller.finish(sink);
        done
    }
}

struct Into<'s, S> {
    teller: &'s mut Teller,
    sink: &'s mut S,
}

impl<S: Sink> Sink for Into<'_, S> {
    fn frame(&mut self, frame: Frame<'_>) {
        match frame.event {
            Some("chunk") => {
                let coded = json::field(frame.data, "bytes").and_then(json::string).unwrap_or_default();
                let inner = STANDARD.decode(coded.as_bytes()).unwrap_or_default();
                self.teller.message(&inner, self.sink);
            }
            None => self.teller.message(frame.data, self.sink),
            Some(name) => self.teller.exception(name, frame.data, self.sink),
        }
    }

    fn raw(&mut self, _bytes: &[u8]) {}
}

#[derive(Debug)]
struct Teller {
    tongue: Tongue,
    started: bool,
    stopped: bool,
    counted: bool,
    input: Option<u64>,
    output: Option<u64>,
    cohere: cohere::Stream,
}

impl Teller {
    fn new(tongue: Tongue) -> Teller {
        Teller {
            tongue,
            started: false,
            stopped: false,
            counted: false,
            input: None,
            output: None,
            cohere: cohere::Stream::default(),
        }
    }

    fn message(&mut self, data: &[u8], sink: &mut impl Sink) {
        let Ok(mut told) = serde_json::from_slice::<Value>(data) else {
            // What cannot be read is handed on: a hole must not look like the end.
            return self.hand(None, b"?", sink);
        };
        match self.tongue {
            Tongue::Cohere => {
                for event in self.cohere.event(&told) {
                    self.tell(event["type"].as_str().unwrap_or_default(), &event, sink);
                }
            }
            Tongue::Chat => match chat::told(told) {
                Some(told) => self.hand(None, told.to_string().as_bytes(), sink),
                None => self.hand(None, b"?", sink),
            },
            Tongue::Nova => {
                for (name, event) in nova::events(&mut told) {
                    self.tell(name, &event, sink);
                }
            }
            text => match text.said(&told) {
                Some(said) => self.text(said, &told, sink),
                None if told.get(METRICS).is_some() => self.counts(&told, sink),
                None => self.hand(None, b"?", sink),
            },
        }
    }

    fn text(&mut self, said: Said, told: &Value, sink: &mut impl Sink) {
        if !std::mem::replace(&mut self.started, true) {
            self.tell("messageStart", &json!({ "role": "assistant" }), sink);
        }
        if !said.text.is_empty() && !self.stopped {
            let delta = json!({ "contentBlockIndex": 0, "delta": { "text": said.text } });
            self.tell("contentBlockDelta", &delta, sink);
        }
        (self.input, self.output) = (said.input.or(self.input), said.output.or(self.output));
        if let Some(word) = said.stop.filter(|_| !self.stopped) {
            self.stopped = true;
            self.tell("contentBlockStop", &json!({ "contentBlockIndex": 0 }), sink);
            self.tell("messageStop", &json!({ "stopReason": reason(&word) }), sink);
        }
        if told.get(METRICS).is_some() {
            self.counts(told, sink);
        }
    }

    fn counts(&mut self, told: &Value, sink: &mut impl Sink) {
        if self.stopped && !std::mem::replace(&mut self.counted, true) {
            let said = json!({ "inputTokens": self.input, "outputTokens": self.output });
            let metadata = json!({ "usage": usage(&said, told), "metrics": latency(told) });
            self.tell("metadata", &metadata, sink);
        }
    }

    /// What the maker itself counted is told where the cloud counted nothing.
    fn finish(&mut self, sink: &mut impl Sink) {
        if self.input.or(self.output).is_some() {
            self.counts(&Value::Null, sink);
        }
    }

    fn tell(&mut self, name: &str, event: &Value, sink: &mut impl Sink) {
        self.hand(Some(name), event.to_string().as_bytes(), sink);
    }

    fn hand(&mut self, name: Option<&str>, data: &[u8], sink: &mut impl Sink) {
        sink.frame(Frame { event: name, data });
        let mut raw = BytesMut::with_capacity(data.len() + 128);
        match self.tongue.dialect() {
            Dialect::Bedrock => put_message(name.unwrap_or("?"), data, &mut raw),
            _ => put_event(name, data, &mut raw),
        }
        sink.raw(&raw);
    }

    fn exception(&mut self, name: &str, payload: &[u8], sink: &mut impl Sink) {
        if self.tongue.dialect() == Dialect::Bedrock {
            sink.frame(Frame { event: Some(name), data: payload });
            let mut raw = BytesMut::new();
            put_exception(name, payload, &mut raw);
            return sink.raw(&raw);
        }
        let said = json::field(payload, "message").and_then(json::string).unwrap_or_default();
        if self.tongue == Tongue::Chat {
            let error = json!({ "error": { "message": said, "code": name } });
            return self.hand(None, error.to_string().as_bytes(), sink);
        }
        let error =
            json!({ "type": "message-end", "delta": { "finish_reason": "ERROR", "error": format!("{name}: {said}") } });
        self.tell("message-end", &error, sink);
    }
}

/// A whole reply of a model that continues text, as Converse tells it.
pub(super) fn whole(said: Said, told: &Value) -> Value {
    let counted = json!({ "inputTokens": said.input, "outputTokens": said.output });
    json!({
        "output": { "message": { "role": "assistant", "content": [{ "text": said.text }] } },
        "stopReason": said.stop.as_deref().map_or("end_turn", reason),
        "usage": usage(&counted, told),
        "metrics": latency(told),
    })
}

/// Converse's word for one of a maker's.
fn reason(word: &str) -> &'static str {
    match word.to_ascii_lowercase().as_str() {
        "length" | "max_tokens" => "max_tokens",
        word if word.contains("filter") || word.contains("toxic") => "content_filtered",
        "error" => "malformed_model_output",
        _ => "end_turn",
    }
}

/// The counts of a reply: what it says itself, and for what it does not say, what the cloud counted.
pub(super) fn usage(said: &Value, told: &Value) -> Value {
    let metrics = &told[METRICS];
    let of = |name: &str, metric: &str| count(&said[name]).or_else(|| count(&metrics[metric]));
    let (input, output) = (of("inputTokens", "inputTokenCount"), of("outputTokens", "outputTokenCount"));
    if input.or(output).is_none() {
        return Value::Null;
    }
    let mut usage = json!({ "inputTokens": input.unwrap_or(0), "outputTokens": output.unwrap_or(0) });
    let mut total = input.unwrap_or(0).saturating_add(output.unwrap_or(0));
    for name in ["cacheReadInputTokens", "cacheWriteInputTokens"] {
        let metric = name.replace("Tokens", "TokenCount");
        if let Some(n) = of(name, &metric).or_else(|| count(&said[&metric])).filter(|n| *n > 0) {
            usage[name] = n.into();
            total = total.saturating_add(n);
        }
    }
    usage["totalTokens"] = total.into();
    usage
}

pub(super) fn latency(told: &Value) -> Value {
    json!({ "latencyMs": count(&told[METRICS]["invocationLatency"]).unwrap_or(0) })
}
