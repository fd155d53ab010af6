//! The oracle: what must be the same on both sides of the gateway, and what may be lost on which surface.

use super::natives::Native;
use super::said::{Choice, Said};
use super::{Differences, Surface};
use serde_json::Value;
use std::collections::BTreeSet;

/// `want` is what the provider said, `got` what the client heard.
pub fn check(surface: Surface, verbatim: bool, want: &Said, got: &Said, out: &mut Differences) {
    match (&want.fault, &got.fault) {
        (Some(said), None) => out.say("fault", format!("the provider said {said:?}, the client heard nothing of it")),
        (None, Some(heard)) => out.say("fault", format!("the client heard {heard:?}")),
        _ => {}
    }
    // A message holds one choice, and so does a response.
    let all = !matches!(surface, Surface::Messages | Surface::Responses | Surface::Bedrock)
        && surface.native().is_none_or(|native| native == Native::Text);
    let kept = |said: &Said| said.choices.iter().filter(|(i, _)| all || **i == 0).map(|(i, _)| *i).collect::<Vec<_>>();
    if kept(want) != kept(got) && !kept(want).is_empty() {
        out.say("choices", format!("{:?} became {:?}", kept(want), kept(got)));
    }
    for index in kept(want) {
        if let (Some(want_choice), Some(got_choice)) = (want.choices.get(&index), got.choices.get(&index)) {
            choice(surface, want_choice, got_choice, want.fault.is_some(), out);
        }
    }
    usage(surface, verbatim, want, got, out);
}

fn choice(surface: Surface, want: &Choice, got: &Choice, failed: bool, out: &mut Differences) {
    match surface {
        Surface::Chat | Surface::Responses => {
            out.same("text", &want.text, &got.text);
            out.same("refusal", &want.refusal, &got.refusal);
        }
        // Where there is no word for a refusal it is text.
        _ => out.same("text", &(want.text.clone() + &want.refusal), &(got.text.clone() + &got.refusal)),
    }
    out.same("reasoning", &want.reasoning, &got.reasoning);
    if let Some(native) = surface.native() {
        return less(native, want, got, failed, out);
    }
    calls(surface, want, got, out);
    for seal in &want.seals {
        let carried = got.seals.iter().any(|s| {
            s == seal
                || s.ends_with(&format!(":{seal}"))
                || unwrapped(s)
                    .is_some_and(|s| s == *seal || s.ends_with(&format!(":{seal}")) || s.ends_with(&format!("!{seal}")))
        });
        if !carried {
            out.say("seals", format!("lost: {seal:.60}"));
        }
    }
    if got.seals.len() > want.seals.len() {
        out.say("seals", format!("{} became {}", want.seals.len(), got.seals.len()));
    }
    let finish = if failed { Some("error") } else { want.finish.as_deref() };
    if surface == Surface::Chat || !failed {
        // What a dialect cannot call an error it ends normally.
        let (want, got) = (finish.unwrap_or("(none)"), got.finish.as_deref().unwrap_or("(none)"));
        if want != got && !(surface == Surface::Messages && want == "error") {
            out.say("finish", format!("{want} became {got}"));
        }
    }
    if want.urls != got.urls {
        let lost: BTreeSet<_> = want.urls.difference(&got.urls).take(3).collect();
        let new: BTreeSet<_> = got.urls.difference(&want.urls).take(3).collect();
        out.say("urls", format!("{} became {}; lost {lost:?}, new {new:?}", want.urls.len(), got.urls.len()));
    }
    if surface == Surface::Chat && want.native.is_some() && want.native != got.native && !failed {
        out.say("native", format!("{:?} became {:?}", want.native, got.native));
    }
    if want.cited != got.cited {
        out.say("cited", format!("{} citations became {}", want.cited, got.cited));
    }
    if want.places != got.places {
        out.say("places", format!("{} became {}", want.places, got.places));
    }
    if surface == Surface::Chat && want.files != got.files {
        out.say("files", format!("{} became {}", want.files, got.files));
    }
    // Converse has no addresses.
    let shown: Vec<&String> =
        want.images.iter().filter(|i| surface != Surface::Bedrock || i.starts_with("data:")).collect();
    if surface != Surface::Messages && shown != got.images.iter().collect::<Vec<_>>() {
        out.say("images", format!("{} became {}", want.images.len(), got.images.len()));
    }
    if matches!(surface, Surface::Chat | Surface::Responses) && want.logprobs != got.logprobs {
        out.say("logprobs", format!("{} entries became {}", want.logprobs.len(), got.logprobs.len()));
    }
}

/// A choice on a surface that carries less.
fn less(native: Native, want: &Choice, got: &Choice, failed: bool, out: &mut Differences) {
    let (has_calls, has_citations) = native.carries();
    if has_calls {
        calls(Surface::Native(native), want, got, out);
    }
    if has_citations && want.urls != got.urls {
        out.say("urls", format!("{:?} became {:?}", want.urls, got.urls));
    }
    // Where a dialect has no word for it, calling tools is stopping, and what was filtered is an error.
    let word = |choice: &Choice| match choice.finish.as_deref() {
        Some("tool_calls") if !has_calls => "stop".to_owned(),
        Some("content_filter") if native == Native::Cohere => "error".to_owned(),
        word => word.unwrap_or("(none)").to_owned(),
    };
    if !failed && word(want) != word(got) {
        out.say("finish", format!("{} became {}", word(want), word(got)));
    }
}

