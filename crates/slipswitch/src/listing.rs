//! `slipswitch models --from <provider>`: what a provider itself says it serves, which may be more than the catalogue knows.

use crate::cli;
use crate::discover;
use crate::exit::{Code, Ending};
use crate::ground::catalog;
use serde_json::{Value, json};
use slip_ir::FaultKind;
use slip_server::listing::listing;
use slip_server::vitals::Vitals;
use slip_server::world::{Seat, World};
use std::io::Write;
use std::sync::Arc;

/// More models than anybody lists.
const MAX_MODELS: usize = 5000;

/// One model, as its provider lists it.
#[derive(Debug, PartialEq)]
pub struct Told {
    /// What the provider wants to be asked for.
    pub id: String,
    pub context: Option<u64>,
    pub output: Option<u64>,
}

/// Where the lists of different makers have how much fits in, and how much comes out at most.
const CONTEXT: [&str; 7] = [
    "context_length",
    "context_window",
    "max_context_length",
    "max_input_tokens",
    "inputTokenLimit",
    "max_model_len",
    "max_context_window_tokens",
];
const OUTPUT: [&str; 5] =
    ["max_completion_tokens", "max_output_tokens", "outputTokenLimit", "max_output_length", "max_tokens"];

/// A list of models, whoever's it is: `{"models": […]}` of Ollama, Gemini and Cohere, `{"data": […]}` of all who follow OpenAI, or
/// the bare list. Anything else is `None`.
pub fn read(list: &Value) -> Option<Vec<Told>> {
    let (items, names) = items(list)?;
    Some(items.iter().filter_map(|item| told(item, names)).take(MAX_MODELS).collect())
}

/// What is in the list, and the members that may have its name.
pub fn items(list: &Value) -> Option<(&[Value], [&'static str; 2])> {
    let kinds = [
        ("models", ["name", "id"]),
        ("data", ["id", "name"]),
        // The clouds' own.
        ("modelSummaries", ["modelId", "modelName"]),
        ("publisherModels", ["name", "id"]),
    ];
    let named = kinds.iter().find_map(|(member, names)| Some((list[*member].as_array()?.as_slice(), *names)));
    named.or_else(|| Some((list.as_array()?.as_slice(), ["id", "name"])))
}

/// One item of it.
pub fn told(item: &Value, names: [&str; 2]) -> Option<Told> {
    let number = |names: &[&str]| names.iter().find_map(|name| item[*name].as_u64()).filter(|n| *n > 0);
    let id = names.into_iter().find_map(|name| item[name].as_str()).or_else(|| item.as_str())?;
    // Google has the collection before the name.
    let id = id
        .strip_prefix("models/")
        .or_else(|| id.strip_prefix("publishers/")?.split_once("/models/").map(|(_, id)| id))
        .unwrap_or(id);
    let fine = !id.is_empty() && id.len() <= 200 && id.chars().all(|c| !c.is_control() && !c.is_whitespace());
    fine.then(|| Told { id: id.to_owned(), context: number(&CONTEXT), output: number(&OUTPUT) })
}

pub async fn models(args: &cli::Models, provider: &str) -> Result<(), Ending> {
    let mut conf = crate::config::load(args.config.as_deref())?;
    discover::keys(&mut conf, &crate::env);
    conf.providers.retain(|p| !matches!(p.kind, slip_server::config::ProviderKind::Simulated(_)));
    let world = World::build(&conf, catalog()?, Arc::new(Vitals::default()))
        .map_err(|e| Ending::new(Code::BadConfig, format!("error: {e}")))?;
    let seat = (0..).map_while(|n| world.seat(n).ok()).find(|seat| seat.provider.is_called(provider));
    let Some(seat) = seat else {
        let hint = "give its key in the environment, or add it to the configuration";
        return Err(Ending::new(
            Code::NotFound,
            format!("error: no provider of this name is switched on: {provider}\nhint: {hint}"),
        ));
    };
    let slug = &seat.provider.id;
    let list = asked(seat).await.map_err(|(code, why)| Ending::new(code, format!("error: {slug}: {why}")))?;
    let filter = args.filter.as_deref().unwrap_or_default().to_lowercase();
    let list: Vec<Told> = list.into_iter().filter(|told| told.id.to_lowercase().contains(&filter)).collect();
    if list.is_empty() {
        return Err(Ending::new(Code::NotFound, format!("error: {slug} lists no model that matches: {filter}")));
    }
    // By which name it is known here, if by any.
    let known = |told: &Told| {
        let same = |e: &&Arc<slip_route::Endpoint>| *e.provider == **slug && *e.upstream == *told.id;
        world.field.endpoints().iter().find(same).map(|e| e.model.id.to_string())
    };
    let mut out = std::io::stdout().lock();
    let written = if args.json { as_json(&mut out, &list, &known) } else { as_table(&mut out, &list, &known) };
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Ending::new(Code::Failure, format!("error: {e}"))),
        _ => Ok(()),
    }
}

