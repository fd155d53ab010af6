//! Replies that arrive whole: the same three grades without a stream.

#![allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]

use super::ferry::Ferry;
use super::meter::Meter;
use super::{Phase, Tally};
use crate::structured::{Reshape, Shape, extract};
use crate::{Quirks, Stamp, completions, json, openai_chat, wire};
use bytes::BytesMut;
use slip_ir::{Block, Dialect, Event, Fault, FaultKind, Finish, Remedy, Reply, Usage, fold, unfold};
use std::sync::Arc;

/// Never quotes what was answered instead: it is some proxy's HTML, and not for the caller.
pub(crate) fn not_json() -> Fault {
    let says = "the provider answered something that is not JSON";
    Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says)
}

/// A reply of status 200, as the caller's dialect writes it. An error inside it is an error here.
pub fn reply(
    upstream: Dialect,
    caller: Dialect,
    body: &[u8],
    stamp: &Stamp,
    quirks: &Quirks,
) -> Result<(Vec<u8>, Tally), Fault> {
    if (upstream, caller) == (Dialect::OpenAiChat, Dialect::OpenAiChat) {
        let (bytes, tally) = openai_chat::patch::reply(body, stamp)?;
        return Ok((stamp.signed(caller, bytes), tally));
    }
    let (events, tally) = decoded(upstream, caller, body, stamp, quirks, None)?;
    if upstream == caller {
        let bytes = match caller {
            Dialect::Completions => completions::patch::reply(body, &tally, stamp),
            _ => body.to_vec(),
        };
        return Ok((stamp.signed(caller, bytes), tally));
    }
    let mut reply = Reply { usage: tally.usage.clone(), ..fold(events) };
    reply.start.served(tally.usage.as_ref().and_then(|usage| usage.tier));
    Ok((stamp.signed(caller, wire(caller).encode_reply(&reply, stamp)), tally))
}

/// A reply whose form was asked for by other means: cleaned of what stands around the JSON, and what each complete choice said.
/// `earlier` is what an answer before it cost, which was shown to the model and asked again.
pub fn shaped(
    upstream: Dialect,
    caller: Dialect,
    body: &[u8],
    stamp: &Stamp,
    quirks: &Quirks,
    reshape: &Reshape,
    earlier: Option<&Usage>,
) -> Result<(Vec<u8>, Tally, Vec<String>), Fault> {
    let (events, mut tally) = decoded(upstream, caller, body, stamp, quirks, Some(Shape::new(reshape)))?;
    if let (Some(usage), Some(earlier)) = (&mut tally.usage, earlier) {
        *usage = stamp.both(earlier, usage);
    }
    let mut reply = Reply { usage: tally.usage.clone(), ..fold(events) };
    let mut said = Vec::new();
    for choice in &mut reply.choices {
        let refused = choice.blocks.iter().any(|block| matches!(block, Block::Refusal(_) | Block::ToolCall(_)));
        if reshape.way.is_none() || choice.finish != Some(Finish::Stop) || refused {
            continue;
        }
        let text = choice.text();
        if let Some(json) = extract(&text).filter(|json| json.len() < text.len()) {
            let at = choice.blocks.iter().position(|block| matches!(block, Block::Text(_)));
            choice.blocks.retain(|block| !matches!(block, Block::Text(_)));
            choice.blocks.insert(at.unwrap_or(0), Block::text(json));
        }
        said.push(choice.text());
    }
    Ok((stamp.signed(caller, wire(caller).encode_reply(&reply, stamp)), tally, said))
}

/// A reply of status 200 told as the stream the caller asked for.
pub fn stream_from_reply(
    upstream: Dialect,
    caller: Dialect,
    body: &[u8],
    stamp: &Arc<Stamp>,
    quirks: &Quirks,
    out: &mut BytesMut,
) -> Result<Tally, Fault> {
    let (events, tally) = decoded(upstream, caller, body, stamp, quirks, None)?;
    if upstream == Dialect::OpenAiChat && tally.content == 0 && tally.finish.is_none() {
        // As a whole reply it would be none either.
        return Err(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, "the provider answered without a choice"));
    }
    stream(caller, &events, &tally, stamp, out);
    Ok(tally)
}

/// The same for a reply whose form was asked for by other means.
pub fn shaped_stream_from_reply(
    upstream: Dialect,
    caller: Dialect,
    body: &[u8],
    stamp: &Arc<Stamp>,
    quirks: &Quirks,
    reshape: &Reshape,
    out: &mut BytesMut,
) -> Result<Tally, Fault> {
    let (events, tally) = decoded(upstream, caller, body, stamp, quirks, Some(Shape::new(reshape)))?;
    stream(caller, &events, &tally, stamp, out);
    Ok(tally)
}

fn stream(caller: Dialect, events: &[Event], tally: &Tally, stamp: &Arc<Stamp>, out: &mut BytesMut) {
    let mut encode = wire(caller).encoder(stamp.clone());
    let counts = tally.usage.clone().map(Event::Usage);
    for event in events.iter().filter(|event| !matches!(event, Event::Usage(_))).chain(&counts) {
        encode.event(event, out);
    }
    encode.eof(out);
}

