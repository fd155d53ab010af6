//! Items of a reply as a caller reads them.

use super::{ids, seal};
use crate::Stamp;
use crate::object::{Writer, array};
use slip_ir::request::format;
use slip_ir::{Media, Raw, Source, ThinkingKind};

/// A part of a message or of a reasoning item.
#[derive(Debug, Default)]
pub struct Part {
    pub refusal: bool,
    pub text: String,
    /// As shown.
    pub annotations: Vec<Raw>,
    /// Entries of OpenAI's `logprobs.content`.
    pub logprobs: Vec<Raw>,
}

impl Part {
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut w = Writer::open(out);
        if self.refusal {
            w.put("type", "refusal").text("refusal", &self.text);
        } else {
            w.put("type", "output_text").text("text", &self.text);
            w.put("annotations", &self.annotations).put("logprobs", &self.logprobs);
        }
        w.close();
    }
}

pub fn message(id: &str, status: &str, parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("type", "message").put("id", id).put("role", "assistant").put("status", status);
    array(w.key("content"), parts, |out, part| part.write(out));
    w.close();
    out
}

/// A reasoning item: texts, and what seals them.
#[derive(Debug, Default)]
pub struct Thought {
    pub format: String,
    /// The provider's own id.
    pub id: Option<String>,
    pub summary: Vec<String>,
    pub content: Vec<String>,
    /// A signature of the text, or a blob on its own.
    pub sealed: Option<(ThinkingKind, String)>,
}

impl Thought {
    /// The id it is shown under: the provider's, where the item may go back to it.
    pub fn shown_id(&self, stamp: &Stamp, place: usize) -> String {
        match &self.id {
            Some(id) if seal::is_native(&self.format) && !id.is_empty() => id.clone(),
            _ => ids::item(ids::Kind::Reasoning, &stamp.id, place),
        }
    }

    pub fn write(&self, id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", "reasoning").put("id", id);
        array(w.key("summary"), &self.summary, |out, text| text_part(out, "summary_text", text));
        if !self.content.is_empty() {
            array(w.key("content"), &self.content, |out, text| text_part(out, "reasoning_text", text));
        }
        if let Some((kind, payload)) = &self.sealed {
            let own = self.id.as_deref();
            w.text("encrypted_content", &seal::seal(&self.format, *kind, own, payload));
        }
        // OpenAI refuses the member on its own items, and they may go straight back there.
        if self.format != format::OPENAI {
            w.put("format", if self.format.is_empty() { format::UNKNOWN } else { &self.format });
        }
        w.close();
        out
    }
}

pub fn text_part(out: &mut Vec<u8>, kind: &str, text: &str) {
    let mut w = Writer::open(out);
    w.put("type", kind).text("text", text);
    w.close();
}

/// A signature on text or on a call, which an item has no place for, as reasoning that names the call. Only Gemini signs these.
pub fn signature(call: Option<&str>, payload: &str) -> Thought {
    Thought {
        format: format::GEMINI.to_owned(),
        id: call.map(str::to_owned),
        sealed: Some((ThinkingKind::Encrypted, payload.to_owned())),
        ..Thought::default()
    }
}

/// A call as far as it is known.
#[derive(Debug, Default)]
pub struct Call {
    pub id: String,
    pub name: String,
    /// JSON, or free text where the tool is custom.
    pub arguments: String,
    pub custom: bool,
    /// Members of the upstream's own call.
    pub extra: Option<Raw>,
}

impl Call {
    pub fn write(&self, item_id: &str, status: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", if self.custom { "custom_tool_call" } else { "function_call" });
        w.put("id", item_id).put("call_id", &self.id).put("name", &self.name);
        w.text(if self.custom { "input" } else { "arguments" }, &self.arguments);
        w.put("status", status);
        if let Some(extra) = &self.extra {
            w.known(extra, &["namespace"], |_| {});
        }
        w.close();
        out
    }
}

/// A picture the model made. It comes as base64 here; one that only has an address is told by it.
pub fn image(id: &str, media: &Media) -> Option<Vec<u8>> {
    let result = match &media.source {
        Source::Data { base64, .. } => base64,
        Source::Url(url) => url.split_once(";base64,").map_or(url.as_str(), |(_, base64)| base64),
        Source::Text(_) | Source::FileId(_) => return None,
    };
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("type", "image_generation_call").put("id", id).put("status", "completed").text("result", result);
    w.close();
    Some(out)
}