async fn asked(seat: &Seat) -> Result<Vec<Told>, (Code, String)> {
    let body = listing(seat).await.map_err(|fault| {
        let code =
            if fault.kind == FaultKind::NotFound && fault.status.is_none() { Code::NotFound } else { Code::Failure };
        let status = fault.status.map(|status| format!(" (status {status})")).unwrap_or_default();
        (code, format!("{}{status}", fault.says))
    })?;
    let list = serde_json::from_slice(&body).ok().and_then(|list: Value| read(&list));
    list.ok_or_else(|| (Code::Failure, "answered something that is no list of models".to_owned()))
}

type Known<'a> = &'a dyn Fn(&Told) -> Option<String>;

fn as_json(out: &mut impl Write, list: &[Told], known: Known<'_>) -> std::io::Result<()> {
    let row = |told: &Told| json!({ "id": told.id, "context": told.context, "max_output": told.output, "known_as": known(told) });
    writeln!(out, "{}", Value::from(list.iter().map(row).collect::<Vec<_>>()))
}

fn as_table(out: &mut impl Write, list: &[Told], known: Known<'_>) -> std::io::Result<()> {
    writeln!(out, "{:<56} {:>9} {:>9}  known here as", "its own name", "context", "output")?;
    let shown = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    for told in list {
        let name = known(told).unwrap_or_default();
        writeln!(out, "{:<56} {:>9} {:>9}  {name}", told.id, shown(told.context), shown(told.output))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_every_maker_are_read_and_nothing_else_is() {
        let told = |id: &str, context, output| Told { id: id.to_owned(), context, output };
        let rows = [
            (
                json!({ "models": [{ "name": "llama3:8b" }], "data": [{ "id": "x" }] }),
                Some(vec![told("llama3:8b", None, None)]),
            ),
            (
                json!({ "models": [{ "name": "models/gemini-x", "inputTokenLimit": 9, "outputTokenLimit": 3 }] }),
                Some(vec![told("gemini-x", Some(9), Some(3))]),
            ),
            (
                json!({ "data": [{ "id": "a", "context_window": 8, "max_completion_tokens": 0 }, { "id": "b c" }, {}] }),
                Some(vec![told("a", Some(8), None)]),
            ),
            (
                json!({ "data": [{ "id": "claude", "max_input_tokens": 7, "max_tokens": 2, "display_name": "C" }] }),
                Some(vec![told("claude", Some(7), Some(2))]),
            ),
            (json!({ "modelSummaries": [{ "modelId": "amazon.x:0" }] }), Some(vec![told("amazon.x:0", None, None)])),
            (
                json!({ "publisherModels": [{ "name": "publishers/google/models/gemini-x" }] }),
                Some(vec![told("gemini-x", None, None)]),
            ),
            (json!([{ "id": "t/a", "context_length": 5 }]), Some(vec![told("t/a", Some(5), None)])),
            (json!({ "hello": 1 }), None),
            (json!("a"), None),
        ];
        for (list, want) in rows {
            assert_eq!(read(&list), want, "{list}");
        }
    }
}
