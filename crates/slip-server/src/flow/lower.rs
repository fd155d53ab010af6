//! Verb 5, lower: from what the caller said to what this upstream should read. Spliced where the dialects agree, translated where
//! they do not.

use super::carry::Needs;
use super::form::{Ordered, Wrong};
use super::read::Inbound;
use super::{refuse, tier};
use crate::upstream::{Failed, Sent};
use crate::world::Seat;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use slip_ir::{Dialect, Fault, FaultKind, Loss, Origin, Remedy};
use slip_providers::provider::{Serves, Spoken};
use slip_route::Endpoint;
use slip_wire::completions;
use slip_wire::house;
use slip_wire::lens::{Torn, Way, go_on, prefilled};
use slip_wire::openai_chat::splice;
use slip_wire::ops::{self, Inquiry, Manner, Shape};
use slip_wire::quirks::{ReasoningStyle, Structured};
use slip_wire::responses::Echo;
use slip_wire::structured::{self, Reshape};
use slip_wire::{Peek, Quirks, Stamp, breakpoint, cross, squeeze, wire};

pub struct Outbound {
    pub path: String,
    pub body: Bytes,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `verbatim`, `patched` or `translated`: how the reply will cross back.
    pub lens: &'static str,
    pub losses: Vec<Loss>,
    /// The form of the answer is asked for by other means than the upstream's own.
    pub ordered: Option<Ordered>,
    /// What is to be done to the reply.
    pub reshape: Option<Reshape>,
}

/// What is different about asking this upstream this time.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    pub seals: Seals,
    /// What of the media must be carried in another form.
    pub needs: Needs,
    /// The answer it gave, when it is asked again for a better one.
    pub wrong: Option<&'a Wrong>,
    /// What another said, where it goes on with that, and how it is asked to.
    pub torn: Option<(&'a Torn, Way)>,
}

const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// What becomes of the seals on a conversation's earlier reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seals {
    Kept,
    /// This upstream refused them.
    Stripped,
}

pub fn lower(inbound: &mut Inbound, endpoint: &Endpoint, seat: &Seat, turn: Turn<'_>) -> Result<Outbound, Failed> {
    let spoken = seat.provider.spoken_for(inbound.dialect, &endpoint.upstream, inbound.infills());
    let to = spoken.dialect;
    let stream = inbound.peek.stream;
    let quirks = quirks(endpoint, spoken);
    if !(quirks.router || quirks.server_tools) {
        no_server_tools(&inbound.raw, &inbound.peek)?;
    }
    let path = spoken.path(&endpoint.upstream, stream);
    let headers = spoken_headers(inbound, spoken);
    let same = inbound.dialect == to;
    let fits = fits(&inbound.peek, endpoint);
    let whole = turn.torn.is_none() && fits.is_none();
    let spliceable = inbound.peek.spliceable && turn.seals == Seals::Kept && !turn.needs.any() && whole;
    let lens = match to {
        _ if !same => "translated",
        Dialect::OpenAiChat | Dialect::Completions => "patched",
        _ => "verbatim",
    };
    let mut ordered = None;
    let (body, mut losses) = if same && to == Dialect::OpenAiChat {
        if spliceable && !splice::needs_ir(&inbound.peek, &quirks) {
            let mut body = Vec::new();
            let losses = splice::splice(&inbound.raw, &inbound.peek, &endpoint.upstream, &quirks, &mut body);
            (body, losses)
        } else {
            encode(inbound, endpoint, to, &quirks, turn, &mut ordered)?
        }
    } else if same && to == Dialect::Completions {
        let mut body = Vec::new();
        let losses = completions::splice::splice(&inbound.raw, &inbound.peek, &endpoint.upstream, &quirks, &mut body);
        (body, losses)
    } else if same && spliceable && !(to == Dialect::Responses && refuses(&inbound.peek, &quirks)) {
        (same_dialect(&inbound.raw, &inbound.peek, to, &endpoint.upstream), Vec::new())
    } else {
        encode(inbound, endpoint, to, &quirks, turn, &mut ordered)?
    };
    let body = tier::put(body, endpoint, inbound.peek.want.tier, to, &mut losses);
    let body = match quirks.envelope {
        Some(envelope) => {
            let beta = inbound.heads.beta.as_ref().and_then(|beta| beta.to_str().ok());
            envelope.seal(body, &endpoint.upstream, beta, &mut losses)
        }
        None => body,
    };
    let reshape = reshape(inbound, turn, ordered.as_ref());
    let lens = if reshape.is_some() { "translated" } else { lens };
    Ok(Outbound { path, body: body.into(), headers, lens, losses, ordered, reshape })
}

