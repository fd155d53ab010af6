//! What is read of a chat completions request: one pass over its bytes, which also proves them valid JSON.

use super::*;
use crate::json::{Cursor, Stop};
use slip_ir::request::format;

/// What one message costs beyond its text: its role and separators, in bytes.
const MESSAGE_OVERHEAD: usize = 16;

pub(super) fn peek(body: &[u8]) -> Result<Peek, Malformed> {
    let mut walk = Walk { peek: Peek { spliceable: true, ..Peek::default() }, text: 0, has_messages: false };
    walk.peek.want.n = 1;
    let members = json::walk_members(body, |key, cursor| match &*key.bytes() {
        b"messages" => walk.messages(cursor),
        b"tools" => walk.tools(cursor),
        name => {
            let span = cursor.value()?;
            Ok(walk.member(name, span)?)
        }
    })?;
    if !walk.has_messages {
        return wrong("messages", "is required");
    }
    let mut peek = walk.peek;
    peek.members = members;
    peek.want.stream = peek.stream;
    peek.want.reasoning = peek.reasoning.wanted();
    peek.want.prompt_tokens = (walk.text as u64).div_ceil(4);
    Ok(peek)
}

struct Walk {
    peek: Peek,
    /// Bytes of text the model will read.
    text: usize,
    has_messages: bool,
}

impl Walk {
    fn member(&mut self, name: &[u8], span: &[u8]) -> Result<(), Malformed> {
        let peek = &mut self.peek;
        match name {
            b"model" => peek.model = text("model", span)?,
            b"models" => peek.models = texts("models", span, MAX_MODELS)?,
            b"stream" => peek.stream = flag("stream", span)?.unwrap_or(false),
            b"provider" if object("provider", span)? => {
                peek.provider = std::str::from_utf8(span).ok().and_then(Raw::parse);
            }
            b"route" => peek.route = text("route", span)?,
            b"user" => peek.user = text("user", span)?,
            b"session_id" => peek.session_id = text("session_id", span)?,
            b"n" => peek.want.n = whole("n", span, 1, MAX_N as i64)?.unwrap_or(1) as u32,
            b"max_tokens" | b"max_completion_tokens" => {
                let preferred = name == b"max_completion_tokens";
                let at = if preferred { "max_completion_tokens" } else { "max_tokens" };
                if let Some(cap) = whole(at, span, 1, i64::MAX)? {
                    peek.param("max_tokens");
                    if preferred || peek.want.max_tokens.is_none() {
                        peek.want.max_tokens = Some(cap);
                    }
                }
            }
            b"reasoning" => self.reasoning(span)?,
            b"reasoning_effort" => {
                if let Some(effort) = effort("reasoning_effort", span)? {
                    peek.reasoning.effort.get_or_insert(effort);
                    peek.param("reasoning");
                }
            }
            b"include_reasoning" => {
                if let Some(shown) = flag("include_reasoning", span)? {
                    peek.hide_reasoning |= !shown;
                    if shown {
                        peek.reasoning.enabled.get_or_insert(true);
                    }
                    peek.param("reasoning");
                }
            }
            b"response_format" if object("response_format", span)? => {
                let kind = json::field(span, "type").map_or(Ok(None), |t| text("response_format.type", t))?;
                peek.param("response_format");
                match kind.as_deref() {
                    Some("json_object") => peek.want.json_object = true,
                    Some("json_schema") => {
                        peek.want.json_schema = true;
                        peek.param("structured_outputs");
                        self.text += span.len();
                    }
                    Some(_) => {}
                    None => return wrong("response_format.type", "must be a string"),
                }
            }
            b"modalities" => {
                for word in texts("modalities", span, 8)? {
                    match word.as_str() {
                        "image" => peek.want.image_out = true,
                        "audio" => peek.want.audio_out = true,
                        _ => {}
                    }
                }
            }
            b"tool_choice" if present(span) => {
                match span.first() {
                    Some(b'"') => peek.shape.tool_required = span == b"\"required\"",
                    Some(b'{') => {}
                    _ => return wrong("tool_choice", "must be a string or an object"),
                }
                peek.param("tool_choice");
            }
            b"stop" if present(span) => {
                match span.first() {
                    Some(b'"') => {}
                    Some(b'[') => {
                        texts("stop", span, 64)?;
                    }
                    _ => return wrong("stop", "must be a string or an array of strings"),
                }
                peek.param("stop");
            }
            b"service_tier" => peek.tier(span),
            b"cache_control" if present(span) => peek.shape.cache_control = true,
            b"logit_bias" if object("logit_bias", span)? => peek.param("logit_bias"),
            b"prediction" if object("prediction", span)? => peek.param("prediction"),
            b"web_search_options" if object("web_search_options", span)? => peek.param("web_search_options"),
            b"verbosity" if text("verbosity", span)?.is_some() => peek.param("verbosity"),
            b"logprobs" if flag("logprobs", span)?.is_some() => peek.param("logprobs"),
            b"parallel_tool_calls" if flag("parallel_tool_calls", span)?.is_some() => {
                peek.param("parallel_tool_calls");
            }
            b"structured_outputs" if flag("structured_outputs", span)?.is_some() => peek.param("structured_outputs"),
            b"top_logprobs" if whole("top_logprobs", span, 0, 20)?.is_some() => peek.param("top_logprobs"),
            b"seed" if present(span) => {
                if json::integer(span).is_none() {
                    return wrong("seed", "must be an integer");
                }
                peek.param("seed");
            }
            b"stream_options" => {
                object("stream_options", span)?;
            }
            b"metadata" => {
                object("metadata", span)?;
            }
            b"plugins" => {
                array("plugins", span)?;
            }
            b"transforms" => {
                array("transforms", span)?;
            }
            _ => {
                if let Some(name) = NUMBERS.iter().find(|n| n.as_bytes() == name)
                    && number(name, span)?
                {
                    peek.param(name);
                }
            }
        }
        Ok(())
    }

