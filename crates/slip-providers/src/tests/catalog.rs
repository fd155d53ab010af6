//! The catalogue's files, checked against each other and against the list of providers.

use crate::{Provider, by_id};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use slip_ir::Pico;
use slip_wire::quirks::{ReasoningStyle, Structured};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    author: Author,
    model: Vec<Model>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Author {
    id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    id: String,
    canonical: String,
    name: String,
    aliases: Vec<String>,
    family: Option<String>,
    released: String,
    knowledge: Option<String>,
    context: u64,
    max_output: Option<u64>,
    input: Vec<String>,
    output: Vec<String>,
    tokenizer: String,
    open_weights: bool,
    hugging_face: Option<String>,
    params: Vec<String>,
    reasoning: Option<Reasoning>,
    source: String,
    checked: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reasoning {
    efforts: Vec<String>,
    #[serde(rename = "mandatory")]
    _mandatory: bool,
    #[serde(rename = "budget")]
    _budget: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointFile {
    provider: String,
    endpoint: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    model: String,
    upstream: String,
    tag: Option<String>,
    quantization: Option<String>,
    context: Option<u64>,
    max_output: Option<u64>,
    params: Option<Vec<String>>,
    variant: Option<String>,
    price: Price,
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(rename = "implicit_caching")]
    _implicit_caching: Option<bool>,
    policy: Option<toml::Table>,
    #[serde(default)]
    service: Vec<Service>,
    source: String,
    checked: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    tier: String,
    context: Option<u64>,
    price: Price,
    #[serde(default)]
    tiers: Vec<Tier>,
    source: String,
    checked: String,
}

/// Class of unit to decimal amount.
type Price = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Tier {
    above: u64,
    #[serde(flatten)]
    price: Price,
}

const PRICE_CLASSES: &[&str] = &[
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "audio_in",
    "image_in",
    "audio_out",
    "image_out",
    "request",
    "web_search",
    "search",
    "image",
    "second",
    "characters",
];

/// Classes whose price is that of one, and not of a million.
const EACH: &[&str] = &["request", "web_search", "search", "image", "second"];

const MODALITIES: &[&str] = &["text", "image", "file", "audio", "video"];

/// What a model does besides talking, or instead of it.
const SERVICES: &[&str] = &["embeddings", "rerank", "moderation", "image", "speech", "transcription"];
/// Of these, what comes out is no text, picture or sound.
const JUDGES: &[&str] = &["embeddings", "rerank", "moderation"];

const EFFORTS: &[&str] = &["minimal", "low", "medium", "high", "xhigh", "max"];

const PARAMS: &[&str] = &[
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "structured_outputs",
    "reasoning",
    "include_reasoning",
];

/// Every file of one of the two folders, with its stem.
fn read<T: DeserializeOwned>(folder: &str) -> Vec<(String, T)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../catalog").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            (stem, toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        })
        .collect()
}

fn models() -> Vec<(String, ModelFile)> {
    read("models")
}

fn endpoints() -> Vec<(String, EndpointFile)> {
    read("endpoints")
}

impl Model {
    fn talks(&self) -> bool {
        self.output.iter().any(|m| m == "text")
    }

    fn judges(&self) -> bool {
        self.output.iter().all(|m| JUDGES.contains(&m.as_str()))
    }
}

fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts[..], [y, m, d] if y.len() == 4 && m.len() == 2 && d.len() == 2)
        && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_digit()))
}

fn per_million(text: &str, at: &str) -> Pico {
    let pico = Pico::per_million(text).unwrap_or_else(|e| panic!("{at}: {e}"));
    assert_eq!(pico.to_million_string(), text, "{at}: a price is spelt without spare zeros");
    pico
}

