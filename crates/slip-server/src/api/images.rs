//! The models that make pictures, and who serves them, in OpenRouter's shapes.

use super::{ok, shown};
use crate::body::Body;
use crate::world::World;
use http::Response;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind, Op, Pico, Price};
use slip_route::field::Listed;
use slip_route::{Endpoint, Model};
use slip_wire::ops::Shape;

fn makes(model: &Model) -> bool {
    model.output.iter().any(|word| word == "image")
}

pub fn models(world: &World) -> Response<Body> {
    let made = world.field.models().filter(|listed| makes(listed.model) && !listed.endpoints.is_empty());
    let data: Vec<Value> = made
        .map(|listed| {
            let model = listed.model;
            json!({
                "id": &*model.id,
                "name": model.name,
                "created": model.created,
                "description": "",
                "architecture": { "input_modalities": model.input, "output_modalities": model.output },
                "supported_parameters": parameters(model),
                "supports_streaming": listed.endpoints.iter().any(|e| streams(world, e)),
                "endpoints": format!("/api/v1/images/models/{}/endpoints", model.id),
            })
        })
        .collect();
    ok(&json!({ "data": data }))
}

pub fn endpoints(world: &World, captured: &[String]) -> Result<Response<Body>, Fault> {
    let name = captured.join("/");
    let found = world.field.model(&name).filter(|l: &Listed<'_>| makes(l.model) && !l.endpoints.is_empty());
    let found = found.ok_or_else(|| {
        let says = format!("no such model: {} (GET /api/v1/images/models lists them)", shown(&name));
        Fault::caller(FaultKind::NotFound, says)
    })?;
    let endpoints: Vec<Value> = found
        .endpoints
        .iter()
        .map(|e| {
            json!({
                "provider_name": &*e.provider_name,
                "provider_slug": &*e.provider,
                "provider_tag": &*e.tag,
                "supported_parameters": parameters(found.model),
                "supports_streaming": streams(world, e),
                "allowed_passthrough_parameters": [],
                "pricing": e.price.as_deref().map_or(Vec::new(), pricing),
            })
        })
        .collect();
    Ok(ok(&json!({ "id": &*found.model.id, "endpoints": endpoints })))
}

/// Whether it sends a picture while it is being made: that is a thing of OpenAI's own spelling.
fn streams(world: &World, endpoint: &Endpoint) -> bool {
    let provider = world.providers.iter().find(|p| p.id == *endpoint.provider);
    let service = provider.and_then(|p| p.service(Op::Image));
    service.is_some_and(|s| matches!(s.shape, Shape::OpenAi | Shape::OpenRouter))
}

fn parameters(model: &Model) -> Value {
    let known = model.params.iter().filter(|p| *p == "seed");
    known.map(|name| (name.clone(), json!({ "type": "boolean" }))).collect::<serde_json::Map<_, _>>().into()
}

/// What is charged, a line for each thing that is.
fn pricing(price: &Price) -> Vec<Value> {
    let rates = &price.rates;
    let lines = [
        ("output_image", "image", price.image),
        ("input_text", "token", rates.input),
        ("output_image", "token", rates.image_out.unwrap_or(rates.output)),
        ("request", "request", price.request),
    ];
    let charged = lines.into_iter().filter(|(.., amount)| *amount != Pico(0));
    charged
        .map(|(billable, unit, amount)| {
            let usd = amount.to_unit_string().parse::<f64>().unwrap_or(0.0);
            json!({ "billable": billable, "unit": unit, "cost_usd": usd })
        })
        .collect()
}
