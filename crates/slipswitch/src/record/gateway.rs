//! What a directory of cassettes says of the gateway it was recorded with: a configuration like any other, of everything that was
//! found and chosen, without what is secret.

use serde_json::{Map, Value, json};
use slip_ir::{MediaKind, Op, Pico, Price};
use slip_server::config::{
    AwsKeys, Checked, Credential, EntraWho, Env, ModelConf, Proof, ProviderConf, ProviderKind, Timeouts,
};
use slip_server::world::World;
use slip_sim::cassette::Scrub;
use std::time::Duration;

/// The key that opens what is replayed.
pub const KEY: &str = "replayed";
/// What fills the blanks of an address and names whose account it is, with the word in its place.
const NAMES: [(&str, &str); 3] =
    [("resource", "resource"), ("project", "project"), ("endpoint", "https://endpoint.invalid")];
/// The other blanks: places and versions.
const PLAIN: [&str; 3] = ["api_version", "region", "location"];

/// What is known to be secret before anything has passed.
pub fn secrets(conf: &Checked, env: Env<'_>) -> Scrub {
    let own: Vec<String> =
        ["SLIPSWITCH_KEY", "SLIPSWITCH_MANAGEMENT_KEY"].iter().filter_map(|name| env(name)).collect();
    let mut scrub = Scrub::default().secrets(own.iter().map(String::as_str));
    for p in &conf.providers {
        scrub = scrub.secrets(p.keys.iter().map(|(key, _)| key.expose()));
        scrub = scrub.secrets(p.headers.iter().map(|(_, value)| value.expose()));
        scrub = match &p.credential {
            Some(Credential::Aws(aws)) => match &aws.keys {
                AwsKeys::Fixed { id, secret, session } => scrub
                    .secrets([id.as_str(), secret.expose()])
                    .secrets(session.iter().map(|session| session.expose())),
                AwsKeys::Chain { .. } => scrub,
            },
            Some(Credential::Entra(entra)) => match &entra.who {
                EntraWho::Application { tenant, id, proof } => {
                    let proof = if let Proof::Secret(secret) = proof { Some(secret.expose()) } else { None };
                    scrub.secrets([tenant.as_str(), id]).secrets(proof)
                }
                EntraWho::Machine { id } => scrub.secrets(id.as_deref()),
            },
            Some(Credential::Google(_)) | None => scrub,
        };
        scrub = scrub.names(NAMES.iter().filter_map(|(name, word)| Some((telling(p, name)?, *word))));
    }
    scrub
}

/// A name that could be nothing else: `openai` is part of too many paths to be taken out.
fn telling<'a>(p: &'a ProviderConf, blank: &str) -> Option<&'a str> {
    let value = p.blanks.get(blank)?;
    value.contains(|c: char| c == '-' || c.is_ascii_digit()).then_some(value.as_str())
}

pub fn describe(conf: &Checked, world: &World, scrub: &Scrub) -> String {
    let mut providers = Map::new();
    for (p, built) in conf.providers.iter().zip(&world.providers) {
        let bases = if p.base_urls.is_empty() { vec![built.base.to_string()] } else { p.base_urls.clone() };
        providers.insert(p.slug.clone(), provider(p, &bases, scrub));
    }
    let houses: Map<String, Value> = conf
        .houses
        .iter()
        .map(|h| {
            (h.name.clone(), table([("endpoints", json!(h.endpoints)), ("load_balancer", json!(h.load_balancer))]))
        })
        .collect();
    let said = json!({
        "probe": false,
        "timeouts": timeouts(&conf.timeouts),
        "limits": { "body": conf.limits.body.to_string(), "max_concurrent": conf.limits.max_concurrent },
        "providers": providers,
        "models": houses,
    });
    let mut text = serde_json::to_string_pretty(&said).unwrap_or_default();
    text.push('\n');
    text
}

