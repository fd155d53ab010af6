//! The way back: a client sends a reply as part of the conversation, and the provider must find what it sealed as it sealed it.

use super::ask::{Ask, Item, Role};
use super::said::{Call, list, text};
use super::{Bed, Differences, Leg, Surface};
use super::{bedrock, read, responses};
use crate::harness::Got;
use serde_json::{Value, json};

/// Say the same again with this reply and the results of its calls in the history.
pub(super) async fn check(bed: &Bed, leg: &Leg, got: &Got, out: &mut Differences) {
    let said = bed.said();
    let Some(want) = said.choices.get(&0).filter(|c| !c.seals.is_empty() || !c.calls.is_empty()) else { return };
    // Their clients keep less of a reply than there is; their own tests tell what.
    let own = Surface::of(&bed.case);
    if leg.surface.native().is_some() || own.is_some_and(|own| own.is_prompt() || own.house().is_some()) {
        return;
    }
    if said.fault.is_some() || got.status != 200 {
        return;
    }
    let turn = turn(leg.surface, got, leg.stream);
    let reply = leg.surface.read(&parts(got, leg.stream));
    let calls: Vec<Call> = reply.choices.get(&0).map(|c| c.calls.clone()).unwrap_or_default();
    // The old way of calling has no ids to answer.
    if calls.iter().any(|c| c.old) {
        return;
    }
    let body = request(leg.surface, &bed.model_for(leg.surface), leg.stream, true, &turn, &calls);
    let leg = Leg { surface: leg.surface, stream: leg.stream, body, recorded: false };
    let answered = bed.send(&leg).await;
    if answered.status != 200 {
        return out.say("history.status", format!("{}: {:.300}", answered.status, answered.text()));
    }
    let Some(entry) = bed.last_entry() else { return out.say("history", "nothing reached the provider") };
    let twin = leg.surface == Surface::Responses && super::has_twin(&bed.case);
    judge(bed, twin, want, &entry.json(), out);
}

fn parts(got: &Got, stream: bool) -> Vec<Value> {
    if stream { read::values(&got.body) } else { vec![got.json()] }
}

/// The reply as the turn of a conversation.
pub fn turn(surface: Surface, got: &Got, stream: bool) -> Value {
    match surface {
        Surface::Chat => chat(got, stream),
        Surface::Messages => message(got, stream),
        Surface::Gemini => gemini(got, stream),
        Surface::Responses => responses::items(got, stream).into(),
        Surface::Bedrock => bedrock::turn(got, stream),
        Surface::Native(native) => native.turn(&surface.read(&native.parts(got, stream))),
        Surface::Invoked(_) => unreachable!("no client speaks it"),
    }
}

/// A conversation that goes on after this turn, with an answer to each of its calls.
pub fn request(surface: Surface, model: &str, stream: bool, thinks: bool, turn: &Value, calls: &[Call]) -> Value {
    let mut ask = Ask::minimal();
    ask.thinks = thinks;
    ask.max_tokens = Some(8192);
    let mut names: Vec<&str> = calls.iter().map(|c| c.name.as_str()).collect();
    names.dedup();
    for name in names {
        let schema = json!({"type": "object", "properties": {}});
        ask.tools.push(super::ask::Tool { name: name.to_owned(), description: "a tool".into(), schema });
    }
    let results = |surface: Surface| -> Vec<Value> {
        let answer = |c: &Call| match surface {
            Surface::Chat => json!({"role": "tool", "tool_call_id": c.id, "content": "fine"}),
            Surface::Responses => json!({"type": "function_call_output", "call_id": c.id, "output": "fine"}),
            Surface::Messages => json!({"type": "tool_result", "tool_use_id": c.id, "content": "fine"}),
            Surface::Gemini => {
                let mut response = json!({"name": c.name, "response": {"output": "fine"}});
                if !c.id.is_empty() {
                    response["id"] = c.id.clone().into();
                }
                json!({"functionResponse": response})
            }
            Surface::Native(_) | Surface::Invoked(_) => Value::Null,
            Surface::Bedrock => bedrock::result(&c.id),
        };
        calls.iter().map(answer).collect()
    };
    let go_on = |empty: bool| if empty { vec![json!("go on")] } else { Vec::new() };
    match surface {
        Surface::Chat => {
            let mut body = ask.to_chat(model, stream);
            let messages = body["messages"].as_array_mut().expect("messages are a list");
            messages.push(turn.clone());
            messages.extend(results(Surface::Chat));
            messages.extend(go_on(calls.is_empty()).into_iter().map(|t| json!({"role": "user", "content": t})));
            body
        }
        Surface::Messages => {
            let mut body = ask.to_messages(model, stream);
            let mut content = results(Surface::Messages);
            content.extend(go_on(calls.is_empty()).into_iter().map(|t| json!({"type": "text", "text": t})));
            let messages = body["messages"].as_array_mut().expect("messages are a list");
            messages.extend([turn.clone(), json!({"role": "user", "content": content})]);
            body
        }
        Surface::Bedrock => {
            let mut body = bedrock::to(&ask);
            let mut content = results(Surface::Bedrock);
            content.extend(go_on(calls.is_empty()).into_iter().map(|t| json!({"text": t})));
            let messages = body["messages"].as_array_mut().expect("messages are a list");
            messages.extend([turn.clone(), json!({"role": "user", "content": content})]);
            body
        }
        Surface::Responses => {
            let mut body = responses::spell(&ask, model, stream);
            let input = body["input"].as_array_mut().expect("input is a list");
            input.extend(list(turn).iter().cloned());
            input.extend(results(Surface::Responses));
            input.extend(go_on(calls.is_empty()).into_iter().map(|t| json!({"role": "user", "content": t})));
            body
        }
        Surface::Invoked(_) => unreachable!("no client speaks it"),
        Surface::Native(native) => {
            let mut body = native.body(&ask, model, stream);
            native.go_on(&mut body, turn, calls);
            body
        }
        Surface::Gemini => {
            let mut body = ask.to_gemini();
            let mut parts = results(Surface::Gemini);
            parts.extend(go_on(calls.is_empty()).into_iter().map(|t| json!({"text": t})));
            let contents = body["contents"].as_array_mut().expect("contents are a list");
            contents.extend([turn.clone(), json!({"role": "user", "parts": parts})]);
            body
        }
    }
}

