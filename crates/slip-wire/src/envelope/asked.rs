//! InvokeModel from its callers' side: the body is one of several makers', told by its members. Inside this house it is a request of
//! the dialect nearest to it; the reply goes back in the maker's words, a stream in Amazon's messages of type `chunk`
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html>, 2026-11).

use super::{METRICS, tongue::count};
use crate::frame::eventstream::{put_exception, put_message};
use crate::frame::sse::Sink;
use crate::frame::{Frame, Framer, Unframed};
use crate::json;
use crate::peek::Named;
use crate::{Malformed, wire};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use serde_json::{Map, Value, json};
use slip_ir::Dialect;

/// Whose words a caller uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's chat completions.
    Chat,
    Nova,
    Titan,
    Llama,
}

/// A request of the dialect, and what else was said in it.
#[derive(Debug, PartialEq)]
pub struct Understood {
    pub asked: Asked,
    pub body: Vec<u8>,
    /// The value that elsewhere is the header `anthropic-beta`.
    pub beta: Option<String>,
}

impl Asked {
    pub fn dialect(self) -> Dialect {
        match self {
            Asked::Messages => Dialect::Anthropic,
            Asked::Chat => Dialect::OpenAiChat,
            Asked::Nova | Asked::Titan | Asked::Llama => Dialect::Bedrock,
        }
    }

    pub fn read(body: &[u8], named: &Named) -> Result<Understood, Malformed> {
        json::check(body)?;
        let mut said: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| Malformed::new("", "must be a JSON object"))?;
        let has = |name: &str| said.contains_key(name);
        let asked = match () {
            () if has("anthropic_version") && has("messages") => Asked::Messages,
            () if has("schemaVersion") || has("inferenceConfig") => Asked::Nova,
            () if has("messages") => Asked::Chat,
            () if has("inputText") => Asked::Titan,
            () if has("prompt") && (has("max_gen_len") || named.model.contains("llama")) => Asked::Llama,
            () => {
                let why =
                    "this body of InvokeModel is not understood here: ask by Converse, which has one for all models";
                return Err(Malformed::new("", why));
            }
        };
        let beta = said.remove("anthropic_beta").and_then(|names| {
            let names: Vec<&str> = names.as_array()?.iter().filter_map(Value::as_str).collect();
            (!names.is_empty()).then(|| names.join(","))
        });
        let body = match asked {
            Asked::Messages | Asked::Chat => {
                said.remove("anthropic_version");
                said.insert("model".into(), named.model.as_str().into());
                said.insert("stream".into(), named.stream.into());
                said
            }
            Asked::Nova => nova(said),
            Asked::Titan => {
                let config = said.remove("textGenerationConfig").unwrap_or_default();
                prompt(&said["inputText"], &config, ["maxTokenCount", "temperature", "topP", "stopSequences"])
            }
            Asked::Llama => prompt(&said["prompt"], &json!(said), ["max_gen_len", "temperature", "top_p", "stop"]),
        };
        Ok(Understood { asked, body: serde_json::to_vec(&body).unwrap_or_default(), beta })
    }

    /// A whole reply of the dialect, in the maker's words. What is none stays as it is.
    pub fn whole(self, body: &[u8]) -> Option<Vec<u8>> {
        if !matches!(self, Asked::Titan | Asked::Llama) {
            return None;
        }
        let told: Value = serde_json::from_slice(body).ok()?;
        let content = told["output"]["message"]["content"].as_array()?;
        let text: String = content.iter().filter_map(|block| block["text"].as_str()).collect();
        let counts = [&told["usage"]["inputTokens"], &told["usage"]["outputTokens"]];
        let reason = told["stopReason"].as_str().unwrap_or_default();
        let written = match self {
            Asked::Titan => json!({
                "inputTextTokenCount": counts[0],
                "results": [{ "tokenCount": counts[1], "outputText": text, "completionReason": self.reason(reason) }],
            }),
            _ => json!({
                "generation": text,
                "prompt_token_count": counts[0],
                "generation_token_count": counts[1],
                "stop_reason": self.reason(reason),
            }),
        };
        serde_json::to_vec(&written).ok()
    }

    /// The maker's word for one of Converse's.
    fn reason(self, word: &str) -> &'static str {
        match (self, word) {
            (Asked::Titan, "max_tokens") => "LENGTH",
            (Asked::Titan, "content_filtered" | "guardrail_intervened") => "CONTENT_FILTERED",
            (Asked::Titan, _) => "FINISH",
            (_, "max_tokens") => "length",
            _ => "stop",
        }
    }

    /// Tokens read and written, by a whole reply of the dialect.
    pub fn counts(self, body: &[u8]) -> Option<[u64; 2]> {
        let usage = json::field(body, "usage")?;
        let of = |names: &[&str]| {
            let found: Option<Vec<u64>> =
                names.iter().map(|n| json::field(usage, n)).map(|v| v.map_or(Some(0), crate::ops::count)).collect();
            found.map(|found| found.iter().sum::<u64>())
        };
        let [input, output]: [&[&str]; 2] = match self.dialect() {
            Dialect::Anthropic => [&["input_tokens"], &["output_tokens"]],
            Dialect::OpenAiChat => [&["prompt_tokens"], &["completion_tokens"]],
            _ => [&["inputTokens"], &["outputTokens"]],
        };
        Some([of(input)?, of(output)?])
    }
}

