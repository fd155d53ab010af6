//! The record of one request: what was asked, who was tried, what it took and what it cost.

use crate::charged::Charged;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use slip_ir::{Dialect, FaultKind, Finish, Nano, Op, Tier, Usage};
use std::borrow::Cow;
use std::sync::Arc;

/// A name out of a closed set.
pub type Word = &'static str;

/// One request, once it is over. Names that many records share are `Arc<str>`.
///
/// Serialised it is the `detail` column: what has a column of its own is left out, and so is what is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Generation {
    /// `gen-<unix seconds>-<20 letters and digits>`: sorts by time.
    #[serde(skip)]
    pub id: String,
    /// Unix milliseconds.
    #[serde(skip)]
    pub created_ms: i64,
    /// Public name of the key that called.
    #[serde(skip)]
    pub key_hash: Option<Arc<str>>,
    /// Canonical name of the model that answered, or would have.
    #[serde(skip)]
    pub model: Arc<str>,
    #[serde(skip)]
    pub provider_slug: Arc<str>,
    /// What the caller got (499 when it left).
    #[serde(skip)]
    pub status: u16,
    /// What the caller is charged.
    #[serde(skip)]
    pub cost: Nano,
    /// The key's workspace; empty without a key.
    #[serde(skip)]
    pub workspace: Arc<str>,

    /// Whose key it is, if it is somebody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<Arc<str>>,

    #[serde(skip_serializing_if = "empty")]
    pub provider_name: Arc<str>,
    /// As the caller wrote it.
    pub model_requested: String,
    /// What was asked for: [`slip_ir::Op::name`]; absent for a chat.
    #[serde(with = "word", skip_serializing_if = "is_chat")]
    pub op: Word,
    /// What the caller spoke.
    #[serde(with = "word")]
    pub dialect_in: Word,
    /// What the upstream spoke.
    #[serde(with = "word")]
    pub dialect_out: Word,
    /// How urgent it was; absent for `interactive`.
    #[serde(with = "word", skip_serializing_if = "is_urgent")]
    pub priority: Word,
    /// How long it waited for its turn.
    #[serde(skip_serializing_if = "zero")]
    pub queued_ms: u64,
    #[serde(skip_serializing_if = "no")]
    pub streamed: bool,
    #[serde(skip_serializing_if = "no")]
    pub cancelled: bool,
    #[serde(with = "finish", skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_finish: Option<String>,
    /// From the caller's request to the first content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    pub total_ms: u64,
    /// What the gateway itself added.
    pub overhead_us: u64,
    #[serde(with = "Tokens", skip_serializing_if = "nothing")]
    pub tokens: Usage,
    /// False when the endpoint has no known price: `cost` is then zero, and that does not mean free.
    pub cost_known: bool,
    /// The prices that `cost` is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged: Option<Charged>,
    #[serde(with = "nano", skip_serializing_if = "Option::is_none")]
    pub upstream_cost: Option<Nano>,
    /// Paid with a provider key of the caller's own.
    #[serde(skip_serializing_if = "no")]
    pub byok: bool,
    /// In the order they were made; the last one answered, if any did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What the attempts that were hung up on are thought to have cost the house. Not part of `cost`.
    #[serde(with = "nano", skip_serializing_if = "Option::is_none")]
    pub hedge_waste: Option<Nano>,
    /// Endpoints routing ruled out.
    pub refusals: u32,
    /// Some of them, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ruled_out: Vec<Ruled>,
    /// Endpoints that came after others, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried_last: Vec<Ruled>,
    /// What put the endpoints in their order, and who chose that.
    #[serde(skip_serializing_if = "unsaid")]
    pub strategy: Cow<'static, str>,
    #[serde(skip_serializing_if = "unsaid")]
    pub chosen_by: Cow<'static, str>,
    /// What could not be carried across dialects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    /// What guardrails wanted noted of the request: each its name and what it found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noted: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_referer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// The tier of service at which the provider says it served, which is the one that `cost` is at.
    #[serde(with = "tier", skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<Tier>,
    /// How the reply crossed: `verbatim`, `patched` or `translated`; `cached`, where nobody was asked for it.
    #[serde(with = "word")]
    pub lens: Word,
    /// It was answered with what another request was answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Box<Cached>>,
}

