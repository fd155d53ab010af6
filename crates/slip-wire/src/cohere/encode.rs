//! A request, written as Cohere reads it.

use super::turns::Telling;
use crate::openai_chat::encode::Losses;
use crate::openai_chat::shapes::{functions, write_parameters};
use crate::openai_chat::write::{Obj, object};
use crate::quirks::ReasoningStyle;
use crate::wish::{self, Wish};
use crate::{Quirks, json};
use bytes::BytesMut;
use slip_ir::{Format, Loss, Media, Params, Request, Source, ToolChoice};

/// What it has no word for.
const UNKNOWN: [Wish; 17] = [
    Wish::MinP,
    Wish::TopA,
    Wish::RepetitionPenalty,
    Wish::N,
    Wish::TopLogprobs,
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

pub(super) fn encode(request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
    let mut losses = Losses::default();
    let mut out = BytesMut::with_capacity(4096);
    object(&mut out, |o| {
        o.str("model", &request.model);
        // Always said: what it means when left out differs between Cohere's own clients.
        o.bool("stream", request.stream);
        let mut telling = Telling::new(&mut losses);
        o.arr("messages", |a| telling.turns(a, &request.turns));
        let documents = telling.documents;
        write_documents(o, &documents);
        tools(o, request, &mut losses);
        format(o, request.format.as_ref(), &mut losses);
        params(o, &request.params, &mut losses);
        thinking(o, request, quirks, &mut losses);
        for (key, raw) in &request.extra {
            o.raw(key, raw);
        }
    });
    (out.into(), losses.0)
}

fn write_documents(o: &mut Obj<'_, BytesMut>, documents: &[&Media]) {
    if documents.is_empty() {
        return;
    }
    o.arr("documents", |a| {
        for (number, document) in documents.iter().enumerate() {
            let Source::Text(text) = &document.source else { continue };
            let bytes = text.trim().as_bytes();
            a.obj(|o| {
                o.str("id", document.name.as_deref().unwrap_or(&format!("document-{number}")));
                match bytes.first() {
                    // It came as an object of Cohere's.
                    Some(b'{') if json::check(bytes).is_ok() => o.span("data", bytes),
                    _ => o.obj("data", |o| {
                        o.opt_str("title", document.name.as_deref());
                        o.str("text", text);
                    }),
                }
            });
        }
    });
}

fn tools(o: &mut Obj<'_, BytesMut>, request: &Request, losses: &mut Losses) {
    let mut kept = functions(&request.tools, losses);
    if request.parallel_tool_calls == Some(false) {
        losses.push("parallel_tool_calls", "this dialect leaves the choice to the model");
    }
    if kept.is_empty() {
        if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
            losses.push("tool_choice", "there are no tools to choose from");
        }
        return;
    }
    // It cannot name one tool; it must call when only that one is known.
    if let Some(ToolChoice::Named(name)) = &request.tool_choice
        && kept.iter().any(|function| function.name == *name)
    {
        kept.retain(|function| function.name == *name);
        losses.push("tool_choice", "told by leaving out the other tools");
    }
    let strict = kept.iter().any(|function| function.strict == Some(true));
    o.arr("tools", |a| {
        for function in kept {
            a.obj(|o| {
                o.str("type", "function");
                o.obj("function", |o| {
                    o.str("name", &function.name);
                    o.opt_str("description", function.description.as_deref());
                    write_parameters(o, function);
                });
            });
        }
    });
    if strict {
        o.bool("strict_tools", true);
    }
    match &request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_)) => o.str("tool_choice", "REQUIRED"),
        Some(ToolChoice::None) => o.str("tool_choice", "NONE"),
        Some(ToolChoice::Auto) | None => {}
    }
}

fn format(o: &mut Obj<'_, BytesMut>, format: Option<&Format>, losses: &mut Losses) {
    match format {
        Some(Format::JsonObject) => o.obj("response_format", |o| o.str("type", "json_object")),
        Some(Format::JsonSchema { schema, .. }) => o.obj("response_format", |o| {
            o.str("type", "json_object");
            o.raw("json_schema", schema);
        }),
        Some(Format::Opaque { dialect, .. }) => {
            losses.push("response_format", format!("only {dialect} knows this format"));
        }
        Some(Format::Text) | None => {}
    }
}

fn params(o: &mut Obj<'_, BytesMut>, params: &Params, losses: &mut Losses) {
    if let Some(cap) = params.max_tokens {
        o.num("max_tokens", cap);
    }
    if !params.stop.is_empty() {
        o.arr("stop_sequences", |a| params.stop.iter().for_each(|stop| a.str(stop)));
    }
    let numbers = [
        ("temperature", &params.temperature),
        ("p", &params.top_p),
        ("k", &params.top_k),
        ("frequency_penalty", &params.frequency_penalty),
        ("presence_penalty", &params.presence_penalty),
    ];
    for (key, number) in numbers {
        if let Some(number) = number {
            o.shown(key, number);
        }
    }
    if let Some(seed) = params.seed {
        o.num("seed", seed);
    }
    if let Some(logprobs) = params.logprobs {
        o.bool("logprobs", logprobs);
    }
    wish::said(params, &UNKNOWN).for_each(|name| losses.push(name, "has no place in this dialect"));
}

/// On or off, with a budget.
fn thinking(o: &mut Obj<'_, BytesMut>, request: &Request, quirks: &Quirks, losses: &mut Losses) {
    let Some(wish) = &request.reasoning else { return };
    if !wish.is_said() {
        return;
    }
    let off = wish.is_off();
    if quirks.reasoning == ReasoningStyle::Unsaid {
        // A model that does not think is already what was asked for.
        if !off {
            losses.push("reasoning", "this model does not think");
        }
        return;
    }
    if let (Some(effort), None, false) = (wish.effort, wish.budget, off) {
        losses.push("reasoning.effort", format!("this dialect knows a budget of tokens, no levels: {}", effort.name()));
    }
    o.obj("thinking", |o| {
        o.str("type", if off { "disabled" } else { "enabled" });
        if let Some(budget) = wish.budget.filter(|_| !off) {
            o.num("token_budget", budget);
        }
    });
}
