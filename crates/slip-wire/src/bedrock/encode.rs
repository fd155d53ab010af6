//! A Converse body, written.

use super::fields::{Fields, fields};
use super::messages::{Conversation, write_cache_point};
use crate::Quirks;
use crate::anthropic::encode::{ANY_OBJECT, write_schema};
use crate::anthropic::limits::{Limits, Mode};
use crate::body::Body;
use crate::object::{Writer, array};
use crate::quirks::{ReasoningStyle, Structured};
use crate::wish::{self, Wish};
use slip_ir::request::Function;
use slip_ir::{Dialect, Format, Loss, Raw, Request, Tool, ToolChoice};

/// Top-level members the vocabulary has no word for and Converse knows. It refuses all others, so they go no further.
const KNOWN_EXTRA: [&str; 6] = [
    "guardrailConfig",
    "promptVariables",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
    "projectIdentifier",
];
/// What it has no word for.
const UNKNOWN: [Wish; 18] = [
    Wish::MinP,
    Wish::TopA,
    Wish::FrequencyPenalty,
    Wish::PresencePenalty,
    Wish::RepetitionPenalty,
    Wish::Seed,
    Wish::N,
    Wish::Logprobs,
    Wish::TopLogprobs,
    Wish::LogitBias,
    Wish::User,
    Wish::Verbosity,
    Wish::Prediction,
    Wish::Modalities,
    Wish::Audio,
    Wish::ImageConfig,
    Wish::WebSearchOptions,
    Wish::PromptCacheKey,
];
const TIERS: [&str; 4] = ["priority", "default", "flex", "reserved"];
/// A tool the history speaks of and the request no longer declares.
const GONE: &str = "no longer available";

/// Models of one family share the names of what Converse has no word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Claude,
    Nova,
    Cohere,
    Mistral,
    GptOss,
    Other,
}

impl Family {
    /// Ids begin with the family, behind a region perhaps: `us.anthropic.claude-…`.
    pub fn of(model: &str) -> Family {
        let rows = [
            ("anthropic.", Family::Claude),
            ("claude", Family::Claude),
            ("amazon.nova", Family::Nova),
            ("cohere.", Family::Cohere),
            ("mistral.", Family::Mistral),
            ("gpt-oss", Family::GptOss),
        ];
        rows.iter().find(|(part, _)| model.contains(part)).map_or(Family::Other, |(_, family)| *family)
    }
}

pub fn encode(request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
    let mut losses = Vec::new();
    let family = Family::of(&request.model);
    let limits = limits(request, family, quirks, &mut losses);
    let mut conversation = Conversation::of(request, quirks, &mut losses);
    let schema = format(request, quirks, &mut conversation, &mut losses);

    let mut out = Vec::new();
    let mut body = Body::open(&mut out, quirks, losses);
    if let Some(out) = body.member("messages") {
        conversation.write(out);
    }
    if conversation.has_system()
        && let Some(out) = body.member("system")
    {
        conversation.write_system(out);
    }
    inference(&mut body, request, family, &limits);
    let choice = tools(&mut body, request, family, &limits, &conversation);
    let fields = fields(request, family, &limits, choice.as_ref(), quirks, &mut body.losses);
    rest(&mut body, request, schema, &fields);
    unknown(&mut body, request, family);
    let losses = body.close();
    (out, losses)
}

/// Only Claude's thinking is bound up with the cap on the output.
fn limits(request: &Request, family: Family, quirks: &Quirks, losses: &mut Vec<Loss>) -> Limits {
    if family == Family::Claude {
        return Limits::of(request, quirks, losses);
    }
    if quirks.reasoning == ReasoningStyle::Unsaid && request.reasoning.is_some() {
        losses.push(Loss::new("reasoning", "this upstream has no way to say it"));
    }
    let max_tokens = request.params.max_tokens.unwrap_or_default();
    Limits { max_tokens, mode: Mode::Unsaid, effort: None, display: None }
}

/// A schema for `outputConfig`, as name, schema and description.
type Schema<'r> = (&'r str, &'r Raw, Option<&'r str>);

