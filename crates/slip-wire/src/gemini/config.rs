//! `generationConfig`, both ways: sampling, output format and thinking.

use super::encode::{Ledger, is_three};
use super::schema;
use super::tree::{self, Members, Node, wrong};
use crate::Quirks;
use crate::dialect::Malformed;
use serde_json::value::RawValue;
use slip_ir::{Dialect, Effort, Format, Raw, Reasoning, Request};
use std::collections::HashSet;

/// The most stop sequences Google takes (reference of `GenerationConfig`, read 2026-11).
const MOST_STOPS: usize = 5;
/// Assumed room for an answer when the caller set none, and the largest thinking budget every 2.5 model accepts
/// (Google's documentation of thinking, read 2026-11).
const ROOM: u64 = 65_536;
const MOST_BUDGET: u64 = 24_576;
/// Gemini has no name for a schema; OpenAI must have one.
pub(super) const SCHEMA_NAME: &str = "response";

/// Read the object into `request`; members without a home come back as they were.
pub(super) fn read<'a>(m: &Members<'a>, request: &mut Request) -> Result<Vec<(String, Raw)>, Malformed> {
    const AT: &str = "generationConfig";
    let mut left = Vec::new();
    let mut output = Output::default();
    let p = &mut request.params;
    for (key, raw) in m.iter() {
        let bad = |why: &str| wrong(AT, key, why);
        let number = || tree::number(raw).ok_or_else(|| bad("must be a number"));
        let count = || tree::count(raw).ok_or_else(|| bad("must be a whole number"));
        let small = || count().and_then(|n| u32::try_from(n).map_err(|_| bad("is too large")));
        match key {
            "temperature" => p.temperature = Some(number()?),
            "topP" => p.top_p = Some(number()?),
            "topK" => p.top_k = Some(number()?),
            "presencePenalty" => p.presence_penalty = Some(number()?),
            "frequencyPenalty" => p.frequency_penalty = Some(number()?),
            "maxOutputTokens" => p.max_tokens = Some(count()?),
            "candidateCount" => p.n = Some(small()?),
            "logprobs" => p.top_logprobs = Some(small()?),
            "seed" => p.seed = Some(number()?.as_i64().ok_or_else(|| bad("must be a whole number"))?),
            "stopSequences" => {
                p.stop = serde_json::from_str(raw.get()).map_err(|_| bad("must be a list of strings"))?;
            }
            "responseLogprobs" => p.logprobs = m.bool(key, AT)?,
            "responseModalities" => {
                let words: Vec<String> =
                    serde_json::from_str(raw.get()).map_err(|_| bad("must be a list of strings"))?;
                p.modalities = words.iter().map(|word| word.to_ascii_lowercase()).collect();
            }
            "imageConfig" => p.image_config = respell(raw, tree::snake),
            "responseMimeType" => output.mime = m.string(key, AT)?,
            "responseSchema" => output.google = Some(raw),
            "responseJsonSchema" | "_responseJsonSchema" => output.schema = Some(raw),
            "thinkingConfig" => {
                request.reasoning = thinking(&Members::need(raw, "generationConfig.thinkingConfig")?)?;
            }
            _ => left.extend(tree::keep(raw).map(|raw| (key.to_owned(), raw))),
        }
    }
    request.format = output.format();
    Ok(left)
}

#[derive(Default)]
struct Output<'a> {
    mime: Option<String>,
    google: Option<&'a RawValue>,
    schema: Option<&'a RawValue>,
}

impl Output<'_> {
    fn format(self) -> Option<Format> {
        let google = || self.google.and_then(tree::keep).map(|raw| schema::from_google(&raw));
        let schema = self.schema.and_then(tree::keep).or_else(google);
        match (self.mime.as_deref(), schema) {
            (None | Some("application/json"), Some(schema)) => {
                Some(Format::JsonSchema { name: SCHEMA_NAME.to_owned(), schema, strict: None, description: None })
            }
            (Some("application/json"), None) => Some(Format::JsonObject),
            (Some("text/plain"), None) => Some(Format::Text),
            (None, None) => None,
            (Some(mime), schema) => {
                let mut node = Node::object([("responseMimeType", mime.into())]);
                if let Some(schema) = schema {
                    node.set("responseSchema", schema);
                }
                node.to_raw().map(|raw| Format::Opaque { dialect: Dialect::Gemini, raw })
            }
        }
    }
}

