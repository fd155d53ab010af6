//! A request, written as Ollama reads it.

use super::{Door, options, turns};
use crate::completions::prompt;
use crate::openai_chat::encode::Losses;
use crate::openai_chat::shapes::{functions, write_parameters};
use crate::openai_chat::write::{Obj, object};
use bytes::BytesMut;
use slip_ir::{Effort, Format, Loss, Raw, Reasoning, Request, Role, ToolChoice};

pub(super) fn encode(door: Door, request: &Request) -> (Vec<u8>, Vec<Loss>) {
    let mut losses = Losses::default();
    let mut out = BytesMut::with_capacity(4096);
    object(&mut out, |o| {
        o.str("model", &request.model);
        match door {
            Door::Chat => {
                o.arr("messages", |a| turns::write(a, &request.turns, &mut losses));
                tools(o, request, &mut losses);
            }
            Door::Generate => {
                single(o, request, &mut losses);
                if !request.tools.is_empty() {
                    losses.push("tools", "this dialect has none");
                }
            }
        }
        // Left out it would mean yes.
        o.bool("stream", request.stream);
        match &request.format {
            Some(Format::JsonObject) => o.str("format", "json"),
            Some(Format::JsonSchema { schema, .. }) => o.raw("format", schema),
            Some(Format::Opaque { dialect, .. }) => {
                losses.push("response_format", format!("only {dialect} knows this format"));
            }
            Some(Format::Text) | None => {}
        }
        if let Some(wish) = &request.reasoning {
            think(o, wish, &mut losses);
        }
        if let Some(logprobs) = request.params.logprobs {
            o.bool("logprobs", logprobs);
        }
        if let Some(top) = request.params.top_logprobs {
            o.num("top_logprobs", top);
        }
        options::write(o, &request.params, request.in_extra("options"), &mut losses);
        extra(o, &request.extra);
    });
    (out.into(), losses.0)
}

/// What came in the same dialect and had no word.
fn extra(o: &mut Obj<'_, BytesMut>, extra: &[(String, Raw)]) {
    const WRITTEN: [&str; 9] =
        ["model", "messages", "prompt", "system", "images", "stream", "options", "tools", "format"];
    for (key, raw) in extra.iter().filter(|(key, _)| !WRITTEN.contains(&key.as_str())) {
        o.raw(key, raw);
    }
}

/// One prompt with a system text before it; a longer conversation becomes a transcript.
fn single(o: &mut Obj<'_, BytesMut>, request: &Request, losses: &mut Losses) {
    let is_system = |role: Role| matches!(role, Role::System | Role::Developer);
    let heads = request.turns.iter().take_while(|turn| is_system(turn.role)).count();
    let (system, rest) = request.turns.split_at(heads);
    let system: Vec<&str> = system.iter().flat_map(|turn| turns::said(&turn.blocks, losses).0).collect();
    if !system.is_empty() {
        o.str("system", &system.join("\n"));
    }
    if let [turn] = rest
        && turn.role == Role::User
    {
        let (texts, images) = turns::said(&turn.blocks, losses);
        o.str("prompt", &texts.join("\n"));
        turns::write_images(o, &images);
        return;
    }
    let rest = Request { turns: rest.to_vec(), ..Request::default() };
    o.str("prompt", &prompt::of(&rest, losses).text);
}

fn tools(o: &mut Obj<'_, BytesMut>, request: &Request, losses: &mut Losses) {
    let kept = functions(&request.tools, losses);
    match &request.tool_choice {
        // Tools that must not be called are best not known.
        Some(ToolChoice::None) => return,
        Some(ToolChoice::Required | ToolChoice::Named(_)) => {
            losses.push("tool_choice", "this dialect leaves the choice to the model");
        }
        Some(ToolChoice::Auto) | None => {}
    }
    if request.parallel_tool_calls == Some(false) {
        losses.push("parallel_tool_calls", "this dialect leaves the choice to the model");
    }
    if kept.is_empty() {
        return;
    }
    o.arr("tools", |a| {
        for function in kept {
            a.obj(|o| {
                o.str("type", "function");
                o.obj("function", |o| {
                    o.str("name", &function.name);
                    o.str("description", function.description.as_deref().unwrap_or_default());
                    write_parameters(o, function);
                });
            });
        }
    });
}

/// Yes, no, or one of three levels.
fn think(o: &mut Obj<'_, BytesMut>, wish: &Reasoning, losses: &mut Losses) {
    if wish.budget.is_some_and(|budget| budget > 0) {
        losses.push("reasoning.max_tokens", "this dialect knows levels of thinking, no budget");
    }
    match wish.effort {
        _ if wish.is_off() => o.bool("think", false),
        Some(Effort::Minimal | Effort::Low) => o.str("think", "low"),
        Some(Effort::Medium) => o.str("think", "medium"),
        Some(_) => o.str("think", "high"),
        None if wish.is_said() => o.bool("think", true),
        None => {}
    }
}