fn format<'r>(
    request: &'r Request,
    quirks: &Quirks,
    conversation: &mut Conversation<'r>,
    losses: &mut Vec<Loss>,
) -> Option<Schema<'r>> {
    match request.format.as_ref()? {
        Format::Text => {}
        Format::JsonObject => {
            losses.push(Loss::new("response_format", "asked for in the system prompt instead"));
            conversation.instruct(ANY_OBJECT);
        }
        Format::JsonSchema { .. } if quirks.structured != Structured::JsonSchema => {
            losses.push(Loss::new("response_format", "this upstream takes no schema"));
        }
        Format::JsonSchema { name, schema, description, .. } => return Some((name, schema, description.as_deref())),
        Format::Opaque { .. } => losses.push(Loss::new("response_format", "a format of another dialect")),
    }
    None
}

fn inference(body: &mut Body<'_>, request: &Request, family: Family, limits: &Limits) {
    let p = &request.params;
    // A budget is part of the cap, which may have had to grow for it; without a cap the model's own is wide enough.
    let cap = p.max_tokens.map(|_| limits.max_tokens);
    let temperature = limits.temperature(p, &mut body.losses);
    let top_p = match family {
        Family::Claude => limits.top_p(p, temperature.is_some(), &mut body.losses),
        _ => p.top_p.as_ref(),
    };
    let stop: Vec<&String> = p.stop.iter().filter(|stop| !stop.is_empty()).collect();
    if cap.is_none() && temperature.is_none() && top_p.is_none() && stop.is_empty() {
        return;
    }
    body.object("inferenceConfig", |w| {
        w.put_some("maxTokens", &cap).put_some("temperature", &temperature).put_some("topP", &top_p);
        if !stop.is_empty() {
            w.put("stopSequences", &stop);
        }
    });
}

/// `toolConfig`. The choice comes back where it has to be told elsewhere.
fn tools(
    body: &mut Body<'_>,
    request: &Request,
    family: Family,
    limits: &Limits,
    conversation: &Conversation<'_>,
) -> Option<ToolChoice> {
    let never = request.tool_choice == Some(ToolChoice::None);
    let mut tools: Vec<Vec<u8>> = Vec::new();
    for (n, tool) in request.tools.iter().enumerate().filter(|_| !never || conversation.tools) {
        match tool {
            Tool::Function(function) => declare(body, function, n, &mut tools),
            Tool::Opaque { dialect: Dialect::Bedrock, raw } => tools.push(raw.as_str().as_bytes().to_vec()),
            Tool::Opaque { .. } => body.lose(format!("tools[{n}]"), "a tool of another dialect"),
        }
    }
    let mut choice = request.tool_choice.clone().filter(|_| !tools.is_empty());
    if request.tool_choice.is_some() && choice.is_none() && !never {
        body.lose("tool_choice", "there are no tools to choose from");
    }
    if never && !tools.is_empty() {
        body.lose("tool_choice", "there is no word for none: the tools of the history stay, and it may choose");
        choice = None;
    }
    if tools.is_empty() && conversation.tools {
        // A history of calls is refused without tools.
        let names: &[&str] = if conversation.called.is_empty() { &["tool"] } else { &conversation.called };
        for name in names {
            let gone = Function { name: (*name).to_owned(), description: Some(GONE.to_owned()), ..Function::default() };
            declare(body, &gone, 0, &mut tools);
        }
    }
    if tools.is_empty() {
        return None;
    }
    if limits.thinks() && matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        body.lose("tool_choice", "a model that thinks cannot be made to call a tool: it may choose");
        choice = Some(ToolChoice::Auto);
    }
    let single = request.parallel_tool_calls == Some(false) && !request.tools.is_empty();
    let elsewhere = single && family == Family::Claude;
    if single && !elsewhere {
        body.lose("parallel_tool_calls", "this model cannot be told to call one at a time");
    }
    let out = body.member("toolConfig")?;
    let mut w = Writer::open(out);
    array(w.key("tools"), &tools, |out, tool| out.extend_from_slice(tool));
    if let Some(choice) = choice.as_ref().filter(|_| !elsewhere) {
        let mut told = Writer::open(w.key("toolChoice"));
        match choice {
            ToolChoice::Auto | ToolChoice::None => told.raw("auto", "{}"),
            ToolChoice::Required => told.raw("any", "{}"),
            ToolChoice::Named(name) => {
                let mut named = Writer::open(told.key("tool"));
                named.put("name", name);
                named.close();
                &mut told
            }
        };
        told.close();
    }
    w.close();
    elsewhere.then(|| choice.unwrap_or(ToolChoice::Auto))
}

