//! Recorded traffic of what models do besides talking, through the whole house: each exchange is asked for on every surface that
//! has words for it, and what the client hears is compared with what the provider said, vectors and scores digit for digit.

mod heard;

use super::{Differences, SECRET, Surface, errors, upstream_model};
use crate::harness::{Gateway, Got, KEY};
use bytes::Bytes;
use heard::{Found, Vector, found};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use slip_sim::{Case, Replay, ReplayConfig, case};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

const APIS: [&str; 4] = ["embeddings", "rerank", "moderations", "count_tokens"];

/// Exchanges in spellings that nobody here is asked in, with the reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Uncalled {
    provider: String,
    api: String,
    /// What the path ends with.
    path: String,
    reason: String,
}

fn uncalled() -> Vec<Uncalled> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        uncalled: Vec<Uncalled>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus_services.toml");
    let text = std::fs::read_to_string(&path).expect("the file is beside the test");
    let file: File = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(file.uncalled.iter().all(|u| !u.reason.trim().is_empty()), "each needs its reason");
    file.uncalled
}

/// Which provider of ours is asked for such an exchange, and what follows the address in its base URL: a built-in one, or one
/// declared in this dialect.
fn provider(case: &Case) -> (Result<&'static str, &'static str>, &'static str) {
    // Several have a door like OpenAI's beside their own.
    let path = case.path();
    let like_openai = path.contains("/openai/") || path.contains("/v1/embeddings") || path.contains("/compatibility/");
    match case.provider.as_str() {
        "gemini" | "ollama" | "cohere" | "vertex" if like_openai => (Err("openai-chat"), "/v1"),
        "gemini" => (Ok("google-ai-studio"), "/v1beta"),
        "vertex" => (Ok("google-vertex"), "/v1/projects/p/locations/l"),
        "bedrock" => (Err("bedrock"), ""),
        "cohere" => (Ok("cohere"), "/compatibility/v1"),
        "perplexity" => (Ok("perplexity"), ""),
        name => {
            const KNOWN: [&str; 12] = [
                "anthropic",
                "fireworks",
                "jina",
                "llamacpp",
                "mistral",
                "ollama",
                "openai",
                "openrouter",
                "siliconflow",
                "together",
                "vllm",
                "voyage",
            ];
            match KNOWN.into_iter().find(|known| *known == name) {
                Some(known) => (Ok(known), "/v1"),
                None => (Err("openai-chat"), "/v1"),
            }
        }
    }
}

#[tokio::test]
async fn what_a_recorded_provider_found_reaches_every_client() {
    let Some(corpus) = std::env::var_os("SLIPSWITCH_CORPUS") else {
        println!("skipped: SLIPSWITCH_CORPUS is not set");
        return;
    };
    let mut cases = case::load(Path::new(&corpus)).expect("a corpus");
    cases.retain(|case| APIS.contains(&case.api.as_str()));
    let mut text = String::from("\n");
    let rules = uncalled();
    cases.retain(|case| {
        let path = case.path().split('?').next().unwrap_or_default();
        let rule = rules.iter().find(|u| u.provider == case.provider && u.api == case.api && path.ends_with(&u.path));
        if let Some(rule) = rule {
            let _ = writeln!(text, "not called: {}: {}", case.id, rule.reason);
        }
        rule.is_none()
    });
    let replay = Replay::start(cases.clone(), ReplayConfig::default()).await.expect("a replayed upstream");
    let (mut passed, mut failed) = (0, 0);
    for group in groups(&cases) {
        let config: String = group.iter().map(|(slug, case)| conf(slug, case, &replay)).collect();
        let gateway = Gateway::start(&config);
        for (_, case) in group {
            let mut differences = Vec::new();
            for leg in legs(case) {
                let mut out = Differences::of(leg.name);
                let got = send(&gateway, &leg).await;
                judge(case, &leg, &got, &mut out);
                if got.status == 200 && case.api != "count_tokens" {
                    recorded(&gateway, case, &got, &mut out).await;
                }
                sent(case, &replay, &mut out);
                differences.extend(out.found);
            }
            if differences.is_empty() {
                passed += 1
            } else {
                failed += 1
            }
            for (check, what) in differences {
                let _ = writeln!(text, "FAILED {} {check}: {what:.600}", case.id);
            }
        }
    }
    let _ = writeln!(text, "services: {passed} passed, {failed} failed");
    // Past the test runner, which keeps what a passing test prints to itself.
    let _ = std::io::stdout().write_all(text.as_bytes());
    assert_eq!(failed, 0, "recorded services were not carried faithfully; see the list above");
}

