//! A Responses request in the vocabulary.

use super::{family, items, tools};
use crate::object::{Object, below, is_string, read};
use crate::{Malformed, house};
use serde_json::value::RawValue;
use slip_ir::{Block, Effort, Format, Loss, Raw, Reasoning, Request, Role, Turn};

/// The name a schema goes by that came without one.
const SCHEMA_NAME: &str = "output";
/// Members the house reads for itself, beside those of every dialect.
const HOUSE: [&str; 1] = ["usage"];
/// What a caller must ask for to be shown probabilities.
pub const LOGPROBS: &str = "message.output_text.logprobs";

pub fn decode(body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::new("", "the body is not UTF-8"))?;
    let mut o = Object::parse(text, "")?;
    keeps_nothing(&mut o)?;
    let mut losses = Vec::new();
    let mut request = Request {
        model: o.string("model", "")?.unwrap_or_default(),
        stream: o.bool("stream", "")?.unwrap_or(false),
        parallel_tool_calls: o.bool("parallel_tool_calls", "")?,
        ..Request::default()
    };

    if let Some(instructions) = o.string("instructions", "")?.filter(|text| !text.is_empty()) {
        request.turns.push(Turn::new(Role::System, vec![Block::text(instructions)]));
    }
    match o.take("input") {
        Some(input) if is_string(input) => {
            let text: String = read(input, "input", "a string or an array of items")?;
            request.turns.push(Turn::new(Role::User, vec![Block::text(text)]));
        }
        Some(input) => {
            let input: Vec<&RawValue> = read(input, "input", "a string or an array of items")?;
            if input.is_empty() {
                return Err(Malformed::new("input", "needs at least one item"));
            }
            items::decode(&input, family(&request.model), &mut request.turns, &mut losses)?;
        }
        // The provider keeps a prompt of the caller's, with all that is to be said.
        None if o.has("prompt") => {}
        None => return Err(Malformed::new("input", "is required")),
    }

    for (n, raw) in o.array("tools", "")?.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tools::tool(raw, &format!("tools[{n}]"))?);
    }
    if let Some(choice) = o.take("tool_choice") {
        tools::choice(choice, &mut request)?;
    }
    params(&mut o, &mut request)?;
    if let Some(text) = o.object("text", "")? {
        answer(text, &mut request, &mut losses)?;
    }
    if let Some(wish) = o.object("reasoning", "")? {
        request.reasoning = Some(reasoning(wish, &mut losses)?);
    }
    if let Some(include) = o.take("include") {
        let asked: Vec<String> = read(include, "include", "an array of strings")?;
        if asked.iter().any(|word| word == LOGPROBS) {
            request.params.logprobs = Some(true);
        }
        request.extra.extend(Raw::parse(include.get()).map(|raw| ("include".to_owned(), raw)));
    }
    for name in HOUSE.into_iter().chain(house::MEMBERS) {
        o.take(name);
    }
    for (name, raw) in o.rest() {
        request.extra.extend(Raw::parse(raw.get()).map(|raw| (name.into_owned(), raw)));
    }
    Ok((request, losses))
}

/// Nothing is kept here between requests. What asks for it is refused rather than ignored: a client that believes its history to
/// be kept would leave it out.
fn keeps_nothing(o: &mut Object<'_>) -> Result<(), Malformed> {
    if o.bool("store", "")? == Some(true) {
        return Err(Malformed::new("store", "this gateway keeps no responses: send false, or leave it out"));
    }
    if o.take("previous_response_id").is_some() {
        let why = "this gateway keeps no responses: send the whole conversation as input";
        return Err(Malformed::new("previous_response_id", why));
    }
    if o.take("conversation").is_some() {
        let why = "this gateway keeps no conversations: send the whole conversation as input";
        return Err(Malformed::new("conversation", why));
    }
    if o.bool("background", "")? == Some(true) {
        return Err(Malformed::new("background", "this gateway answers while you wait: send false, or leave it out"));
    }
    Ok(())
}