fn unwrapped(seal: &str) -> Option<String> {
    super::base64(seal).and_then(|bytes| String::from_utf8(bytes).ok())
}

fn calls(surface: Surface, want: &Choice, got: &Choice, out: &mut Differences) {
    // Some have arguments that are an object, which what was cut in its middle is not.
    let objects = matches!(surface, Surface::Gemini | Surface::Bedrock | Surface::Native(Native::Ollama));
    let told = |c: &Choice| {
        let all = c.calls.iter().zip(&want.calls);
        all.map(|(c, want)| (c.name.clone(), c.value(), want.value()))
            .map(|(name, value, want)| (name, if objects && !want.is_object() { Value::Null } else { value }))
            .collect::<Vec<_>>()
    };
    if want.calls.len() != got.calls.len() || told(want) != told(got) {
        out.say("calls", format!("{:?} became {:?}", told(want), told(got)));
        return;
    }
    // Gemini tells calls apart by their order, and the old way of calling knew one.
    let unnamed = matches!(surface, Surface::Gemini | Surface::Native(Native::Ollama));
    let nameless = got.calls.iter().all(|c| c.id.is_empty() && (unnamed || c.old));
    if nameless {
        return;
    }
    let ids: BTreeSet<&str> = got.calls.iter().map(|c| c.id.as_str()).collect();
    if ids.len() != got.calls.len() || ids.contains("") {
        out.say("calls.ids", format!("not unique: {ids:?}"));
    }
    let given: BTreeSet<&str> = want.calls.iter().map(|c| c.id.as_str()).filter(|id| !id.is_empty()).collect();
    if given.len() == want.calls.len() {
        for (want, got) in want.calls.iter().zip(&got.calls) {
            out.same("calls.ids", &want.id, &got.id);
        }
    }
}

fn usage(surface: Surface, verbatim: bool, want: &Said, got: &Said, out: &mut Differences) {
    let Some(heard) = &got.usage else {
        // The provider's own bytes say what the provider says.
        if got.fault.is_none() && !verbatim {
            out.say("usage", "none".to_owned());
        }
        return;
    };
    // A report of nothing is none: then it is estimated.
    let Some(told) = want.usage.as_ref().filter(|u| u.prompt + u.completion > 0) else { return };
    // An error ends a message: there is nothing behind it that could hold the count.
    let message = matches!(surface, Surface::Messages | Surface::Bedrock);
    if got.fault.is_some() && (message || heard.prompt + heard.completion == 0) {
        return;
    }
    let native = surface.native();
    // Ollama counts what was read and what was written, and no more.
    if matches!(native, Some(Native::Ollama | Native::Generate)) {
        let told = (told.prompt, told.completion);
        if told != (heard.prompt, heard.completion) && got.fault.is_none() {
            out.say("usage", format!("{told:?} became {:?}", (heard.prompt, heard.completion)));
        }
        return;
    }
    // The price every replayed model has, in dollars per million tokens.
    if let Some(cost) = heard.cost.filter(|_| !verbatim) {
        let fresh = heard.prompt.saturating_sub(heard.cached + heard.written);
        let parts = [(fresh, 1.0), (heard.cached, 0.5), (heard.written, 1.25), (heard.completion, 2.0)];
        let due: f64 = parts.iter().map(|(tokens, price)| *tokens as f64 * price / 1e6).sum();
        // A dialect that cannot tell what was written to a cache counts it as fresh.
        let known = !blind_to_writes(surface) || told.written == 0;
        if known && (cost - due).abs() > 1e-9 {
            out.say("usage.cost", format!("{due} became {cost}"));
        }
    } else if !verbatim {
        out.say("usage.cost", "none");
    }
    let rows = [
        ("usage.prompt", told.prompt, heard.prompt),
        ("usage.completion", told.completion, heard.completion),
        ("usage.cached", told.cached, heard.cached),
        ("usage.written", told.written, heard.written),
        ("usage.reasoning", told.reasoning, heard.reasoning),
    ];
    for (name, told, heard) in rows {
        // What was counted before a reply broke off does not cover what came after: that much is estimated.
        let estimated = got.fault.is_some() && name == "usage.completion" && heard > told;
        // Gemini has no word for what was written to a cache.
        // Converse does not tell reasoning from the rest of the output.
        if surface == Surface::Bedrock && name == "usage.reasoning" {
            continue;
        }
        if told != heard && !estimated && !(blind_to_writes(surface) && name == "usage.written") {
            out.say(name, format!("{told} became {heard}"));
        }
    }
}

/// Dialects without a word for what was written to a cache.
fn blind_to_writes(surface: Surface) -> bool {
    matches!(surface, Surface::Gemini | Surface::Native(Native::Cohere))
}
