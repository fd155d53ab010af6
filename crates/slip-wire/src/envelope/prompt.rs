//! A Converse request as one text to be continued, for models that know no turns.

use serde_json::{Map, Value};
use slip_ir::Loss;

#[derive(Debug, Default)]
pub(super) struct Prompt {
    pub system: String,
    /// Who said it: the model, or its user.
    pub turns: Vec<(bool, String)>,
    pub max_tokens: Option<Value>,
    pub temperature: Option<Value>,
    pub top_p: Option<Value>,
    pub stop: Vec<Value>,
    /// Members of the model's own, which are its own in both spellings.
    pub more: Map<String, Value>,
    lost: Vec<Loss>,
}

impl Prompt {
    pub fn of(mut body: Map<String, Value>, losses: &mut Vec<Loss>) -> Prompt {
        let mut prompt = Prompt::default();
        prompt.system = prompt.text(body.get("system"), "system");
        let messages = body.remove("messages");
        for (n, message) in messages.iter().filter_map(Value::as_array).flatten().enumerate() {
            let text = prompt.text(message.get("content"), &format!("messages[{n}].content"));
            prompt.turns.push((message["role"] == "assistant", text));
        }
        if body.contains_key("toolConfig") {
            prompt.lost.push(Loss::new("tools", "this model continues text and calls none"));
        }
        let config = |name: &str| body.get("inferenceConfig").and_then(|config| config.get(name)).cloned();
        prompt.max_tokens = config("maxTokens");
        prompt.temperature = config("temperature");
        prompt.top_p = config("topP");
        prompt.stop = config("stopSequences").and_then(|stops| stops.as_array().cloned()).unwrap_or_default();
        if let Some(Value::Object(more)) = body.remove("additionalModelRequestFields") {
            prompt.more = more;
        }
        losses.append(&mut prompt.lost);
        prompt
    }

    /// Its texts; results of tools and documents are none.
    fn text(&mut self, content: Option<&Value>, at: &str) -> String {
        let mut texts = Vec::new();
        for (n, part) in content.and_then(Value::as_array).into_iter().flatten().enumerate() {
            match part["text"].as_str() {
                Some(text) => texts.push(text),
                None => {
                    let kind = part.as_object().and_then(|part| part.keys().next()).map_or("part", String::as_str);
                    self.lost.push(Loss::new(format!("{at}[{n}].{kind}"), "this model reads text only"));
                }
            }
        }
        texts.join("\n")
    }

    /// What a user said alone as it is; a conversation as a play, with these names for the two.
    pub fn play(&self, user: &str, model: &str) -> String {
        let mut text = self.system.clone();
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        if let [(false, said)] = self.turns.as_slice() {
            return text + said;
        }
        for (own, said) in &self.turns {
            text.push_str(&format!("{}: {said}\n", if *own { model } else { user }));
        }
        text + model + ":"
    }

    /// In the brackets Mistral's and Meta's second models were taught with. `head` is what the first turn begins with.
    pub fn bracketed(&self, head: &str) -> String {
        let mut text = String::from("<s>");
        let mut head = Some(head).filter(|head| !head.is_empty());
        for (n, (own, said)) in self.turns.iter().enumerate() {
            if *own {
                text.push_str(&format!(" {said} </s>"));
            } else {
                let again = if n > 0 && text.ends_with("</s>") { "<s>" } else { "" };
                text.push_str(&format!("{again}[INST] {}{said} [/INST]", head.take().unwrap_or_default()));
            }
        }
        text
    }

    /// Members of a request under the names a maker gives them.
    pub fn put(&mut self, body: &mut Map<String, Value>, [cap, temperature, top_p, stop]: [&str; 4]) {
        let numbers =
            [(cap, self.max_tokens.take()), (temperature, self.temperature.take()), (top_p, self.top_p.take())];
        body.extend(numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        if !self.stop.is_empty() {
            body.insert(stop.to_owned(), std::mem::take(&mut self.stop).into());
        }
    }
}
