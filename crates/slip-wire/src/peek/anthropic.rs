//! What is read of an Anthropic Messages request.

use super::*;
use crate::anthropic::seal;
use slip_ir::request::format;

pub(super) fn peek(body: &[u8]) -> Result<Peek, Malformed> {
    let mut peek = Peek { members: json::members(body)?, spliceable: true, ..Peek::default() };
    peek.want.n = 1;
    let mut bytes = 0;
    let members = std::mem::take(&mut peek.members);
    for member in &members {
        let span = &body[member.value.clone()];
        match member.key.as_str() {
            "model" => peek.model = text("model", span)?,
            "stream" => peek.stream = flag("stream", span)?.unwrap_or(false),
            "max_tokens" => {
                peek.want.max_tokens = whole("max_tokens", span, 1, i64::MAX)?;
                if peek.want.max_tokens.is_some() {
                    peek.param("max_tokens");
                }
            }
            "messages" => bytes += messages(&mut peek, span)?,
            "system" => bytes += content("system", &mut peek, span)?,
            "tools" if array("tools", span)? && json::items(span).next().is_some() => {
                peek.want.tools = true;
                peek.param("tools");
                bytes += span.len();
            }
            "tool_choice" if object("tool_choice", span)? => peek.param("tool_choice"),
            "stop_sequences" if !texts("stop_sequences", span, 64)?.is_empty() => peek.param("stop"),
            "temperature" if number("temperature", span)? => peek.param("temperature"),
            "top_p" if number("top_p", span)? => peek.param("top_p"),
            "top_k" if number("top_k", span)? => peek.param("top_k"),
            "thinking" if object("thinking", span)? => {
                let kind = json::field(span, "type").and_then(json::string);
                peek.reasoning.enabled = Some(kind.as_deref() != Some("disabled"));
                let budget = json::field(span, "budget_tokens");
                peek.reasoning.budget = budget.map_or(Ok(None), |b| whole("thinking.budget_tokens", b, 0, i64::MAX))?;
                peek.hide_reasoning = json::field(span, "display").is_some_and(|d| d == b"\"omitted\"");
                peek.param("reasoning");
            }
            "output_config" | "output_format" if object(&member.key, span)? => {
                let format = json::field(span, "format").unwrap_or(span);
                if json::field(format, "type").is_some_and(|t| t == b"\"json_schema\"") {
                    peek.want.json_schema = true;
                    peek.param("structured_outputs");
                    peek.param("response_format");
                }
            }
            "metadata" if object("metadata", span)? => {
                peek.user = json::field(span, "user_id").map_or(Ok(None), |u| text("metadata.user_id", u))?;
            }
            other => peek.routed(other, span)?,
        }
    }
    if !members.iter().any(|m| m.key == "messages") {
        return wrong("messages", "is required");
    }
    peek.members = members;
    peek.want.stream = peek.stream;
    peek.want.reasoning = peek.reasoning.wanted();
    peek.want.prompt_tokens = (bytes as u64).div_ceil(4);
    Ok(peek)
}

fn messages(peek: &mut Peek, span: &[u8]) -> Result<usize, Malformed> {
    if span.first() != Some(&b'[') {
        return wrong("messages", "must be an array");
    }
    let mut bytes = 0;
    let mut count = 0;
    for message in json::items(span) {
        if count >= MAX_MESSAGES {
            return wrong("messages", &format!("must hold at most {MAX_MESSAGES} messages"));
        }
        let at = format!("messages[{count}]");
        if message.first() != Some(&b'{') {
            return wrong(at, "must be an object");
        }
        let mut has_role = false;
        for (key, value) in json::fields(message) {
            match &*key.bytes() {
                b"role" if Str::of(value).is_none() => return wrong(format!("{at}.role"), "must be a string"),
                b"role" => has_role = true,
                b"content" => bytes += content(&format!("{at}.content"), peek, value)?,
                _ => {}
            }
        }
        if !has_role {
            return wrong(format!("{at}.role"), "is required");
        }
        count += 1;
    }
    if count == 0 {
        return wrong("messages", "must not be empty");
    }
    Ok(bytes)
}

/// A string or an array of blocks; the bytes of text in it.
fn content(at: &str, peek: &mut Peek, span: &[u8]) -> Result<usize, Malformed> {
    match span.first() {
        Some(b'"') => return Ok(span.len()),
        Some(b'[') => {}
        _ if !present(span) => return Ok(0),
        _ => return wrong(at, "must be a string or an array"),
    }
    let mut bytes = 0;
    for (i, block) in json::items(span).enumerate() {
        if block.first() != Some(&b'{') {
            return wrong(format!("{at}[{i}]"), "must be an object");
        }
        let kind = json::field(block, "type").and_then(json::string);
        match kind.as_deref() {
            Some("image") => {
                peek.want.media.insert(MediaKind::Image);
                let source = json::field(block, "source").and_then(|source| json::field(source, "type"));
                peek.shape.image_urls |= source == Some(b"\"url\"".as_slice());
            }
            Some("document") => peek.want.media.insert(MediaKind::File),
            Some("redacted_thinking") => sealed(peek, json::field(block, "data")),
            Some("thinking") => {
                sealed(peek, json::field(block, "signature"));
                // Who thought is only said where it was not Anthropic, which refuses the member.
                peek.spliceable &= json::field(block, "format").is_none();
                bytes += block.len();
            }
            Some("tool_result") => {
                if let Some(inner) = json::field(block, "content") {
                    bytes += content(&format!("{at}[{i}].content"), peek, inner)?;
                }
            }
            _ => bytes += block.len(),
        }
    }
    Ok(bytes)
}

/// A seal of ours around another family's must be opened before anybody can read it.
fn sealed(peek: &mut Peek, payload: Option<&[u8]>) {
    let Some(text) = payload.and_then(json::string).filter(|text| !text.is_empty()) else { return };
    let family = seal::unseal(&text).format;
    peek.spliceable &= seal::is_ours(family);
    if family != format::UNKNOWN {
        peek.seal(family);
    }
}
