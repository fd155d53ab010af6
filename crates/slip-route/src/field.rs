//! Everything that can be reached in one configuration: the catalogue, narrowed to the providers that have a seat, plus what the
//! configuration declares. Immutable; every index is derived here, once.

use crate::catalog::{Catalog, Model, Policy};
use crate::vocabulary::{Params, Quants, media};
use slip_ir::want::MediaSet;
use slip_ir::{Dialect, Op, Ops, Price, Tier, request::format};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

mod build;
mod names;
#[cfg(test)]
mod tests;

pub(crate) use build::ad_hoc as build_ad_hoc;
pub(crate) use names::{Names, Target, lower};

/// One (base URL, key) pair of a provider: an opaque handle for whoever dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    pub id: u32,
    /// Share of the traffic beside its siblings; 0 counts as 1.
    pub weight: u32,
}

/// A provider that this configuration can use.
#[derive(Clone, Debug)]
pub struct ProviderSeat {
    pub slug: String,
    /// Display name.
    pub name: String,
    pub dialect: Dialect,
    pub policy: Policy,
    /// What can be asked of it.
    pub ops: Ops,
    pub instances: Vec<Instance>,
    /// Nothing but `models` may be used of it: neither the catalogue's endpoints nor `provider/anything`.
    pub only_declared: bool,
    pub models: Vec<Declared>,
}

/// A model declared in the configuration. What it leaves out is taken from the catalogue where that knows the model.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    pub id: String,
    /// What the provider calls it; absent: `id` without the provider's own prefix.
    pub upstream: Option<String>,
    pub name: Option<String>,
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    /// Overrides the catalogue's.
    pub price: Option<Price>,
    pub params: Option<Vec<String>>,
    pub input: Option<Vec<String>>,
    pub output: Option<Vec<String>>,
    pub quantization: Option<String>,
}

/// One name over several endpoints (`[models."house/fast"]`).
#[derive(Clone, Debug, Default)]
pub struct House {
    pub name: String,
    /// Model names, each as a caller could write it.
    pub endpoints: Vec<String>,
    /// A strategy of [`crate::STRATEGIES`].
    pub balancer: Option<String>,
}

/// A model as one provider serves it, with what is needed to call it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub model: Arc<Model>,
    /// The provider's slug, lower case.
    pub provider: Arc<str>,
    /// The provider's display name.
    pub provider_name: Arc<str>,
    /// What the provider calls the model.
    pub upstream: Arc<str>,
    /// `groq`, `deepinfra/turbo`, `openai/flex`: the provider and, where it has several endpoints of one model, which of them.
    pub tag: Arc<str>,
    pub quantization: Option<Arc<str>>,
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    /// `None`: nobody said.
    pub params: Option<Arc<[String]>>,
    /// `free`, …
    pub variant: Option<Arc<str>>,
    /// `None` is unknown, which is not free.
    pub price: Option<Arc<Price>>,
    /// The tier of service it is asked for; where a provider sells several, each is an endpoint of its own.
    pub tier: Tier,
    pub implicit_caching: bool,
    pub policy: Policy,
    pub dialect: Dialect,
    pub pool: Arc<[Instance]>,
    /// Not in the catalogue and not declared: made up from `provider/anything`.
    pub ad_hoc: bool,
    /// The same for the same provider, model, tag, variant and upstream in every process: the key of live statistics.
    pub key: u64,
    pub(crate) facts: Facts,
}

/// What eligibility asks of an endpoint, precomputed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub can: Option<Params>,
    pub takes: Option<MediaSet>,
    pub makes: Option<MediaSet>,
    pub quant: Quants,
    /// Who signs this model's reasoning ([`slip_ir::request::format`]).
    pub seals: &'static str,
    pub free: bool,
    /// What can be asked of this model here.
    pub ops: Ops,
    /// Sum of the instances' weights.
    pub weight: u32,
}

impl Facts {
    pub(crate) fn of(
        model: &Model,
        params: Option<&[String]>,
        quantization: Option<&str>,
        variant: Option<&str>,
        pool: &[Instance],
        ops: Ops,
    ) -> Facts {
        let known = |words: &[String]| (!words.is_empty()).then(|| media(words.iter().map(String::as_str)));
        Facts {
            can: params.map(|p| Params::of(p.iter().map(String::as_str))),
            takes: known(&model.input),
            makes: known(&model.output),
            quant: quantization.and_then(Quants::one).unwrap_or(Quants::UNKNOWN),
            seals: seals(&model.author),
            free: variant == Some("free"),
            ops: does(model, ops),
            weight: pool.iter().fold(0u32, |sum, i| sum.saturating_add(i.weight.max(1))),
        }
    }
}

