//! Recorded provider traffic through the whole house: a replayed upstream behind a real gateway, every surface, streamed in
//! several cuttings; what the client hears is compared with what the provider said.
//!
//! The recordings are read from the directory that SLIPSWITCH_CORPUS names (`cases/*.json`), and are never kept here.

mod again;
pub mod ask;
pub mod bedrock;
mod compare;
pub mod errors;
mod expected;
mod form;
pub mod history;
pub mod invoked;
mod listings;
mod made;
mod media;
pub mod natives;
pub mod read;
pub mod report;
pub mod responses;
mod retold;
pub mod said;
pub mod sent;
mod services;
mod siblings;
mod surface;

use crate::harness::{Gateway, Got, KEY};
use ask::Ask;
use base64::Engine as _;
use bytes::Bytes;
use http::Method;
use report::{RECORDED, report};
use said::Said;
use serde_json::{Value, json};
use slip_sim::{Case, Chunking, Replay, ReplayConfig, case};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
pub use surface::Surface;

/// The credential of every replayed provider: it must reach the provider and nobody else.
pub const SECRET: &str = "upstream-secret-4f1d";
/// One event, one byte, and anything at a time.
const CHUNKINGS: [Chunking; 3] = [Chunking::Event, Chunking::Byte, Chunking::Random(7)];

/// What differed, by the name of the check.
pub struct Differences {
    prefix: String,
    pub found: Vec<(String, String)>,
}

impl Differences {
    pub fn of(prefix: impl Into<String>) -> Differences {
        Differences { prefix: prefix.into(), found: Vec::new() }
    }

    pub fn say(&mut self, check: &str, what: impl Into<String>) {
        self.found.push((format!("{}.{check}", self.prefix), what.into()));
    }

    pub fn same(&mut self, check: &str, want: &str, got: &str) {
        if want != got {
            let at = want.bytes().zip(got.bytes()).take_while(|(a, b)| a == b).count();
            let near = |text: &str| {
                String::from_utf8_lossy(text.as_bytes().get(at.saturating_sub(20)..).unwrap_or_default())
                    .chars()
                    .take(60)
                    .collect::<String>()
            };
            self.say(
                check,
                format!(
                    "differs at byte {at} ({} and {} long): {:?} became {:?}",
                    want.len(),
                    got.len(),
                    near(want),
                    near(got)
                ),
            );
        }
    }
}

