//! `slipswitch providers test`: one cheap real call to each provider with each of its keys, the way the gateway itself would make it.
//!
//! Each (address, key) pair gets a gateway of its own in this process, which has nothing but that pair: so credentials are fetched,
//! requests signed and dialects spoken exactly as in service.

use super::ask::{Answer, Server};
use crate::cli;
use crate::exit::{Code, Ending};
use crate::ground::Ground;
use anstream::{eprintln, println};
use serde_json::{Value, json};
use slip_ir::Tier;
use slip_route::Endpoint;
use slip_server::App;
use slip_server::config::{Checked, ProviderConf, mask};
use slip_server::vitals::Vitals;
use slip_server::world::World;
use slip_store::{KeyKind, NewKey, Place, SecretKey};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Calls under way at once.
const AT_ONCE: usize = 8;
/// Of a model that will not say one token only.
const MORE_TOKENS: u32 = 16;

/// One address with one key.
struct Pair {
    conf: Checked,
    slug: String,
    base: Option<String>,
    key: Option<String>,
}

/// How it went.
struct Verdict {
    slug: String,
    base: Option<String>,
    key: Option<String>,
    model: Option<String>,
    outcome: Result<(u64, String), Trouble>,
}

struct Trouble {
    status: Option<u16>,
    /// The gateway's own word for it.
    reason: String,
    says: String,
    advice: String,
}

pub async fn test(args: cli::ProvidersTest) -> Result<(), Ending> {
    let conf = super::configured(args.config.as_deref(), args.no_probe).await?;
    let mut pairs = Vec::new();
    for p in &conf.providers {
        if args.provider.as_deref().is_none_or(|name| is_called(p, name)) {
            pairs.extend(pairs_of(&conf, p));
        }
    }
    if pairs.is_empty() {
        let known: Vec<&str> = conf.providers.iter().map(|p| p.slug.as_str()).collect();
        let says = match args.provider {
            Some(name) => format!("error: no such provider is configured: {name}\nconfigured: {}", known.join(", ")),
            None => {
                "error: no provider is configured\nhint: set a key (OPENAI_API_KEY, …) or declare one in a file (-c)"
                    .to_owned()
            }
        };
        return Err(Ending::new(Code::NotFound, says));
    }
    if !args.json {
        eprintln!(
            "One short request each, to {} (billed by them as usual).",
            count(pairs.len(), "address and key", "addresses and keys")
        );
    }
    let mut running = JoinSet::new();
    let mut verdicts = Vec::new();
    for (at, pair) in pairs.into_iter().enumerate() {
        if running.len() >= AT_ONCE
            && let Some(Ok(done)) = running.join_next().await
        {
            verdicts.push(done);
        }
        let (model, patience) = (args.model.clone(), Duration::from_secs(args.timeout));
        running.spawn(async move { (at, judge(pair, model.as_deref(), patience).await) });
    }
    while let Some(done) = running.join_next().await {
        verdicts.extend(done);
    }
    verdicts.sort_by_key(|(at, _)| *at);
    let failed = verdicts.iter().filter(|(_, v)| v.outcome.is_err()).count();
    if args.json {
        println!("{}", verdicts.iter().map(|(_, v)| v.json()).collect::<Value>());
    } else {
        verdicts.iter().for_each(|(_, v)| v.print());
    }
    match failed {
        0 => Ok(()),
        n => Err(Ending::new(Code::Failure, format!("{} of {} failed", n, verdicts.len()))),
    }
}

