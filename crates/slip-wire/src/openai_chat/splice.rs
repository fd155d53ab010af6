//! A chat request for an upstream of the same dialect: top-level members are replaced, renamed or left out, the rest is copied.

#[cfg(test)]
mod tests;

use crate::house;
use crate::json::{self, write_string};
use crate::quirks::{MaxTokens, ReasoningStyle, Replay, Structured};
use crate::{Peek, Quirks};
use slip_ir::{Effort, Loss};

/// Members that are said to this house and not to the model.
const HOUSE: [&str; 4] = ["usage", "structured_outputs", "cache_control", "image_config"];

/// Members whose `null` means absent; upstreams are stricter about it than we are.
const OPTIONAL: [&str; 24] = [
    "stream",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "temperature",
    "top_p",
    "top_k",
    "top_a",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "user",
    "metadata",
    "modalities",
    "prediction",
    "verbosity",
];

/// Must the request go through the IR to reach an upstream with these quirks? Asked before [`splice`].
pub fn needs_ir(peek: &Peek, quirks: &Quirks) -> bool {
    let shape = &peek.shape;
    let want = &peek.want;
    let ids = match quirks.tool_ids {
        crate::quirks::ToolIds::Any => false,
        crate::quirks::ToolIds::Alnum9 => shape.id_not_alnum9,
        crate::quirks::ToolIds::Word64 => shape.id_not_word64,
    };
    let format = match quirks.structured {
        Structured::JsonSchema => false,
        Structured::JsonObject => want.json_schema,
        Structured::Unsaid => want.json_schema || want.json_object,
    };
    !peek.spliceable
        || ids
        || format
        || shape.developer && !quirks.developer_role
        || shape.calls && quirks.replay == Replay::ReasoningContent
        || shape.cache_control && !quirks.router
        || shape.parts && !quirks.content_parts
        || shape.image_urls && !quirks.image_urls
        || shape.tool_required && quirks.tool_choice_required != "required"
        || want.tools && quirks.schema_subset
}

/// Write the request as the upstream should read it. `peek` is of this very `body`.
pub fn splice(body: &[u8], peek: &Peek, upstream_model: &str, quirks: &Quirks, out: &mut Vec<u8>) -> Vec<Loss> {
    out.reserve(body.len() + upstream_model.len() + 128);
    let mut splice = Splice { body, peek, quirks, out, first: true, losses: Vec::new() };
    splice.out.push(b'{');
    let (mut thought, mut options, mut model) = (false, false, false);
    for member in &peek.members {
        let Some(value) = body.get(member.value.clone()) else { continue };
        match member.key.as_str() {
            "model" => {
                splice.key("model");
                write_string(upstream_model, splice.out);
                model = true;
            }
            "max_tokens" | "max_completion_tokens" => splice.cap(&member.key, value),
            "stream_options" => {
                splice.stream_options(Some(value));
                options = true;
            }
            "reasoning" | "reasoning_effort" | "include_reasoning" if !quirks.router => {
                if !std::mem::replace(&mut thought, true) {
                    splice.thought();
                }
            }
            key if (HOUSE.contains(&key) || house::is_ours(key)) && !quirks.router => {
                if key == "image_config" && value != b"null" {
                    splice.losses.push(Loss::new("image_config", "this provider has no place for it"));
                }
            }
            key if value == b"null" && OPTIONAL.contains(&key) => {}
            // Many clients send an empty list; upstreams refuse it, and what only makes sense beside tools with it.
            "tools" if !peek.want.tools => {}
            "tool_choice" | "parallel_tool_calls" if !peek.want.tools && peek.member("tools").is_some() => {}
            key if splice.refused(key) => {
                if !is_default(key, value) {
                    splice.losses.push(Loss::new(key.to_owned(), "this provider refuses it"));
                }
            }
            _ => {
                splice.comma();
                splice.out.extend_from_slice(body.get(member.whole.clone()).unwrap_or_default());
            }
        }
    }
    if !model {
        splice.key("model");
        write_string(upstream_model, splice.out);
    }
    if !options {
        splice.stream_options(None);
    }
    splice.out.push(b'}');
    splice.losses
}

/// Asks for what happens anyway, so that leaving it out loses nothing.
fn is_default(key: &str, value: &[u8]) -> bool {
    value == b"null"
        || matches!(
            (key, value),
            ("n", b"1") | ("logprobs" | "store", b"false") | ("top_logprobs", b"0") | ("parallel_tool_calls", b"true")
        )
        || matches!(key, "logit_bias" | "metadata") && value == b"{}"
}

struct Splice<'a> {
    body: &'a [u8],
    peek: &'a Peek,
    quirks: &'a Quirks,
    out: &'a mut Vec<u8>,
    first: bool,
    losses: Vec<Loss>,
}