/// Files that were read are told to callers whose dialect has a place for it.
fn reshape(inbound: &Inbound, turn: Turn<'_>, ordered: Option<&Ordered>) -> Option<Reshape> {
    let way = ordered.map(|ordered| ordered.way);
    let annotations = match &inbound.carried {
        Some(carried) if turn.needs.files && inbound.dialect == Dialect::OpenAiChat => carried.annotations(),
        _ => Vec::new(),
    };
    (way.is_some() || !annotations.is_empty()).then_some(Reshape { way, annotations })
}

/// The headers of what is spoken, and what Anthropic's callers say in headers where Anthropic's words are spoken.
pub fn spoken_headers(inbound: &Inbound, spoken: Spoken<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let (to, envelope) = (spoken.dialect, spoken.quirks.envelope);
    let mut headers = Vec::new();
    for (name, value) in spoken.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(&**name), HeaderValue::try_from(&**value)) {
            headers.push((name, value));
        }
    }
    if to == Dialect::Anthropic {
        if let Some(beta) = inbound.heads.beta.as_ref().filter(|_| !envelope.is_some_and(|e| e.beta_in_body)) {
            headers.push((ANTHROPIC_BETA, beta.clone()));
        }
        if envelope.is_none()
            && let (Dialect::Anthropic, Some(version)) = (inbound.dialect, &inbound.heads.anthropic_version)
        {
            headers.push((ANTHROPIC_VERSION, version.clone()));
        }
    }
    headers
}

/// A service beside chat, as this provider spells it.
pub fn service(
    inbound: &Inbound,
    inquiry: &Inquiry,
    endpoint: &Endpoint,
    seat: &Seat,
    service: &Serves,
) -> Result<Outbound, Failed> {
    // Another provider may have a way to be asked.
    let elsewhere = |bad: slip_wire::Malformed| {
        let fault = Fault::new(FaultKind::BadRequest, Origin::Caller, Remedy::Elsewhere, bad.to_string());
        Failed { fault: fault.at(bad.at), sent: Sent::NotSent }
    };
    let mut sent = match service.shape {
        Shape::Chat => {
            let spoken = seat.provider.spoken(inbound.dialect, &endpoint.upstream);
            let (request, mut losses) = ops::to_chat(inquiry, &endpoint.upstream).map_err(elsewhere)?;
            let (crossed, left) = cross(&request, Dialect::Gemini, spoken.dialect);
            let (body, lost) = wire(spoken.dialect).encode_request(&crossed, &quirks(endpoint, spoken));
            losses.extend(left.into_iter().chain(lost));
            let path = spoken.path(&endpoint.upstream, false);
            ops::Sent { path, media_type: "application/json".into(), body, losses }
        }
        shape => ops::lower(inquiry, shape, &endpoint.upstream).map_err(elsewhere)?,
    };
    ops::with_options(&mut sent, inbound.peek.provider.as_ref(), &endpoint.provider);
    let media_type = HeaderValue::try_from(sent.media_type).unwrap_or(refuse::JSON);
    let mut headers = vec![(http::header::CONTENT_TYPE, media_type)];
    if inquiry.manner() == Manner::Bytes {
        headers.push((http::header::ACCEPT, HeaderValue::from_static("*/*")));
    }
    Ok(Outbound {
        path: service.path.as_ref().map_or(sent.path, ToString::to_string),
        body: sent.body.into(),
        headers,
        lens: if inquiry.shape == service.shape { "patched" } else { "translated" },
        losses: sent.losses,
        ordered: None,
        reshape: None,
    })
}