impl Generation {
    /// What a provider key of the caller's own was charged. Not part of `cost`.
    pub fn own_key_cost(&self) -> Nano {
        self.upstream_cost.filter(|_| self.byok).unwrap_or_default()
    }
}

/// Whose answer it got, and what that saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cached {
    /// `hit`: it had been kept. `joined`: it was still on its way.
    #[serde(with = "word")]
    pub how: Word,
    /// The generation that was paid for.
    pub source: String,
    /// What that one cost.
    #[serde(with = "nano", skip_serializing_if = "Option::is_none")]
    pub saved: Option<Nano>,
}

/// Which records are asked for, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only what arrived before this place; `None`: from the last.
    pub before: Option<i64>,
    pub key_hash: Option<String>,
    pub most: u32,
}

/// One try at one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// Tag of the endpoint.
    pub endpoint: Arc<str>,
    /// Display name of the provider.
    pub provider: Arc<str>,
    /// The model as the upstream was asked for it.
    pub model: Arc<str>,
    /// The tier of service it was sent to, where that is not the standard one.
    #[serde(with = "tier", skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Absent when no status ever came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub latency_ms: u64,
    /// [`FaultKind::reason`] of what went wrong.
    #[serde(with = "maybe_word", skip_serializing_if = "Option::is_none")]
    pub fault: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_id: Option<String>,
    /// It was made beside another that was slow to answer.
    #[serde(skip_serializing_if = "no")]
    pub hedge: bool,
    /// Another was quicker, and this one was hung up on.
    #[serde(skip_serializing_if = "no")]
    pub cancelled: bool,
    /// The id of the key of the caller's own that it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_key: Option<Arc<str>>,
    /// Its answer broke off, and somebody was looked for who goes on with it.
    #[serde(skip_serializing_if = "no")]
    pub torn: bool,
    /// It was asked to go on with what the one before had broken off.
    #[serde(skip_serializing_if = "no")]
    pub continues: bool,
    /// How many tokens of the answer were there, and how it was asked: `prefill` or `instruction`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_tokens: Option<u64>,
    #[serde(with = "maybe_word", skip_serializing_if = "Option::is_none")]
    pub how: Option<Word>,
}

/// A rule that spoke against an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ruled {
    /// Tag of the endpoint.
    pub endpoint: Arc<str>,
    pub rule: Cow<'static, str>,
    /// For people.
    pub says: String,
}

/// How a request that failed was told so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// [`FaultKind::reason`].
    #[serde(with = "word")]
    pub kind: Word,
    pub message: String,
}

fn is_chat(op: &Word) -> bool {
    op.is_empty() || *op == Op::Chat.name()
}

fn is_urgent(priority: &Word) -> bool {
    matches!(*priority, "" | "interactive")
}

fn no(flag: &bool) -> bool {
    !flag
}

fn empty(text: &Arc<str>) -> bool {
    text.is_empty()
}

fn unsaid(word: &str) -> bool {
    word.is_empty()
}

fn nothing(usage: &Usage) -> bool {
    *usage == Usage::default()
}

/// Closed sets of names are `&'static str` in memory; a name only a later release knows reads as `other`.
pub(crate) fn known(text: &str) -> &'static str {
    const OURS: [&str; 12] = [
        "",
        "verbatim",
        "patched",
        "translated",
        "cached",
        "hit",
        "joined",
        "prefill",
        "instruction",
        "interactive",
        "batch",
        "background",
    ];
    OURS.into_iter()
        .chain(Dialect::ALL.map(Dialect::name))
        .chain(FaultKind::ALL.map(FaultKind::reason))
        .chain(Op::ALL.map(Op::name))
        .find(|name| *name == text)
        .unwrap_or("other")
}