/// Converse's words, but for one.
fn nova(mut said: Map<String, Value>) -> Map<String, Value> {
    said.remove("schemaVersion");
    let config = said.get_mut("inferenceConfig").and_then(Value::as_object_mut);
    if let Some(k) = config.and_then(|config| config.remove("topK")) {
        said.insert("additionalModelRequestFields".into(), json!({ "top_k": k }));
    }
    said
}

fn prompt(text: &Value, config: &Value, names: [&str; 4]) -> Map<String, Value> {
    let members = ["maxTokens", "temperature", "topP", "stopSequences"];
    let given = members.into_iter().zip(names).filter(|(_, name)| !config[*name].is_null());
    let config: Map<String, Value> = given.map(|(member, name)| (member.to_owned(), config[name].clone())).collect();
    let mut body = Map::new();
    body.insert("messages".into(), json!([{ "role": "user", "content": [{ "text": text }] }]));
    body.insert("inferenceConfig".into(), config.into());
    body
}

/// A stream of the dialect on its way to such a caller.
#[derive(Debug)]
pub struct Wrapped {
    framer: Framer,
    into: Into,
}

#[derive(Debug)]
struct Into {
    asked: Asked,
    input: Option<u64>,
    output: Option<u64>,
    reason: &'static str,
    out: BytesMut,
}

impl Wrapped {
    pub fn new(asked: Asked) -> Wrapped {
        let framer = Framer::new(wire(asked.dialect()).framing());
        Wrapped { framer, into: Into { asked, input: None, output: None, reason: "", out: BytesMut::new() } }
    }

    /// The messages that are whole with these bytes. What this house wrote itself can be taken apart.
    pub fn push(&mut self, chunk: &[u8]) -> Result<BytesMut, Unframed> {
        self.framer.push(chunk, &mut self.into)?;
        Ok(std::mem::take(&mut self.into.out))
    }
}

