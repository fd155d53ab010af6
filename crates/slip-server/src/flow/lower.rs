//! Verb 5, lower: from what the caller said to what this upstream should read. Spliced where the dialects agree, translated where
//! they do not.

use super::read::Inbound;
use super::refuse;
use crate::upstream::{Failed, Sent};
use crate::world::Seat;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use slip_ir::{Dialect, Fault, FaultKind, Origin, Remedy};
use slip_providers::provider::{Serves, Spoken};
use slip_route::Endpoint;
use slip_wire::house;
use slip_wire::openai_chat::splice;
use slip_wire::ops::{self, Inquiry, Manner, Shape};
use slip_wire::quirks::ReasoningStyle;
use slip_wire::{Peek, Quirks, Stamp, cross, wire};

pub struct Outbound {
    pub path: String,
    pub body: Bytes,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `verbatim`, `patched` or `translated`: how the reply will cross back.
    pub lens: &'static str,
    pub losses: Vec<String>,
}

const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

pub fn lower(inbound: &mut Inbound, endpoint: &Endpoint, seat: &Seat) -> Result<Outbound, Failed> {
    let spoken = seat.provider.spoken(inbound.dialect);
    let to = spoken.dialect;
    let stream = inbound.peek.stream;
    let quirks = quirks(endpoint, spoken);
    if !(quirks.router || quirks.server_tools) {
        no_server_tools(&inbound.raw, &inbound.peek)?;
    }
    let path = match spoken.path {
        Some(path) => path.to_string(),
        None => wire(to).path(&endpoint.upstream, stream),
    };
    let mut headers = Vec::new();
    if to == Dialect::Anthropic {
        if let Some(beta) = &inbound.heads.beta {
            headers.push((ANTHROPIC_BETA, beta.clone()));
        }
        if let (Dialect::Anthropic, Some(version)) = (inbound.dialect, &inbound.heads.anthropic_version) {
            headers.push((ANTHROPIC_VERSION, version.clone()));
        }
    }
    let same = inbound.dialect == to;
    let lens = match to {
        _ if !same => "translated",
        Dialect::OpenAiChat => "patched",
        _ => "verbatim",
    };
    let (body, losses) = if same && to == Dialect::OpenAiChat {
        if inbound.peek.spliceable && !splice::needs_ir(&inbound.peek, &quirks) {
            let mut body = Vec::new();
            let losses = splice::splice(&inbound.raw, &inbound.peek, &endpoint.upstream, &quirks, &mut body);
            (body, losses)
        } else {
            encode(inbound, endpoint, to, &quirks)?
        }
    } else if same && inbound.peek.spliceable {
        (same_dialect(&inbound.raw, &inbound.peek, to, &endpoint.upstream), Vec::new())
    } else {
        encode(inbound, endpoint, to, &quirks)?
    };
    let losses = losses.iter().map(ToString::to_string).collect();
    Ok(Outbound { path, body: body.into(), headers, lens, losses })
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
            let spoken = seat.provider.spoken(inbound.dialect);
            let (request, mut losses) = ops::to_chat(inquiry, &endpoint.upstream).map_err(elsewhere)?;
            let (crossed, left) = cross(&request, Dialect::Gemini, spoken.dialect);
            let (body, lost) = wire(spoken.dialect).encode_request(&crossed, &quirks(endpoint, spoken));
            losses.extend(left.into_iter().chain(lost));
            let path = spoken.path.map_or_else(|| wire(spoken.dialect).path(&endpoint.upstream, false), str::to_owned);
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
        losses: sent.losses.iter().map(ToString::to_string).collect(),
    })
}

fn encode(
    inbound: &mut Inbound,
    endpoint: &Endpoint,
    to: Dialect,
    quirks: &Quirks,
) -> Result<(Vec<u8>, Vec<slip_ir::Loss>), Failed> {
    let not_sent = |fault: Fault| Failed { fault, sent: Sent::NotSent };
    // Gemini says in the path what others say in the body.
    let (from, stream) = (inbound.dialect, inbound.peek.stream);
    let (request, decoded) = inbound.ir().map_err(not_sent)?;
    endpoint.upstream.as_ref().clone_into(&mut request.model);
    request.stream = stream;
    let (crossed, left) = cross(request, from, to);
    let (body, mut losses) = wire(to).encode_request(&crossed, quirks);
    losses.extend(left);
    losses.extend(decoded.iter().cloned());
    Ok((body, losses))
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
    if spoken.dialect == Dialect::Anthropic && quirks.reasoning == ReasoningStyle::Thinking && !budget {
        quirks.reasoning = ReasoningStyle::Effort;
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
    }
}
