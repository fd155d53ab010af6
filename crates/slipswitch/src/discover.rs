//! What is there without being asked for: provider keys in the environment, local model servers on loopback.

use http_body_util::{BodyExt, Limited};
use slip_providers::{ALL, Local, Provider};
use slip_server::clock;
use slip_server::config::{Checked, ModelConf, Policy, ProviderConf, ProviderKind, Secret};
use slip_server::upstream::{self, Deadlines, Target, parse_base};
use std::sync::Arc;
use std::time::Duration;

/// A server on this machine answers at once or is not there.
const PROBE: Duration = Duration::from_millis(150);
/// A model list larger than this is not a model list.
const MAX_LIST: usize = 4 * 1024 * 1024;
const MAX_MODELS: usize = 500;

/// One thing that was found, or looked for in vain.
pub enum Found {
    Key { variable: String, slug: String },
    Local { address: String, slug: String, models: usize, ms: u64 },
    Absent { address: String, slug: String },
}

/// Switch on every built-in provider that has a key in the environment and is not configured already.
pub fn keys(conf: &mut Checked, env: &dyn Fn(&str) -> Option<String>) -> Vec<Found> {
    let mut found = Vec::new();
    for provider in ALL {
        if provider.local.is_some() || conf.providers.iter().any(|p| p.slug == provider.id) {
            continue;
        }
        let key = provider.key_env.iter().find_map(|name| {
            let value = env(name)?.trim().to_owned();
            (!value.is_empty()).then(|| (name.to_string(), value))
        });
        if let Some((variable, value)) = key {
            let mut p = builtin(provider);
            p.keys = vec![(Secret::new(value), 1)];
            conf.providers.push(p);
            found.push(Found::Key { variable, slug: provider.id.to_string() });
        }
    }
    found
}

/// Ask the known ports of this machine, all at once.
pub async fn local(conf: &mut Checked, env: &(dyn Fn(&str) -> Option<String> + Sync)) -> Vec<Found> {
    let mut asked = Vec::new();
    for provider in ALL {
        let Some(local) = &provider.local else { continue };
        if conf.providers.iter().any(|p| p.slug == provider.id) {
            continue;
        }
        let address = address(local, env);
        asked.push((provider, address.clone(), tokio::spawn(probe(address, local.probe.to_string()))));
    }
    let mut found = Vec::new();
    for (provider, address, answer) in asked {
        let slug = provider.id.to_string();
        match answer.await.ok().flatten() {
            Some((models, ms)) => {
                let mut p = builtin(provider);
                let path = parse_base(&provider.base, true).map(|(_, path)| path).unwrap_or_default();
                p.base_urls = vec![format!("http://{address}{path}")];
                p.models = models.iter().map(|m| model(&slug, m)).collect();
                found.push(Found::Local { address, slug, models: p.models.len(), ms });
                conf.providers.push(p);
            }
            None => found.push(Found::Absent { address, slug }),
        }
    }
    found
}

fn builtin(provider: &Provider) -> ProviderConf {
    ProviderConf {
        envelope: None,
        slug: provider.id.to_string(),
        title: None,
        kind: ProviderKind::Builtin,
        dialect: None,
        keys: Vec::new(),
        base_urls: Vec::new(),
        headers: Vec::new(),
        allow_private: false,
        policy: Policy::default(),
        models: Vec::new(),
    }
}

/// A local model costs nothing per token that we could know of: its price is unknown, and said to be.
fn model(slug: &str, upstream: &str) -> ModelConf {
    ModelConf {
        id: format!("{slug}/{upstream}"),
        upstream: upstream.to_owned(),
        name: None,
        context: None,
        max_output: None,
        services: Vec::new(),
        input: None,
        output: None,
        params: None,
        quantization: None,
        price: None,
    }
}

/// `host:port`, from the provider's own variable (`OLLAMA_HOST`) where it is set.
fn address(local: &Local, env: &(dyn Fn(&str) -> Option<String> + Sync)) -> String {
    let said = local.host_env.as_ref().and_then(|name| env(name)).filter(|v| !v.trim().is_empty());
    let Some(said) = said else { return format!("127.0.0.1:{}", local.port) };
    let host = said.trim().trim_start_matches("http://").trim_start_matches("https://");
    let host = host.split('/').next().unwrap_or(host);
    let host = host.replace("0.0.0.0", "127.0.0.1");
    if host.contains(':') { host } else { format!("{host}:{}", local.port) }
}

async fn probe(address: String, path: String) -> Option<(Vec<String>, u64)> {
    let began = clock::now();
    let (origin, _) = parse_base(&format!("http://{address}"), true).ok()?;
    let target = Target { origin: Arc::new(origin), prefix: "".into(), headers: [].into() };
    let asked = async {
        let deadlines = Deadlines { connect: PROBE, headers: PROBE, alone: true };
        let response = upstream::get(&target, &path, deadlines).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = Limited::new(response.into_body(), MAX_LIST).collect().await.ok()?.to_bytes();
        names(&serde_json::from_slice(&body).ok()?)
    };
    let models = tokio::time::timeout(PROBE * 2, asked).await.ok().flatten()?;
    Some((models, clock::ms(clock::now().duration_since(began))))
}

/// Ollama says `{"models":[{"name"}]}`, everybody else `{"data":[{"id"}]}`. Anything else on that port is not a model server.
fn names(list: &serde_json::Value) -> Option<Vec<String>> {
    let (items, field) = match (list["models"].as_array(), list["data"].as_array()) {
        (Some(items), _) => (items, "name"),
        (None, Some(items)) => (items, "id"),
        (None, None) => return None,
    };
    let name = |item: &serde_json::Value| {
        let text = item[field].as_str().or_else(|| item["id"].as_str())?;
        let fine = !text.is_empty() && text.len() <= 200 && text.chars().all(|c| !c.is_control() && !c.is_whitespace());
        fine.then(|| text.to_owned())
    };
    Some(items.iter().filter_map(name).take(MAX_MODELS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn model_lists_of_both_kinds_are_read_and_nothing_else_is() {
        assert_eq!(names(&json!({ "models": [{ "name": "llama3:8b" }] })), Some(vec!["llama3:8b".to_owned()]));
        assert_eq!(names(&json!({ "data": [{ "id": "a" }, { "id": "b c" }, {}] })), Some(vec!["a".to_owned()]));
        assert_eq!(names(&json!({ "hello": 1 })), None);
    }

    #[test]
    fn a_host_variable_may_be_a_host_a_port_or_a_url() {
        let local = Local { port: 11434, probe: "/".into(), host_env: Some("H".into()) };
        let rows = [
            (None, "127.0.0.1:11434"),
            (Some(""), "127.0.0.1:11434"),
            (Some("10.0.0.5"), "10.0.0.5:11434"),
            (Some("0.0.0.0:9"), "127.0.0.1:9"),
            (Some("http://box:7/"), "box:7"),
        ];
        for (said, want) in rows {
            assert_eq!(address(&local, &|_| said.map(str::to_owned)), want);
        }
    }
}