/// What is recorded is replayed by one of these tests, or said not to be.
#[test]
fn what_is_not_replayed_is_said_with_the_reason() {
    let Some(corpus) = std::env::var_os("SLIPSWITCH_CORPUS") else {
        println!("skipped: SLIPSWITCH_CORPUS is not set");
        return;
    };
    let rules = uncalled();
    let mut text = String::from("\n");
    for case in case::load(Path::new(&corpus)).expect("a corpus") {
        let elsewhere = [&APIS[..], &["models", "audio", "images"]].concat();
        if Surface::of(&case).is_some() || elsewhere.contains(&case.api.as_str()) {
            continue;
        }
        match rules.iter().find(|rule| rule.provider == case.provider && rule.api == case.api) {
            Some(rule) => _ = writeln!(text, "not called: {}: {}", case.id, rule.reason),
            None => _ = writeln!(text, "not called: {}: nobody has said why", case.id),
        }
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A built-in provider has one address, so that each gateway holds one case of each.
fn groups(cases: &[Case]) -> Vec<Vec<(String, &Case)>> {
    let mut groups: Vec<Vec<(String, &Case)>> = vec![Vec::new()];
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, case) in cases.iter().enumerate() {
        let (slug, at) = match provider(case).0 {
            Err(_) => (format!("declared-{number}"), 0),
            Ok(slug) => {
                let at = used.entry(slug).or_default();
                *at += 1;
                (slug.to_owned(), *at - 1)
            }
        };
        groups.resize_with(groups.len().max(at + 1), Vec::new);
        groups[at].push((slug, case));
    }
    groups
}

fn model(case: &Case) -> String {
    format!("replay/{}", case.id)
}

fn conf(slug: &str, case: &Case, replay: &Replay) -> String {
    let (known, base) = provider(case);
    let declared = known.err().map_or(String::new(), |dialect| format!("dialect = {dialect:?}\n"));
    let table = json!({
        "id": model(case),
        "upstream": upstream_model(case),
        "input": ["text", "image"],
        "price": { "input": "1", "output": "0" },
    });
    let models = toml::Value::try_from(vec![table]).expect("a table");
    format!(
        "[providers.\"{slug}\"]\n{declared}base_url = \"{}{base}\"\nkey = {SECRET:?}\nallow_private = true\nmodels = {models}\n",
        replay.case_url(&case.id)
    )
}

/// One request to one surface.
struct Leg {
    name: &'static str,
    path: String,
    body: Value,
}

/// The texts that were asked about, or one that could have been.
fn texts(case: &Case) -> Option<Vec<String>> {
    let body = &case.request.body;
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        other => other["parts"][0]["text"].as_str().map(str::to_owned),
    };
    let found: Option<Vec<String>> = match body {
        Value::Null => None,
        body if body["content"].is_object() => one(&body["content"]).map(|text| vec![text]),
        body if body["requests"].is_array() => {
            body["requests"].as_array().into_iter().flatten().map(|r| one(&r["content"])).collect()
        }
        body => {
            let first = body["instances"]
                .as_array()
                .and_then(|all| all.iter().map(|i| i["content"].as_str().map(str::to_owned)).collect());
            let nova = &body["singleEmbeddingParams"]["text"]["value"];
            if first.is_some() || nova.is_string() {
                return first.or_else(|| one(nova).map(|text| vec![text]));
            }
            let asked =
                ["input", "texts", "prompt", "inputText"].into_iter().map(|name| &body[name]).find(|v| !v.is_null())?;
            match asked {
                Value::Array(items) => items.iter().map(|i| i.as_str().map(str::to_owned)).collect(),
                other => one(other).map(|text| vec![text]),
            }
        }
    };
    found.filter(|texts| !texts.is_empty())
}