fn check_price(price: &Price, model: &Model, at: &str) -> (Pico, Pico) {
    let amount = |class: &str| price.get(class).map(|text| per_million(text, at));
    let (Some(input), Some(output)) = (amount("input"), amount("output")) else {
        panic!("{at}: input or output has no price")
    };
    if model.judges() {
        assert_eq!(output, Pico(0), "{at}: it writes nothing that could cost");
    } else {
        assert!(output >= input, "{at}: output is cheaper than input");
    }
    assert!(amount("cache_read").is_none_or(|read| read <= input), "{at}: the cache costs more than not having one");
    for (class, text) in price {
        assert!(PRICE_CLASSES.contains(&class.as_str()), "{at}: no such price class: {class}");
        if EACH.contains(&class.as_str()) {
            let pico = Pico::per_unit(text).unwrap_or_else(|e| panic!("{at}: {e}"));
            assert_eq!(pico.to_unit_string(), *text, "{at}: a price is spelt without spare zeros");
        } else {
            per_million(text, at);
        }
    }
    (input, output)
}

fn check_source(source: &str, checked: &str, at: &str) {
    assert!(source.starts_with("https://"), "{at}: where was this read? {source}");
    assert!(is_day(checked), "{at}: when was this read? {checked}");
}

#[test]
fn no_spelling_belongs_to_two_models() {
    let mut owner: HashMap<String, String> = HashMap::new();
    for (_, file) in models() {
        for model in &file.model {
            let spellings: BTreeSet<&String> =
                [&model.id, &model.canonical].into_iter().chain(&model.aliases).collect();
            assert_eq!(spellings.len(), 2 + model.aliases.len(), "{} repeats a spelling of its own", model.id);
            for spelling in spellings {
                if let Some(other) = owner.insert(spelling.to_lowercase(), model.id.clone()) {
                    assert_eq!(other, model.id, "both are called {spelling}");
                }
            }
        }
    }
}

#[test]
fn every_model_is_well_formed() {
    for (stem, file) in models() {
        assert_eq!(stem, file.author.id, "the file is named after its author");
        for model in &file.model {
            let at = &model.id;
            let slug = at.strip_prefix(&format!("{stem}/")).unwrap_or_else(|| panic!("{at} does not belong to {stem}"));
            assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)), "{at}");
            assert!(model.canonical.starts_with(&format!("{stem}/")), "{at}: {}", model.canonical);
            let day = model.released.replace('-', "");
            assert!(is_day(&model.released) || model.released.len() == 7, "{at}: {}", model.released);
            assert!(
                model.canonical.replace('-', "").contains(&day) || at.starts_with("openai/"),
                "{at}: the canonical slug carries the day of release: {}",
                model.canonical
            );
            assert_eq!(model.name.split_once(": ").map(|(author, _)| author), Some(&*file.author.name), "{at}");
            assert!(model.input.iter().all(|m| MODALITIES.contains(&m.as_str())), "{at}: modalities");
            assert!(
                model.output.iter().all(|m| m == "text" || SERVICES.contains(&m.as_str())),
                "{at}: it makes what nobody asks for"
            );
            let hears = model.output == ["transcription"];
            assert!(hears || model.input.iter().any(|m| m == "text"), "{at}: it reads text");
            if let Some(most) = model.max_output {
                assert!(most <= model.context && most > 0, "{at}: it cannot write more than it can hold");
            }
            if model.talks() {
                assert!(model.max_output.is_some(), "{at}: how much does it write?");
            } else {
                assert_eq!(model.output.len(), 1, "{at}: it is made for one thing");
            }
            assert!(model.params.iter().all(|p| PARAMS.contains(&p.as_str())), "{at}: parameters");
            let says = |param: &str| model.params.iter().any(|p| p == param);
            assert_eq!(model.reasoning.is_some(), says("reasoning"), "{at}: reasoning and its parameter go together");
            assert!(!says("tool_choice") || says("tools"), "{at}: a choice of no tools");
            assert!(
                !says("structured_outputs") || says("response_format"),
                "{at}: structured outputs are a response format"
            );
            let efforts = model.reasoning.iter().flat_map(|r| &r.efforts);
            assert!(efforts.into_iter().all(|e| EFFORTS.contains(&e.as_str())), "{at}: efforts");
            assert!(model.family.as_ref().is_none_or(|f| !f.is_empty() && !f.contains('/')), "{at}: family");
            assert!(
                model.knowledge.as_ref().is_none_or(|k| k.len() == 7 || k.len() == 4),
                "{at}: {:?}",
                model.knowledge
            );
            assert!(
                model.hugging_face.as_ref().is_none_or(|h| h.contains('/') && model.open_weights),
                "{at}: hugging_face"
            );
            assert!(!model.tokenizer.is_empty(), "{at}: tokenizer");
            check_source(&model.source, &model.checked, at);
        }
    }
}