fn count(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

fn is_called(p: &ProviderConf, name: &str) -> bool {
    p.slug == name || slip_providers::by_id(name).is_some_and(|known| known.id == p.slug)
}

/// Every address of a provider with each of its keys.
fn pairs_of(conf: &Checked, p: &ProviderConf) -> Vec<Pair> {
    let bases: Vec<Option<String>> =
        if p.base_urls.is_empty() { vec![None] } else { p.base_urls.iter().cloned().map(Some).collect() };
    let keys: Vec<Option<_>> = if p.keys.is_empty() { vec![None] } else { p.keys.iter().cloned().map(Some).collect() };
    let mut pairs = Vec::new();
    for base in &bases {
        for key in &keys {
            let mut only = p.clone();
            only.base_urls = base.iter().cloned().collect();
            only.keys = key.iter().cloned().collect();
            pairs.push(Pair {
                slug: p.slug.clone(),
                base: base.clone(),
                key: key.as_ref().map(|(key, _)| mask(key.expose())),
                conf: Checked { providers: vec![only], houses: Vec::new(), ..conf.clone() },
            });
        }
    }
    pairs
}

async fn judge(pair: Pair, model: Option<&str>, patience: Duration) -> Verdict {
    let Pair { conf, slug, base, key } = pair;
    let mut asked = None;
    let outcome = call(conf, &slug, model, patience, &mut asked).await;
    Verdict { slug, base, key, model: asked, outcome }
}

/// Ask as a caller of a gateway that has nothing else. The time it took, and what came.
async fn call(
    mut conf: Checked,
    slug: &str,
    model: Option<&str>,
    patience: Duration,
    asked: &mut Option<String>,
) -> Result<(u64, String), Trouble> {
    (conf.timeouts.total, conf.timeouts.first_content) = (patience, patience);
    let ours = |says: String| Trouble {
        status: None,
        reason: "not_asked".to_owned(),
        says: says.trim_start_matches("error: ").to_owned(),
        advice: "see `slipswitch config check`".to_owned(),
    };
    let ground = Ground::prepare(conf).await.map_err(|e| ours(e.says))?;
    let vitals = Arc::new(Vitals::default());
    let world = ground.world(vitals.clone()).map_err(|e| ours(e.says))?;
    let chosen = match model {
        Some(model) => Some((model.to_owned(), "/chat/completions")),
        None => cheapest(&world),
    };
    let Some((model, path)) = chosen else {
        return Err(Trouble {
            advice: format!("name one: --model {slug}/MODEL, or list `models` in [providers.{slug}]"),
            ..ours("no model of this provider is known that could be asked".to_owned())
        });
    };
    *asked = Some(model.clone());
    let app = App::new(Place::Memory, vitals, world).map_err(|e| ours(e.to_string()))?;
    let secret = SecretKey::mint();
    let new = NewKey { name: "test".to_owned(), kind: KeyKind::Api, ..NewKey::default() };
    app.store.create_key(&secret, new, 0).await.map_err(|e| ours(e.to_string()))?;
    let running = slip_server::serve::start(app, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 1)
        .map_err(|e| ours(e.to_string()))?;
    let base = format!("http://{}/api/v1", running.address);
    let server = Server::new(&base, Some(secret.expose()), patience + Duration::from_secs(2)).map_err(ours)?;
    let answered = ask(&server, path, &model, slug).await;
    running.drain(Duration::ZERO).await;
    let answer = answered.map_err(|why| Trouble { reason: "upstream_timeout".to_owned(), ..ours(why) })?;
    if answer.is_ok() { Ok((answer.ms, said(&answer.json()))) } else { Err(trouble(&answer, slug)) }
}

async fn ask(server: &Server, path: &str, model: &str, slug: &str) -> Result<Answer, String> {
    let only = json!({ "only": [slug], "allow_fallbacks": false });
    if path == "/embeddings" {
        return server.post(path, &json!({ "model": model, "input": "hi", "provider": only })).await;
    }
    let body = |tokens: u32| {
        json!({
            "model": model,
            "max_tokens": tokens,
            "messages": [{ "role": "user", "content": "hi" }],
            "provider": only,
        })
    };
    let answer = server.post(path, &body(1)).await?;
    // Some models want room to think, or refuse so few.
    if matches!(answer.status, 400 | 422) || answer.json()["error"]["metadata"]["reason"] == "upstream_failed" {
        return server.post(path, &body(MORE_TOKENS)).await;
    }
    Ok(answer)
}

/// The model that costs least to ask, and the path to ask it at.
fn cheapest(world: &World) -> Option<(String, &'static str)> {
    let makes = |e: &&Arc<Endpoint>, what: &str| e.model.output.iter().any(|kind| kind == what);
    let cost =
        |e: &&Arc<Endpoint>| e.price.as_ref().map_or(u64::MAX, |p| p.rates.input.0.saturating_add(p.rates.output.0));
    let name = |e: &Arc<Endpoint>| match &e.variant {
        Some(variant) => format!("{}:{variant}", e.model.id),
        None => e.model.id.to_string(),
    };
    let all: Vec<_> = world.field.endpoints().iter().filter(|e| e.tier == Tier::Standard).collect();
    let all = || all.iter().copied();
    // Of a declared model nobody may have said what it makes.
    let talks = all().filter(|e| e.model.output.is_empty() || makes(e, "text")).min_by_key(cost);
    let embeds = || all().filter(|e| makes(e, "embeddings")).min_by_key(cost);
    talks.map(|e| (name(e), "/chat/completions")).or_else(|| embeds().map(|e| (name(e), "/embeddings")))
}

fn said(reply: &Value) -> String {
    let tokens = reply["usage"]["completion_tokens"].as_u64();
    tokens.map_or_else(|| "answered".to_owned(), |n| count(usize::try_from(n).unwrap_or(0), "token", "tokens"))
}

fn trouble(answer: &Answer, slug: &str) -> Trouble {
    let error = &answer.json()["error"];
    let reason = error["metadata"]["reason"].as_str().unwrap_or_default().to_owned();
    let raw: String =
        error["metadata"]["raw"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut says = answer.complaint();
    if !raw.is_empty() && !says.contains(&raw) {
        says = format!("{says}: {}", raw.chars().take(300).collect::<String>());
    }
    Trouble { status: Some(answer.status), advice: advice(&reason, slug), reason, says }
}

/// What to do about it.
fn advice(reason: &str, slug: &str) -> String {
    let known = slip_providers::by_id(slug);
    let key =
        known.and_then(|p| p.key_env.first()).map_or_else(|| format!("providers.{slug}.key"), ToString::to_string);
    match reason {
        "upstream_auth_failed" => format!("the key is wrong, or may not use this model: make a new one and set {key}"),
        "upstream_quota_exhausted" => "the account is out of money or quota: see its billing page".to_owned(),
        "rate_limited" | "upstream_overloaded" => {
            "the key works; the provider is busy: try again in a while".to_owned()
        }
        "not_found" | "model_not_found" | "no_endpoints" => {
            format!("the key may work; this account lacks the model: try --model {slug}/MODEL")
        }
        "upstream_timeout" => {
            "nobody answers there in time: check the address, the network, and whether the server runs".to_owned()
        }
        "forbidden" | "moderated" => "the provider does not serve this account or region".to_owned(),
        "upstream_failed" => {
            let docs =
                known.map(|p| p.docs.to_string()).filter(|d| !d.is_empty()).unwrap_or_else(|| "its own log".to_owned());
            format!("check the address (`base_url`) and whether the provider is up; see {docs}")
        }
        _ => "see what it says".to_owned(),
    }
}

impl Verdict {
    fn json(&self) -> Value {
        let (ok, ms, status, reason, says, advice) = match &self.outcome {
            Ok((ms, _)) => (true, Some(ms), Some(200), None, None, None),
            Err(t) => (false, None, t.status, Some(&t.reason), Some(&t.says), Some(&t.advice)),
        };
        json!({
            "provider": self.slug,
            "base_url": self.base,
            "key": self.key,
            "model": self.model,
            "ok": ok,
            "ms": ms,
            "status": status,
            "reason": reason,
            "message": says,
            "advice": advice,
        })
    }

    fn print(&self) {
        let model = self.model.as_deref().unwrap_or("-");
        let key = self.key.as_deref().map(|key| format!("  key {key}")).unwrap_or_default();
        let base = self.base.as_deref().map(|base| format!("  {base}")).unwrap_or_default();
        match &self.outcome {
            Ok((ms, said)) => println!("{:<18} ok     {ms:>6} ms  {model} ({said}){key}{base}", self.slug),
            Err(t) => {
                let status = t.status.map_or_else(|| "-".to_owned(), |s| s.to_string());
                println!("{:<18} FAILED {status:>6}     {model}{key}{base}", self.slug);
                println!("{:<18}   says  {}", "", t.says);
                println!("{:<18}   do    {}", "", t.advice);
            }
        }
    }
}