fn declare(body: &mut Body<'_>, function: &Function, n: usize, tools: &mut Vec<Vec<u8>>) {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    let mut spec = Writer::open(w.key("toolSpec"));
    spec.put("name", &function.name);
    spec.put_some("description", &function.description.as_ref().filter(|text| !text.trim().is_empty()));
    let mut schema = Writer::open(spec.key("inputSchema"));
    write_schema(schema.key("json"), function.parameters.as_ref());
    schema.close();
    spec.put_some("strict", &function.strict.filter(|strict| *strict));
    if let Some(extra) = &function.extra {
        spec.known(extra, &[], |name| {
            body.lose(format!("tools[{n}].{name}"), "not known to this dialect");
        });
    }
    spec.close();
    w.close();
    tools.push(out);
    match &function.cache {
        Some(cache) if body.quirks.cache_control => {
            let mut point = Vec::new();
            write_cache_point(&mut point, cache);
            tools.push(point);
        }
        Some(_) => body.lose(format!("tools[{n}].cache_control"), "this upstream takes none"),
        None => {}
    }
}

fn rest(body: &mut Body<'_>, request: &Request, schema: Option<Schema<'_>>, fields: &Fields) {
    if let Some((name, schema, description)) = schema {
        body.object("outputConfig", |w| {
            let mut format = Writer::open(w.key("textFormat"));
            format.put("type", "json_schema");
            let mut structure = Writer::open(format.key("structure"));
            let mut inner = Writer::open(structure.key("jsonSchema"));
            // A schema inside a string.
            inner.text("schema", schema.as_str()).put("name", name).put_some("description", &description);
            inner.close();
            structure.close();
            format.close();
        });
    }
    if !fields.is_empty()
        && let Some(out) = body.member("additionalModelRequestFields")
    {
        fields.write(out);
    }
    match request.params.service_tier.as_deref() {
        None | Some("auto" | "default" | "standard" | "standard_only") => {}
        Some(tier) if TIERS.contains(&tier) => {
            body.object("serviceTier", |w| {
                w.put("type", tier);
            });
        }
        Some(_) => body.lose("service_tier", "not a tier of this dialect"),
    }
    body.put_some("requestMetadata", &request.params.metadata.as_ref().filter(|raw| raw.as_str() != "{}"));
    if request.params.cache.is_some() && !body.quirks.cache_control {
        body.lose("cache_control", "this upstream takes none");
    }
}

/// Wishes this dialect has no words for, unless they ask for what happens anyway.
fn unknown(body: &mut Body<'_>, request: &Request, family: Family) {
    const WHY: &str = "this dialect has no word for it";
    let p = &request.params;
    // Claude is told how verbose to be among its fields.
    let unknown = wish::asked(p, &UNKNOWN).filter(|name| family != Family::Claude || *name != "verbosity");
    unknown.for_each(|name| body.lose(name, WHY));
    for (name, raw) in &request.extra {
        match name.as_str() {
            "additionalModelRequestFields" => {}
            "thinking" | "output_config" if family == Family::Claude => {}
            "requestMetadata" if p.metadata.is_some() => body.lose("requestMetadata", "said in metadata already"),
            known if KNOWN_EXTRA.contains(&known) => {
                body.put(known, raw);
            }
            _ => body.lose(name.clone(), WHY),
        }
    }
}