#[test]
fn every_endpoint_names_a_known_provider_and_a_known_model() {
    let known: BTreeSet<String> = models().into_iter().flat_map(|(_, f)| f.model).map(|m| m.id).collect();
    let mut served = BTreeSet::new();
    for (stem, file) in endpoints() {
        assert_eq!(stem, file.provider, "the file is named after its provider");
        assert_eq!(by_id(&stem).map(|p| &*p.id), Some(&*stem), "no such provider: {stem}");
        let mut seen = BTreeSet::new();
        for endpoint in &file.endpoint {
            let at = format!("{} at {stem}", endpoint.model);
            assert!(known.contains(&endpoint.model), "{at}: no such model");
            assert!(!endpoint.upstream.is_empty(), "{at}: what does the provider call it?");
            assert!(seen.insert((&endpoint.model, &endpoint.variant, &endpoint.tag)), "{at} is listed twice");
            let tag = endpoint.tag.as_deref().unwrap_or(&stem);
            let suffix =
                tag.strip_prefix(&*stem).unwrap_or_else(|| panic!("{at}: the tag begins with the provider: {tag}"));
            assert_eq!(
                suffix.strip_prefix('/'),
                endpoint.quantization.as_deref(),
                "{at}: tag and quantisation go together"
            );
            served.insert(endpoint.model.clone());
        }
    }
    let unserved: Vec<&String> = known.difference(&served).collect();
    assert!(unserved.is_empty(), "nobody serves {unserved:?}");
}

#[test]
fn every_price_is_exact_and_sane() {
    let models: HashMap<String, Model> =
        models().into_iter().flat_map(|(_, f)| f.model).map(|m| (m.id.clone(), m)).collect();
    for (stem, file) in endpoints() {
        for endpoint in &file.endpoint {
            let at = format!("{} at {stem}", endpoint.model);
            let model = &models[&endpoint.model];
            let (input, output) = check_price(&endpoint.price, model, &at);
            // A service that costs nothing anywhere needs no other name for being free.
            if model.talks() {
                let free = input == Pico(0) && output == Pico(0);
                let variant = endpoint.variant.as_deref();
                assert_eq!(free, variant == Some("free"), "{at}: free endpoints are a variant of their own");
            }
            let mut last = (0, input, output);
            for tier in &endpoint.tiers {
                let (input, output) = check_price(&tier.price, model, &at);
                assert!(tier.above > last.0 && input >= last.1 && output >= last.2, "{at}: tiers climb");
                last = (tier.above, input, output);
            }
            check_source(&endpoint.source, &endpoint.checked, &at);
        }
    }
}