pub fn base64(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

pub fn to_base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// One case behind one provider of one gateway.
struct Bed {
    gateway: Arc<Gateway>,
    case: Arc<Case>,
    model: String,
    replay: Arc<Replay>,
}

/// What came of one case.
#[derive(Default)]
struct Outcome {
    /// Legs that were walked: a surface, whole or streamed in one cutting.
    legs: usize,
    /// Check and difference, by leg.
    failed: Vec<(String, String)>,
    losses: Vec<String>,
}

#[tokio::test]
async fn what_no_recording_shows_reaches_every_client_too() {
    let outcomes = walk(made::cases()).await;
    let failed = report("made by hand", &outcomes, &expected::load());
    assert_eq!(failed, 0, "what providers are known to do was not carried faithfully; see the list above");
}

#[tokio::test]
async fn what_a_recorded_provider_said_reaches_every_client() {
    let Some(cases) = recorded() else { return };
    let outcomes = walk(cases).await;
    let failed = report(RECORDED, &outcomes, &expected::load());
    assert_eq!(failed, 0, "recorded traffic was not carried faithfully; see the list above");
}

#[tokio::test]
async fn what_a_provider_might_have_said_in_other_words_reaches_every_client() {
    let Some(cases) = recorded() else { return };
    let outcomes = walk(cases.iter().flat_map(siblings::of).collect()).await;
    let failed = report("siblings of the recorded", &outcomes, &expected::load());
    assert_eq!(failed, 0, "the same in other words was not carried faithfully; see the list above");
}

/// The recordings of APIs this gateway calls.
fn recorded() -> Option<Vec<Case>> {
    let Some(corpus) = std::env::var_os("SLIPSWITCH_CORPUS") else {
        println!("skipped: SLIPSWITCH_CORPUS is not set");
        return None;
    };
    let mut cases = case::load(Path::new(&corpus)).expect("a corpus");
    cases.retain(|case| Surface::of(case).is_some());
    // For work on few cases.
    if let Some(only) = std::env::var_os("SLIPSWITCH_CORPUS_ONLY") {
        cases.retain(|case| case.id.contains(only.to_string_lossy().as_ref()));
    }
    assert!(!cases.is_empty(), "the corpus has no chat cases");
    Some(cases)
}

async fn walk(cases: Vec<Case>) -> BTreeMap<String, Outcome> {
    let replay = Arc::new(Replay::start(cases.clone(), ReplayConfig::default()).await.expect("a replayed upstream"));
    let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
    for group in groups(cases) {
        let config = group.iter().fold(String::new(), |mut text, (slug, case)| {
            let _ = write!(text, "{}", provider(slug, case, &replay));
            text
        });
        let gateway = Arc::new(Gateway::start(&config));
        for chunking in CHUNKINGS {
            replay.set_chunking(chunking);
            replay.journal().clear();
            let walks: Vec<_> = group
                .iter()
                .filter(|(_, case)| chunking == Chunking::Event || case.response.stream && !is_sibling(case))
                .map(|(_, case)| {
                    let model = model(case);
                    let bed = Bed { gateway: gateway.clone(), case: case.clone(), model, replay: replay.clone() };
                    (case.id.clone(), tokio::spawn(async move { bed.walk(chunking).await }))
                })
                .collect();
            for (id, walk) in walks {
                let into = outcomes.entry(id).or_default();
                match walk.await {
                    Ok(outcome) => {
                        into.legs += outcome.legs;
                        into.failed.extend(outcome.failed);
                        into.losses.extend(outcome.losses);
                    }
                    Err(panic) => into.failed.push(("walk".into(), panic.to_string())),
                }
            }
        }
    }
    outcomes
}

/// Providers known to the gateway by the name the recordings give them; all others are declared, and may share a gateway.
fn builtin(case: &Case) -> Option<&'static str> {
    if is_sibling(case) {
        return None;
    }
    Some(match (case.provider.as_str(), case.api.as_str()) {
        ("gemini", "chat.completions") => return None,
        // Built-in providers are asked otherwise.
        _ if Surface::of(case).and_then(Surface::house).is_some() => return None,
        // Only callers of the same dialect reach the known ones in it.
        (_, "responses") => return None,
        // What is spoken to it follows the caller.
        ("ollama", _) | (_, "completions") => return None,
        ("gemini", _) => "google-ai-studio",
        ("moonshot", _) => "moonshotai",
        ("vertex", _) => "google-vertex",
        ("azure", _) if case.path().contains("/openai/") => "azure",
        ("azure", _) => "azure-foundry",
        (name, _) => {
            const KNOWN: [&str; 11] = [
                "alibaba",
                "anthropic",
                "cerebras",
                "deepseek",
                "groq",
                "huggingface",
                "llamacpp",
                "mistral",
                "openai",
                "openrouter",
                "perplexity",
            ];
            return KNOWN
                .into_iter()
                .find(|known| *known == name)
                .or_else(|| (name == "together").then_some("together"));
        }
    })
}

/// A built-in provider has one address, so that each gateway holds one case of each.
fn groups(cases: Vec<Case>) -> Vec<Vec<(String, Arc<Case>)>> {
    let mut groups: Vec<Vec<(String, Arc<Case>)>> = vec![Vec::new()];
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, case) in cases.into_iter().enumerate() {
        let case = Arc::new(case);
        let Some(slug) = builtin(&case) else {
            groups[0].push((format!("declared-{number}"), case));
            continue;
        };
        let at = used.entry(slug).or_default();
        if groups.len() <= *at {
            groups.push(Vec::new());
        }
        groups[*at].push((slug.to_owned(), case));
        *at += 1;
    }
    groups
}

fn is_sibling(case: &Case) -> bool {
    case.id.contains('~')
}

fn model(case: &Case) -> String {
    format!("replay/{}", case.id)
}

/// Built-in providers that a Responses caller would reach in that dialect. What they were recorded to say in another is replayed to
/// such callers from behind a declared provider that knows no second dialect.
const ALSO_RESPONSES: [&str; 3] = ["groq", "openai", "openrouter"];

fn has_twin(case: &Case) -> bool {
    builtin(case).is_some_and(|slug| ALSO_RESPONSES.contains(&slug))
}

/// The name the recorded request has for the model.
fn upstream_model(case: &Case) -> String {
    let path = case.path().split('?').next().unwrap_or_default();
    // At Azure the name of the deployment is what counts, whatever the body says.
    if let Some((_, rest)) = path.split_once("/deployments/") {
        return rest.split('/').next().unwrap_or_default().to_owned();
    }
    let in_path = || {
        if let Some((name, _)) = path.strip_prefix("/model/").and_then(|rest| rest.split_once('/')) {
            return Some(name.replace("%3A", ":").replace("%2F", "/"));
        }
        let name = path.rsplit_once("/models/").map(|(_, rest)| rest)?;
        Some(name.split(':').next()?.to_owned())
    };
    let named = case.request.body["model"].as_str().map(str::to_owned).or_else(in_path).or_else(|| case.model.clone());
    named.filter(|n| !n.is_empty()).unwrap_or_else(|| "some-model".to_owned())
}