impl Into {
    fn chunk(&mut self, data: &[u8]) {
        let payload = [br#"{"bytes":""#.as_slice(), STANDARD.encode(data).as_bytes(), br#""}"#].concat();
        put_message("chunk", &payload, &mut self.out);
    }

    /// A piece of text, or (where there is none) the end.
    fn text(&mut self, text: Option<&str>) {
        let asked = self.asked;
        let ends = text.is_none();
        let (input, output) = (self.input.filter(|_| ends), self.output.filter(|_| ends));
        let reason = if ends { Value::from(asked.reason(self.reason)) } else { Value::Null };
        let text = text.unwrap_or_default();
        let mut piece = match asked {
            Asked::Titan => json!({
                "outputText": text, "index": 0, "inputTextTokenCount": input,
                "totalOutputTextTokenCount": output, "completionReason": reason,
            }),
            _ => json!({
                "generation": text, "prompt_token_count": input, "generation_token_count": output, "stop_reason": reason,
            }),
        };
        if ends {
            piece[METRICS] = self.metrics();
        }
        self.chunk(piece.to_string().as_bytes());
    }

    fn metrics(&self) -> Value {
        json!({ "inputTokenCount": self.input.unwrap_or(0), "outputTokenCount": self.output.unwrap_or(0) })
    }

    fn note(&mut self, usage: &Value, names: [&str; 2]) {
        self.input = count(&usage[names[0]]).or(self.input);
        self.output = count(&usage[names[1]]).or(self.output);
    }

    fn messages(&mut self, data: &[u8]) {
        let kind = json::field(data, "type").and_then(json::string).unwrap_or_default();
        if !matches!(&*kind, "message_start" | "message_delta" | "message_stop" | "error") {
            return self.chunk(data);
        }
        let mut told: Value = serde_json::from_slice(data).unwrap_or_default();
        match &*kind {
            "error" => return self.error(&told["error"]),
            "message_stop" => told[METRICS] = self.metrics(),
            "message_start" => self.note(&told["message"]["usage"], ["input_tokens", "output_tokens"]),
            _ => self.note(&told["usage"], ["input_tokens", "output_tokens"]),
        }
        self.chunk(told.to_string().as_bytes());
    }

    /// Nothing comes after it.
    fn error(&mut self, error: &Value) {
        let kind = error["type"].as_str().unwrap_or_default();
        let name = match kind {
            "rate_limit_error" | "rate_limit_exceeded" => "throttlingException",
            "invalid_request_error" => "validationException",
            "timeout_error" => "modelTimeoutException",
            "overloaded_error" => "serviceUnavailableException",
            _ => "modelStreamErrorException",
        };
        let words = json!({ "message": error["message"].as_str().unwrap_or("the stream failed") });
        put_exception(name, words.to_string().as_bytes(), &mut self.out);
    }

    fn converse(&mut self, name: &str, data: &[u8]) {
        let told: Value = serde_json::from_slice(data).unwrap_or_default();
        if self.asked == Asked::Nova {
            let mut event = json!({ name: told });
            if name == "metadata" {
                self.note(&event[name]["usage"], ["inputTokens", "outputTokens"]);
                event[METRICS] = self.metrics();
            }
            return self.chunk(event.to_string().as_bytes());
        }
        match name {
            "contentBlockDelta" => {
                if let Some(text) = told["delta"]["text"].as_str() {
                    self.text(Some(text));
                }
            }
            "messageStop" => {
                let known = ["max_tokens", "content_filtered", "guardrail_intervened"];
                let word = told["stopReason"].as_str().unwrap_or_default();
                self.reason = known.into_iter().find(|known| *known == word).unwrap_or("end_turn");
            }
            "metadata" => {
                self.note(&told["usage"], ["inputTokens", "outputTokens"]);
                self.text(None);
            }
            _ => {}
        }
    }
}

impl Sink for Into {
    fn frame(&mut self, frame: Frame<'_>) {
        match self.asked {
            Asked::Messages => self.messages(frame.data),
            Asked::Chat if frame.is_done() => {}
            Asked::Chat => {
                let told: Value = serde_json::from_slice(frame.data).unwrap_or_default();
                if told["error"].is_object() {
                    self.error(&told["error"]);
                }
                self.chunk(frame.data);
            }
            _ => match frame.event {
                Some(name) if name.ends_with("Exception") => put_exception(name, frame.data, &mut self.out),
                name => self.converse(name.unwrap_or_default(), frame.data),
            },
        }
    }