/// What the upstream said, as far as the caller's dialect has a place for it.
fn decoded(
    upstream: Dialect,
    caller: Dialect,
    body: &[u8],
    stamp: &Stamp,
    quirks: &Quirks,
    shape: Option<Shape>,
) -> Result<(Vec<Event>, Tally), Fault> {
    if json::check(body).is_err() {
        return Err(not_json());
    }
    let reply = wire(upstream).decode_reply(body, quirks).map_err(|malformed| {
        let at = if malformed.at.is_empty() { String::new() } else { format!(": {}", malformed.at) };
        let says = format!("the provider answered something unknown{at}");
        Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says)
    })?;
    if let Some(fault) = reply.fault {
        return Err(fault);
    }
    let (mut told, mut events) = (Vec::new(), Vec::new());
    unfold(&reply, &mut told);
    if let Some(mut shape) = shape {
        let asked = std::mem::take(&mut told);
        asked.into_iter().for_each(|event| shape.event(event, |event| told.push(event)));
    }
    let mut ferry = Ferry::new(caller);
    told.into_iter().for_each(|event| ferry.event(event, |event| events.push(event)));
    let mut meter = Meter::default();
    events.iter().filter(|event| !matches!(event, Event::Fault(_))).for_each(|event| meter.event(event));
    debug_assert_ne!(meter.phase, Phase::Broken);
    meter.settle(stamp);
    if upstream != caller {
        meter.tally.losses = ferry.losses();
    }
    Ok((events, meter.tally))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quirks;
    use serde_json::{Value, json};
    use slip_ir::{Pico, Price, Rates, Tier};

    /// A millionth of a dollar a token at the standard tier; two at flex, three at priority.
    fn stamp() -> Stamp {
        let price = |service, micros: u64| Price {
            rates: Rates { input: Pico(micros * 1_000_000), output: Pico(micros * 1_000_000), ..Rates::default() },
            service,
            ..Price::default()
        };
        let elsewhere = vec![Arc::new(price(Tier::Flex, 2)), Arc::new(price(Tier::Priority, 3))];
        Stamp { price: Some(Arc::new(Price { elsewhere, ..price(Tier::Standard, 1) })), ..Stamp::default() }
    }

    #[test]
    fn a_reply_costs_what_its_tier_costs_whoever_names_it() {
        let chat = |tier: Value| {
            json!({
                "id": "x", "model": "m", "service_tier": tier,
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": 7, "completion_tokens": 3 },
            })
        };
        let responses = json!({
            "id": "x", "object": "response", "status": "completed", "model": "m", "service_tier": "flex",
            "output": [{ "type": "message", "id": "m", "role": "assistant", "content": [{ "type": "output_text", "text": "hi" }] }],
            "usage": { "input_tokens": 7, "output_tokens": 3 },
        });
        let anthropic = json!({
            "id": "x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
            "content": [{ "type": "text", "text": "hi" }],
            "usage": { "input_tokens": 7, "output_tokens": 3, "service_tier": "standard" },
        });
        let gemini = |member: &str, word: &str| {
            json!({
                "candidates": [{ "content": { "role": "model", "parts": [{ "text": "hi" }] }, "finishReason": "STOP" }],
                "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 3, member: word },
            })
        };
        let bedrock = json!({
            "output": { "message": { "role": "assistant", "content": [{ "text": "hi" }] } }, "stopReason": "end_turn",
            "usage": { "inputTokens": 7, "outputTokens": 3 }, "serviceTier": { "type": "priority" },
        });
        use Dialect::{Anthropic, Bedrock, Gemini, OpenAiChat, Responses};
        let rows = [
            (OpenAiChat, chat(json!("default")), Some(Tier::Standard), 10),
            (OpenAiChat, chat(json!("flex")), Some(Tier::Flex), 20),
            (OpenAiChat, chat(json!("priority")), Some(Tier::Priority), 30),
            (OpenAiChat, chat(json!("fast")), Some(Tier::Priority), 30),
            (OpenAiChat, chat(json!("scale")), Some(Tier::Other), 10),
            (OpenAiChat, chat(Value::Null), None, 10),
            (Responses, responses, Some(Tier::Flex), 20),
            (Anthropic, anthropic, Some(Tier::Standard), 10),
            (Gemini, gemini("serviceTier", "flex"), Some(Tier::Flex), 20),
            (Gemini, gemini("trafficType", "ON_DEMAND_PRIORITY"), Some(Tier::Priority), 30),
            (Gemini, gemini("trafficType", "ON_DEMAND"), Some(Tier::Standard), 10),
            (Bedrock, bedrock, Some(Tier::Priority), 30),
        ];
        for (upstream, body, tier, micros) in rows {
            let body = body.to_string();
            for caller in [OpenAiChat, Responses, Anthropic] {
                let told = reply(upstream, caller, body.as_bytes(), &stamp(), Quirks::of(upstream));
                let (bytes, tally) = told.unwrap_or_else(|fault| panic!("{upstream}: {fault:?}"));
                assert_eq!(tally.usage.as_ref().and_then(|u| u.tier), tier, "{upstream} to {caller}: {body}");
                if upstream == caller && caller != OpenAiChat {
                    continue;
                }
                let value: Value = serde_json::from_slice(&bytes).unwrap();
                let cost = value["usage"]["cost"].as_f64().map(|usd| (usd * 1e6).round());
                assert_eq!(cost, Some(f64::from(micros)), "{upstream} to {caller}: {value}");
                let unknown = value["usage"].get("cost_unknown").is_some();
                assert_eq!(unknown, tier == Some(Tier::Other), "{upstream} to {caller}: {value}");
            }
        }
    }
}
