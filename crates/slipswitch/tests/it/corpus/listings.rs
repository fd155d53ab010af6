//! Recorded lists of models: the command that asks a provider for its own, against the provider's recorded answer.

use super::SECRET;
use crate::harness::{run, scratch};
use serde_json::Value;
use slip_sim::{Case, Replay, ReplayConfig, case};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// The provider of ours that is asked, and what follows the address in its base URL.
fn provider(case: &Case) -> (String, &'static str, String) {
    let path = case.path().split('?').next().unwrap_or_default();
    let base = path.strip_suffix("/models").unwrap_or("/v1").to_owned();
    // Clouds list their models elsewhere than they serve them.
    let clouds = ["azure", "azure-foundry", "google-vertex"];
    match super::builtin(case).filter(|slug| !clouds.contains(slug)) {
        Some(slug) => (slug.to_owned(), "", base),
        None if case.provider == "cohere" => ("cohere".to_owned(), "", "/v2".to_owned()),
        None => ("listing".to_owned(), "dialect = \"openai-chat\"\n", base),
    }
}

/// The names in a list, read apart from the code that is checked.
fn names(list: &Value) -> Vec<String> {
    let items = ["models", "data", "modelSummaries", "publisherModels"]
        .into_iter()
        .find_map(|name| list[name].as_array())
        .or(list.as_array());
    let name = |item: &Value| {
        let known = if list["models"].is_array() { ["name", "id"] } else { ["id", "name"] };
        let known = if list["modelSummaries"].is_array() { ["modelId"; 2] } else { known };
        let name = known.into_iter().find_map(|name| item[name].as_str())?;
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        Some(if list["publisherModels"].is_array() {
            last(name)
        } else {
            name.trim_start_matches("models/").to_owned()
        })
    };
    items.into_iter().flatten().filter_map(name).collect()
}

fn differs(case: &Case, replay: &Replay) -> Option<String> {
    let (slug, dialect, base) = provider(case);
    let file = scratch().join("gateway.toml");
    let url = replay.case_url(&case.id);
    let text = format!(
        "[providers.{slug}]\n{dialect}base_url = \"{url}{base}\"\nkey = {SECRET:?}\nallow_private = true\nmodels = [\"a/b\"]\n"
    );
    std::fs::write(&file, text).expect("a temporary file can be written");
    let said = run(&["models", "--from", &slug, "--json", "-c", &file.display().to_string()], &[]);
    if said.out.contains(SECRET) || said.err.contains(SECRET) {
        return Some("the key was shown".to_owned());
    }
    let prefix = format!("/case/{}/", case.id);
    let entry = replay.journal().entries().into_iter().find(|e| e.path.starts_with(&prefix))?;
    let keyed = entry.headers.iter().any(|(_, value)| value.contains(SECRET));
    let asked = entry.path.split('?').next().unwrap_or_default();
    if entry.method != "GET" || !asked.ends_with("/models") || !keyed || entry.path.contains(SECRET) {
        return Some(format!("asked for {} {} with {:?}", entry.method, entry.path, entry.headers));
    }
    let list: Value = serde_json::from_slice(&case.response.body).unwrap_or_default();
    if case.response.status >= 400 {
        let told = said.code == Some(1) && said.err.contains(&format!("(status {})", case.response.status));
        return (!told).then(|| format!("{:?} {} {}", said.code, said.out, said.err));
    }
    let heard: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let heard: Vec<&str> = heard.as_array().into_iter().flatten().filter_map(|one| one["id"].as_str()).collect();
    let want = names(&list);
    (heard != want || want.is_empty()).then(|| format!("{want:?} became {heard:?} {}", said.err))
}

#[tokio::test]
async fn what_a_recorded_provider_lists_is_understood() {
    let Some(corpus) = std::env::var_os("SLIPSWITCH_CORPUS") else {
        println!("skipped: SLIPSWITCH_CORPUS is not set");
        return;
    };
    let mut cases = case::load(Path::new(&corpus)).expect("a corpus");
    // The page of one model is no list.
    let lists = |case: &Case| {
        let path = case.path().split('?').next().unwrap_or_default().trim_end_matches('/');
        ["/models", "/tags", "/foundation-models"].iter().any(|end| path.ends_with(end))
    };
    cases.retain(|case| case.api == "models" && lists(case));
    let replay = Replay::start(cases.clone(), ReplayConfig::default()).await.expect("a replayed upstream");
    let (told, failed) = tokio::task::spawn_blocking(move || {
        let (mut told, mut failed) = (String::from("\n"), 0);
        for case in &cases {
            if let Some(why) = differs(case, &replay) {
                failed += 1;
                let _ = writeln!(told, "FAILED {} models: {why:.600}", case.id);
            }
        }
        let _ = writeln!(told, "lists of models: {} passed, {failed} failed", cases.len() - failed);
        (told, failed)
    })
    .await
    .expect("it ends");
    // Past the test runner, which keeps what a passing test prints to itself.
    let _ = std::io::stdout().write_all(told.as_bytes());
    assert_eq!(failed, 0, "recorded lists were not understood; see the list above");
}