/// Thoughts are shown only where they are asked for.
fn thinking(m: &Members<'_>) -> Result<Option<Reasoning>, Malformed> {
    const AT: &str = "generationConfig.thinkingConfig";
    let mut reasoning = Reasoning { exclude: !m.bool("includeThoughts", AT)?.unwrap_or(false), ..Reasoning::default() };
    if let Some(raw) = m.get("thinkingBudget") {
        match tree::number(raw).and_then(|n| n.as_i64()) {
            Some(0) => reasoning.enabled = Some(false),
            Some(-1) => reasoning.adaptive = true,
            Some(n) if n > 0 => reasoning.budget = Some(n.unsigned_abs()),
            _ => return Err(wrong(AT, "thinkingBudget", "must be a whole number, -1 or above")),
        }
    }
    if let Some(level) = m.string("thinkingLevel", AT)? {
        let level = level.to_ascii_lowercase();
        match Effort::parse(&level) {
            Some(effort) => reasoning.effort = Some(effort),
            None if level == "thinking_level_unspecified" => {}
            None => return Err(wrong(AT, "thinkingLevel", &format!("must be minimal, low, medium or high: {level}"))),
        }
    }
    // To show thoughts and say no more leaves it to the model whether it thinks. Elsewhere that is not left to a model.
    if reasoning == Reasoning::default() {
        reasoning.enabled = Some(true);
    }
    let silent = Reasoning { exclude: true, ..Reasoning::default() };
    Ok(Some(reasoning).filter(|r| *r != silent))
}

/// Write the object, with what `extra` still holds of one.
pub(super) fn write<'a>(request: &'a Request, quirks: &Quirks, ledger: &mut Ledger) -> Node<'a> {
    let p = &request.params;
    let mut out = Node::object([]);
    let mut put = |ledger: &mut Ledger, key: &'static str, name: &'static str, node: Option<Node<'a>>| {
        let Some(node) = node else { return };
        if quirks.refuses(key) || quirks.refuses(name) {
            ledger.lose(name, "the provider refuses it");
        } else {
            out.set(key, node);
        }
    };
    put(ledger, "temperature", "temperature", p.temperature.clone().map(Node::from));
    put(ledger, "topP", "top_p", p.top_p.clone().map(Node::from));
    put(ledger, "topK", "top_k", p.top_k.clone().map(Node::from));
    put(ledger, "maxOutputTokens", "max_tokens", p.max_tokens.map(Node::from));
    put(ledger, "presencePenalty", "presence_penalty", p.presence_penalty.clone().map(Node::from));
    put(ledger, "frequencyPenalty", "frequency_penalty", p.frequency_penalty.clone().map(Node::from));
    put(ledger, "seed", "seed", p.seed.map(|seed| Node::Number(seed.into())));
    put(ledger, "candidateCount", "n", p.n.map(|n| u64::from(n).into()));
    put(ledger, "responseLogprobs", "logprobs", p.logprobs.map(Node::from));
    put(ledger, "logprobs", "top_logprobs", p.top_logprobs.map(|n| u64::from(n).into()));
    if p.stop.len() > MOST_STOPS {
        ledger.lose("stop", "only the first five stop sequences are sent");
    }
    let stops: Vec<Node<'a>> = p.stop.iter().take(MOST_STOPS).map(|s| s.as_str().into()).collect();
    put(ledger, "stopSequences", "stop", (!stops.is_empty()).then_some(Node::Array(stops)));
    let words: Vec<Node<'a>> = p.modalities.iter().map(|word| word.to_ascii_uppercase().into()).collect();
    put(ledger, "responseModalities", "modalities", (!words.is_empty()).then_some(Node::Array(words)));
    let image = p.image_config.as_ref().and_then(|raw| Node::parse(raw.as_str())).map(raise);
    put(ledger, "imageConfig", "image_config", image);
    write_format(request.format.as_ref(), quirks, ledger, &mut out);
    if let Some(reasoning) = &request.reasoning {
        let config = write_thinking(reasoning, request, ledger);
        if !config.is_empty() {
            out.set("thinkingConfig", config);
        }
    }
    if let Some(raw) = request.in_extra("generationConfig")
        && let Some(Node::Object(left)) = Node::parse(raw.as_str())
    {
        let Node::Object(written) = &out else { return out };
        let names: HashSet<String> = written.iter().map(|(key, _)| key.to_string()).collect();
        left.into_iter().filter(|(key, _)| !names.contains(&**key)).for_each(|(key, node)| out.set(key, node));
    }
    out
}