fn params(o: &mut Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    let p = &mut request.params;
    p.max_tokens = o.count("max_output_tokens", "")?;
    if p.max_tokens == Some(0) {
        return Err(Malformed::new("max_output_tokens", "must be a positive integer"));
    }
    p.temperature = o.number("temperature", "")?;
    p.top_p = o.number("top_p", "")?;
    p.top_k = o.number("top_k", "")?;
    p.min_p = o.number("min_p", "")?;
    p.top_a = o.number("top_a", "")?;
    p.frequency_penalty = o.number("frequency_penalty", "")?;
    p.presence_penalty = o.number("presence_penalty", "")?;
    p.repetition_penalty = o.number("repetition_penalty", "")?;
    p.seed = o.number("seed", "")?.and_then(|n| n.as_i64());
    p.top_logprobs = o.count("top_logprobs", "")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    if let Some(stop) = o.take("stop") {
        p.stop = match is_string(stop) {
            true => vec![read(stop, "stop", "a string or an array of strings")?],
            false => read(stop, "stop", "a string or an array of strings")?,
        };
    }
    p.service_tier = o.string("service_tier", "")?;
    p.prompt_cache_key = o.string("prompt_cache_key", "")?;
    p.user = match (o.string("user", "")?, o.string("safety_identifier", "")?) {
        (Some(user), _) => Some(user),
        (None, id) => id,
    };
    p.cache = super::parts::cache(o, "")?;
    for (n, raw) in o.array("modalities", "")?.unwrap_or_default().into_iter().enumerate() {
        p.modalities.push(read::<String>(raw, &format!("modalities[{n}]"), "a string")?.to_lowercase());
    }
    p.metadata = o.take("metadata").and_then(|raw| Raw::parse(raw.get()));
    p.image_config = o.take("image_config").and_then(|raw| Raw::parse(raw.get()));
    Ok(())
}

/// The `text` object: the form of the answer.
fn answer(mut text: Object<'_>, request: &mut Request, losses: &mut Vec<Loss>) -> Result<(), Malformed> {
    const AT: &str = "text.format";
    request.params.verbosity = text.string("verbosity", "text")?;
    let whole = text.take("format");
    losses.extend(text.rest().map(|(name, _)| Loss::new(below("text", &name), "not a member we know")));
    let Some(whole) = whole else { return Ok(()) };
    let mut format = Object::parse(whole.get(), AT)?;
    request.format = Some(match format.required("type", AT)?.as_str() {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => {
            let schema = format.take("schema").and_then(|raw| Raw::parse(raw.get()));
            Format::JsonSchema {
                schema: schema.ok_or_else(|| Malformed::new(below(AT, "schema"), "is required"))?,
                name: format.string("name", AT)?.unwrap_or_else(|| SCHEMA_NAME.to_owned()),
                strict: format.bool("strict", AT)?,
                description: format.string("description", AT)?,
            }
        }
        _ => Raw::parse(whole.get())
            .map(|raw| Format::Opaque { dialect: slip_ir::Dialect::Responses, raw })
            .ok_or_else(|| Malformed::new(AT, "must be an object"))?,
    });
    Ok(())
}

fn reasoning(mut wish: Object<'_>, losses: &mut Vec<Loss>) -> Result<Reasoning, Malformed> {
    const AT: &str = "reasoning";
    let effort = match wish.string("effort", AT)? {
        Some(word) => Some(Effort::parse(&word).ok_or_else(|| {
            let words = Effort::ALL.map(Effort::name).join(", ");
            let why = format!("must be one of {words}, not {}", crate::json::shown(&word));
            Malformed::new(below(AT, "effort"), why)
        })?),
        None => None,
    };
    let old = wish.string("generate_summary", AT)?;
    let reasoning = Reasoning {
        effort,
        budget: wish.count("max_tokens", AT)?,
        enabled: wish.bool("enabled", AT)?,
        exclude: wish.bool("exclude", AT)?.unwrap_or(false),
        summary: wish.string("summary", AT)?.or(old),
        adaptive: false,
    };
    losses.extend(wish.rest().map(|(name, _)| Loss::new(below(AT, &name), "not a member we know")));
    Ok(reasoning)
}