fn legs(case: &Case) -> Vec<Leg> {
    let model = model(case);
    let own = case.request.recorded.then(|| own(case, &model)).flatten();
    let failed = case.response.status >= 400;
    let leg = |name, path: &str, body| Leg { name, path: path.to_owned(), body };
    let google = |verb: &str| format!("/v1beta/models/{model}:{verb}");
    let mut legs: Vec<Leg> = own.into_iter().collect();
    match case.api.as_str() {
        "embeddings" => {
            // Pictures and parts are asked for on their own surface only.
            let texts = texts(case).or_else(|| failed.then(|| vec!["hello".to_owned()]));
            let texts =
                texts.or_else(|| (!case.request.recorded).then(|| vec!["hello".to_owned(); said(case).vectors.len()]));
            let Some(texts) = texts else { return legs };
            let content = |text: &String| json!({ "content": { "parts": [{ "text": text }] } });
            legs.push(leg("embeddings", "/api/v1/embeddings", json!({ "model": model, "input": texts })));
            legs.push(leg("cohere", "/v2/embed", json!({ "model": model, "texts": texts, "input_type": "search_document", "embedding_types": ["float"] })));
            legs.push(leg("ollama", "/api/embed", json!({ "model": model, "input": texts })));
            let batch: Vec<Value> = texts.iter().map(content).collect();
            // How a list of one comes back is a matter of how it was asked for upstream.
            let single = case.path().contains(":embedContent");
            match texts.as_slice() {
                [one] if single => legs.push(leg("gemini", &google("embedContent"), content(one))),
                _ => legs.push(leg("gemini", &google("batchEmbedContents"), json!({ "requests": batch }))),
            }
        }
        "rerank" => {
            let asked = &case.request.body;
            let documents = asked["documents"].as_array().filter(|d| !d.is_empty()).cloned().unwrap_or_else(|| {
                let count = said(case).ranks.iter().map(|(index, _)| index + 1).max().unwrap_or(1);
                (0..count).map(|n| json!(format!("document {n}"))).collect()
            });
            let mut body = json!({ "model": model, "query": asked["query"].as_str().unwrap_or("a query"), "documents": documents });
            if let Some(top) = asked["top_n"].as_u64().or(asked["top_k"].as_u64()) {
                body["top_n"] = top.into();
            }
            legs.push(leg("rerank", "/api/v1/rerank", body.clone()));
            legs.push(leg("cohere", "/v2/rerank", body));
        }
        "moderations" => {
            let asked = &case.request.body["input"];
            let input = if asked.is_null() { json!("hello") } else { asked.clone() };
            legs.push(leg("moderations", "/api/v1/moderations", json!({ "model": model, "input": input })));
        }
        _ => {
            let turns = json!([{ "role": "user", "content": "What is the weather in Paris?" }]);
            legs.push(leg("messages", "/api/v1/messages/count_tokens", json!({ "model": model, "messages": turns })));
            let turns = json!([{ "role": "user", "content": [{ "text": "What is the weather in Paris?" }] }]);
            let path = format!("/model/{}/count-tokens", model.replace('/', "%2F"));
            legs.push(leg("bedrock", &path, json!({ "input": { "converse": { "messages": turns } } })));
            let parts = json!([{ "role": "user", "parts": [{ "text": "What is the weather in Paris?" }] }]);
            legs.push(leg("gemini", &google("countTokens"), json!({ "contents": parts })));
        }
    }
    legs
}