fn write_format<'a>(format: Option<&'a Format>, quirks: &Quirks, ledger: &mut Ledger, out: &mut Node<'a>) {
    match format {
        None => {}
        Some(Format::Text) => out.set("responseMimeType", "text/plain"),
        Some(Format::JsonObject) => out.set("responseMimeType", "application/json"),
        Some(Format::JsonSchema { schema: raw, .. }) => {
            out.set("responseMimeType", "application/json");
            if quirks.schema_subset {
                let node = ledger.with(|losses| schema::to_google(raw, "response_format.json_schema.schema", losses));
                out.set("responseSchema", node);
            } else {
                out.set("responseJsonSchema", raw);
            }
        }
        Some(Format::Opaque { dialect: Dialect::Gemini, raw }) => {
            if let Some(Node::Object(members)) = Node::parse(raw.as_str()) {
                members.into_iter().for_each(|(key, node)| out.set(key, node));
            }
        }
        Some(Format::Opaque { .. }) => ledger.lose("response_format", "a format of another dialect"),
    }
}

fn write_thinking(r: &Reasoning, request: &Request, ledger: &mut Ledger) -> Node<'static> {
    let three = is_three(&request.model);
    let mut out = Node::object([]);
    if r.summary.is_some() {
        ledger.lose("reasoning.summary", "there is one kind of summary only");
    }
    if r.enabled == Some(false) || r.effort == Some(Effort::None) {
        // Models that cannot stop thinking refuse this themselves, in words the caller can use.
        out.set("thinkingBudget", 0);
        return out;
    }
    match (r.budget, r.effort) {
        (Some(budget), effort) => {
            out.set("thinkingBudget", budget);
            if effort.is_some() {
                ledger.lose("reasoning.effort", "the budget says it more exactly");
            }
        }
        (None, Some(effort)) if three => {
            if effort > Effort::High {
                ledger.lose("reasoning.effort", "high is the most there is");
            }
            out.set("thinkingLevel", effort.min(Effort::High).name());
        }
        (None, Some(effort)) => {
            let room = request.params.max_tokens.unwrap_or(ROOM);
            out.set("thinkingBudget", effort.budget(room).min(MOST_BUDGET));
        }
        // Gemini 3 always decides for itself.
        (None, None) if (r.adaptive || r.enabled == Some(true)) && !three => {
            out.set("thinkingBudget", Node::Number((-1).into()));
        }
        (None, None) => {}
    }
    if !r.exclude {
        out.set("includeThoughts", true);
    }
    out
}

/// An object of scalars with its names spelt another way.
fn respell(raw: &RawValue, name: impl Fn(&str) -> String) -> Option<Raw> {
    let m = Members::of(raw)?;
    let members = m.iter().filter_map(|(key, raw)| Some((name(key).into(), tree::keep(raw)?.into()))).collect();
    Node::Object(members).to_raw()
}

fn raise(node: Node<'static>) -> Node<'static> {
    match node {
        Node::Object(members) => {
            Node::Object(members.into_iter().map(|(key, node)| (tree::camel(key), node)).collect())
        }
        node => node,
    }
}
