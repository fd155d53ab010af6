//! What is read of a Gemini request. Both spellings of names (`inlineData`, `inline_data`) are in use.

use super::*;
use crate::gemini::sealed;
use slip_ir::request::format;

pub(super) fn peek(body: &[u8], model: &str, stream: bool) -> Result<Peek, Malformed> {
    let members = json::members(body)?;
    let mut peek = Peek { model: Some(model.to_owned()), stream, spliceable: true, ..Peek::default() };
    peek.want.n = 1;
    peek.want.stream = stream;
    let mut bytes = 0;
    let mut has_contents = false;
    for member in &members {
        let span = &body[member.value.clone()];
        match member.key.as_str() {
            "contents" => {
                bytes += contents(&mut peek, span)?;
                has_contents = true;
            }
            "systemInstruction" | "system_instruction" if object(&member.key, span)? => {
                bytes += parts(&member.key, &mut peek, span)?;
            }
            "tools" if array("tools", span)? && json::items(span).next().is_some() => {
                peek.want.tools = true;
                peek.param("tools");
                bytes += span.len();
            }
            "toolConfig" | "tool_config" if object(&member.key, span)? => peek.param("tool_choice"),
            "generationConfig" | "generation_config" if object(&member.key, span)? => {
                config(&mut peek, &member.key, span)?;
            }
            "serviceTier" | "service_tier" => peek.tier(span),
            _ => {}
        }
    }
    if !has_contents {
        return wrong("contents", "is required");
    }
    peek.members = members;
    peek.want.reasoning = peek.reasoning.wanted();
    peek.want.prompt_tokens = (bytes as u64).div_ceil(4);
    Ok(peek)
}

fn contents(peek: &mut Peek, span: &[u8]) -> Result<usize, Malformed> {
    if span.first() != Some(&b'[') {
        return wrong("contents", "must be an array");
    }
    let (mut bytes, mut count) = (0, 0);
    for content in json::items(span) {
        let at = format!("contents[{count}]");
        if count >= MAX_MESSAGES {
            return wrong("contents", &format!("must hold at most {MAX_MESSAGES} entries"));
        }
        if content.first() != Some(&b'{') {
            return wrong(at, "must be an object");
        }
        bytes += parts(&at, peek, content)?;
        count += 1;
    }
    if count == 0 { wrong("contents", "must not be empty") } else { Ok(bytes) }
}

fn parts(at: &str, peek: &mut Peek, content: &[u8]) -> Result<usize, Malformed> {
    let Some(span) = json::field(content, "parts") else { return Ok(0) };
    let at = format!("{at}.parts");
    if !array(&at, span)? {
        return Ok(0);
    }
    let mut bytes = 0;
    for (i, part) in json::items(span).enumerate() {
        if part.first() != Some(&b'{') {
            return wrong(format!("{at}[{i}]"), "must be an object");
        }
        for (key, value) in json::fields(part) {
            match &*key.bytes() {
                b"inlineData" | b"inline_data" | b"fileData" | b"file_data" => {
                    let mime = json::field(value, "mimeType").or_else(|| json::field(value, "mime_type"));
                    let mime = mime.and_then(json::string).unwrap_or_default();
                    peek.want.media.insert(media_of(&mime));
                }
                b"thoughtSignature" | b"thought_signature" => {
                    match json::string(value).as_deref().and_then(sealed::family) {
                        // A seal of ours around another family's: it must be opened before anybody can read it.
                        Some(foreign) => {
                            peek.spliceable = false;
                            if foreign != format::UNKNOWN {
                                peek.seal(foreign);
                            }
                        }
                        None => peek.seal(format::GEMINI),
                    }
                }
                _ => bytes += value.len(),
            }
        }
    }
    Ok(bytes)
}

fn config(peek: &mut Peek, at: &str, span: &[u8]) -> Result<(), Malformed> {
    for (key, value) in json::fields(span) {
        let path = format!("{at}.{}", json::shown(&key.text()));
        match &*key.bytes() {
            b"temperature" if number(&path, value)? => peek.param("temperature"),
            b"topP" | b"top_p" if number(&path, value)? => peek.param("top_p"),
            b"topK" | b"top_k" if number(&path, value)? => peek.param("top_k"),
            b"seed" if number(&path, value)? => peek.param("seed"),
            b"presencePenalty" | b"presence_penalty" if number(&path, value)? => peek.param("presence_penalty"),
            b"frequencyPenalty" | b"frequency_penalty" if number(&path, value)? => peek.param("frequency_penalty"),
            b"maxOutputTokens" | b"max_output_tokens" => {
                peek.want.max_tokens = whole(&path, value, 1, i64::MAX)?;
                if peek.want.max_tokens.is_some() {
                    peek.param("max_tokens");
                }
            }
            b"candidateCount" | b"candidate_count" => {
                peek.want.n = whole(&path, value, 1, MAX_N as i64)?.unwrap_or(1) as u32;
            }
            b"stopSequences" | b"stop_sequences" if !texts(&path, value, 64)?.is_empty() => peek.param("stop"),
            b"responseMimeType" | b"response_mime_type" if value == b"\"application/json\"" => {
                peek.want.json_object = true;
                peek.param("response_format");
            }
            b"responseSchema" | b"response_schema" | b"responseJsonSchema" | b"response_json_schema"
                if object(&path, value)? =>
            {
                peek.want.json_schema = true;
                peek.param("response_format");
                peek.param("structured_outputs");
            }
            b"responseModalities" | b"response_modalities" => {
                for word in texts(&path, value, 8)? {
                    match word.to_ascii_lowercase().as_str() {
                        "image" => peek.want.image_out = true,
                        "audio" => peek.want.audio_out = true,
                        _ => {}
                    }
                }
            }
            b"thinkingConfig" | b"thinking_config" if object(&path, value)? => thinking(peek, &path, value)?,
            _ => {}
        }
    }
    if peek.want.json_schema {
        peek.want.json_object = false;
    }
    Ok(())
}

fn thinking(peek: &mut Peek, at: &str, span: &[u8]) -> Result<(), Malformed> {
    peek.param("reasoning");
    // Thoughts are shown where they are asked for.
    peek.hide_reasoning = true;
    for (key, value) in json::fields(span) {
        let path = format!("{at}.{}", json::shown(&key.text()));
        match &*key.bytes() {
            // Minus one means "as the model likes".
            b"thinkingBudget" | b"thinking_budget" if present(value) => match json::integer(value) {
                Some(0) => peek.reasoning.enabled = Some(false),
                Some(-1) => peek.reasoning.enabled = Some(true),
                _ => peek.reasoning.budget = whole(&path, value, 0, i64::MAX)?,
            },
            b"thinkingLevel" | b"thinking_level" => {
                let level = text(&path, value)?.unwrap_or_default().to_ascii_lowercase();
                peek.reasoning.effort = Effort::parse(&level);
                peek.reasoning.enabled.get_or_insert(true);
            }
            b"includeThoughts" | b"include_thoughts" => {
                let shown = flag(&path, value)?.unwrap_or(false);
                peek.hide_reasoning = !shown;
                peek.reasoning.enabled = peek.reasoning.enabled.or(shown.then_some(true));
            }
            _ => {}
        }
    }
    Ok(())
}