impl Splice<'_> {
    fn comma(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
    }

    fn key(&mut self, name: &str) {
        self.comma();
        write_string(name, self.out);
        self.out.push(b':');
    }

    fn number(&mut self, name: &str, value: u64) {
        self.key(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn word(&mut self, name: &str, value: &str) {
        self.key(name);
        write_string(value, self.out);
    }

    fn raw(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        self.out.extend_from_slice(value);
    }

    fn refused(&self, name: &str) -> bool {
        self.quirks.refuses(name)
    }

    fn said(&self, name: &str) -> Option<&[u8]> {
        let value = self.body.get(self.peek.member(name)?.value.clone())?;
        (value != b"null").then_some(value)
    }

    /// Both names mean the same; of two, the newer one counts.
    fn cap(&mut self, key: &str, value: &[u8]) {
        let older = key == "max_tokens" && self.said("max_completion_tokens").is_some();
        if value == b"null" || older {
            return;
        }
        let name = match self.quirks.max_tokens {
            MaxTokens::Completion => "max_completion_tokens",
            MaxTokens::Plain => "max_tokens",
            MaxTokens::AsSent => key,
        };
        if self.refused(name) {
            self.losses.push(Loss::new(key.to_owned(), "this provider refuses it"));
        } else {
            self.raw(name, value);
        }
    }

    /// Usage is always wanted, so that a stream can be priced; whoever cannot be asked must not be.
    fn stream_options(&mut self, said: Option<&[u8]>) {
        if !self.peek.stream || !self.quirks.stream_options {
            return;
        }
        self.key("stream_options");
        self.out.extend_from_slice(b"{\"include_usage\":true");
        for (key, value) in said.into_iter().flat_map(json::fields) {
            if !key.is("include_usage") {
                self.out.extend_from_slice(b",\"");
                self.out.extend_from_slice(key.raw());
                self.out.extend_from_slice(b"\":");
                self.out.extend_from_slice(value);
            }
        }
        self.out.push(b'}');
    }

    /// Say the wish for reasoning the upstream's way. What the caller wrote in the upstream's own member stands.
    fn thought(&mut self) {
        let thought = self.peek.reasoning;
        let (wanted, refused) = (thought.wanted(), thought.refused());
        let effort = self.effort();
        let budget = self.budget();
        match self.quirks.reasoning {
            ReasoningStyle::Object => match (self.said("reasoning"), effort) {
                (Some(_), _) => {
                    let value = self.said("reasoning").unwrap_or_default().to_vec();
                    self.raw("reasoning", &value);
                }
                (None, Some(effort)) => {
                    self.key("reasoning");
                    self.out.extend_from_slice(b"{\"effort\":");
                    write_string(effort.name(), self.out);
                    self.out.push(b'}');
                }
                (None, None) if wanted => self.raw("reasoning", b"{\"enabled\":true}"),
                (None, None) => {}
            },
            ReasoningStyle::Effort if self.refused("reasoning_effort") && (wanted || refused) => {
                self.losses.push(Loss::new("reasoning", "this provider refuses it"));
            }
            ReasoningStyle::Effort => match effort {
                Some(effort) => self.word("reasoning_effort", effort.name()),
                None if wanted => self.word("reasoning_effort", Effort::Medium.name()),
                None => {}
            },
            ReasoningStyle::Thinking if self.peek.member("thinking").is_none() => {
                if refused {
                    self.raw("thinking", b"{\"type\":\"disabled\"}");
                } else if wanted {
                    self.raw("thinking", b"{\"type\":\"enabled\"");
                    if let Some(budget) = budget {
                        self.out.extend_from_slice(b",\"budget_tokens\":");
                        self.out.extend_from_slice(itoa::Buffer::new().format(budget).as_bytes());
                    }
                    self.out.push(b'}');
                }
            }
            ReasoningStyle::EnableThinking if self.peek.member("enable_thinking").is_none() => {
                if refused {
                    self.raw("enable_thinking", b"false");
                } else if wanted {
                    self.raw("enable_thinking", b"true");
                    if let Some(budget) = budget
                        && self.peek.member("thinking_budget").is_none()
                    {
                        self.number("thinking_budget", budget);
                    }
                }
            }
            ReasoningStyle::Thinking | ReasoningStyle::EnableThinking => {}
            ReasoningStyle::Unsaid if wanted || refused => {
                self.losses.push(Loss::new("reasoning", "this provider has no way to say it"));
            }
            ReasoningStyle::Unsaid => {}
        }
    }

    fn ceiling(&self) -> u64 {
        self.peek.want.max_tokens.unwrap_or(self.quirks.default_max_tokens)
    }

    /// The effort asked for; of a budget, the level whose budget is nearest.
    fn effort(&self) -> Option<Effort> {
        let thought = self.peek.reasoning;
        if thought.refused() {
            return Some(Effort::None);
        }
        thought.effort.or_else(|| {
            let wish = thought.budget?;
            let levels = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::XHigh];
            if wish == 0 {
                return Some(Effort::None);
            }
            levels.into_iter().min_by_key(|level| level.budget(self.ceiling()).abs_diff(wish))
        })
    }

    fn budget(&self) -> Option<u64> {
        let thought = self.peek.reasoning;
        thought.budget.filter(|b| *b > 0).or_else(|| thought.effort.map(|effort| effort.budget(self.ceiling())))
    }
}
