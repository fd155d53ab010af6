//! Token counts: `usageMetadata` and ours.
//!
//! `promptTokenCount` includes the cached part but not what tools put into the prompt (`toolUsePromptTokenCount`);
//! `candidatesTokenCount` excludes thoughts. Counts that are zero are left out by the API.

use super::tree::{self, Members, Node};
use crate::Stamp;
use serde_json::Number;
use serde_json::value::RawValue;
use slip_ir::{Nano, Tier, Usage};

/// More tokens than any model has: a count above it is an accident, and one would be billed.
const MOST_TOKENS: u64 = 1 << 32;

/// `None` when a count is absurd (negative, broken, beyond any window): then nothing of it can be trusted.
pub(super) fn read(raw: &RawValue) -> Option<Usage> {
    let m = Members::of(raw)?;
    let count = |name: &str| match m.get(name) {
        None => Some(0),
        Some(raw) => tree::count(raw).filter(|n| *n <= MOST_TOKENS),
    };
    // Present but empty (`{}`, or only a service tier) says nothing of what was consumed.
    ["promptTokenCount", "candidatesTokenCount", "totalTokenCount"].iter().find_map(|name| m.get(name))?;
    let prompt = count("promptTokenCount")? + count("toolUsePromptTokenCount")?;
    let output = count("candidatesTokenCount")?;
    let cache_read = count("cachedContentTokenCount")?.min(prompt);
    let cached_audio = modality(&m, "cacheTokensDetails", "AUDIO");
    let audio_in = modality(&m, "promptTokensDetails", "AUDIO").saturating_sub(cached_audio).min(prompt - cache_read);
    let cached_images = modality(&m, "cacheTokensDetails", "IMAGE");
    let image_in = modality(&m, "promptTokensDetails", "IMAGE").saturating_sub(cached_images);
    let image_in = image_in.min(prompt - cache_read - audio_in);
    let image_out = modality(&m, "candidatesTokensDetails", "IMAGE").min(output);
    let audio_out = modality(&m, "candidatesTokensDetails", "AUDIO").min(output - image_out);
    Some(Usage {
        input: prompt - cache_read - audio_in - image_in,
        cache_read,
        audio_in,
        image_in,
        output: output - image_out - audio_out,
        reasoning: count("thoughtsTokenCount")?,
        image_out,
        audio_out,
        tier: served(&m),
        ..Usage::default()
    })
}

/// AI Studio names the tier of service, Vertex the kind of traffic it counted the request as.
fn served(m: &Members<'_>) -> Option<Tier> {
    let word = ["serviceTier", "trafficType"].iter().find_map(|name| m.get(name).and_then(tree::string))?;
    Tier::parse(&word)
}

/// Numbers are protobuf's, seen from Vertex AI clients that ask for integer enums.
const MODALITIES: [(&str, u64); 2] = [("IMAGE", 2), ("AUDIO", 4)];

fn modality(m: &Members<'_>, details: &str, wanted: &str) -> u64 {
    let number = MODALITIES.iter().find(|(name, _)| *name == wanted).map(|(_, n)| *n);
    let mut sum = 0u64;
    for raw in m.get(details).and_then(tree::list).unwrap_or_default() {
        let Some(detail) = Members::of(raw) else { continue };
        let is_it = detail.get("modality").is_some_and(|kind| match tree::string(kind) {
            Some(name) => name == wanted,
            None => tree::count(kind) == number,
        });
        if is_it {
            sum = sum.saturating_add(detail.get("tokenCount").and_then(tree::count).unwrap_or(0));
        }
    }
    sum
}

/// What to show when the upstream said nothing; nothing, where there is no estimate either.
pub(super) fn estimate(stamp: &Stamp, bytes: u64) -> Option<Usage> {
    (stamp.prompt_estimate > 0).then(|| stamp.estimate(bytes))
}

pub(super) fn write(usage: &Usage, stamp: &Stamp, tier: Option<&str>) -> Node<'static> {
    let (prompt, completion) = (usage.prompt_total(), usage.completion_total());
    let shown = completion.saturating_sub(usage.reasoning);
    let mut node = Node::object([
        ("promptTokenCount", prompt.into()),
        ("candidatesTokenCount", shown.into()),
        ("totalTokenCount", usage.total().into()),
    ]);
    if usage.cache_read > 0 {
        node.set("cachedContentTokenCount", usage.cache_read);
    }
    if usage.reasoning > 0 {
        node.set("thoughtsTokenCount", usage.reasoning);
    }
    let text_in = prompt.saturating_sub(usage.audio_in).saturating_sub(usage.image_in);
    details(
        &mut node,
        "promptTokensDetails",
        &[("TEXT", text_in), ("IMAGE", usage.image_in), ("AUDIO", usage.audio_in)],
    );
    let text_out = usage.output;
    details(
        &mut node,
        "candidatesTokensDetails",
        &[("TEXT", text_out), ("IMAGE", usage.image_out), ("AUDIO", usage.audio_out)],
    );
    if let Some(tier) = tier {
        node.set("serviceTier", tier.to_owned());
    }
    let bill = stamp.bill(usage);
    node.set("cost", dollars(bill.charged));
    if !bill.known {
        node.set("cost_unknown", true);
    }
    node
}

fn details(node: &mut Node<'static>, name: &'static str, counts: &[(&'static str, u64)]) {
    let rows: Vec<Node<'static>> = counts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(modality, n)| Node::object([("modality", (*modality).into()), ("tokenCount", (*n).into())]))
        .collect();
    if !rows.is_empty() {
        node.set(name, rows);
    }
}

/// Exact to the nano: the amount never passes through a float.
fn dollars(amount: Nano) -> Node<'static> {
    let text = amount.to_usd_string();
    slip_ir::Raw::parse(text).map_or(Node::Number(Number::from(0)), Node::from)
}
