//! A recorded reply with a fault on top: the faults are those of the simulated providers, made by the same hand, from what was
//! recorded in the place of what a model would say.

use super::player::{Speed, first, headers};
use super::{Cassette, Data, LAST};
use crate::fault::Mode;
use crate::http::{Incoming, Outgoing};
use crate::replay::event_end;
use crate::sim::SimConfig;
use crate::sim::ask::{Ask, Refusal};
use crate::sim::mind::{Answer, Choice, Finish};
use crate::sim::plan::plan;
use crate::sim::speak::{Event, Route, Shape, Speak, Told, speaker};
use bytes::{Bytes, BytesMut};
use serde_json::Value;
use slip_ir::Dialect;

/// Members that carry what the model says.
const CONTENT: [&str; 9] =
    ["content", "text", "thinking", "reasoning", "reasoning_content", "partial_json", "arguments", "response", "delta"];
/// Members that say what it used.
const USAGE: [&str; 7] =
    ["usage", "usageMetadata", "prompt_eval_count", "eval_count", "token_usage", "billed_units", "x_groq"];

pub(super) fn twist(cassette: &Cassette, speed: Speed, request: &Incoming, dialect: Dialect, mode: &Mode) -> Outgoing {
    let recorded = Recorded { cassette, dialect: speaker(dialect) };
    let config = SimConfig { name: "the replay".into(), ttft: first(cassette, speed), ..SimConfig::default() };
    let ask = Ask { stream: cassette.reply.is_stream(), ..Ask::default() };
    // The word that stands for whatever was said: `blank` takes it away, `huge-event` puts its text before it.
    let said = Choice { reasoning: Vec::new(), text: vec![SAID.into()], calls: Vec::new(), finish: Finish::Stop };
    let answer = Answer { choices: vec![said], ..Answer::default() };
    let mut out = plan(&recorded, &config, request, &ask, &answer, Some(mode));
    out.note.fault = Some(mode.to_string());
    let replaces = matches!(
        mode,
        Mode::Status { .. }
            | Mode::Auth
            | Mode::Quota
            | Mode::Context
            | Mode::Error200
            | Mode::Html { .. }
            | Mode::Redirect
    );
    let fails = !ask.stream && matches!(mode, Mode::ErrorFirst | Mode::ErrorAfter { .. });
    if !(replaces || fails) {
        out.status = cassette.reply.status;
        out.headers = headers(cassette);
    }
    out
}

const SAID: &str = "said";

struct Recorded<'a> {
    cassette: &'a Cassette,
    dialect: &'static dyn Speak,
}

impl Recorded<'_> {
    fn framing(&self) -> &'static str {
        let kind = self.cassette.reply.header("content-type");
        match kind {
            _ if kind.contains("amazon.eventstream") => "eventstream",
            _ if kind.contains("json") => "ndjson",
            _ => "sse",
        }
    }

    /// What was said, changed as the fault wants it. `first`: nothing was said before.
    fn edited(&self, bytes: &[u8], answer: &Answer, shape: Shape, first: bool) -> Bytes {
        let said = answer.choices.first().and_then(|c| c.text.concat().strip_suffix(SAID).map(str::to_owned));
        edit(bytes, &mut |value| {
            if !shape.usage {
                forget(value, 0);
            }
            match &said {
                None => blank(value, 0),
                Some(more) if first && !more.is_empty() => drop(swell(value, more, 0)),
                Some(_) => {}
            }
        })
    }

    /// Nothing of it is to be changed, down to the spaces.
    fn is_plain(answer: &Answer, shape: Shape) -> bool {
        shape.usage && answer.choices.iter().all(|c| c.text == [SAID])
    }
}

