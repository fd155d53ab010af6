//! What Ollama's programs ask beside chatting: which models there are, what one can do, and how new the server is.

use super::{iso, ok, shown};
use crate::body::Body;
use crate::flow::read::{self, Inbound};
use crate::flow::refuse;
use crate::world::World;
use crate::{App, clock};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use slip_ir::{Dialect, Fault, FaultKind};
use slip_route::Model;
use slip_route::field::Listed;
use slip_wire::{ollama, wire};

/// The release of Ollama whose API this is. Programs ask, and hold back what an older one would not understand.
const SPOKEN: &str = "0.12.11";
/// A question about one model holds little more than its name.
const MAX_QUESTION: u64 = 64 * 1024;

pub fn version() -> Response<Body> {
    ok(&json!({ "version": SPOKEN }))
}

/// `GET /api/tags`: every model that can be reached.
pub fn tags(world: &World) -> Response<Body> {
    let models = world.field.models().filter(|listed| !listed.endpoints.is_empty());
    let tag = |listed: Listed<'_>| {
        let model = listed.model;
        json!({
            "name": &*model.id,
            "model": &*model.id,
            "modified_at": iso(i64::try_from(model.created).unwrap_or(0) * 1000),
            // There is no file of it here.
            "size": 0,
            "digest": digest(&model.id),
            "details": details(&listed),
        })
    };
    ok(&json!({ "models": models.map(tag).collect::<Vec<_>>() }))
}

/// `GET /api/ps`: nothing is ever held in memory here.
pub fn running() -> Response<Body> {
    ok(&json!({ "models": [] }))
}

/// `POST /api/show`: one model, and what it can do.
pub async fn show(app: &App, request: Request<Incoming>) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    let body = read::bytes(&parts.headers, body, MAX_QUESTION).await?;
    let asked: Value = serde_json::from_slice(&body)
        .map_err(|e| Fault::caller(FaultKind::BadRequest, format!("the request body is not JSON: {e}")))?;
    let name = [&asked["model"], &asked["name"]].into_iter().find_map(Value::as_str);
    let name = name.ok_or_else(|| Fault::caller(FaultKind::BadRequest, "model: is required").at("model"))?;
    let world = app.world();
    let listed = find(&world, name)?;
    let (model, arch) = (listed.model, architecture(listed.model));
    let mut info = json!({ "general.architecture": arch, "general.basename": model.name });
    if let Some(context) = model.context {
        info[format!("{arch}.context_length")] = context.into();
    }
    Ok(ok(&json!({
        "modelfile": "",
        "parameters": "",
        "template": "",
        "modified_at": iso(i64::try_from(model.created).unwrap_or(0) * 1000),
        "details": details(&listed),
        "model_info": info,
        "capabilities": capabilities(model),
    })))
}

/// The answer to a request that only wants the model loaded: there is nothing to load, but the name must be right.
pub fn loads(world: &World, inbound: &Inbound) -> Option<Result<Response<Body>, Fault>> {
    // Elsewhere a request may have its words in a prompt that the provider keeps.
    let ollama = matches!(inbound.dialect, Dialect::Ollama | Dialect::OllamaGenerate);
    if !ollama || !inbound.says_nothing() {
        return None;
    }
    let name = inbound.peek.model.clone().unwrap_or_default();
    let loaded = find(world, &name).map(|_| {
        let mut bytes = ollama::loaded(inbound.dialect, &name, clock::unix_ms() / 1000);
        if !inbound.peek.stream {
            return refuse::json(StatusCode::OK, bytes);
        }
        bytes.push(b'\n');
        refuse::event_stream(wire(inbound.dialect).dialect(), Body::full(bytes))
    });
    Some(loaded)
}

fn find<'a>(world: &'a World, name: &str) -> Result<Listed<'a>, Fault> {
    // Ollama's programs may add the tag that it takes for granted.
    let bare = name.strip_suffix(":latest").unwrap_or(name);
    let known = |name: &str| world.field.model(name).filter(|listed| !listed.endpoints.is_empty());
    known(name).or_else(|| known(bare)).ok_or_else(|| {
        Fault::caller(FaultKind::NotFound, format!("model '{}' not found (GET /api/tags lists them)", shown(name)))
    })
}

fn architecture(model: &Model) -> &str {
    model.tokenizer.as_deref().unwrap_or(&model.author)
}

fn details(listed: &Listed<'_>) -> Value {
    let family = architecture(listed.model);
    let level = listed.endpoints.first().and_then(|endpoint| endpoint.quantization.clone());
    json!({
        "parent_model": "",
        "format": "remote",
        "family": family,
        "families": [family],
        "parameter_size": "",
        "quantization_level": level.as_deref().unwrap_or_default(),
    })
}

fn capabilities(model: &Model) -> Vec<&'static str> {
    let takes = |param: &str| model.params.is_empty() || model.params.iter().any(|p| p == param);
    let rows = [
        ("completion", true),
        ("tools", takes("tools")),
        ("vision", model.input.iter().any(|kind| kind == "image")),
        ("thinking", model.reasoning.is_some()),
    ];
    rows.iter().filter(|(_, can)| *can).map(|(name, _)| *name).collect()
}

/// Programs keep their lists by it; it only has to be the same tomorrow and another for another model.
fn digest(id: &str) -> String {
    Sha256::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
