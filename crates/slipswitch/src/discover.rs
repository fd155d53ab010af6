//! What is there without being asked for: provider keys in the environment, local model servers on loopback.

use crate::listing;
use http_body_util::{BodyExt, Limited};
use slip_providers::{ALL, Issuer, Local};
use slip_server::clock;
use slip_server::config::{self, Checked, Credential, ModelConf, ProviderConf, Secret};
use slip_server::listing::MAX_LIST;
use slip_server::upstream::{self, Deadlines, Target, parse_base};
use std::sync::Arc;
use std::time::Duration;

/// A server on this machine answers at once or is not there.
const PROBE: Duration = Duration::from_millis(150);
const MAX_MODELS: usize = 500;

/// One thing that was found, or looked for in vain.
pub enum Found {
    Key {
        variable: String,
        slug: String,
    },
    /// A credential that is there for other reasons, or without an address to use it at.
    Unused {
        variable: String,
        slug: String,
        hint: String,
    },
    Local {
        address: String,
        slug: String,
        models: usize,
        ms: u64,
    },
    Absent {
        address: String,
        slug: String,
    },
}

/// Variables that say that AWS credentials are there. People have them for other reasons: they are told of, never used unasked.
const AWS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
const GOOGLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// With these two beside it, Google's credentials are meant for Vertex.
const VERTEX: [&str; 2] = ["GOOGLE_VERTEX_PROJECT", "GOOGLE_VERTEX_LOCATION"];

/// Switch on every built-in provider that has a key in the environment and is not configured already.
pub fn keys(conf: &mut Checked, env: &dyn Fn(&str) -> Option<String>) -> Vec<Found> {
    let set = |name: &str| env(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
    let mut found = Vec::new();
    for provider in ALL {
        if provider.local.is_some() || conf.providers.iter().any(|p| p.slug == provider.id) {
            continue;
        }
        let slug = provider.id.to_string();
        let unused =
            |variable: &str, hint: String| Found::Unused { variable: variable.to_owned(), slug: slug.clone(), hint };
        let key = provider.key_env.iter().find_map(|name| Some((name.to_string(), set(name)?)));
        if let Some((variable, value)) = key {
            match config::surroundings(provider, true, env) {
                Ok(blanks) => {
                    let keys = vec![(Secret::new(value), 1)];
                    conf.providers.push(ProviderConf { keys, blanks, ..ProviderConf::builtin(&provider.id) });
                    found.push(Found::Key { variable, slug });
                }
                Err(lacks) => {
                    let also = lacks.env.first().map(|name| format!("set {name} too, or ")).unwrap_or_default();
                    found.push(unused(&variable, format!("{also}add [providers.{slug}]")));
                }
            }
            continue;
        }
        match &provider.issuer {
            Some(Issuer::Google) if set(GOOGLE).is_some() => match config::surroundings(provider, false, env) {
                Ok(blanks) if VERTEX.iter().all(|name| set(name).is_some()) => {
                    let credential = Some(Credential::Google(config::google_from(None, env)));
                    conf.providers.push(ProviderConf { credential, blanks, ..ProviderConf::builtin(&provider.id) });
                    found.push(Found::Key { variable: GOOGLE.to_owned(), slug });
                }
                _ => found.push(unused(GOOGLE, format!("set {} too, or add [providers.{slug}]", VERTEX.join(" and ")))),
            },
            Some(Issuer::Aws { .. }) => {
                if let Some(variable) = AWS.iter().find(|name| set(name).is_some()) {
                    found.push(unused(variable, format!("add [providers.{slug}]")));
                }
            }
            _ => {}
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
                let mut p = ProviderConf::builtin(&provider.id);
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

/// A local model costs nothing per token that we could know of: its price is unknown, and said to be.
fn model(slug: &str, upstream: &str) -> ModelConf {
    ModelConf::named(format!("{slug}/{upstream}"), upstream)
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
    let target = Target { origin: Arc::new(origin), prefix: "".into(), headers: [].into(), tap: None };
    let asked = async {
        let deadlines = Deadlines { connect: PROBE, headers: PROBE, alone: true };
        let response = upstream::get(&target, &path, deadlines).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = Limited::new(response.into_body(), MAX_LIST).collect().await.ok()?.to_bytes();
        // Anything but a list on that port is no model server.
        let list = listing::read(&serde_json::from_slice(&body).ok()?)?;
        Some(list.into_iter().map(|told| told.id).take(MAX_MODELS).collect())
    };
    let models = tokio::time::timeout(PROBE * 2, asked).await.ok().flatten()?;
    Some((models, clock::ms(clock::now().duration_since(began))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables, the providers they switch on, and what is said of the others.
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);

    #[test]
    fn a_credential_alone_is_used_only_where_it_can_be_meant_for_this() {
        let rows: &[Row<'_>] = &[
            (&[("AZURE_API_KEY", "k")], &[], &["azure: set AZURE_RESOURCE_NAME too, or add [providers.azure]"]),
            (&[("AZURE_API_KEY", "k"), ("AZURE_RESOURCE_NAME", "r")], &["azure"], &[]),
            (
                &[("AZURE_OPENAI_API_KEY", "k"), ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/")],
                &["azure"],
                &[],
            ),
            (
                &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_REGION", "r")],
                &[],
                &["amazon-bedrock: add [providers.amazon-bedrock]"],
            ),
            (&[("AWS_PROFILE", "a")], &[], &["amazon-bedrock: add [providers.amazon-bedrock]"]),
            (&[("AWS_BEARER_TOKEN_BEDROCK", "a"), ("AWS_REGION", "us-east-1")], &["amazon-bedrock"], &[]),
            (
                &[("GOOGLE_APPLICATION_CREDENTIALS", "/f"), ("GOOGLE_CLOUD_PROJECT", "p")],
                &[],
                &[
                    "google-vertex: set GOOGLE_VERTEX_PROJECT and GOOGLE_VERTEX_LOCATION too, or add [providers.google-vertex]",
                ],
            ),
            (
                &[
                    ("GOOGLE_APPLICATION_CREDENTIALS", "/f"),
                    ("GOOGLE_VERTEX_PROJECT", "p"),
                    ("GOOGLE_VERTEX_LOCATION", "us-east5"),
                ],
                &["google-vertex"],
                &[],
            ),
            (&[("GITHUB_TOKEN", "t")], &[], &[]),
        ];
        for (env, used, unused) in rows {
            let mut conf = crate::config::from_text("none.toml", "").unwrap_or_else(|e| panic!("{}", e.says));
            let look = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            let told: Vec<String> = keys(&mut conf, &look)
                .into_iter()
                .filter_map(|f| match f {
                    Found::Unused { slug, hint, .. } => Some(format!("{slug}: {hint}")),
                    _ => None,
                })
                .collect();
            let on: Vec<&str> = conf.providers.iter().map(|p| p.slug.as_str()).collect();
            assert_eq!((on, told), (used.to_vec(), unused.iter().map(|u| (*u).to_owned()).collect()), "{env:?}");
        }
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