impl Speak for Recorded<'_> {
    fn base(&self) -> &'static str {
        ""
    }

    fn route(&self, _: &Incoming) -> Route {
        Route::Generate
    }

    fn credential(&self, request: &Incoming) -> Option<String> {
        self.dialect.credential(request)
    }

    fn ask(&self, request: &Incoming, body: &Value) -> Result<Ask, Refusal> {
        self.dialect.ask(request, body)
    }

    fn whole(&self, _: &Ask, _: &Answer, _: Shape) -> Value {
        Value::Null
    }

    fn whole_bytes(&self, _: &Ask, answer: &Answer, shape: Shape) -> Bytes {
        let body = self.cassette.reply.body.as_ref().and_then(|body| body.bytes().ok()).unwrap_or_default();
        if Recorded::is_plain(answer, shape) { body } else { self.edited(&body, answer, shape, true) }
    }

    fn stream(&self, _: &Incoming, _: &Ask, answer: &Answer, shape: Shape) -> Vec<Event> {
        let mut all = BytesMut::new();
        for chunk in &self.cassette.reply.chunks {
            all.extend_from_slice(&chunk.data.bytes().unwrap_or_default());
        }
        let (mut events, mut said) = (Vec::new(), false);
        let mut all = all.freeze();
        while !all.is_empty() {
            let event = all.split_to(event_end(self.framing(), &all).clamp(1, all.len()));
            let last = LAST.iter().any(|word| memchr::memmem::find(&event, word.as_bytes()).is_some());
            if last && !shape.done {
                continue;
            }
            let speaks = speaks(&event);
            // A frame has a length and a sum of its own: those stay as they are.
            let kept = self.framing() == "eventstream" || Recorded::is_plain(answer, shape);
            let bytes = if kept { event } else { self.edited(&event, answer, shape, speaks && !said) };
            said |= speaks;
            events.push(Event { bytes, tokens: u64::from(speaks) });
        }
        events
    }

    fn stream_type(&self, request: &Incoming) -> &'static str {
        self.dialect.stream_type(request)
    }

    fn refusal(&self, refusal: &Refusal, id: u64) -> Told {
        self.dialect.refusal(refusal, id)
    }

    fn error_event(&self, request: &Incoming, refusal: &Refusal, id: u64) -> Bytes {
        self.dialect.error_event(request, refusal, id)
    }

    fn models(&self, models: &[String]) -> Value {
        self.dialect.models(models)
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        self.dialect.mode_refusal(mode)
    }
}

/// Change each JSON document of a text: the whole, a line of it, or the data of an event.
fn edit(bytes: &[u8], change: &mut dyn FnMut(&mut Value)) -> Bytes {
    let Data::Text(text) = Data::of(bytes) else { return Bytes::copy_from_slice(bytes) };
    let mut changed = |text: &str| {
        let mut value: Value = serde_json::from_str(text).ok()?;
        change(&mut value);
        Some(value.to_string())
    };
    if let Some(whole) = changed(&text) {
        return whole.into();
    }
    let line = |line: &str| {
        let (body, end) = line.split_at(line.trim_end().len());
        let (name, value) = match body.strip_prefix("data:") {
            Some(value) => ("data: ", value.trim_start()),
            None => ("", body),
        };
        changed(value).map_or_else(|| line.to_owned(), |value| [name, &value, end].concat())
    };
    text.split_inclusive('\n').map(line).collect::<String>().into()
}

fn forget(value: &mut Value, depth: u32) {
    match value {
        Value::Object(members) if depth < 8 => {
            USAGE.iter().for_each(|name| drop(members.remove(*name)));
            members.values_mut().for_each(|value| forget(value, depth + 1));
        }
        Value::Array(items) if depth < 8 => items.iter_mut().for_each(|value| forget(value, depth + 1)),
        _ => {}
    }
}

/// Nothing in the place of all that is said.
fn blank(value: &mut Value, depth: u32) {
    match value {
        Value::Object(members) if depth < 12 => {
            for (name, value) in members {
                match value {
                    Value::String(said) if CONTENT.contains(&name.as_str()) => said.clear(),
                    value => blank(value, depth + 1),
                }
            }
        }
        Value::Array(items) if depth < 12 => items.iter_mut().for_each(|value| blank(value, depth + 1)),
        _ => {}
    }
}

/// Put a text before the first thing that is said. Whether there was any.
fn swell(value: &mut Value, text: &str, depth: u32) -> bool {
    match value {
        Value::Object(members) if depth < 12 => members.iter_mut().any(|(name, value)| match value {
            Value::String(said) if CONTENT.contains(&name.as_str()) && !said.is_empty() => {
                said.insert_str(0, text);
                true
            }
            value => swell(value, text, depth + 1),
        }),
        Value::Array(items) if depth < 12 => items.iter_mut().any(|value| swell(value, text, depth + 1)),
        _ => false,
    }
}

/// Whether an event carries something the model says.
fn speaks(event: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(event) else {
        // A frame of Amazon's says what it is in plain letters.
        return memchr::memmem::find(event, b"contentBlockDelta").is_some()
            || memchr::memmem::find(event, b"chunk").is_some();
    };
    let mut found = false;
    for line in text.lines() {
        let body = line.strip_prefix("data:").unwrap_or(line).trim();
        found |= serde_json::from_str::<Value>(body).is_ok_and(|value| says(&value, 0));
    }
    found
}

fn says(value: &Value, depth: u32) -> bool {
    match value {
        Value::Object(members) if depth < 12 => members.iter().any(|(name, value)| match value {
            Value::String(said) => CONTENT.contains(&name.as_str()) && !said.is_empty(),
            value => says(value, depth + 1),
        }),
        Value::Array(items) if depth < 12 => items.iter().any(|value| says(value, depth + 1)),
        _ => false,
    }
}