/// The recorded request, where one of our surfaces speaks like that.
fn own(case: &Case, model: &str) -> Option<Leg> {
    let mut body = case.request.body.clone();
    let path = case.path().split('?').next()?;
    let verb = path.rsplit_once(':').map(|(_, verb)| verb);
    let google = |verb: &str| Some(format!("/v1beta/models/{model}:{verb}"));
    let ours = match (case.api.as_str(), verb) {
        ("count_tokens", _) if path.ends_with("/count-tokens") => {
            Some(format!("/model/{}/count-tokens", model.replace('/', "%2F")))
        }
        ("embeddings" | "count_tokens", Some(verb @ ("embedContent" | "batchEmbedContents" | "countTokens"))) => {
            google(verb)
        }
        ("embeddings", _) if path.ends_with("/embed") && case.provider == "cohere" => Some("/v2/embed".to_owned()),
        ("embeddings", _) if path.ends_with("/api/embed") => Some("/api/embed".to_owned()),
        ("embeddings", _) if path.ends_with("/api/embeddings") => Some("/api/embeddings".to_owned()),
        ("embeddings", _) if path.ends_with("/embeddings") => Some("/api/v1/embeddings".to_owned()),
        ("rerank", _) if body["documents"].as_array().is_some_and(|d| !d.is_empty()) => {
            let cohere = case.provider == "cohere";
            Some(if cohere { "/v2/rerank" } else { "/api/v1/rerank" }.to_owned())
        }
        ("moderations", _) => Some("/api/v1/moderations".to_owned()),
        ("count_tokens", _) if path.ends_with("/messages/count_tokens") => {
            Some("/api/v1/messages/count_tokens".to_owned())
        }
        ("count_tokens", _) if path.ends_with("/input_tokens") => Some("/api/v1/responses/input_tokens".to_owned()),
        _ => None,
    }?;
    if body["model"].is_string() {
        body["model"] = model.into();
    }
    body.is_object().then_some(Leg { name: "own", path: ours, body })
}

async fn send(gateway: &Gateway, leg: &Leg) -> Got {
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    gateway.send(Method::POST, &leg.path, &headers, Bytes::from(leg.body.to_string())).await
}

fn said(case: &Case) -> Found {
    let mut said = found(&case.api, &case.response.body);
    // A cloud counts in the head of its answer.
    let counted = case.response.headers.get("x-amzn-bedrock-input-token-count");
    said.tokens = said.tokens.or_else(|| counted?.parse().ok());
    said
}

fn judge(case: &Case, leg: &Leg, got: &Got, out: &mut Differences) {
    let heard = got.text();
    if heard.contains(SECRET) {
        out.say("leak", SECRET);
    }
    if case.api == "count_tokens" {
        return counted(case, leg, got, out);
    }
    if case.response.status >= 400 {
        return refused(case, leg, got, out);
    }
    if got.status != 200 {
        return out.say("status", format!("{}: {heard:.300}", got.status));
    }
    let (said, heard) = (said(case), found(&case.api, &got.body));
    if said.vectors.len() != heard.vectors.len() {
        out.say("vectors", format!("{} became {}", said.vectors.len(), heard.vectors.len()));
    }
    let bytes = case.provider == "perplexity";
    for (at, (said, heard)) in said.vectors.iter().zip(&heard.vectors).enumerate() {
        if let Some(why) = Vector::differ(said, heard, bytes) {
            out.say("vectors", format!("number {at}: {why}"));
        }
    }
    ranking(&said, &heard, leg, out);
    if said.results != heard.results {
        out.say("results", format!("{:?} became {:?}", said.results, heard.results));
    }
    // A report of nothing is none: then it is estimated.
    if let (Some(said), Some(heard)) = (said.tokens.filter(|n| *n > 0), heard.tokens)
        && said != heard
    {
        out.say("usage", format!("{said} became {heard}"));
    }
    // One dollar a million.
    if let (Some(tokens), Some(cost)) = (heard.tokens, heard.cost)
        && (cost - tokens as f64 / 1e6).abs() > 1e-12
    {
        out.say("cost", format!("{tokens} tokens cost {cost}"));
    }
}

