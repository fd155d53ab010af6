//! Spellings of a maker's own in which its models are asked at a cloud, in place of the dialect that is otherwise spoken there: the
//! bodies of Bedrock's InvokeModel, and the first version of Cohere's chat. Each is told as that dialect before anybody else here
//! sees it: a request on its last step out, a reply on its first step in.

use super::{chat, claude, cohere, command, jurassic, llama, mistral, nova, prompt, retold, titan};
use serde_json::{Map, Value};
use slip_ir::{Dialect, Loss};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// Amazon's Titan text models.
    Titan,
    /// Amazon's Nova models, which are asked almost as Converse is.
    Nova,
    Llama,
    /// AI21's Jurassic-2.
    Jurassic,
    /// Cohere's Command text models.
    Command,
    /// Mistral's first models, prompted with text.
    Mistral,
    /// Anthropic's text completions.
    Claude,
    /// Version 1 of Cohere's chat.
    Cohere,
    /// OpenAI's chat completions, almost.
    Chat,
}

impl Tongue {
    /// The dialect it is told as.
    pub const fn dialect(self) -> Dialect {
        match self {
            Tongue::Cohere => Dialect::Cohere,
            Tongue::Chat => Dialect::OpenAiChat,
            _ => Dialect::Bedrock,
        }
    }

    /// A request of that dialect as this tongue asks. What it has no word for is lost.
    pub fn ask(self, body: &[u8], model: &str, losses: &mut Vec<Loss>) -> Vec<u8> {
        let Ok(body) = serde_json::from_slice::<Map<String, Value>>(body) else { return body.to_vec() };
        let asked = match self {
            Tongue::Nova => nova::ask(body),
            Tongue::Cohere => cohere::ask(body, losses),
            Tongue::Chat => body,
            text => {
                let asked = prompt::Prompt::of(body, losses);
                match text {
                    Tongue::Titan => titan::ask(asked),
                    Tongue::Llama => llama::ask(asked, model, losses),
                    Tongue::Jurassic => jurassic::ask(asked),
                    Tongue::Command => command::ask(asked),
                    Tongue::Mistral => mistral::ask(asked),
                    _ => claude::ask(asked),
                }
            }
        };
        serde_json::to_vec(&asked).unwrap_or_default()
    }

    /// A whole reply in this tongue as the dialect tells it; `None` where it is none.
    pub fn whole(self, body: &[u8]) -> Option<Vec<u8>> {
        let told: Value = serde_json::from_slice(body).ok()?;
        let reply = match self {
            Tongue::Nova => nova::whole(told)?,
            Tongue::Cohere => cohere::whole(&told)?,
            Tongue::Chat => chat::told(told)?,
            text => retold::whole(text.said(&told)?, &told),
        };
        serde_json::to_vec(&reply).ok()
    }

    /// What one message of a reply says, whole or a piece of a stream; `None` where it is no message of this tongue.
    pub(super) fn said(self, told: &Value) -> Option<Said> {
        match self {
            Tongue::Titan => titan::said(told),
            Tongue::Llama => llama::said(told),
            Tongue::Jurassic => jurassic::said(told),
            Tongue::Command => command::said(told),
            Tongue::Mistral => mistral::said(told),
            Tongue::Claude => claude::said(told),
            Tongue::Nova | Tongue::Cohere | Tongue::Chat => None,
        }
    }
}

/// What a model that continues text said.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub text: String,
    /// Why it stopped, in the maker's own word.
    pub stop: Option<String>,
    pub input: Option<u64>,
    pub output: Option<u64>,
}