fn provider(p: &ProviderConf, bases: &[String], scrub: &Scrub) -> Value {
    let bases: Vec<String> = bases.iter().map(|base| scrub.text(base).into_owned()).collect();
    let mut said = table([
        ("title", json!(p.title)),
        ("dialect", json!(p.dialect.map(|d| d.name()))),
        ("envelope", json!(p.envelope.map(|e| e.name))),
        ("key", json!(KEY)),
        if bases.len() == 1 { ("base_url", json!(bases[0])) } else { ("base_urls", json!(bases)) },
        ("policy", policy(p)),
        ("models", if p.models.is_empty() { Value::Null } else { p.models.iter().map(model).collect() }),
    ]);
    if matches!(p.kind, ProviderKind::Builtin) {
        for (name, value) in &p.blanks {
            let word = NAMES.iter().find(|(known, _)| known == name).filter(|_| telling(p, name).is_some());
            if word.is_some() || PLAIN.contains(&name.as_str()) || NAMES.iter().any(|(known, _)| known == name) {
                said[name] = json!(word.map_or(value.as_str(), |(_, word)| word));
            }
        }
    }
    said
}

fn policy(p: &ProviderConf) -> Value {
    let said = &p.policy;
    let some = table([("trains", json!(said.trains)), ("retains", json!(said.retains)), ("zdr", json!(said.zdr))]);
    if some.as_object().is_some_and(Map::is_empty) { Value::Null } else { some }
}

fn model(m: &ModelConf) -> Value {
    let words = |kinds: &Option<Vec<MediaKind>>| {
        let kinds = kinds.as_ref()?;
        Some(std::iter::once("text").chain(kinds.iter().map(|k| k.name())).map(str::to_owned).collect::<Vec<_>>())
    };
    let services: Vec<&str> = m.services.iter().filter_map(|op| service(*op)).collect();
    table([
        ("id", json!(m.id)),
        ("upstream", json!(m.upstream)),
        ("name", json!(m.name)),
        ("context", json!(m.context)),
        ("max_output", json!(m.max_output)),
        ("input", json!(words(&m.input))),
        ("output", if services.is_empty() { json!(words(&m.output)) } else { json!(services) }),
        ("params", json!(m.params)),
        ("quantization", json!(m.quantization)),
        ("price", m.price.as_ref().map_or(Value::Null, price)),
    ])
}

/// As a configuration calls it.
fn service(op: Op) -> Option<&'static str> {
    match op {
        Op::Embeddings => Some("embeddings"),
        Op::Rerank => Some("rerank"),
        Op::Moderation => Some("moderation"),
        Op::Speech => Some("speech"),
        Op::Transcription => Some("transcription"),
        _ => None,
    }
}

fn price(price: &Price) -> Value {
    let million = |rate: Pico| json!(rate.to_million_string());
    let maybe = |rate: Option<Pico>| rate.map_or(Value::Null, million);
    let each = |rate: Pico| if rate.0 == 0 { Value::Null } else { json!(rate.to_unit_string()) };
    let r = &price.rates;
    table([
        ("input", million(r.input)),
        ("output", million(r.output)),
        ("cache_read", maybe(r.cache_read)),
        ("cache_write", maybe(r.cache_write)),
        ("cache_write_1h", maybe(r.cache_write_1h)),
        ("reasoning", maybe(r.reasoning)),
        ("audio_in", maybe(r.audio_in)),
        ("image_in", maybe(r.image_in)),
        ("audio_out", maybe(r.audio_out)),
        ("image_out", maybe(r.image_out)),
        ("request", each(price.request)),
        ("web_search", each(price.web_search)),
        ("search", each(price.search)),
        ("image", each(price.image)),
        ("second", each(price.second)),
        ("characters", if price.character.0 == 0 { Value::Null } else { million(price.character) }),
    ])
}

