//! `additionalModelRequestFields`: what Converse has no word for and a family of models takes under a name of its own.

use super::encode::Family;
use crate::Quirks;
use crate::anthropic::limits::{BESIDE_THINKING, Limits, Mode, says_effort};
use crate::object::{Object, Writer, to_raw};
use crate::quirks::ReasoningStyle;
use slip_ir::{Effort, Loss, Raw, Reasoning, Request, ToolChoice};

/// The fields of one request, in order, each once.
#[derive(Default)]
pub struct Fields(Vec<(String, Raw)>);

impl Fields {
    fn put(&mut self, name: &str, value: Option<Raw>) {
        if let Some(value) = value.filter(|_| !self.0.iter().any(|(known, _)| known == name)) {
            self.0.push((name.to_owned(), value));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let mut w = Writer::open(out);
        self.0.iter().for_each(|(name, value)| {
            w.raw(name, value.as_str());
        });
        w.close();
    }
}

/// What of a request goes here. `choice` is set where the choice of a tool is told here and not in `toolConfig`.
pub fn fields(
    request: &Request,
    family: Family,
    limits: &Limits,
    choice: Option<&ToolChoice>,
    quirks: &Quirks,
    losses: &mut Vec<Loss>,
) -> Fields {
    let mut fields = Fields::default();
    top_k(request, family, limits, &mut fields, losses);
    match family {
        Family::Claude => claude(request, limits, choice, &mut fields),
        _ if quirks.reasoning != ReasoningStyle::Unsaid => others(request, family, &mut fields, losses),
        _ => {}
    }
    // What the caller wrote here by themselves, as far as nothing above says it.
    let own = request.in_extra("additionalModelRequestFields");
    if let Some(Ok(members)) = own.map(|raw| Object::parse(raw.as_str(), "")) {
        members.rest().for_each(|(name, raw)| fields.put(&name, Raw::parse(raw.get())));
    }
    fields
}

fn top_k(request: &Request, family: Family, limits: &Limits, fields: &mut Fields, losses: &mut Vec<Loss>) {
    let Some(top_k) = &request.params.top_k else { return };
    match family {
        Family::Claude if limits.thinks() => losses.push(Loss::new("top_k", BESIDE_THINKING)),
        Family::Claude | Family::Mistral => fields.put("top_k", Raw::of(top_k)),
        Family::Cohere => fields.put("k", Raw::of(top_k)),
        Family::Nova => fields.put(
            "inferenceConfig",
            object(|w| {
                w.put("topK", top_k);
            }),
        ),
        Family::GptOss | Family::Other => losses.push(Loss::new("top_k", "this model has no name for it")),
    }
}

fn claude(request: &Request, limits: &Limits, choice: Option<&ToolChoice>, fields: &mut Fields) {
    if limits.mode != Mode::Unsaid {
        let said = ["type", "budget_tokens", "display"];
        fields.put(
            "thinking",
            object(|w| {
                limits.write_thinking(w);
                w.others(request.in_extra("thinking"), &said);
            }),
        );
    }
    let config = request.in_extra("output_config").filter(|raw| raw.as_str().starts_with('{'));
    let effort = limits.effort_word(&request.params);
    if config.is_some() || effort.is_some() {
        fields.put(
            "output_config",
            object(|w| {
                w.put_some("effort", &effort.filter(|_| !says_effort(request)));
                w.others(config, &[]);
            }),
        );
    }
    if let Some(choice) = choice {
        fields.put(
            "tool_choice",
            object(|w| {
                match choice {
                    ToolChoice::Required => w.put("type", "any"),
                    ToolChoice::Named(name) => w.put("type", "tool").put("name", name),
                    ToolChoice::Auto | ToolChoice::None => w.put("type", "auto"),
                };
                w.put("disable_parallel_tool_use", &true);
            }),
        );
    }
}

/// How much other families shall think.
fn others(request: &Request, family: Family, fields: &mut Fields, losses: &mut Vec<Loss>) {
    let Some(wish) = &request.reasoning else { return };
    let off = wish.is_off();
    let level = if off { None } else { level(wish) };
    match (family, level) {
        (Family::GptOss, Some(level)) => fields.put("reasoning_effort", Raw::of(level)),
        (Family::Nova, Some(level)) => fields.put(
            "reasoningConfig",
            object(|w| {
                // At the highest level Nova takes no cap on its output, and a cap is a matter of money.
                let capped = level == "high" && request.params.max_tokens.is_some();
                if capped {
                    losses.push(Loss::new(
                        "reasoning.effort",
                        "the highest takes no cap on the output: medium was asked for",
                    ));
                }
                w.put("type", "enabled").put("maxReasoningEffort", if capped { "medium" } else { level });
            }),
        ),
        (Family::Nova, None) if off => fields.put(
            "reasoningConfig",
            object(|w| {
                w.put("type", "disabled");
            }),
        ),
        (_, Some(_)) => losses.push(Loss::new("reasoning", "this model has no way to be told")),
        (_, None) => {}
    }
}

fn level(wish: &Reasoning) -> Option<&'static str> {
    match (wish.effort, wish.budget, wish.enabled) {
        (Some(Effort::Minimal | Effort::Low), ..) => Some("low"),
        (Some(Effort::Medium), ..) => Some("medium"),
        (Some(_), ..) => Some("high"),
        (None, Some(budget), _) => Some(if budget <= 2048 {
            "low"
        } else if budget <= 16_384 {
            "medium"
        } else {
            "high"
        }),
        (None, None, Some(true)) => Some("medium"),
        (None, None, _) => None,
    }
}

fn object(write: impl FnOnce(&mut Writer<'_>)) -> Option<Raw> {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    write(&mut w);
    w.close();
    to_raw(out)
}