pub(super) fn words(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A count, which Titan writes with a decimal point.
pub(super) fn count(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    (0.0..1e12).contains(&number).then_some(number as u64)
}

/// The members of one object on top of another's, also inside of those that both have.
pub(super) fn merge(into: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(there)), Value::Object(value)) => merge(there, value),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(tongue: Tongue, body: &Value) -> (Value, Vec<String>) {
        let mut losses = Vec::new();
        let asked = tongue.ask(body.to_string().as_bytes(), "meta.llama2-13b-chat-v1", &mut losses);
        let lost = losses.iter().map(|loss| loss.what.to_string()).collect();
        (serde_json::from_slice(&asked).expect("JSON"), lost)
    }

    #[test]
    fn a_converse_request_is_asked_in_each_maker_s_words() {
        let body = json!({
            "messages": [{ "role": "user", "content": [{ "text": "hi" }] }],
            "inferenceConfig": { "maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["|"] },
        });
        let rows = [
            (
                Tongue::Titan,
                json!({ "inputText": "hi", "textGenerationConfig": { "maxTokenCount": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["|"] } }),
            ),
            (
                Tongue::Jurassic,
                json!({ "prompt": "hi", "maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["|"] }),
            ),
            (
                Tongue::Command,
                json!({ "prompt": "hi", "max_tokens": 9, "temperature": 0.5, "p": 0.9, "stop_sequences": ["|"] }),
            ),
            (
                Tongue::Mistral,
                json!({ "prompt": "<s>[INST] hi [/INST]", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": ["|"] }),
            ),
            (
                Tongue::Claude,
                json!({ "prompt": "\n\nHuman: hi\n\nAssistant:", "max_tokens_to_sample": 9, "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["\n\nHuman:", "|"] }),
            ),
            (
                Tongue::Nova,
                json!({ "schemaVersion": "messages-v1", "messages": body["messages"], "inferenceConfig": body["inferenceConfig"] }),
            ),
        ];
        for (tongue, want) in rows {
            assert_eq!(asked(tongue, &body), (want, Vec::new()), "{tongue:?}");
        }
        let (llama, lost) = asked(Tongue::Llama, &body);
        assert_eq!(
            (llama, lost),
            (
                json!({ "prompt": "<s>[INST] hi [/INST]", "max_gen_len": 9, "temperature": 0.5, "top_p": 0.9 }),
                vec!["stop".to_owned()]
            )
        );
    }

    #[test]
    fn a_conversation_becomes_one_text_and_what_is_no_text_is_lost() {
        let body = json!({
            "system": [{ "text": "Be brief." }],
            "messages": [
                { "role": "user", "content": [{ "text": "hi" }, { "image": {} }] },
                { "role": "assistant", "content": [{ "text": "yes?" }] },
                { "role": "user", "content": [{ "text": "bye" }] },
            ],
            "toolConfig": { "tools": [] },
            "additionalModelRequestFields": { "textGenerationConfig": { "temperature": 1 }, "x": 1 },
        });
        let (titan, lost) = asked(Tongue::Titan, &body);
        assert_eq!(titan["inputText"], "Be brief.\n\nUser: hi\nBot: yes?\nUser: bye\nBot:");
        assert_eq!((&titan["x"], &titan["textGenerationConfig"]["temperature"]), (&json!(1), &json!(1)));
        assert_eq!(lost, ["messages[0].content[1].image", "tools"]);
        let (llama, _) = asked(Tongue::Llama, &body);
        assert_eq!(
            llama["prompt"],
            "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nhi [/INST] yes? </s><s>[INST] bye [/INST]"
        );
        let newer = Tongue::Llama.ask(body.to_string().as_bytes(), "meta.llama3-8b-instruct-v1:0", &mut Vec::new());
        let newer: Value = serde_json::from_slice(&newer).expect("JSON");
        let prompt = newer["prompt"].as_str().expect("a prompt");
        assert!(
            prompt.starts_with("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>")
        );
        assert!(prompt.ends_with("bye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"), "{prompt}");
    }

    #[test]
    fn every_maker_s_reply_is_told_as_converse_tells_it() {
        let metrics = json!({ "inputTokenCount": 3, "outputTokenCount": 4, "invocationLatency": 5 });
        let rows = [
            (
                Tongue::Titan,
                json!({ "inputTextTokenCount": 3.0, "results": [{ "tokenCount": 4.0, "outputText": "hi", "completionReason": "LENGTH" }] }),
                "max_tokens",
            ),
            (
                Tongue::Llama,
                json!({ "generation": "hi", "prompt_token_count": 3, "generation_token_count": 4, "stop_reason": "stop" }),
                "end_turn",
            ),
            (
                Tongue::Jurassic,
                json!({ "completions": [{ "data": { "text": "hi" }, "finishReason": { "reason": "length" } }] }),
                "max_tokens",
            ),
            (
                Tongue::Command,
                json!({ "generations": [{ "text": "hi", "finish_reason": "ERROR_TOXIC" }] }),
                "content_filtered",
            ),
            (Tongue::Mistral, json!({ "outputs": [{ "text": "hi", "stop_reason": "stop" }] }), "end_turn"),
            (Tongue::Claude, json!({ "completion": "hi", "stop_reason": "max_tokens" }), "max_tokens"),
            (
                Tongue::Nova,
                json!({ "output": { "message": { "role": "assistant", "content": [{ "text": "hi" }] } }, "stopReason": "end_turn", "usage": { "inputTokens": 3 } }),
                "end_turn",
            ),
        ];
        for (tongue, mut told, stop) in rows {
            told["amazon-bedrock-invocationMetrics"] = metrics.clone();
            let whole = tongue.whole(told.to_string().as_bytes()).expect("a reply");
            let whole: Value = serde_json::from_slice(&whole).expect("JSON");
            assert_eq!(whole["output"]["message"]["content"][0]["text"], "hi", "{tongue:?}");
            assert_eq!(whole["stopReason"], stop, "{tongue:?}");
            let usage = json!({ "inputTokens": 3, "outputTokens": 4, "totalTokens": 7 });
            assert_eq!((&whole["usage"], &whole["metrics"]["latencyMs"]), (&usage, &json!(5)), "{tongue:?}");
        }
        for tongue in [Tongue::Titan, Tongue::Nova, Tongue::Llama, Tongue::Cohere] {
            for body in ["{}", "[]", "x", r#"{"message":"no"}"#] {
                assert_eq!(tongue.whole(body.as_bytes()), None, "{tongue:?} {body}");
            }
        }
    }
}