fn timeouts(t: &Timeouts) -> Value {
    let ms = |time: Duration| json!(format!("{}ms", slip_server::clock::ms(time)));
    table([
        ("connect", ms(t.connect)),
        ("first_content", ms(t.first_content)),
        ("idle", ms(t.idle)),
        ("total", ms(t.total)),
        ("head_commit", ms(t.head_commit)),
        ("keepalive", ms(t.keepalive)),
    ])
}

/// Without what is not said.
fn table<const N: usize>(members: [(&str, Value); N]) -> Value {
    let said = members.into_iter().filter(|(_, value)| !value.is_null());
    said.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_server::vitals::Vitals;
    use std::sync::Arc;

    const CONFIG: &str = r#"
[providers.azure]
resource = "acme-prod-7"
key = "azure-secret-key-0123456789"
deployments = { "openai/gpt-4o" = "our-gpt" }

[providers.google-vertex]
project = "acme-project-7"
location = "europe-west4"
key = "vertex-secret-key-0123456789"

[providers.amazon-bedrock]
region = "eu-west-1"
aws = { access_key_id = "AKIACANARY0123456789", secret_access_key = "bedrock/secret+key0123456789" }

[providers.openai]
keys = [{ key = "sk-one-canary-0123456789" }, { key = "sk-two-canary-0123456789", weight = 3 }]

[providers.lab]
dialect = "openai-chat"
base_urls = ["http://127.0.0.1:9000/v1", "http://127.0.0.1:9001/v1"]
key = "none"
headers = { x-team = "team-secret-canary" }
policy = { trains = false }
price = { input = "0.5", output = "1.5", cache_read = "0.1", request = "0.001" }
models = ["lab/one", { id = "lab/two", upstream = "two-v1", context = 32768, input = ["text", "image"] }, { id = "lab/vec", output = ["embeddings"] }]

[models."house/any"]
endpoints = ["lab/one", "lab/two"]
load_balancer = "round-robin"
"#;

    #[test]
    fn a_gateway_is_written_down_without_its_secrets_and_read_again_as_it_was() {
        let read = |name: &str, text: &str| {
            crate::config::from_text(name, text).unwrap_or_else(|e| panic!("{}\n{text}", e.says))
        };
        let conf = read("gateway.toml", CONFIG);
        let build = |conf: &Checked| {
            let catalog = crate::ground::catalog().unwrap_or_else(|e| panic!("{}", e.says));
            World::build(conf, catalog, Arc::new(Vitals::default())).unwrap_or_else(|e| panic!("{e}"))
        };
        let world = build(&conf);
        let text = describe(&conf, &world, &secrets(&conf, &|_| None));
        for secret in ["canary", "CANARY", "secret", "acme"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        let again = read("gateway.json", &text);
        let world_again = build(&again);
        assert_eq!(again.houses, conf.houses);
        for ((old, new), (was, is)) in
            conf.providers.iter().zip(&again.providers).zip(world.providers.iter().zip(&world_again.providers))
        {
            assert_eq!((&old.slug, &old.kind, old.policy), (&new.slug, &new.kind, new.policy));
            assert_eq!(old.models, new.models, "{}", old.slug);
            let path = |url: &str| url.splitn(4, '/').nth(3).unwrap_or_default().replace("acme-project-7", "project");
            assert_eq!(new.base_urls.first().map(|base| path(base)), {
                let base = old.base_urls.first().cloned().unwrap_or_else(|| was.base.to_string());
                Some(path(&base))
            });
            // What is asked for lies at the same paths.
            let clean = |path: &Option<_>| {
                path.as_ref().map(|p: &std::borrow::Cow<'_, str>| p.replace("acme-project-7", "project"))
            };
            assert_eq!(clean(&was.path), clean(&is.path), "{}", old.slug);
            assert_eq!(new.keys.first().map(|(key, _)| key.expose()), Some(KEY));
            assert!(new.credential.is_none() && new.headers.is_empty());
        }
    }
}
