//! What a reply repeats of its request: clients of this dialect insist on reading their own wishes back.

use crate::Peek;
use crate::object::{Object, Writer, array, to_raw};
use serde_json::value::RawValue;
use slip_ir::Raw;

/// Members of a response that repeat the request, and what they are where the caller said nothing.
const REPEATED: [(&str, &str); 22] = [
    ("background", "false"),
    ("frequency_penalty", "0"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("presence_penalty", "0"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", "null"),
    ("safety_identifier", "null"),
    ("store", "false"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
    ("prompt", "null"),
];

/// The caller's own words for [`REPEATED`], and which of the tools take free text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Echo {
    members: Vec<(&'static str, Raw)>,
    custom: Vec<String>,
}

impl Echo {
    pub fn of(body: &[u8], peek: &Peek) -> Echo {
        let mut echo = Echo::default();
        for (name, _) in REPEATED {
            let text = peek.member(name).and_then(|member| body.get(member.value.clone()));
            let text = text.and_then(|text| std::str::from_utf8(text).ok()).filter(|text| *text != "null");
            let Some(text) = text else { continue };
            if name == "tools" {
                echo.custom = custom(text);
                echo.members.extend(with_parameters(text).or_else(|| Raw::parse(text)).map(|raw| (name, raw)));
                continue;
            }
            // A client that reads a form without its kind back stumbles.
            if name == "text" && Object::parse(text, "").is_ok_and(|mut o| o.take("format").is_none()) {
                echo.members.extend(with_format(text).map(|raw| (name, raw)));
                continue;
            }
            echo.members.extend(Raw::parse(text).map(|raw| (name, raw)));
        }
        echo
    }

    /// Whether the caller gave a tool of this name as one that takes free text.
    pub fn is_custom(&self, tool: &str) -> bool {
        self.custom.iter().any(|name| name == tool)
    }
}

/// Every repeated member, in the caller's words or in ours.
pub fn write(w: &mut Writer<'_>, echo: Option<&Echo>) {
    for (name, otherwise) in REPEATED {
        let said = echo.and_then(|echo| echo.members.iter().find(|(key, _)| *key == name));
        w.raw(name, said.map_or(otherwise, |(_, raw)| raw.as_str()));
    }
}

fn custom(tools: &str) -> Vec<String> {
    let tools: Vec<&RawValue> = serde_json::from_str(tools).unwrap_or_default();
    let name = |tool: &RawValue| {
        let mut o = Object::parse(tool.get(), "").ok()?;
        (o.string("type", "").ok()?? == "custom").then(|| o.string("name", "").ok().flatten()).flatten()
    };
    tools.into_iter().filter_map(name).collect()
}

fn with_format(text: &str) -> Option<Raw> {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.raw("format", r#"{"type":"text"}"#);
    for (name, raw) in Object::parse(text, "").ok()?.rest() {
        w.raw(&name, raw.get());
    }
    w.close();
    to_raw(out)
}

/// Tools of which every function says what it takes, if only that it says nothing: strict clients look for the member. `None` where
/// there is nothing to add.
fn with_parameters(tools: &str) -> Option<Raw> {
    let tools: Vec<&RawValue> = serde_json::from_str(tools).ok()?;
    let lacks = |tool: &&RawValue| {
        Object::parse(tool.get(), "").is_ok_and(|mut o| {
            !o.has("parameters") && o.string("type", "").ok().flatten().as_deref() == Some("function")
        })
    };
    if !tools.iter().any(lacks) {
        return None;
    }
    let mut out = Vec::new();
    array(&mut out, &tools, |out, tool| match Object::parse(tool.get(), "") {
        Ok(members) if lacks(tool) => {
            let mut w = Writer::open(out);
            for (name, raw) in members.all() {
                w.raw(&name, raw.get());
            }
            w.raw("parameters", "null");
            w.close();
        }
        _ => out.extend_from_slice(tool.get().as_bytes()),
    });
    to_raw(out)
}