#[test]
fn what_is_served_later_is_cheaper_and_what_is_served_sooner_is_dearer() {
    let models: HashMap<String, Model> =
        models().into_iter().flat_map(|(_, f)| f.model).map(|m| (m.id.clone(), m)).collect();
    let mut tiers = 0;
    for (stem, file) in endpoints() {
        for endpoint in file.endpoint.iter().filter(|e| !e.service.is_empty()) {
            let model = &models[&endpoint.model];
            let standard = check_price(&endpoint.price, model, &endpoint.model);
            for service in &endpoint.service {
                let at = format!("{} at {stem}/{}", endpoint.model, service.tier);
                let (input, output) = check_price(&service.price, model, &at);
                match &*service.tier {
                    "flex" => assert!(input < standard.0 && output < standard.1, "{at}"),
                    "priority" => assert!(input > standard.0 && output > standard.1, "{at}"),
                    other => panic!("{at}: no such tier: {other}"),
                }
                // Long prompts are either priced or not taken.
                assert_eq!(
                    endpoint.tiers.iter().map(|t| t.above).next(),
                    service
                        .tiers
                        .iter()
                        .map(|t| t.above)
                        .next()
                        .or(service.context.filter(|_| !endpoint.tiers.is_empty())),
                    "{at}"
                );
                for tier in &service.tiers {
                    let long = check_price(&tier.price, model, &at);
                    assert!(long.0 >= input && long.1 >= output, "{at}: tiers climb");
                }
                assert!(service.context.is_none_or(|has| has < model.context), "{at}: context");
                check_source(&service.source, &service.checked, &at);
                tiers += 1;
            }
        }
    }
    assert!(tiers >= 20, "{tiers} endpoints of other tiers");
}

/// What a provider refuses by its quirks, an endpoint of it must not promise: the router would pick it for that very reason.
#[test]
fn no_endpoint_promises_what_its_provider_refuses() {
    let models: HashMap<String, Model> =
        models().into_iter().flat_map(|(_, f)| f.model).map(|m| (m.id.clone(), m)).collect();
    for (stem, file) in endpoints() {
        let provider: &Provider = by_id(&stem).unwrap();
        let quirks = &provider.quirks;
        for endpoint in &file.endpoint {
            let at = format!("{} at {stem}", endpoint.model);
            let model = &models[&endpoint.model];
            let params = endpoint.params.as_ref().unwrap_or(&model.params);
            for param in params {
                assert!(model.params.contains(param), "{at}: the model itself does not take {param}");
                assert!(!quirks.refuses(param), "{at}: the provider refuses {param}");
            }
            let says = |param: &str| params.iter().any(|p| p == param);
            assert!(
                !says("structured_outputs") || quirks.structured == Structured::JsonSchema,
                "{at}: structured_outputs"
            );
            assert!(!says("response_format") || quirks.structured != Structured::Unsaid, "{at}: response_format");
            assert!(!says("reasoning") || quirks.reasoning != ReasoningStyle::Unsaid, "{at}: reasoning");
            assert!(!says("tool_choice") || says("tools"), "{at}: a choice of no tools");
            let context = endpoint.context.unwrap_or(model.context);
            let max_output = endpoint.max_output.or(model.max_output).unwrap_or(u64::from(!model.talks()));
            assert!(context > 0 && max_output > 0, "{at}: limits");
            assert!(endpoint.policy.as_ref().is_none_or(|p| !p.is_empty()), "{at}: an empty policy overrides nothing");
        }
    }
}

#[test]
fn there_is_enough_to_choose_from() {
    let endpoints = endpoints();
    let count: usize = endpoints.iter().map(|(_, f)| f.endpoint.len()).sum();
    let models: Vec<Model> = models().into_iter().flat_map(|(_, f)| f.model).collect();
    assert!(endpoints.len() >= 25, "{} providers", endpoints.len());
    assert!(count >= 120, "{count} endpoints");
    assert!(models.len() >= 70, "{} models", models.len());

    let mut hosts: HashMap<&str, usize> = HashMap::new();
    for endpoint in endpoints.iter().flat_map(|(_, f)| &f.endpoint) {
        *hosts.entry(&endpoint.model).or_default() += 1;
    }
    let contested = hosts.values().filter(|n| **n >= 4).count();
    assert!(contested >= 12, "only {contested} models have four hosts or more: there is little to route");
}
