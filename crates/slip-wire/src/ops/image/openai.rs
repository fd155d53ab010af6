//! OpenAI's pictures, those who spell like it, and OpenRouter's.

use super::{Made, Picture, Reply, Task, is_openai, size};
use crate::ops::given::as_field;
use crate::ops::multipart::{self, Part};
use crate::ops::told::count;
use crate::ops::{Sent, Shape};
use crate::{Malformed, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use slip_ir::{Loss, Raw, Usage};

pub(super) fn lower(task: &Task, caller: Shape, to: Shape, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let fields = fields(task, caller, to, model, &mut losses);
    if to == Shape::OpenRouter {
        let mut body: Map<String, Value> = fields.into_iter().map(|(name, raw)| (name, raw.value())).collect();
        if !task.pictures.is_empty() {
            let shown = task.pictures.iter().map(|picture| {
                let url = address(picture).ok_or_else(|| Malformed::new("image", "this provider has no such file"))?;
                Ok(json!({ "type": "image_url", "image_url": { "url": url } }))
            });
            body.insert("input_references".into(), shown.collect::<Result<Vec<_>, Malformed>>()?.into());
        }
        if task.mask.is_some() {
            losses.push(Loss::new("mask", "this provider has no place for it"));
        }
        return Ok(Sent::json("/images", &body, losses));
    }
    if !task.edits() {
        let body: Map<String, Value> = fields.into_iter().map(|(name, raw)| (name, raw.value())).collect();
        return Ok(Sent::json("/images/generations", &body, losses));
    }
    let all = || task.pictures.iter().chain(&task.mask);
    let inline = all().all(|picture| file(picture).is_some());
    if inline && (task.form || !is_openai(caller) || to == Shape::OpenAiLinks) {
        return Ok(form(task, &fields, losses));
    }
    // Only what says where a picture is can be said in JSON alone.
    let mut body: Map<String, Value> = fields.into_iter().map(|(name, raw)| (name, raw.value())).collect();
    let told = |picture: &Picture| match picture {
        Picture::FileId(id) => json!({ "file_id": id }),
        other => json!({ "image_url": address(other) }),
    };
    body.insert("images".into(), task.pictures.iter().map(told).collect());
    if let Some(mask) = &task.mask {
        body.insert("mask".into(), told(mask));
    }
    Ok(Sent::json("/images/edits", &body, losses))
}

fn form(task: &Task, fields: &[(String, Raw)], losses: Vec<Loss>) -> Sent {
    let mut parts: Vec<Part> = fields.iter().map(|(name, raw)| as_field(name, raw)).collect();
    // Older servers know only the one name.
    let name = if task.pictures.len() == 1 { "image" } else { "image[]" };
    let named = |name: &str, picture: &Picture| file(picture).map(|part| Part { name: name.to_owned(), ..part });
    parts.extend(task.pictures.iter().filter_map(|picture| named(name, picture)));
    parts.extend(task.mask.iter().filter_map(|picture| named("mask", picture)));
    let (media_type, body) = multipart::write(&parts);
    Sent { path: "/images/edits".into(), media_type, body, losses }
}

/// Everything but the pictures, in order.
fn fields(task: &Task, caller: Shape, to: Shape, model: &str, losses: &mut Vec<Loss>) -> Vec<(String, Raw)> {
    let router = to == Shape::OpenRouter;
    let same = is_openai(caller) && is_openai(to) || caller == to;
    let mut out: Vec<(String, Raw)> = Vec::new();
    let mut put = |name: &str, raw: Option<Raw>| out.extend(raw.map(|raw| (name.to_owned(), raw)));
    let text = |text: &Option<String>| text.as_ref().and_then(Raw::of);
    let number = |n: Option<u64>| n.and_then(|n| Raw::of(&n));
    put("model", Raw::of(model));
    put("prompt", Raw::of(&task.prompt));
    put("n", number(task.n));
    if router {
        put("size", text(&task.size));
        put("resolution", text(&task.resolution));
        put("aspect_ratio", text(&task.aspect_ratio));
    } else {
        put("size", size::openai(task).and_then(|size| Raw::of(&size)));
        if size::tier(task).is_some_and(|tier| tier != "1K") && task.size.as_deref().and_then(size::pixels).is_none() {
            losses.push(Loss::new("resolution", "this provider is told pixels"));
        }
    }
    put("quality", text(&task.quality));
    put("background", text(&task.background));
    put("output_format", text(&task.output_format));
    put("output_compression", number(task.output_compression));
    match task.seed {
        Some(_) if to == Shape::OpenAi && !same => losses.push(Loss::new("seed", "this provider has no place for it")),
        seed => put("seed", number(seed)),
    }
    match (to, &task.response_format) {
        (Shape::OpenRouter, _) => {}
        // It answers with addresses where nothing else was asked for.
        (Shape::OpenAiLinks, None) => put("response_format", Raw::of("b64_json")),
        (_, told) => put("response_format", text(told)),
    }
    put("stream", if task.stream { Raw::of(&true) } else { None });
    if router {
        for (name, told) in [("partial_images", task.partial_images.is_some()), ("user", task.user.is_some())] {
            if told {
                losses.push(Loss::new(name, "this provider has no place for it"));
            }
        }
    } else {
        put("partial_images", number(task.partial_images));
        put("user", text(&task.user));
    }
    if same {
        out.extend(task.extra.iter().cloned());
    } else {
        losses
            .extend(task.extra.iter().map(|(name, _)| Loss::new(name.clone(), "only the caller's spelling knows it")));
    }
    out
}

/// A picture as a file, where its bytes are here.
fn file(picture: &Picture) -> Option<Part> {
    match picture {
        Picture::File { data, media_type, name } => Some(Part {
            file: Some(name.clone()),
            media_type: Some(media_type.clone()),
            data: data.clone(),
            ..Part::default()
        }),
        Picture::Url(url) => {
            let (media_type, base64) = url.strip_prefix("data:")?.split_once(";base64,")?;
            let data = Bytes::from(STANDARD.decode(base64).ok()?);
            let end = media_type.rsplit('/').next().filter(|end| end.bytes().all(|b| b.is_ascii_alphanumeric()));
            let name = format!("image.{}", end.unwrap_or("png"));
            Some(Part { file: Some(name), media_type: Some(media_type.to_owned()), data, ..Part::default() })
        }
        Picture::FileId(_) => None,
    }
}

/// A picture as a URL.
pub(super) fn address(picture: &Picture) -> Option<String> {
    match picture {
        Picture::Url(url) => Some(url.clone()),
        Picture::File { data, media_type, .. } => Some(format!("data:{media_type};base64,{}", STANDARD.encode(data))),
        Picture::FileId(_) => None,
    }
}

pub(super) fn parse(body: &[u8]) -> Option<Reply> {
    let data = json::field(body, "data").filter(|data| data.first() == Some(&b'['))?;
    let text = |item: &[u8], name: &str| {
        json::field(item, name).and_then(json::string).map(|text| text.into_owned()).filter(|text| !text.is_empty())
    };
    let format = text(body, "output_format").map(|format| format!("image/{format}"));
    let pictures = json::items(data)
        .map(|item| Made {
            base64: text(item, "b64_json"),
            url: text(item, "url"),
            media_type: text(item, "media_type").or_else(|| format.clone()),
            revised_prompt: text(item, "revised_prompt"),
        })
        .collect();
    let usage = json::field(body, "usage").and_then(usage);
    Some(Reply { pictures, usage, created: count(body, "created") })
}

/// `input_tokens` and `output_tokens`, or the names of a chat. Tokens of a picture have a price of their own.
pub(in crate::ops) fn usage(span: &[u8]) -> Option<Usage> {
    let (Some(input), Some(output)) = (count(span, "input_tokens"), count(span, "output_tokens")) else {
        let usage = crate::openai_chat::usage::parse_usage(span)?;
        // A chat model may not say which of its tokens are the picture: nearly all of them are.
        let untold = usage.image_out == 0;
        let image_out = if untold { usage.output } else { usage.image_out };
        return Some(Usage { image_out, output: if untold { 0 } else { usage.output }, ..usage });
    };
    let text = json::field(span, "output_tokens_details").and_then(|details| count(details, "text_tokens"));
    let text = text.unwrap_or(0).min(output);
    let shown = json::field(span, "input_tokens_details").and_then(|details| count(details, "image_tokens"));
    let image_in = shown.unwrap_or(0).min(input);
    Some(Usage { input: input - image_in, image_in, output: text, image_out: output - text, ..Usage::default() })
}