mod word {
    use super::*;

    pub fn serialize<S: Serializer>(word: &&'static str, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(word)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<&'static str, D::Error> {
        String::deserialize(d).map(|text| known(&text))
    }
}

mod maybe_word {
    use super::*;

    pub fn serialize<S: Serializer>(word: &Option<&'static str>, s: S) -> Result<S::Ok, S::Error> {
        word.serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<&'static str>, D::Error> {
        Option::<String>::deserialize(d).map(|text| text.map(|text| known(&text)))
    }
}

mod finish {
    use super::*;

    const ALL: [Finish; 5] = [Finish::Stop, Finish::Length, Finish::ToolCalls, Finish::ContentFilter, Finish::Error];

    pub fn serialize<S: Serializer>(finish: &Option<Finish>, s: S) -> Result<S::Ok, S::Error> {
        finish.as_ref().map(|f| f.name()).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Finish>, D::Error> {
        let name = Option::<String>::deserialize(d)?;
        Ok(name.and_then(|name| ALL.into_iter().find(|f| f.name() == name)))
    }
}

mod tier {
    use super::*;

    pub fn serialize<S: Serializer>(tier: &Option<Tier>, s: S) -> Result<S::Ok, S::Error> {
        tier.map(Tier::name).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Tier>, D::Error> {
        Option::<String>::deserialize(d).map(|name| name.and_then(|name| Tier::parse(&name)))
    }
}

mod nano {
    use super::*;

    pub fn serialize<S: Serializer>(nano: &Option<Nano>, s: S) -> Result<S::Ok, S::Error> {
        nano.map(|n| n.0).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Nano>, D::Error> {
        Option::<i64>::deserialize(d).map(|n| n.map(Nano))
    }
}

fn zero(count: &u64) -> bool {
    *count == 0
}

/// A usage as JSON: the classes that were used, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Classes(#[serde(with = "Tokens")] pub Usage);

/// How a [`Usage`] is stored: the classes that were used.
#[derive(Default, Serialize, Deserialize)]
#[serde(remote = "Usage", default)]
struct Tokens {
    #[serde(skip_serializing_if = "zero")]
    input: u64,
    #[serde(skip_serializing_if = "zero")]
    cache_read: u64,
    #[serde(skip_serializing_if = "zero")]
    cache_write: u64,
    #[serde(skip_serializing_if = "zero")]
    cache_write_1h: u64,
    #[serde(skip_serializing_if = "zero")]
    audio_in: u64,
    #[serde(skip_serializing_if = "zero")]
    image_in: u64,
    #[serde(skip_serializing_if = "zero")]
    output: u64,
    #[serde(skip_serializing_if = "zero")]
    reasoning: u64,
    #[serde(skip_serializing_if = "zero")]
    audio_out: u64,
    #[serde(skip_serializing_if = "zero")]
    image_out: u64,
    #[serde(skip_serializing_if = "zero")]
    accepted_prediction: u64,
    #[serde(skip_serializing_if = "zero")]
    rejected_prediction: u64,
    #[serde(skip_serializing_if = "zero")]
    web_searches: u64,
    #[serde(skip_serializing_if = "zero")]
    images: u64,
    #[serde(skip_serializing_if = "zero")]
    audio_ms: u64,
    #[serde(skip_serializing_if = "zero")]
    characters: u64,
    #[serde(skip_serializing_if = "zero")]
    searches: u64,
    #[serde(with = "nano", skip_serializing_if = "Option::is_none")]
    upstream_cost: Option<Nano>,
    #[serde(skip_serializing_if = "no")]
    estimated: bool,
    /// In the record's cost already.
    #[serde(skip)]
    correction: Nano,
    /// The record's own.
    #[serde(skip)]
    tier: Option<Tier>,
}
