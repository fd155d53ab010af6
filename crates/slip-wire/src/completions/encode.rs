//! A request, written as the prompt of a server that only continues text.

use super::prompt::{self, NEXT};
use crate::Quirks;
use crate::json::write_string;
use crate::openai_chat::encode::{Losses, Top, extra, params, reasoning, stream};
use crate::openai_chat::shapes::{lower_format, write_format};
use crate::openai_chat::write::object;
use crate::quirks::ReasoningStyle;
use bytes::{BufMut, BytesMut};
use slip_ir::{Loss, Params, Request};

/// Sequences of `stop` that servers take.
const MAX_STOPS: usize = 4;

pub(super) fn encode(request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
    let mut losses = Losses::default();
    let format = lower_format(request.format.as_ref(), quirks, &mut losses);
    let prompt = prompt::of(request, &mut losses);
    let mut told = Request { params: kept(&request.params, &mut losses), ..Request::default() };
    (told.stream, told.reasoning) = (request.stream, request.reasoning.clone());
    if prompt.transcript && told.params.stop.len() < MAX_STOPS {
        told.params.stop.push(NEXT.to_owned());
    }
    if !request.tools.is_empty() {
        losses.push("tools", "this dialect has none");
    }
    if request.tool_choice.is_some() {
        losses.push("tool_choice", "this dialect has no tools");
    }
    let mut out = BytesMut::with_capacity(prompt.text.len() + 256);
    object(&mut out, |o| {
        let mut top = Top { o, quirks, written: vec!["prompt"], losses: &mut losses };
        top.o.str("model", &request.model);
        match prompt.raw {
            true => top.o.key("prompt").put_slice(prompt.text.as_bytes()),
            false => write_string(&prompt.text, top.o.key("prompt")),
        }
        stream(&mut top, &told);
        params(&mut top, &told);
        if let Some(alternatives) = alternatives(&request.params) {
            top.put("logprobs", |o, key| o.num(key, alternatives));
        }
        if let Some(format) = format {
            top.put("response_format", |o, key| write_format(o, key, &format));
        }
        match quirks.reasoning {
            ReasoningStyle::Object => reasoning(&mut top, &told),
            _ if told.reasoning.is_some() => top.losses.push("reasoning", "has no place in this dialect"),
            _ => {}
        }
        extra(&mut top, &request.extra);
    });
    (Vec::from(out), losses.0)
}

/// `logprobs` is how many alternatives to tell, none included.
fn alternatives(params: &Params) -> Option<u32> {
    match (params.logprobs, params.top_logprobs) {
        (Some(true), count) => Some(count.unwrap_or(0)),
        _ => None,
    }
}

/// The parameters both dialects have; the others are told as lost.
fn kept(all: &Params, losses: &mut Losses) -> Params {
    const WHY: &str = "has no place in this dialect";
    let mut kept = all.clone();
    (kept.logprobs, kept.top_logprobs) = (None, None);
    let mut lose = |there: bool, name: &'static str| {
        if there {
            losses.push(name, WHY);
        }
    };
    lose(kept.verbosity.take().is_some(), "verbosity");
    lose(kept.prediction.take().is_some(), "prediction");
    lose(kept.modalities.iter().any(|kind| kind != "text"), "modalities");
    lose(kept.audio.take().is_some(), "audio");
    lose(kept.image_config.take().is_some(), "image_config");
    lose(kept.web_search_options.take().is_some(), "web_search_options");
    lose(kept.prompt_cache_key.take().is_some(), "prompt_cache_key");
    lose(kept.cache.take().is_some(), "cache_control");
    lose(kept.metadata.take().is_some(), "metadata");
    lose(kept.service_tier.take().is_some(), "service_tier");
    kept.modalities.clear();
    kept
}