/// What the provider can be asked, as far as the model is known to be made for it.
fn does(model: &Model, ops: Ops) -> Ops {
    if model.output.is_empty() {
        return ops;
    }
    let makes = |word: &str| model.output.iter().any(|w| w == word);
    let chats = ["text", "image", "audio", "video"].iter().any(|word| makes(word));
    Ops::of(Op::ALL.into_iter().filter(|op| ops.contains(*op) && op.output().map_or(chats, makes)))
}

/// Claude signs its thoughts wherever it runs, so the author decides and not the provider.
fn seals(author: &str) -> &'static str {
    match author {
        "anthropic" => format::ANTHROPIC,
        "google" => format::GEMINI,
        "openai" => format::OPENAI,
        "x-ai" | "xai" => format::XAI,
        _ => format::UNKNOWN,
    }
}

impl Endpoint {
    /// Whether `word` (lower case) names this endpoint: its provider by slug or display name, or its tag from the front.
    pub(crate) fn answers_to(&self, word: &str) -> bool {
        let tag = || self.tag.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        *self.provider == *word || tag() || self.provider_name.eq_ignore_ascii_case(word)
    }

    /// Whether its provider sells the same model at other tiers of service too.
    pub fn sells_tiers(&self) -> bool {
        self.price.as_ref().is_some_and(|price| !price.elsewhere.is_empty())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.tag, self.model.id)
    }
}

#[derive(Debug)]
pub(crate) struct Seat {
    pub ops: Ops,
    pub slug: Arc<str>,
    pub name: Arc<str>,
    pub dialect: Dialect,
    pub policy: Policy,
    pub pool: Arc<[Instance]>,
    pub only_declared: bool,
}

#[derive(Debug)]
pub(crate) struct Alias {
    pub name: Arc<str>,
    pub endpoints: Vec<Arc<Endpoint>>,
    pub balancer: Option<&'static dyn crate::Strategy>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Field {
    /// The catalogue's models, then the declared ones.
    models: Vec<Arc<Model>>,
    /// Grouped by model.
    endpoints: Vec<Arc<Endpoint>>,
    /// Per model, its endpoints.
    ranges: Vec<Range<usize>>,
    /// Per model, the providers of the catalogue that would serve it if they had a seat.
    absent: Vec<Vec<Arc<str>>>,
    pub(crate) seats: HashMap<Arc<str>, Seat>,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) names: Names,
}

/// One model of a listing.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    pub model: &'a Arc<Model>,
    /// Empty: known, but no provider with a seat serves it.
    pub endpoints: &'a [Arc<Endpoint>],
    /// Providers of the catalogue that would serve it too, if they had a seat.
    pub absent: &'a [Arc<str>],
}

/// A configuration that cannot be turned into a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Where in the configuration: `models."house/fast".endpoints[1]`.
    pub at: String,
    pub why: String,
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

impl std::error::Error for BadField {}

impl Field {
    pub fn build(catalog: &Catalog, seats: Vec<ProviderSeat>, houses: Vec<House>) -> Result<Field, BadField> {
        build::build(catalog, seats, houses)
    }

    /// Every known model, those that can be used first; otherwise in the order of the catalogue, declared ones last.
    pub fn models(&self) -> impl Iterator<Item = Listed<'_>> {
        let all = || (0..self.models.len()).filter_map(|at| self.listed(at));
        all().filter(|l| !l.endpoints.is_empty()).chain(all().filter(|l| l.endpoints.is_empty()))
    }

    /// The model of this name, whether or not it can be used. Suffixes and house names are not model names.
    pub fn model(&self, name: &str) -> Option<Listed<'_>> {
        match self.names.find(&lower(name))? {
            Target::Model(at) => self.listed(at),
            Target::Endpoint(at) => {
                let model = &self.endpoints.get(at)?.model;
                self.listed(self.models.iter().position(|m| Arc::ptr_eq(m, model))?)
            }
            Target::House(_) => None,
        }
    }

    /// The house names with their endpoints.
    pub fn houses(&self) -> impl Iterator<Item = (&str, &[Arc<Endpoint>])> {
        self.aliases.iter().map(|a| (&*a.name, a.endpoints.as_slice()))
    }

    /// Every usable endpoint of the catalogue and the declarations.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    pub(crate) fn listed(&self, at: usize) -> Option<Listed<'_>> {
        Some(Listed {
            model: self.models.get(at)?,
            endpoints: self.endpoints.get(self.ranges.get(at)?.clone()).unwrap_or_default(),
            absent: self.absent.get(at).map_or(&[], Vec::as_slice),
        })
    }
}
