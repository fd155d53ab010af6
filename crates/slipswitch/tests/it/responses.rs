//! The Responses surface from outside: untranslated where the provider answers it, told as a stream and as a whole alike where not.

use crate::harness::{Gateway, provider};
use crate::journey::THREE;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};

const RESPONSES: &str = "/api/v1/responses";

fn text(response: &Value) -> String {
    let items = response["output"].as_array().into_iter().flatten();
    items.filter_map(|item| item["content"][0]["text"].as_str()).collect()
}

#[tokio::test]
async fn every_provider_answers_streamed_and_not_with_the_same_items_and_cost() {
    let gateway = Gateway::start(THREE);
    for model in ["sim/openai", "sim/anthropic", "sim/gemini"] {
        let ask = |stream: bool| json!({ "model": model, "stream": stream, "input": "hello out there" });
        let whole = gateway.post(RESPONSES, &ask(false)).await;
        let stream = gateway.post("/v1/responses", &ask(true)).await;
        assert_eq!((whole.status, stream.status), (200, 200), "{model}: {} {}", whole.text(), stream.text());
        let last = stream.events().pop().expect("a last event");
        let (whole, told) = (whole.json(), last["response"].clone());
        assert_eq!(text(&whole), "echo: hello out there", "{model}");
        assert_eq!((text(&told), &told["usage"]), (text(&whole), &whole["usage"]), "{model}");
        assert!(told["usage"]["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{model}");
        assert_eq!(told["id"], stream.header("x-generation-id"), "{model}");
        assert_eq!(gateway.record(&stream).await["total_cost"], told["usage"]["cost"], "{model}");
        assert!(stream.text().ends_with("data: [DONE]\n\n") && !stream.text().contains("event:"), "{model}");
    }
}

#[tokio::test]
async fn a_provider_that_answers_responses_beside_chat_gets_them_as_they_came() {
    let sim = Sim::start(SimConfig { dialect: Dialect::Responses, ..SimConfig::default() }).await.expect("a socket");
    let gateway = Gateway::start(&format!(
        "[providers.openai]\nbase_url = \"{}\"\nkey = \"upstream-key\"\nallow_private = true\n\
         models = [{{ id = \"sim/echo\", upstream = \"echo-1\" }}]\nprice = {{ input = \"2\", output = \"8\" }}\n",
        sim.base_url()
    ));
    let body = json!({
        "model": "sim/echo", "input": [{ "role": "user", "content": "hello" }], "stream": true, "store": false,
        "provider": { "only": ["openai"] }, "text": { "verbosity": "low" }, "truncation": "auto",
    });
    let got = gateway.post(RESPONSES, &body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let entry = sim.journal().last().expect("it came");
    let mut want = body.clone();
    want["model"] = "echo-1".into();
    want.as_object_mut().expect("an object").remove("provider");
    assert_eq!((entry.path.as_str(), entry.json()), ("/v1/responses", want));
    // What is seen is the provider's own; what it cost is in the record.
    assert!(got.text().contains("event: response.output_text.delta"), "{}", got.text());
    let record = gateway.record(&got).await;
    assert!(record["total_cost"].as_f64().is_some_and(|cost| cost > 0.0), "{record}");
    // What is asked may be a prompt that the provider keeps.
    let kept = json!({ "model": "sim/echo", "prompt": { "id": "pmpt_1" } });
    gateway.post(RESPONSES, &kept).await;
    assert_eq!(sim.journal().last().expect("it came too").json()["prompt"], kept["prompt"]);
}

#[tokio::test]
async fn reasoning_sealed_elsewhere_goes_home_and_never_to_the_wrong_house() {
    let sim = Sim::start(SimConfig { dialect: Dialect::Responses, ..SimConfig::default() }).await.expect("a socket");
    let lab = provider("lab", Dialect::Responses, &sim.base_url(), &["lab/one"]);
    let gateway = Gateway::start(&format!("{THREE}{}", lab.replace("key =", "allow_private = true\nkey =")));
    let thinks = json!({ "effort": "low", "summary": "auto" });
    let ask = |model: &str, input: Value| json!({ "model": model, "input": input, "reasoning": thinks, "include": ["reasoning.encrypted_content"] });
    for model in ["sim/anthropic", "sim/gemini", "lab/one"] {
        let question = json!([{ "role": "user", "content": "hello" }]);
        let first = gateway.post(RESPONSES, &ask(model, question.clone())).await.json();
        let mut input = question.as_array().cloned().unwrap_or_default();
        input.extend(first["output"].as_array().cloned().unwrap_or_default());
        assert!(first["output"].to_string().contains("encrypted_content"), "{model}: {first}");
        input.push(json!({ "role": "user", "content": "again" }));
        // The simulated providers refuse what they did not seal themselves.
        for other in ["sim/openai", "sim/anthropic", "sim/gemini", "lab/one"] {
            let got = gateway.post(RESPONSES, &ask(other, input.clone().into())).await;
            let said = got.json()["output"].to_string();
            assert!(got.status == 200 && said.contains("echo: again"), "{model} then {other}: {}", got.text());
        }
    }
}

#[tokio::test]
async fn a_refusal_is_openais_kind_of_object_and_names_the_member() {
    let gateway = Gateway::start(THREE);
    let rows = [
        (json!({ "model": "sim/openai", "input": "x", "store": true }), "store: this gateway keeps no responses"),
        (json!({ "model": "sim/openai", "input": "x", "previous_response_id": "r" }), "previous_response_id: "),
        (json!({ "model": "sim/openai", "input": [{ "type": "item_reference", "id": "m" }] }), "input[0]: "),
        (json!({ "model": "sim/openai" }), "input: is required"),
        (json!({ "model": "sim/nobody", "input": "x" }), "sim/nobody"),
    ];
    for (body, says) in rows {
        let got = gateway.post(RESPONSES, &body).await;
        let error = got.json()["error"].clone();
        let message = error["message"].as_str().unwrap_or_default();
        assert!(got.status == 400 && error["code"] == 400 && message.contains(says), "{}", got.text());
    }
    gateway.is_well("refusals").await;
}
