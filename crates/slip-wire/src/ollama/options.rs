//! Ollama keeps its parameters in `options`, under names of its own.

use crate::Malformed;
use crate::openai_chat::encode::Losses;
use crate::openai_chat::node::Node;
use crate::openai_chat::request::strings;
use crate::openai_chat::write::{Obj, object};
use crate::wish::{self, Wish};
use bytes::BytesMut;
use slip_ir::{Params, Raw};

/// Read `options`; members this vocabulary has no word for (`num_ctx`, `mirostat`, …) are returned as an object.
pub(super) fn read(options: &Node<'_>, params: &mut Params) -> Result<Option<Raw>, Malformed> {
    let members = options.members()?;
    for (key, node) in members.iter() {
        match key {
            // Below one it means "without end" or "to fill the context".
            "num_predict" => params.max_tokens = u64::try_from(node.integer()?).ok().filter(|n| *n > 0),
            "temperature" => params.temperature = Some(node.number()?),
            "top_p" => params.top_p = Some(node.number()?),
            "top_k" => params.top_k = Some(node.number()?),
            "min_p" => params.min_p = Some(node.number()?),
            "repeat_penalty" => params.repetition_penalty = Some(node.number()?),
            "presence_penalty" => params.presence_penalty = Some(node.number()?),
            "frequency_penalty" => params.frequency_penalty = Some(node.number()?),
            "seed" => params.seed = Some(node.integer()?),
            "stop" => params.stop = strings(&node)?,
            _ => {}
        }
    }
    Ok(members.rest(&KNOWN))
}

/// What it has no word for.
const UNKNOWN: [Wish; 14] = [
    Wish::TopA,
    Wish::N,
    Wish::LogitBias,
    Wish::User,
    Wish::Verbosity,
    Wish::ServiceTier,
    Wish::Prediction,
    Wish::Modalities,
    Wish::Audio,
    Wish::ImageConfig,
    Wish::WebSearchOptions,
    Wish::PromptCacheKey,
    Wish::CacheControl,
    Wish::Metadata,
];

const KNOWN: [&str; 10] = [
    "num_predict",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
];

/// Write `options`, if there are any, with the members that came in them and had no word.
pub(super) fn write(o: &mut Obj<'_, BytesMut>, params: &Params, more: Option<&Raw>, losses: &mut Losses) {
    let mut inner = BytesMut::new();
    object(&mut inner, |o| {
        if let Some(cap) = params.max_tokens {
            o.num("num_predict", cap);
        }
        let numbers = [
            ("temperature", &params.temperature),
            ("top_p", &params.top_p),
            ("top_k", &params.top_k),
            ("min_p", &params.min_p),
            ("repeat_penalty", &params.repetition_penalty),
            ("presence_penalty", &params.presence_penalty),
            ("frequency_penalty", &params.frequency_penalty),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                o.shown(key, number);
            }
        }
        if let Some(seed) = params.seed {
            o.num("seed", seed);
        }
        if !params.stop.is_empty() {
            o.arr("stop", |a| params.stop.iter().for_each(|stop| a.str(stop)));
        }
        if let Some(more) = more {
            o.merge(more);
        }
    });
    if inner.len() > 2 {
        o.span("options", &inner);
    }
    wish::said(params, &UNKNOWN).for_each(|name| losses.push(name, "has no place in this dialect"));
}
