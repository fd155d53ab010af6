//! What an attempt may cost at most, how much of an answer a budget affords, and the request with no more asked for than that.

use crate::flow::read::Inbound;
use bytes::Bytes;
use slip_ir::{Dialect, Fault, FaultKind, Nano, Op, Price, Usage, Want};

use slip_route::Endpoint;
use slip_store::{ScopeId, Standing};
use std::sync::Arc;

/// Tokens of an answer for which money is set aside at once where it is streamed; more follows as it goes on.
pub const QUANTUM: u64 = 1024;
/// An answer shorter than this is not worth its prompt.
const SHORTEST: u64 = 16;
/// Where neither the caller nor the catalogue says how long an answer may be.
const UNSAID: u64 = 16 * 1024;
/// Tokens of a prompt are estimated at four bytes each. Some texts have more of them, and none has more than two for that.
const DENSEST: u64 = 2;
/// Tokens set aside for pictures, sound and files in a prompt, which are not counted before a provider has seen them.
const MEDIA: u64 = 4096;
/// The length of a recording nobody has told.
const RECORDING_MS: u64 = 60_000;

/// What an attempt at one endpoint may cost.
pub struct Bill {
    price: Arc<Price>,
    /// All but the answer's tokens.
    fixed: Usage,
    choices: u64,
    /// Tokens of an answer, of one choice: as many as may come, and as many as are held for at first.
    pub longest: u64,
    pub first: u64,
}

impl Bill {
    pub fn of(endpoint: &Endpoint, price: &Arc<Price>, want: &Want, stream: bool) -> Bill {
        let chat = want.op == Op::Chat;
        let media = if want.media.is_empty() { 0 } else { MEDIA };
        let mut fixed = Usage { input: want.prompt_tokens.saturating_mul(DENSEST) + media, ..Usage::default() };
        match want.op {
            Op::Image => fixed.images = want.n.max(1).into(),
            Op::Speech => fixed.characters = want.prompt_tokens.saturating_mul(4),
            Op::Transcription | Op::Translation => fixed.audio_ms = RECORDING_MS,
            Op::Rerank => fixed.searches = 1,
            _ => {}
        }
        let most = endpoint.max_output.unwrap_or(u64::MAX);
        let said = want.max_tokens.unwrap_or(UNSAID.min(most)).min(most);
        let longest = if chat { said } else { 0 };
        let first = if stream { longest.min(QUANTUM) } else { longest };
        Bill { price: price.clone(), fixed, choices: want.n.max(1).into(), longest, first }
    }

    /// With an answer of so many tokens.
    pub fn cost(&self, tokens: u64) -> Nano {
        let output = tokens.saturating_mul(self.choices);
        self.price.cost(&Usage { output, ..self.fixed.clone() }).total
    }

    /// With an answer that is just worth it.
    pub fn least(&self) -> Nano {
        self.cost(self.longest.min(SHORTEST))
    }

    /// How long an answer this much money pays for.
    pub fn affords(&self, money: Nano) -> u64 {
        let (mut fits, mut beyond) = (0, self.longest + 1);
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            if self.cost(middle) <= money { fits = middle } else { beyond = middle }
        }
        fits
    }
}

/// The member that says how long an answer may be, and the object it is in.
fn place(dialect: Dialect) -> (Option<&'static str>, &'static str) {
    match dialect {
        Dialect::OpenAiChat | Dialect::Completions | Dialect::Anthropic | Dialect::Cohere => (None, "max_tokens"),
        Dialect::Responses => (None, "max_output_tokens"),
        Dialect::Gemini => (Some("generationConfig"), "maxOutputTokens"),
        Dialect::Bedrock => (Some("inferenceConfig"), "maxTokens"),
        Dialect::Ollama | Dialect::OllamaGenerate => (Some("options"), "num_predict"),
    }
}

/// The request, asking for no more than so many tokens.
pub fn limited(inbound: &Inbound, tokens: u64) -> Bytes {
    let (object, name) = place(inbound.dialect);
    let mut out = Vec::with_capacity(inbound.raw.len() + 48);
    let mut put = |key: &str, value: &[u8]| {
        out.extend_from_slice(if out.is_empty() { b"{" } else { b"," });
        out.extend_from_slice(serde_json::to_string(key).unwrap_or_default().as_bytes());
        out.push(b':');
        out.extend_from_slice(value);
    };
    let number = tokens.to_string();
    let mut said = false;
    for member in &inbound.peek.members {
        let value = inbound.raw.get(member.value.clone()).unwrap_or_default();
        let key: &str = &member.key;
        let other_names = ["max_completion_tokens", "generation_config"];
        let same = key == object.unwrap_or(name) || other_names.contains(&key) && inbound.peek.member(key).is_some();
        if !same {
            put(key, value);
            continue;
        }
        said = true;
        match object {
            None => put(key, number.as_bytes()),
            Some(_) => {
                let mut inner: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_slice(value).unwrap_or_default();
                inner.insert(name.to_owned(), tokens.into());
                put(key, serde_json::Value::Object(inner).to_string().as_bytes());
            }
        }
    }
    match object {
        _ if said => {}
        None => put(name, number.as_bytes()),
        Some(object) => put(object, format!("{{\"{name}\":{number}}}").as_bytes()),
    }
    out.push(b'}');
    out.into()
}