    fn reasoning(&mut self, span: &[u8]) -> Result<(), Malformed> {
        if !object("reasoning", span)? {
            return Ok(());
        }
        let thought = &mut self.peek.reasoning;
        let mut said = false;
        for (key, value) in json::fields(span) {
            match &*key.bytes() {
                b"effort" => {
                    if let Some(effort) = effort("reasoning.effort", value)? {
                        thought.effort = Some(effort);
                        said = true;
                    }
                }
                b"max_tokens" => {
                    if let Some(budget) = whole("reasoning.max_tokens", value, 0, i64::MAX)? {
                        thought.budget = Some(budget);
                        said = true;
                    }
                }
                b"enabled" => {
                    if let Some(enabled) = flag("reasoning.enabled", value)? {
                        thought.enabled = Some(enabled);
                        said = true;
                    }
                }
                b"exclude" => {
                    let exclude = flag("reasoning.exclude", value)?.unwrap_or(false);
                    self.peek.hide_reasoning |= exclude;
                    said |= exclude;
                }
                _ => {}
            }
        }
        // An empty object is OpenRouter's old way to say "on".
        if !said {
            thought.enabled.get_or_insert(true);
        }
        self.peek.param("reasoning");
        Ok(())
    }

    fn messages(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        if cursor.peek() != Some(b'[') {
            cursor.value()?;
            return Ok(wrong("messages", "must be an array")?);
        }
        cursor.array()?;
        let (mut first, mut count) = (true, 0);
        while cursor.item(&mut first)? {
            if count >= MAX_MESSAGES {
                return Ok(wrong("messages", &format!("must hold at most {MAX_MESSAGES} messages"))?);
            }
            self.message(count, cursor)?;
            count += 1;
        }
        if count == 0 {
            return Ok(wrong("messages", "must not be empty")?);
        }
        self.has_messages = true;
        Ok(())
    }

    fn message(&mut self, index: usize, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        if cursor.peek() != Some(b'{') {
            cursor.value()?;
            return Ok(wrong(format!("messages[{index}]"), "must be an object")?);
        }
        cursor.object()?;
        let (mut user, mut has_role, mut parts) = (false, false, false);
        let mut first = true;
        self.text += MESSAGE_OVERHEAD;
        while let Some(key) = cursor.key(&mut first)? {
            match &*key.bytes() {
                b"role" => {
                    let span = cursor.value()?;
                    let Some(role) = Str::of(span) else {
                        return Ok(wrong(format!("messages[{index}].role"), "must be a string")?);
                    };
                    has_role = true;
                    user = role.is("user");
                    self.peek.shape.developer |= role.is("developer");
                }
                b"content" => match cursor.peek() {
                    Some(b'"') => self.text += cursor.string()?.raw().len(),
                    Some(b'[') => {
                        parts = true;
                        self.parts(index, cursor)?;
                    }
                    _ => {
                        if present(cursor.value()?) {
                            return Ok(wrong(format!("messages[{index}].content"), "must be a string or an array")?);
                        }
                    }
                },
                b"tool_calls" => {
                    let span = cursor.value()?;
                    self.text += span.len();
                    self.peek.shape.calls |= json::items(span).next().is_some();
                    for id in json::items(span).filter_map(|call| json::field(call, "id")) {
                        self.tool_id(id);
                    }
                }
                b"tool_call_id" => {
                    let span = cursor.value()?;
                    self.tool_id(span);
                }
                b"reasoning_details" => {
                    self.peek.spliceable = false;
                    let span = cursor.value()?;
                    self.details(span);
                }
                b"reasoning" | b"reasoning_content" => {
                    self.peek.spliceable = false;
                    self.text += cursor.value()?.len();
                }
                b"cache_control" => {
                    self.cache(cursor.value()?);
                }
                b"annotations" | b"images" | b"model" => {
                    self.peek.spliceable = false;
                    cursor.value()?;
                }
                _ => {
                    cursor.value()?;
                }
            }
        }
        if !has_role {
            return Ok(wrong(format!("messages[{index}].role"), "is required")?);
        }
        self.peek.shape.parts |= parts && !user;
        Ok(())
    }