fn encode(
    inbound: &mut Inbound,
    endpoint: &Endpoint,
    to: Dialect,
    quirks: &Quirks,
    turn: Turn<'_>,
    ordered: &mut Option<Ordered>,
) -> Result<(Vec<u8>, Vec<Loss>), Failed> {
    let not_sent = |fault: Fault| Failed { fault, sent: Sent::NotSent };
    // Gemini says in the path what others say in the body.
    let (from, stream) = (inbound.dialect, inbound.peek.stream);
    let carried = inbound.carried.clone();
    let fits = fits(&inbound.peek, endpoint);
    let (request, decoded) = inbound.ir().map_err(not_sent)?;
    if from == Dialect::Completions && completions::is_bound(request) {
        let says = "prompt: several prompts, and prompts in tokens, need a provider that answers /completions itself: send one text";
        let fault = Fault::new(FaultKind::BadRequest, Origin::Caller, Remedy::Elsewhere, says);
        return Err(not_sent(fault.at("prompt")));
    }
    endpoint.upstream.as_ref().clone_into(&mut request.model);
    request.stream = stream;
    let (mut crossed, left) = cross(request, from, to);
    let mut told = Vec::new();
    if let Some(most) = fits {
        told.extend(squeeze::middle_out(crossed.to_mut(), most));
    }
    if let Some(carried) = carried.filter(|_| turn.needs.any()) {
        told.extend(carried.apply(turn.needs, crossed.to_mut()));
    }
    if turn.seals == Seals::Stripped {
        told.push(slip_wire::seals::strip(crossed.to_mut()));
    }
    if let Some((torn, way)) = turn.torn {
        go_on(crossed.to_mut(), &torn.said, torn.usage.completion_total(), way);
    }
    if breakpoint::needs(&crossed, to, quirks) {
        told.extend(breakpoint::set(crossed.to_mut()));
    }
    if let Some(way) = structured::way(&crossed, to, quirks, can_force(endpoint, to)) {
        *ordered = Some(Ordered::new(way, crossed.format.as_ref()));
        let request = crossed.to_mut();
        told.extend(structured::impose(request, way, to, quirks));
        if let Some(wrong) = turn.wrong {
            structured::ask_again(request, &wrong.said, &wrong.why);
        }
    }
    let (body, mut losses) = wire(to).encode_request(&crossed, quirks);
    let body = match turn.torn {
        Some((_, Way::Prefilled { .. })) => prefilled(body, quirks.prefill),
        _ => body,
    };
    losses.splice(0..0, told);
    losses.extend(left);
    losses.extend(decoded.iter().cloned());
    Ok((body, losses))
}

/// How many tokens of conversation this endpoint has room for, where the caller would have it squeezed and it must be.
fn fits(peek: &Peek, endpoint: &Endpoint) -> Option<u64> {
    let has = endpoint.context.filter(|_| peek.want.compress)?;
    // Room for the answer: what was asked for, or a usual one.
    let answer = peek.want.max_tokens.unwrap_or(slip_route::eligible::EXPECTED_OUTPUT).min(has / 2);
    (peek.want.prompt_tokens.saturating_add(answer) > has).then(|| has - answer)
}

/// Does the model take tools, and can it be made to call one? Where nobody said, dialects that can say so at all are believed.
fn can_force(endpoint: &Endpoint, to: Dialect) -> bool {
    match &endpoint.params {
        Some(params) => ["tools", "tool_choice"].iter().all(|name| params.iter().any(|p| p == name)),
        None => matches!(to, Dialect::Anthropic | Dialect::Bedrock),
    }
}