    fn raw(&mut self, _bytes: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::super::retold::Retold;
    use super::super::tongue::Tongue;
    use super::*;

    fn read(body: &Value) -> (Asked, Value, Option<String>) {
        let named = Named { model: "a/m".into(), stream: true };
        let told = Asked::read(body.to_string().as_bytes(), &named).expect("a request");
        (told.asked, serde_json::from_slice(&told.body).expect("JSON"), told.beta)
    }

    #[test]
    fn whose_words_they_are_is_told_by_the_members() {
        let turns = json!([{ "role": "user", "content": "hi" }]);
        let said = json!([{ "role": "user", "content": [{ "text": "hi" }] }]);
        let rows = [
            (
                json!({ "anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["a", "b"], "max_tokens": 5, "messages": turns }),
                (
                    Asked::Messages,
                    json!({ "model": "a/m", "stream": true, "max_tokens": 5, "messages": turns }),
                    Some("a,b".to_owned()),
                ),
            ),
            (
                json!({ "messages": turns, "temperature": 1 }),
                (Asked::Chat, json!({ "model": "a/m", "stream": true, "messages": turns, "temperature": 1 }), None),
            ),
            (
                json!({ "schemaVersion": "messages-v1", "messages": said, "inferenceConfig": { "maxTokens": 5, "topK": 2 } }),
                (
                    Asked::Nova,
                    json!({ "messages": said, "inferenceConfig": { "maxTokens": 5 }, "additionalModelRequestFields": { "top_k": 2 } }),
                    None,
                ),
            ),
            (
                json!({ "inputText": "hi", "textGenerationConfig": { "maxTokenCount": 5 } }),
                (Asked::Titan, json!({ "messages": said, "inferenceConfig": { "maxTokens": 5 } }), None),
            ),
            (
                json!({ "prompt": "hi", "max_gen_len": 5, "top_p": 0.5 }),
                (Asked::Llama, json!({ "messages": said, "inferenceConfig": { "maxTokens": 5, "topP": 0.5 } }), None),
            ),
        ];
        for (body, want) in rows {
            assert_eq!(read(&body), want);
        }
        let named = Named::default();
        for body in ["{}", "[]", "x", r#"{"prompt":"hi"}"#] {
            assert!(Asked::read(body.as_bytes(), &named).is_err(), "{body}");
        }
    }

    #[test]
    fn a_reply_goes_back_in_the_makers_words() {
        let reply = br#"{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"max_tokens","usage":{"inputTokens":3,"outputTokens":4}}"#;
        let whole = |asked: Asked| asked.whole(reply).map(|body| serde_json::from_slice::<Value>(&body).expect("JSON"));
        assert_eq!(
            whole(Asked::Titan),
            Some(
                json!({ "inputTextTokenCount": 3, "results": [{ "tokenCount": 4, "outputText": "hi", "completionReason": "LENGTH" }] })
            )
        );
        assert_eq!(
            whole(Asked::Llama),
            Some(
                json!({ "generation": "hi", "prompt_token_count": 3, "generation_token_count": 4, "stop_reason": "length" })
            )
        );
        assert_eq!(whole(Asked::Nova), None, "it is Converse's own");
        assert_eq!(Asked::Nova.counts(reply), Some([3, 4]));
        let anthropic = br#"{"usage":{"input_tokens":5,"output_tokens":6}}"#;
        assert_eq!(Asked::Messages.counts(anthropic), Some([5, 6]));
    }

    #[derive(Default)]
    struct Seen(Vec<(String, Value)>);

    impl Sink for Seen {
        fn frame(&mut self, frame: Frame<'_>) {
            let name = frame.event.unwrap_or_default().to_owned();
            self.0.push((name, serde_json::from_slice(frame.data).unwrap_or_default()));
        }

        fn raw(&mut self, _bytes: &[u8]) {}
    }

    #[test]
    fn a_stream_goes_back_in_amazon_s_messages() {
        let sse = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n: a comment\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":4}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        let mut wrapped = Wrapped::new(Asked::Messages);
        let mut out = Vec::new();
        sse.as_bytes().chunks(7).for_each(|chunk| out.extend_from_slice(&wrapped.push(chunk).expect("it is framed")));
        let mut seen = Seen::default();
        let mut chunks = crate::frame::chunks::Chunks::default();
        chunks.push(&out, &mut seen).expect("it is framed");
        let kinds: Vec<&str> = seen.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(kinds, ["message_start", "message_delta", "message_stop"]);
        assert_eq!(seen.0[2].1[METRICS], json!({ "inputTokenCount": 3, "outputTokenCount": 4 }));
    }

    #[test]
    fn what_is_told_to_such_a_caller_can_be_told_back() {
        let events = [
            ("messageStart", json!({ "role": "assistant" })),
            ("contentBlockDelta", json!({ "contentBlockIndex": 0, "delta": { "text": "hi" } })),
            ("contentBlockStop", json!({ "contentBlockIndex": 0 })),
            ("messageStop", json!({ "stopReason": "max_tokens" })),
            (
                "metadata",
                json!({ "usage": { "inputTokens": 3, "outputTokens": 4, "totalTokens": 7 }, "metrics": { "latencyMs": 0 } }),
            ),
        ];
        for (asked, tongue) in
            [(Asked::Titan, Tongue::Titan), (Asked::Llama, Tongue::Llama), (Asked::Nova, Tongue::Nova)]
        {
            let mut said = BytesMut::new();
            events.iter().for_each(|(name, event)| put_message(name, event.to_string().as_bytes(), &mut said));
            let told = Wrapped::new(asked).push(&said).expect("it is framed");
            let (mut back, mut seen) = (Retold::chunks(tongue), Seen::default());
            back.push(&told, &mut seen).expect("it is framed");
            back.finish(&mut seen).expect("it ends");
            let want: Vec<(String, Value)> =
                events.iter().map(|(name, event)| ((*name).to_owned(), event.clone())).collect();
            assert_eq!(seen.0, want, "{asked:?}");
        }
    }
}