    fn parts(&mut self, message: usize, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        cursor.array()?;
        let (mut first, mut index) = (true, 0);
        while cursor.item(&mut first)? {
            match cursor.peek() {
                Some(b'{') => self.part(cursor)?,
                _ => {
                    cursor.value()?;
                    return Ok(wrong(format!("messages[{message}].content[{index}]"), "must be an object")?);
                }
            }
            index += 1;
        }
        Ok(())
    }

    fn part(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        cursor.object()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            match &*key.bytes() {
                b"type" => {
                    let span = cursor.value()?;
                    let kind = match span {
                        b"\"image_url\"" => MediaKind::Image,
                        b"\"input_audio\"" => MediaKind::Audio,
                        b"\"video_url\"" => MediaKind::Video,
                        // The older spelling of `video_url` is OpenRouter's own.
                        b"\"input_video\"" => {
                            self.peek.spliceable = false;
                            MediaKind::Video
                        }
                        b"\"file\"" => MediaKind::File,
                        _ => continue,
                    };
                    self.peek.want.media.insert(kind);
                }
                b"text" => self.text += cursor.value()?.len(),
                b"image_url" => self.image(cursor)?,
                b"cache_control" => self.cache(cursor.value()?),
                b"prompt_cache_breakpoint" => {
                    self.peek.spliceable = false;
                    cursor.value()?;
                }
                _ => {
                    cursor.value()?;
                }
            }
        }
        Ok(())
    }

    fn image(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        if cursor.peek() != Some(b'{') {
            // A bare string is tolerated, but no upstream takes it.
            self.peek.spliceable = false;
            cursor.value()?;
            return Ok(());
        }
        cursor.object()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            let span = cursor.value()?;
            if key.is("url") && span.get(1..5).is_some_and(|s| s.eq_ignore_ascii_case(b"http")) {
                self.peek.shape.image_urls = true;
            }
        }
        Ok(())
    }

    fn tools(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        if cursor.peek() != Some(b'[') {
            if present(cursor.value()?) {
                return Ok(wrong("tools", "must be an array")?);
            }
            return Ok(());
        }
        let from = cursor.at();
        cursor.array()?;
        let (mut first, mut count) = (true, 0);
        while cursor.item(&mut first)? {
            if cursor.peek() != Some(b'{') {
                cursor.value()?;
                return Ok(wrong(format!("tools[{count}]"), "must be an object")?);
            }
            cursor.object()?;
            let mut first = true;
            while let Some(key) = cursor.key(&mut first)? {
                let span = cursor.value()?;
                if key.is("cache_control") {
                    self.cache(span);
                } else if key.is("type") && span != b"\"function\"" {
                    // A tool of the house or of another dialect: the decoder decides what becomes of it.
                    self.peek.spliceable = false;
                }
            }
            count += 1;
        }
        if count > 0 {
            self.peek.want.tools = true;
            self.peek.param("tools");
            self.text += cursor.at() - from;
        }
        Ok(())
    }

    fn cache(&mut self, span: &[u8]) {
        if present(span) {
            self.peek.shape.cache_control = true;
            self.peek.spliceable = false;
        }
    }

    fn tool_id(&mut self, span: &[u8]) {
        let Some(id) = Str::of(span) else { return };
        let id = id.raw();
        let shape = &mut self.peek.shape;
        shape.id_not_alnum9 |= id.len() != 9 || !id.iter().all(u8::is_ascii_alphanumeric);
        shape.id_not_word64 |=
            id.len() > 64 || !id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    }

    /// Reasoning that only its maker can read again ties the conversation to that family.
    fn details(&mut self, span: &[u8]) {
        for detail in json::items(span) {
            let (mut family, mut bound) = (None, false);
            for (key, value) in json::fields(detail) {
                match &*key.bytes() {
                    b"format" => family = json::string(value),
                    b"signature" => bound |= present(value) && value != b"\"\"",
                    b"type" => bound |= value == b"\"reasoning.encrypted\"",
                    _ => {}
                }
            }
            if let Some(family) = family
                && bound
                && family != format::UNKNOWN
            {
                self.peek.seal(&family);
            }
        }
    }
}

/// Members that are plain numbers, and OpenRouter's names of the parameters they are.
const NUMBERS: [&str; 8] =
    ["temperature", "top_p", "top_k", "top_a", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty"];
