//! One piece as it lies on the disk: JSON, compressed. The words of an answer are found here, off the request's way, by reading what the
//! caller got.

use super::{Piece, Reply};
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use slip_ir::{Block, Choice, Dialect, Event, Op, fold};
use slip_wire::frame::{Frame, Framer};
use slip_wire::{Quirks, wire};

/// Of ten levels: text gets hardly smaller by more work.
const LEVEL: u8 = 4;
/// No document is larger: what goes into one is bounded.
const LARGEST: usize = 32 * 1024 * 1024;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Document {
    pub dialect: String,
    pub operation: String,
    /// As it came, where that is JSON and not cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<RawValue>>,
    /// As much of it as is kept, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_text: Option<String>,
    pub request_bytes: usize,
    pub request_cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_text: Option<String>,
    pub reply_cut: bool,
    pub completion: Option<String>,
    pub reasoning: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Value>,
    pub error: Option<Value>,
}

pub fn write(piece: &Piece) -> Vec<u8> {
    let cut = piece.request_bytes > piece.request.len();
    let (request, request_text) = json_or_text(&piece.request, cut);
    let mut document = Document {
        dialect: piece.dialect.name().to_owned(),
        operation: if piece.op.is_empty() { Op::Chat.name() } else { piece.op }.to_owned(),
        request,
        request_text,
        request_bytes: piece.request_bytes,
        request_cut: cut,
        error: error(piece),
        ..Document::default()
    };
    let chat = document.operation == Op::Chat.name();
    match &piece.reply {
        Reply::None => {}
        Reply::Whole { bytes, cut } => {
            (document.reply, document.reply_text) = json_or_text(bytes, *cut);
            document.reply_cut = *cut;
            let said = wire(piece.dialect).decode_reply(bytes, Quirks::of(piece.dialect)).ok().filter(|_| chat && !cut);
            said.into_iter().flat_map(|reply| reply.choices).take(1).for_each(|choice| document.says(&choice));
        }
        Reply::Stream { bytes, cut } => {
            document.reply_cut = *cut;
            if chat {
                streamed(piece.dialect, bytes).iter().take(1).for_each(|choice| document.says(choice));
            } else {
                (document.reply, document.reply_text) = json_or_text(bytes, true);
            }
        }
    }
    compress_to_vec_zlib(&serde_json::to_vec(&document).unwrap_or_default(), LEVEL)
}

/// `None` for what is not ours.
pub fn read(body: &[u8]) -> Option<Document> {
    let text = decompress_to_vec_zlib_with_limit(body, LARGEST).ok()?;
    serde_json::from_slice(&text).ok()
}

fn json_or_text(bytes: &[u8], cut: bool) -> (Option<Box<RawValue>>, Option<String>) {
    if bytes.is_empty() {
        return (None, None);
    }
    match serde_json::from_slice(bytes).ok().filter(|_| !cut) {
        Some(json) => (Some(json), None),
        // Sound and pictures are not worth keeping as broken text.
        None => match std::str::from_utf8(bytes) {
            Ok(text) => (None, Some(text.to_owned())),
            Err(e) if e.error_len().is_none() => {
                (None, Some(String::from_utf8_lossy(&bytes[..e.valid_up_to()]).into_owned()))
            }
            Err(_) => (None, None),
        },
    }
}

/// What a stream came to, as a caller reads it.
fn streamed(dialect: Dialect, bytes: &[u8]) -> Vec<Choice> {
    let wire = wire(dialect);
    let (mut framer, mut decoder) = (Framer::new(wire.framing()), wire.decoder(Quirks::of(dialect)));
    let mut events: Vec<Event> = Vec::new();
    let mut sink = |frame: Frame<'_>| decoder.frame(&frame, &mut events);
    // Its last message may be cut; what came before it counts.
    let _ = framer.push(bytes, &mut sink);
    fold(events).choices
}

fn error(piece: &Piece) -> Option<Value> {
    let failure = piece.failure.as_ref()?;
    let earlier = |(provider, status, fault): &(std::sync::Arc<str>, Option<u16>, &str)| json!({ "provider_name": &**provider, "status": status, "message": fault });
    let previous: Vec<Value> = piece.earlier.iter().map(earlier).collect();
    Some(json!({
        "message": failure.message,
        "provider_name": (!piece.provider.is_empty()).then_some(&*piece.provider),
        "status": piece.status,
        "raw": null,
        "reason": failure.kind,
        "previous_errors": previous,
    }))
}