fn provider(slug: &str, case: &Case, replay: &Replay) -> String {
    let surface = Surface::of(case).expect("only cases with a surface are kept");
    let version = match surface {
        Surface::Gemini => "v1beta",
        Surface::Native(natives::Native::Cohere) => "v2",
        _ => "v1",
    };
    let table = |id: String| {
        json!({
            "id": id,
            "upstream": upstream_model(case),
            "input": ["text", "image", "audio", "video", "file"],
            "output": ["text", "image", "audio"],
            "price": { "input": "1", "output": "2", "cache_read": "0.5", "cache_write": "1.25" },
        })
    };
    let dialect = format!("dialect = {:?}\n", surface.dialect());
    let api = case.path().split_once("api-version=").map(|(_, version)| version.split('&').next().unwrap_or_default());
    let api = api.map(|version| format!("api_version = {version:?}\n")).unwrap_or_default();
    let (base, api) = match builtin(case) {
        Some("google-vertex") => ("/v1/projects/p/locations/l".to_owned(), String::new()),
        Some("azure") => ("/openai".to_owned(), api),
        Some("azure-foundry") => (String::new(), api),
        _ => (format!("/{version}"), String::new()),
    };
    let section = |slug: &str, dialect: &str, model: String| {
        let models = toml::Value::try_from(vec![table(model)]).expect("a table");
        format!(
            "[providers.\"{slug}\"]\n{dialect}base_url = \"{}{base}\"\nkey = {SECRET:?}\nallow_private = true\nmodels = {models}\n",
            replay.case_url(&case.id)
        )
    };
    let wrapped = match surface {
        Surface::Invoked(house) => format!("envelope = {:?}\n", house.envelope()),
        _ if Surface::is_wrapped(case) => "envelope = \"invoke-model\"\n".to_owned(),
        _ => String::new(),
    };
    let declared = if builtin(case).is_none() { format!("{dialect}{wrapped}") } else { format!("{wrapped}{api}") };
    let mut text = section(slug, &declared, model(case));
    if has_twin(case) {
        text += &section(&format!("{slug}-twin"), &dialect, format!("{}-twin", model(case)));
    }
    text
}

/// One request to one surface.
struct Leg {
    surface: Surface,
    stream: bool,
    body: Value,
    /// The request is the recorded one.
    recorded: bool,
}

impl Bed {
    async fn walk(self, chunking: Chunking) -> Outcome {
        let mut outcome = Outcome::default();
        for leg in self.legs() {
            outcome.legs += 1;
            let mut found = Differences::of(leg.surface.name());
            let got = self.send(&leg).await;
            self.judge(&leg, &got, &mut found);
            if chunking == Chunking::Event && !is_sibling(&self.case) {
                sent::check(&self, &leg, &got, &mut found);
                history::check(&self, &leg, &got, &mut found).await;
                if got.status == 200 {
                    outcome.losses.extend(self.losses(&got).await);
                }
            }
            let told = |(check, what): (String, String)| {
                let cut = if leg.stream { format!(" (streamed, {chunking:?})") } else { String::new() };
                (check, format!("{what}{cut}"))
            };
            outcome.failed.extend(found.found.into_iter().map(told));
        }
        outcome
    }

    fn legs(&self) -> Vec<Leg> {
        let case = &self.case;
        let own = Surface::of(case).expect("only cases with a surface are kept");
        let known = case.request.recorded && case.request.body.is_object();
        let mut ask = if known { own.ask_of(&case.request.body) } else { Ask::minimal() };
        // What is said may be kept by the provider, in a prompt of the caller's.
        if ask.turns.is_empty() {
            ask = Ask::minimal();
        }
        let mut legs = Vec::new();
        let callers = Surface::callers().filter(|s| !is_sibling(case) || s.native().is_none() || *s == own);
        // Some built-in providers continue text themselves: then they are asked for that, which is another recording.
        let texts = Surface::Native(natives::Native::Text);
        for surface in callers.filter(|s| *s != texts || own == texts || builtin(case).is_none()) {
            // A reply that was recorded whole is also asked for as a stream.
            let ways: &[bool] = match (case.response.stream, is_sibling(case)) {
                (true, _) => &[true],
                (false, true) => &[false],
                (false, false) => &[false, true],
            };
            for stream in ways.iter().copied() {
                let recorded = known && surface == own;
                let body = match (recorded, surface) {
                    (true, _) => self.as_recorded(own, stream),
                    (_, Surface::Chat) => ask.to_chat(&self.model, stream),
                    (_, Surface::Messages) => ask.to_messages(&self.model, stream),
                    (_, Surface::Gemini) => ask.to_gemini(),
                    (_, Surface::Responses) => responses::spell(&ask, &self.model_for(surface), stream),
                    (_, Surface::Native(native)) => native.body(&ask, &self.model, stream),
                    (_, Surface::Bedrock) => bedrock::to(&ask),
                    (_, Surface::Invoked(_)) => unreachable!("no client speaks it"),
                };
                legs.push(Leg { surface, stream, body, recorded });
            }
        }
        legs
    }