/// The assistant's message as a plain client keeps it: of a stream every detail as it came, in order.
fn chat(got: &Got, stream: bool) -> Value {
    if !stream {
        return got.json()["choices"][0]["message"].clone();
    }
    let chunks = read::values(&got.body);
    let said = read::chat(&chunks);
    let choice = said.choices.get(&0).cloned().unwrap_or_default();
    let deltas = chunks.iter().flat_map(|c| list(&c["choices"])).filter(|c| c["index"] == 0).map(|c| &c["delta"]);
    let details: Vec<Value> = deltas.flat_map(|d| list(&d["reasoning_details"])).cloned().collect();
    let mut message = json!({"role": "assistant", "content": choice.text, "reasoning": choice.reasoning});
    if !details.is_empty() {
        message["reasoning_details"] = details.into();
    }
    let calls = choice
        .calls
        .iter()
        .map(|c| json!({"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.args}}));
    let calls: Vec<Value> = calls.collect();
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message
}

/// The blocks of a message, gathered from their deltas where it was streamed.
fn message(got: &Got, stream: bool) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    if !stream {
        blocks = list(&got.json()["content"]).to_vec();
    }
    for event in read::values(&got.body).into_iter().filter(|_| stream) {
        match event["type"].as_str() {
            Some("content_block_start") => {
                input.clear();
                blocks.push(event["content_block"].clone());
            }
            Some("content_block_delta") => {
                let (delta, Some(block)) = (&event["delta"], blocks.last_mut()) else { continue };
                for (from, to) in [("text", "text"), ("thinking", "thinking"), ("signature", "signature")] {
                    if let Some(more) = delta[from].as_str() {
                        block[to] = (block[to].as_str().unwrap_or_default().to_owned() + more).into();
                    }
                }
                if let Some(more) = delta["partial_json"].as_str() {
                    input.push_str(more);
                    if let Ok(value) = serde_json::from_str::<Value>(&input) {
                        block["input"] = value;
                    }
                }
            }
            _ => {}
        }
    }
    json!({"role": "assistant", "content": blocks})
}

/// Every part as it came, in order.
fn gemini(got: &Got, stream: bool) -> Value {
    let chunks = parts(got, stream);
    let first = |c: &Value| list(&c["candidates"]).iter().find(|c| c["index"].as_u64().unwrap_or(0) == 0).cloned();
    let candidates: Vec<Value> = chunks.iter().filter_map(first).map(|c| c["content"].clone()).collect();
    let parts: Vec<Value> = candidates.iter().flat_map(|c| list(&c["parts"])).cloned().collect();
    json!({"role": "model", "parts": parts})
}

/// `sent` is the body that reached the provider.
fn judge(bed: &Bed, twin: bool, want: &super::said::Choice, sent: &Value, out: &mut Differences) {
    let own = Surface::of(&bed.case).expect("only cases with a surface are kept");
    let nameless = own == Surface::Gemini || bed.case.provider == "mistral";
    let ask = own.ask_of(sent);
    let calls: Vec<(String, Value)> = ask
        .turns
        .iter()
        .filter_map(|(role, item)| match item {
            Item::Call { name, args, .. } if *role == Role::Assistant => Some((name.clone(), args.clone())),
            _ => None,
        })
        .collect();
    let told: Vec<(String, Value)> = want.calls.iter().map(|c| (c.name.clone(), c.value())).collect();
    // Arguments that were cut in their middle are no object, and some surfaces can only hold one.
    let same = |(told, got): (&(String, Value), &(String, Value))| {
        told == got || told.0 == got.0 && told.1.is_string() && (got.1 == json!({}) || got.1.is_null())
    };
    if calls.len() != told.len() || !told.iter().zip(&calls).all(same) {
        out.say("history.calls", format!("{told:?} became {calls:?}"));
    }
    let ids = |is_call: bool| -> Vec<String> {
        let id = |item: &Item| match item {
            Item::Call { id, .. } if is_call => Some(id.clone()),
            Item::Result { id, .. } if !is_call => Some(id.clone()),
            _ => None,
        };
        ask.turns.iter().filter_map(|(_, item)| id(item)).collect()
    };
    if ids(true) != ids(false) {
        out.say("history.ids", format!("calls {:?}, results {:?}", ids(true), ids(false)));
    }
    if !nameless
        && want.calls.iter().all(|c| !c.id.is_empty())
        && ids(true) != want.calls.iter().map(|c| c.id.clone()).collect::<Vec<_>>()
    {
        out.say("history.ids", format!("{:?} became {:?}", want.calls, ids(true)));
    }
    match own {
        Surface::Messages => anthropic(&bed.case.response, sent, out),
        Surface::Gemini => google(&bed.case.response, sent, out),
        Surface::Responses => responses::sealed(&bed.case.response, sent, out),
        Surface::Bedrock => bedrock::seals(&bed.case.response, sent, out),
        // Who takes reasoning back, and how, is each server's own affair.
        Surface::Chat if bed.case.provider == "openrouter" && !twin => {
            let message =
                list(&sent["messages"]).iter().find(|m| m["role"] == "assistant").cloned().unwrap_or_default();
            let back = read::chat(&[json!({"choices": [{"index": 0, "message": message}]})]);
            let seals = back.choices.get(&0).map(|c| c.seals.clone()).unwrap_or_default();
            if seals != want.seals {
                out.say(
                    "history.seals",
                    format!("{:.200} became {:.200}", format!("{:?}", want.seals), format!("{seals:?}")),
                );
            }
        }
        Surface::Chat | Surface::Native(_) | Surface::Invoked(_) => {}
    }
}

/// Thinking and redacted thinking, byte for byte and in their order, before everything else.
fn anthropic(response: &slip_sim::case::CaseResponse, sent: &Value, out: &mut Differences) {
    let sealed = |blocks: &[Value]| -> Vec<Value> {
        let is_sealed = |b: &&Value| matches!(b["type"].as_str(), Some("thinking" | "redacted_thinking"));
        let kept = |b: &Value| json!([b["type"], b["thinking"], b["signature"], b["data"]]);
        blocks.iter().filter(is_sealed).map(kept).collect()
    };
    let own = Got { status: 200, headers: http::HeaderMap::new(), body: response.body.clone() };
    let said = message(&own, response.stream);
    let want = sealed(list(&said["content"]));
    let turn = list(&sent["messages"]).iter().find(|m| m["role"] == "assistant").cloned().unwrap_or_default();
    let got = sealed(list(&turn["content"]));
    if want != got {
        let show = |v: &[Value]| v.iter().map(|v| format!("{:.120}", v.to_string())).collect::<Vec<_>>();
        out.say("history.seals", format!("{:?} became {:?}", show(&want), show(&got)));
    }
    let alien = list(&turn["content"]).iter().find(|b| !b["format"].is_null());
    if let Some(alien) = alien {
        out.say("history.form", alien.to_string());
    }
}

/// Signatures on the calls they were made for; others anywhere.
fn google(response: &slip_sim::case::CaseResponse, sent: &Value, out: &mut Differences) {
    let parts = |contents: &Value| -> Vec<Value> { list(&contents["parts"]).to_vec() };
    let own = Got { status: 200, headers: http::HeaderMap::new(), body: response.body.clone() };
    let want = parts(&gemini(&own, response.stream));
    let turn = list(&sent["contents"]).iter().find(|c| c["role"] == "model").cloned().unwrap_or_default();
    let got = parts(&turn);
    let on_calls = |parts: &[Value]| -> Vec<(String, String)> {
        let signed = parts.iter().filter(|p| p["functionCall"].is_object());
        let pair = |p: &Value| {
            (
                p["functionCall"]["name"].as_str().unwrap_or_default().to_owned(),
                p["thoughtSignature"].as_str().unwrap_or_default().to_owned(),
            )
        };
        signed.map(pair).filter(|(_, s)| s != "skip_thought_signature_validator").collect()
    };
    let all = |parts: &[Value]| -> Vec<String> {
        let mut all: Vec<String> = parts
            .iter()
            .filter_map(|p| text(&p["thoughtSignature"]))
            .filter(|s| *s != "skip_thought_signature_validator")
            .map(str::to_owned)
            .collect();
        all.sort();
        all
    };
    if on_calls(&want) != on_calls(&got) {
        out.say(
            "history.seals",
            format!("{:.400} became {:.400}", format!("{:?}", on_calls(&want)), format!("{:?}", on_calls(&got))),
        );
    } else if all(&want) != all(&got) {
        out.say("history.seals", format!("{} became {}", all(&want).len(), all(&got).len()));
    }
}