/// The best first, each with its own score and its own document.
fn ranking(said: &Found, heard: &Found, leg: &Leg, out: &mut Differences) {
    let mut want = said.ranks.clone();
    let value = |(_, score): &(usize, String)| score.parse::<f64>().unwrap_or(f64::NAN);
    want.sort_by(|a, b| value(b).total_cmp(&value(a)));
    if want != heard.ranks {
        out.say("ranks", format!("{want:?} became {:?}", heard.ranks));
    }
    for (at, document) in &heard.documents {
        let asked = &leg.body["documents"][*at];
        let asked = if asked.is_string() { json!({ "text": asked }) } else { asked.clone() };
        if *document != asked {
            out.say("documents", format!("{asked} became {document}"));
        }
    }
}

fn refused(case: &Case, leg: &Leg, got: &Got, out: &mut Differences) {
    let (status, body) = (case.response.status, &case.response.body);
    if leg.path.contains("/api/v1/") {
        errors::refused(status, body, Surface::Chat, got, out);
    } else if leg.path.starts_with("/v1beta/") {
        errors::refused(status, body, Surface::Gemini, got, out);
    } else {
        let told = got.json();
        let words = [&told["error"]["message"], &told["error"], &told["message"]];
        if !errors::becomes(status, &String::from_utf8_lossy(body)).contains(&got.status) {
            out.say("error.status", format!("{status} became {}", got.status));
        }
        if !words.iter().any(|w| w.as_str().is_some_and(|w| !w.is_empty())) {
            out.say("error.form", told.to_string());
        }
    }
}

/// A count reaches the caller as it was, and an error upstream is no error here.
fn counted(case: &Case, leg: &Leg, got: &Got, out: &mut Differences) {
    let heard = found(&case.api, &got.body).tokens;
    let estimated = got.header("x-slipswitch-estimated") == "true";
    if got.status != 200 || heard.is_none() {
        return out.say("count", format!("{}: {}", got.status, got.text()));
    }
    let said = said(case).tokens.filter(|_| case.response.status < 400);
    match said {
        Some(said) if !estimated && heard != Some(said) => out.say("count", format!("{said} became {heard:?}")),
        Some(_) if estimated && leg.name == "own" => out.say("count", "it was estimated, and the provider had counted"),
        None if !estimated => out.say("count", "an estimate does not say so"),
        _ => {}
    }
}

/// The record says what was asked and what it took.
async fn recorded(gateway: &Gateway, case: &Case, got: &Got, out: &mut Differences) {
    let record = gateway.record(got).await;
    let api = &record["api_type"];
    if case.api != "moderations" && *api != case.api.as_str() {
        out.say("record", format!("{} was written as {api}", case.api));
    }
    if let Some(tokens) = said(case).tokens.filter(|n| *n > 0 && record["tokens_prompt"].is_u64())
        && record["tokens_prompt"] != tokens
    {
        out.say("record", format!("{tokens} tokens were written as {}", record["tokens_prompt"]));
    }
}

/// What reached the provider names its own name for the model, and carries our key.
fn sent(case: &Case, replay: &Replay, out: &mut Differences) {
    let prefix = format!("/case/{}/", case.id);
    let Some(entry) = replay.journal().entries().into_iter().rev().find(|e| e.path.starts_with(&prefix)) else {
        // A count may be estimated without asking.
        if case.api != "count_tokens" {
            out.say("sent", "nothing reached the provider");
        }
        return;
    };
    let body: Value = serde_json::from_slice(&entry.body).unwrap_or_default();
    let named = upstream_model(case);
    let escaped = named.replace('/', "%2F").replace(':', "%3A");
    let in_path = ["/models/", "/model/"].iter().any(|root| entry.path.contains(&format!("{root}{escaped}")));
    if body["model"] != named.as_str() && !in_path {
        out.say("sent", format!("{named} is not named in {} {:.200}", entry.path, body.to_string()));
    }
}