    /// The name to ask for on that surface.
    pub(crate) fn model_for(&self, surface: Surface) -> String {
        match surface {
            Surface::Responses if has_twin(&self.case) => format!("{}-twin", self.model),
            _ => self.model.clone(),
        }
    }

    fn as_recorded(&self, own: Surface, stream: bool) -> Value {
        let mut body = self.case.request.body.clone();
        if !own.is_named_in_path() {
            body["model"] = self.model.clone().into();
            if stream || body["stream"].is_boolean() {
                body["stream"] = stream.into();
            }
            // Other models to fall back on are another test's.
            let members = body.as_object_mut().expect("it was an object");
            members.remove("models");
            members.remove("provider");
        }
        body
    }

    async fn send(&self, leg: &Leg) -> Got {
        let path = leg.surface.path(&self.model, leg.stream);
        let bearer = format!("Bearer {KEY}");
        let key = match leg.surface {
            Surface::Chat | Surface::Responses | Surface::Bedrock => ("authorization", bearer.as_str()),
            Surface::Messages => ("x-api-key", KEY),
            Surface::Gemini => ("x-goog-api-key", KEY),
            Surface::Native(_) | Surface::Invoked(_) => ("authorization", bearer.as_str()),
        };
        let headers = [key, ("content-type", "application/json")];
        self.gateway.send(Method::POST, &path, &headers, Bytes::from(leg.body.to_string())).await
    }

    /// The provider's side, read once more for every leg: cheap, and nothing is shared.
    fn said(&self) -> Said {
        let own = Surface::of(&self.case).expect("only cases with a surface are kept");
        let body = &self.case.response.body;
        let parts = match self.case.response.stream {
            true => own.values(body),
            false => serde_json::from_slice(body).into_iter().collect(),
        };
        let mut said = own.read(&parts);
        // What a cloud counts stands in the head of its answer.
        if let (Some(_), Some(counted)) = (own.house(), invoked::head(&self.case)) {
            let told = said.usage.filter(|usage| usage.prompt > 0 && usage.completion > 0);
            said.usage = told.or(Some(counted));
        }
        if self.case.response.stream && said.choices.values().all(|c| c.finish.is_none()) {
            said.fault.get_or_insert("it ended before it was finished".to_owned());
        }
        said
    }

    fn judge(&self, leg: &Leg, got: &Got, out: &mut Differences) {
        let heard = got.text();
        for secret in [SECRET, &self.replay.addr().to_string()] {
            if heard.contains(secret) {
                out.say("leak", secret);
            }
        }
        if self.case.response.status >= 400 {
            return errors::refused(self.case.response.status, &self.case.response.body, leg.surface, got, out);
        }
        let said = self.said();
        if said.fault.is_some() && !said.has_content() {
            return errors::refused(0, &self.case.response.body, leg.surface, got, out);
        }
        if got.status != 200 {
            return out.say("status", format!("{}: {:.300}", got.status, heard));
        }
        let own = Surface::of(&self.case).expect("only cases with a surface are kept");
        let patched = matches!(own, Surface::Chat | Surface::Native(natives::Native::Text));
        let verbatim = own == leg.surface && !patched && leg.stream == self.case.response.stream;
        let same_bytes = !(leg.stream && Surface::is_wrapped(&self.case));
        // The comment that says that we are here is ours.
        let body = got.body.strip_prefix(b": OPENROUTER PROCESSING\n\n".as_slice()).unwrap_or(&got.body);
        // What was in a tongue of its own comes out in the dialect it is told as.
        let verbatim = verbatim
            || own.house().is_some() && own.dialect() == leg.surface.dialect() && own.dialect() != "openai-chat";
        let same_bytes = same_bytes && own.house().is_none();
        if verbatim && same_bytes && said.fault.is_none() && body != self.case.response.body {
            out.say("verbatim", "the bytes are not the provider's");
        }
        form::check(leg.surface, leg.stream, verbatim, got, out);
        let parts = if leg.stream { leg.surface.values(&got.body) } else { vec![got.json()] };
        compare::check(leg.surface, verbatim, &said, &leg.surface.read(&parts), out);
    }

    /// The last request that reached the provider of this case.
    fn last_entry(&self) -> Option<slip_sim::Entry> {
        let prefix = format!("/case/{}/", self.case.id);
        self.replay.journal().entries().into_iter().rev().find(|e| e.path.starts_with(&prefix))
    }

    async fn losses(&self, got: &Got) -> Vec<String> {
        let record = self.gateway.record(got).await;
        said::list(&record["slipswitch"]["losses"]).iter().filter_map(|l| l.as_str()).map(str::to_owned).collect()
    }
}
