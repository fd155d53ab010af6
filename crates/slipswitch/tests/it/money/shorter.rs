//! A large or missing `max_tokens` is no reason to refuse: what the budget affords is held, and a shorter answer is asked for.

use super::{Lab, nano};
use crate::harness::Got;
use serde_json::{Value, json};

/// Ten dollars a million: a token of an answer is a hundred-thousandth of a dollar.
const PRICE: &str = "price = { input = \"0\", output = \"10\" }";

fn count_to(n: u32) -> Value {
    json!([{ "role": "user", "content": format!("count to {n}") }])
}

#[tokio::test]
async fn an_answer_is_as_long_as_there_is_money_for() {
    let lab = Lab::at(PRICE).await;
    // Enough for 100 tokens; a million are asked for, or it is not said how many.
    for over in [json!({ "max_tokens": 1_000_000 }), json!({})] {
        let key = lab.key(json!({ "limit": 0.001 })).await;
        let got = lab.chat(&key, crate::harness::with(json!({ "messages": count_to(400) }), over.clone())).await;
        assert_eq!(got.status, 200, "{over}: {}", got.text());
        assert_eq!(got.json()["choices"][0]["finish_reason"], "length", "{over}");
        let used = lab.used(&key).await;
        let least = if over == json!({}) { 100_000 } else { 900_000 };
        assert!((least..=1_000_000).contains(&used), "{over}: {used}");
        // Once there is not even enough for a short answer, nothing is sent.
        while lab.chat(&key, json!({ "messages": count_to(400) })).await.status == 200 {}
        let before = lab.sim.journal().total();
        let refused = lab.chat(&key, json!({})).await;
        assert_eq!((refused.status, lab.sim.journal().total()), (402, before));
        assert!(refused.text().contains("it does not start anew"), "{}", refused.text());
        assert_eq!(refused.header("x-should-retry"), "false");
        assert!(lab.used(&key).await <= 1_000_000);
    }
    // Whoever asks for less than there is gets what was asked for.
    let key = lab.key(json!({ "limit": 1 })).await;
    let got = lab.chat(&key, json!({ "max_tokens": 5, "messages": count_to(400) })).await;
    assert_eq!((got.status, lab.used(&key).await), (200, 50_000), "{}", got.text());
}

fn ends_by_length(got: &Got) -> bool {
    got.events().iter().any(|event| event["choices"][0]["finish_reason"] == "length")
}

#[tokio::test]
async fn a_stream_goes_on_while_there_is_money_and_ends_with_a_word_when_there_is_none() {
    let lab = Lab::at(PRICE).await;
    // A long one, for which money is held piece by piece.
    let key = lab.key(json!({ "limit": 10 })).await;
    let got = lab.chat(&key, json!({ "stream": true, "messages": count_to(4000) })).await;
    assert!(got.text().contains("[DONE]") && got.content().contains("4000"), "it was cut");
    let now = lab.now(&key).await;
    assert_eq!(nano(&now["limit_held"]), 0);

    // Four at once, and money for two and a half: nobody gets more than there is, and who is cut off is told so.
    let key = lab.key(json!({ "limit": 0.05 })).await;
    let body = json!({ "stream": true, "messages": count_to(2000) });
    let ask = || lab.chat(&key, body.clone());
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    let all = [a, b, c, d];
    let used = lab.used(&key).await;
    // What was in the sockets when the last of it was used.
    assert!((40_000_000..=50_000_000 + 4 * 64 * 10_000).contains(&used), "{used}");
    assert_eq!(nano(&lab.now(&key).await["limit_held"]), 0);
    let whole = all.iter().filter(|got| got.status == 200 && got.content().contains("tok2000")).count();
    let told = |got: &&Got| got.status == 402 || got.text().contains("budget exhausted") || ends_by_length(got);
    let short = all.iter().filter(told).count();
    assert!(whole + short == 4 && short > 0, "{whole} {short}");
}

#[tokio::test]
async fn what_has_no_price_is_not_bought_by_who_has_a_budget() {
    let lab = Lab::at("").await;
    let key = lab.key(json!({ "limit": 1 })).await;
    let refused = lab.chat(&key, json!({})).await;
    assert!(refused.status == 404 && refused.text().contains("its price is not known"), "{}", refused.text());
    let free = lab.key(json!({})).await;
    assert_eq!(lab.chat(&free, json!({})).await.status, 200);
}
