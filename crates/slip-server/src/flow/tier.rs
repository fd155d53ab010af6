//! Tiers of service, at the moment a request goes out: the upstream is told the tier of the endpoint that was chosen, whatever the
//! caller wrote, so that what it is billed at is what was meant.

use slip_ir::{Dialect, Loss, Tier};
use slip_route::Endpoint;
use slip_wire::json;

/// What the upstream must be told; `None` leaves what the caller said.
fn said(endpoint: &Endpoint, wanted: Option<Tier>, to: Dialect) -> Option<&'static str> {
    match (endpoint.tier, wanted) {
        (Tier::Flex | Tier::Priority, _) => endpoint.tier.tag(),
        // It is asked in the place of one of another tier: at that tier's price it is not listed.
        (_, Some(Tier::Flex | Tier::Priority)) if endpoint.sells_tiers() => Some(match to {
            Dialect::Gemini => "standard",
            _ => "default",
        }),
        _ => None,
    }
}

/// The name of the member, in the dialects of the providers that sell tiers.
const fn member(to: Dialect) -> Option<&'static str> {
    match to {
        Dialect::OpenAiChat | Dialect::Responses => Some("service_tier"),
        Dialect::Gemini => Some("serviceTier"),
        _ => None,
    }
}

/// The body with the tier of the endpoint in it.
pub fn put(body: Vec<u8>, endpoint: &Endpoint, wanted: Option<Tier>, to: Dialect, losses: &mut Vec<Loss>) -> Vec<u8> {
    let Some((word, name)) = said(endpoint, wanted, to).zip(member(to)) else { return body };
    losses.retain(|loss| loss.what != "service_tier");
    let mut out = Vec::with_capacity(body.len() + name.len() + word.len() + 8);
    out.push(b'{');
    for (key, value) in json::fields(&body) {
        if key.is("service_tier") || key.is("serviceTier") {
            continue;
        }
        out.push(b'"');
        out.extend_from_slice(key.raw());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
        out.push(b',');
    }
    out.extend_from_slice(format!("\"{name}\":\"{word}\"}}").as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_route::{Catalog, Field, Instance, ProviderSeat};
    use std::sync::Arc;

    const MODELS: &str = r#"
        [author]
        id = "acme"
        name = "Acme"
        [[model]]
        id = "acme/one"
        name = "One"
        released = "2026-01-01"
        context = 1000
        input = ["text"]
        output = ["text"]
        source = "https://example.com"
        checked = "2026-11-01"
    "#;
    const ENDPOINTS: &str = r#"
        provider = "shop"
        [[endpoint]]
        model = "acme/one"
        upstream = "one"
        price = { input = "2", output = "2" }
        source = "https://example.com"
        checked = "2026-11-01"
        [[endpoint.service]]
        tier = "flex"
        price = { input = "1", output = "1" }
        source = "https://example.com"
        checked = "2026-11-01"
    "#;

    fn endpoint(tag: &str, tiers: bool) -> Arc<Endpoint> {
        let text = if tiers { ENDPOINTS } else { ENDPOINTS.split("[[endpoint.service]]").next().unwrap_or_default() };
        let catalog = Catalog::parse(&[("m", MODELS)], &[("e", text)]).expect("a catalogue");
        let seat = ProviderSeat {
            slug: "shop".to_owned(),
            name: "Shop".to_owned(),
            dialect: Dialect::OpenAiChat,
            policy: Default::default(),
            ops: slip_ir::Ops::of(slip_ir::Op::ALL),
            instances: vec![Instance { id: 0, weight: 1 }],
            only_declared: false,
            models: Vec::new(),
        };
        let field = Field::build(&catalog, vec![seat], Vec::new()).expect("a field");
        field.endpoints().iter().find(|e| *e.tag == *tag).cloned().expect("an endpoint")
    }

    #[test]
    fn the_upstream_is_told_the_tier_of_the_endpoint() {
        use Dialect::{Anthropic, Gemini, OpenAiChat, Responses};
        let rows = [
            // The endpoint, whether it has siblings, what was said, to whom, and what goes out; `None` as it was said.
            ("shop/flex", true, r#"{"model":"one"}"#, OpenAiChat, Some(r#"{"model":"one","service_tier":"flex"}"#)),
            (
                "shop/flex",
                true,
                r#"{"service_tier":"fast","a":1}"#,
                Responses,
                Some(r#"{"a":1,"service_tier":"flex"}"#),
            ),
            ("shop/flex", true, r#"{"serviceTier":"flex"}"#, Gemini, Some(r#"{"serviceTier":"flex"}"#)),
            ("shop/flex", true, "{}", Anthropic, None),
            // It stands in for one of another tier.
            ("shop", true, r#"{"service_tier":"priority"}"#, OpenAiChat, Some(r#"{"service_tier":"default"}"#)),
            ("shop", true, r#"{"serviceTier":"fast"}"#, Gemini, Some(r#"{"serviceTier":"standard"}"#)),
            // What names no other tier is the caller's affair, as is everything where no tier is known to be sold.
            ("shop", true, r#"{"service_tier":"auto"}"#, OpenAiChat, None),
            ("shop", true, r#"{"a":1}"#, OpenAiChat, None),
            ("shop", false, r#"{"service_tier":"priority"}"#, OpenAiChat, None),
        ];
        for (tag, tiers, said, to, goes) in rows {
            let word = ["service_tier", "serviceTier"].iter().find_map(|name| json::field(said.as_bytes(), name));
            let wanted = word.and_then(json::string).and_then(|word| Tier::parse(&word));
            let mut losses = vec![Loss::new("service_tier", "not one of the provider's tiers")];
            let out = put(said.into(), &endpoint(tag, tiers), wanted, to, &mut losses);
            assert_eq!(String::from_utf8_lossy(&out), goes.unwrap_or(said), "{tag} {said}");
            assert_eq!(losses.is_empty(), goes.is_some(), "what is said is not lost: {tag} {said}");
        }
    }
}