impl Document {
    fn says(&mut self, choice: &Choice) {
        let (mut text, mut thought) = (choice.text(), String::new());
        for block in &choice.blocks {
            match block {
                Block::Thinking(thinking) => thought.push_str(&thinking.text),
                Block::Refusal(said) => text.push_str(said),
                Block::ToolCall(call) => self.tool_calls.push(json!({
                    "id": call.id,
                    "type": "function",
                    "function": { "name": call.name, "arguments": call.arguments },
                })),
                _ => {}
            }
        }
        self.completion = (!text.is_empty()).then_some(text);
        self.reasoning = (!thought.is_empty()).then_some(thought);
    }

    /// The request as OpenRouter tells it: messages, or a prompt.
    pub fn input(&self) -> Value {
        let raw = self.request.as_ref().map(|raw| raw.get());
        let text = || json!({ "prompt": raw.or(self.request_text.as_deref()).unwrap_or_default() });
        let Some(object) = raw.and_then(|raw| serde_json::from_str::<Value>(raw).ok()) else { return text() };
        let dialect = Dialect::ALL.into_iter().find(|dialect| dialect.name() == self.dialect);
        if self.operation != Op::Chat.name() {
            return text();
        }
        match dialect {
            Some(Dialect::OpenAiChat) if object["messages"].is_array() => json!({ "messages": object["messages"] }),
            Some(_) if object["prompt"].is_string() => json!({ "prompt": object["prompt"] }),
            Some(other) => {
                let understood = wire(other).decode_request(raw.unwrap_or_default().as_bytes()).ok();
                let told = understood.and_then(|(request, _)| {
                    let (body, _) = wire(Dialect::OpenAiChat).encode_request(&request, Quirks::of(Dialect::OpenAiChat));
                    Some(serde_json::from_slice::<Value>(&body).ok()?["messages"].take())
                });
                told.filter(Value::is_array).map_or_else(text, |messages| json!({ "messages": messages }))
            }
            None => text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn piece(dialect: Dialect, request: &'static str, reply: Reply) -> Piece {
        Piece {
            id: "gen-1".into(),
            key_hash: "k".into(),
            until_ms: 1,
            dialect,
            op: "chat",
            request: Bytes::from_static(request.as_bytes()),
            request_bytes: request.len(),
            reply,
            status: 200,
            provider: "The Lab".into(),
            failure: None,
            earlier: Vec::new(),
        }
    }

    fn kept(piece: &Piece) -> Document {
        read(&write(piece)).expect("a document")
    }

    #[test]
    fn what_is_written_is_read_and_its_words_are_found() {
        let request = r#"{"model":"m","z":1,"messages":[{"role":"user","content":"why?"}],"a":2}"#;
        let reply = r#"{"choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","reasoning":"hm",
            "content":"so","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}"#;
        let whole = Reply::Whole { bytes: Bytes::from_static(reply.as_bytes()), cut: false };
        let document = kept(&piece(Dialect::OpenAiChat, request, whole));
        assert_eq!(document.request.as_ref().map(|raw| raw.get()), Some(request), "byte for byte");
        assert_eq!(document.input(), json!({ "messages": [{ "role": "user", "content": "why?" }] }));
        assert_eq!((document.completion.as_deref(), document.reasoning.as_deref()), (Some("so"), Some("hm")));
        assert_eq!(document.tool_calls[0]["function"]["name"], "f");
    }

    #[test]
    fn streams_and_other_dialects_are_told_as_words() {
        let request =
            r#"{"model":"m","max_tokens":5,"system":"be brief","messages":[{"role":"user","content":"why?"}]}"#;
        let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"m\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n\
            event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
            event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"because\"}}\n\n\
            event: content_block_delta\ndata: {\"type\":\"content_bl";
        let reply = Reply::Stream { bytes: Bytes::from_static(stream.as_bytes()), cut: true };
        let document = kept(&piece(Dialect::Anthropic, request, reply));
        assert_eq!((document.completion.as_deref(), document.reply_cut), (Some("because"), true));
        let messages = document.input()["messages"].clone();
        assert_eq!((&messages[0]["role"], &messages[1]["content"]), (&json!("system"), &json!("why?")), "{messages}");
    }

    #[test]
    fn what_is_cut_is_said_to_be() {
        let request = r#"{"messages":[{"role":"user","content":"wh"#;
        let document = kept(&Piece { request_bytes: 2_000_000, ..piece(Dialect::OpenAiChat, request, Reply::None) });
        assert!(document.request.is_none() && document.request_cut && document.request_bytes == 2_000_000);
        assert_eq!(document.input(), json!({ "prompt": request }));
        assert!(read(b"not ours").is_none());
    }
}