/// Tools of type `openrouter:…` are run by a house like this one, never by a provider: where nobody would run it, it must not go.
fn no_server_tools(raw: &Bytes, peek: &Peek) -> Result<(), Failed> {
    #[derive(serde::Deserialize)]
    struct Tool<'a> {
        #[serde(borrow, default, rename = "type")]
        kind: Option<std::borrow::Cow<'a, str>>,
    }
    if !peek.want.tools {
        return Ok(());
    }
    let Some(span) = peek.member("tools").and_then(|m| raw.get(m.value.clone())) else { return Ok(()) };
    if peek.spliceable && memchr::memmem::find(span, b"openrouter:").is_none() {
        return Ok(());
    }
    let tools: Vec<Tool<'_>> = serde_json::from_slice(span).unwrap_or_default();
    for (at, tool) in tools.iter().enumerate() {
        if let Some(kind) = tool.kind.as_deref().filter(|k| k.starts_with("openrouter:")) {
            let says =
                format!("tools[{at}].type: this gateway does not run the server tool: {}", crate::api::shown(kind));
            let fault = Fault::new(FaultKind::BadRequest, Origin::Caller, Remedy::Elsewhere, says);
            return Err(Failed { fault: fault.at(format!("tools[{at}].type")), sent: Sent::NotSent });
        }
    }
    Ok(())
}

/// The provider's quirks, with what the catalogue knows of this endpoint.
fn quirks(endpoint: &Endpoint, spoken: Spoken<'_>) -> Quirks {
    let mut quirks = spoken.quirks.clone();
    if let Some(most) = endpoint.max_output {
        quirks.default_max_tokens = most;
    }
    // Newer Anthropic models decide by themselves how long to think, and refuse a budget.
    let budget = endpoint.model.reasoning.as_ref().is_none_or(|thinks| thinks.budget);
    let claude = matches!(spoken.dialect, Dialect::Anthropic | Dialect::Bedrock);
    if claude && quirks.reasoning == ReasoningStyle::Thinking && !budget {
        quirks.reasoning = ReasoningStyle::Effort;
    }
    // A model that does not think refuses to be told how.
    let known = !endpoint.model.checked.is_empty();
    if spoken.dialect == Dialect::Cohere && known && endpoint.model.reasoning.is_none() {
        quirks.reasoning = ReasoningStyle::Unsaid;
    }
    // Older ones take no schema for their answer.
    let schemas = endpoint.params.as_ref().is_none_or(|params| params.iter().any(|p| p == "structured_outputs"));
    if spoken.dialect == Dialect::Anthropic && !schemas {
        quirks.structured = Structured::Unsaid;
    }
    quirks
}

/// The same dialect on both sides: the caller's bytes, with the model's name put right and our own members taken out.
fn same_dialect(raw: &Bytes, peek: &Peek, dialect: Dialect, model: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + 64);
    out.push(b'{');
    for member in &peek.members {
        if house::is_ours(&member.key) {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        // These have the model's name in the path.
        if member.key == "model" && !matches!(dialect, Dialect::Gemini | Dialect::Bedrock) {
            out.extend_from_slice(b"\"model\":");
            out.extend_from_slice(serde_json::to_string(model).unwrap_or_default().as_bytes());
        } else {
            out.extend_from_slice(raw.get(member.whole.clone()).unwrap_or_default());
        }
    }
    out.push(b'}');
    out
}

/// Whether the body holds a member this upstream takes offence at: then it is told anew without it.
fn refuses(peek: &Peek, quirks: &Quirks) -> bool {
    quirks.refuses.iter().any(|name| peek.member(name).is_some())
}

/// What will be written on the reply.
pub fn stamp(inbound: &Inbound, id: &str, endpoint: &Endpoint) -> Stamp {
    Stamp {
        id: id.to_owned(),
        created: crate::clock::unix_ms() / 1000,
        model: endpoint.model.canonical.to_string(),
        provider: endpoint.provider_name.to_string(),
        price: endpoint.price.clone(),
        byok: false,
        hide_reasoning: inbound.peek.hide_reasoning,
        prompt_estimate: inbound.peek.want.prompt_tokens,
        metadata: None,
        echo: echo(inbound),
    }
}

/// Only one dialect repeats the request in the reply.
pub fn echo(inbound: &Inbound) -> Option<Box<Echo>> {
    (inbound.dialect == Dialect::Responses).then(|| Box::new(Echo::of(&inbound.raw, &inbound.peek)))
}