/// Which limit leaves too little, and when that changes.
pub fn too_little(denied: &slip_quota::Denied, standing: &Standing) -> Fault {
    let by = &denied.by;
    let whose = standing.ids.get(denied.which).unwrap_or(&ScopeId::Instance);
    let period = by.reset.map_or("total", |reset| reset.name());
    let held = if by.held.0 > 0 { format!(", ${} is held by requests under way", by.held) } else { String::new() };
    let until = match by.resets_at_ms {
        Some(at) => format!("it starts anew at {}", crate::api::iso(at)),
        None => "it does not start anew: raise it, or use another key".to_owned(),
    };
    let says = format!(
        "the {period} limit of this {whose} does not afford this request: of ${} ${} is spent{held}; {until}",
        by.limit, by.spent
    );
    Fault::caller(FaultKind::NoFunds, says)
}

/// Nobody can say what it would cost, and somebody counts.
pub fn unpriced() -> Fault {
    let says = "its price is not known, and this key has a budget";
    Fault::new(FaultKind::NoEndpoint, slip_ir::Origin::House, slip_ir::Remedy::Elsewhere, says)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::heads::Heads;
    use crate::flow::read::chat;
    use slip_ir::{Pico, Rates};

    #[test]
    fn what_money_affords_is_what_it_pays_for() {
        let rates = Rates { input: Pico(1_000_000), output: Pico(4_000_000), ..Rates::default() };
        let price = Arc::new(Price { rates, ..Price::default() });
        let bill =
            Bill { price, fixed: Usage { input: 100, ..Usage::default() }, choices: 2, longest: 5_000, first: QUANTUM };
        assert_eq!(bill.cost(0), Nano(100_000));
        assert_eq!(bill.cost(10), Nano(180_000));
        for (money, tokens) in
            [(0, 0), (99_999, 0), (100_000, 0), (107_999, 0), (108_000, 1), (180_000, 10), (i64::MAX, 5_000)]
        {
            assert_eq!(bill.affords(Nano(money)), tokens, "{money}");
        }
    }

    #[test]
    fn a_shorter_answer_is_asked_for_in_every_dialect() {
        let rows = [
            (Dialect::OpenAiChat, r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#, r#""max_tokens":7"#),
            (
                Dialect::OpenAiChat,
                r#"{"model":"m","max_completion_tokens":900,"messages":[{"role":"user","content":"hi"}]}"#,
                r#""max_completion_tokens":7"#,
            ),
            (
                Dialect::Anthropic,
                r#"{"model":"m","max_tokens":900,"messages":[{"role":"user","content":"hi"}]}"#,
                r#""max_tokens":7"#,
            ),
            (Dialect::Responses, r#"{"model":"m","input":"hi"}"#, r#""max_output_tokens":7"#),
            (
                Dialect::Gemini,
                r#"{"generationConfig":{"temperature":0.5,"maxOutputTokens":900},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
                r#""maxOutputTokens":7"#,
            ),
            (
                Dialect::Bedrock,
                r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#,
                r#""inferenceConfig":{"maxTokens":7}"#,
            ),
            (
                Dialect::Ollama,
                r#"{"model":"m","options":{"num_predict":900},"messages":[{"role":"user","content":"hi"}]}"#,
                r#""num_predict":7"#,
            ),
            (Dialect::Cohere, r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#, r#""max_tokens":7"#),
            (Dialect::Completions, r#"{"model":"m","prompt":"hi"}"#, r#""max_tokens":7"#),
        ];
        for (dialect, body, want) in rows {
            let named = slip_wire::peek::Named { model: "m".to_owned(), stream: false };
            let named = matches!(dialect, Dialect::Gemini | Dialect::Bedrock).then_some(&named);
            let mut inbound = chat(dialect, body.into(), Heads::default(), named).expect("a request");
            inbound.limit(7).expect("a shorter one");
            let text = String::from_utf8_lossy(&inbound.raw).into_owned();
            assert!(text.contains(want) && !text.contains("900"), "{dialect:?}: {text}");
            assert_eq!(inbound.peek.want.max_tokens, Some(7), "{dialect:?}");
            assert!(text.matches("hi").count() == 1 && (!body.contains("temperature") || text.contains("temperature")));
            inbound.limit(30).expect("a longer one again");
            assert_eq!(inbound.peek.want.max_tokens, Some(30), "{dialect:?}");
        }
    }
}
