//! Structured output where the upstream has none: the request asks by a tool the model must call, or in words, and what comes back
//! is told as the text the caller waits for. A transformation of requests and events; no dialect knows of it.

mod fence;
mod shape;
#[cfg(test)]
mod tests;

pub use fence::extract;
pub use shape::Shape;

use crate::Quirks;
use crate::quirks::Structured;
use slip_ir::request::Function;
use slip_ir::{Block, Dialect, Format, Loss, Raw, Request, Role, Tool, ToolChoice, Turn};

/// The tool that carries the answer. The caller declared none, so there is nothing to mistake it for.
pub(crate) const TOOL: &str = "json_answer";

/// How the form of an answer is asked for where there is no member for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The schema is that of a tool which must be called; its arguments are the answer.
    Tool,
    /// In words, in the system prompt.
    Prompt,
}

/// What is to be done to a reply so that it is what the caller asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reshape {
    /// The form of the answer was asked for by other means.
    pub way: Option<Way>,
    /// Annotations of ours, beside the first words.
    pub annotations: Vec<Raw>,
}

/// Whether the dialect, as this upstream speaks it, has a member that says this format.
fn native(format: &Format, to: Dialect, quirks: &Quirks) -> bool {
    match (to, format) {
        (_, Format::Text | Format::Opaque { .. }) => true,
        (Dialect::Anthropic, Format::JsonObject) => false,
        (Dialect::OpenAiChat | Dialect::Responses | Dialect::Anthropic, Format::JsonSchema { .. }) => {
            quirks.structured == Structured::JsonSchema
        }
        (Dialect::OpenAiChat | Dialect::Responses, Format::JsonObject) => quirks.structured != Structured::Unsaid,
        (Dialect::Gemini | Dialect::Ollama | Dialect::OllamaGenerate | Dialect::Cohere, _) => true,
        (Dialect::Bedrock | Dialect::Completions, _) => false,
    }
}

/// Which way this request must go; `None` when the upstream takes its format as it is. `can_force`: its models are known to take
/// tools and to obey a choice of one.
pub fn way(request: &Request, to: Dialect, quirks: &Quirks, can_force: bool) -> Option<Way> {
    let format = request.format.as_ref()?;
    if native(format, to, quirks) {
        return None;
    }
    // Models that think cannot be made to call a tool (Anthropic, DeepSeek and Alibaba refuse it).
    let thinks =
        request.reasoning.as_ref().is_some_and(|r| r.enabled != Some(false) && r.effort != Some(slip_ir::Effort::None));
    let tool = can_force
        && !matches!(to, Dialect::Completions | Dialect::OllamaGenerate)
        && request.tools.is_empty()
        && !thinks
        && !quirks.refuses("tools")
        && !quirks.refuses("tool_choice")
        && matches!(format, Format::JsonSchema { schema, .. } if is_object(schema));
    Some(if tool { Way::Tool } else { Way::Prompt })
}

/// The arguments of a tool are an object: a schema of anything else cannot be a tool's.
fn is_object(schema: &Raw) -> bool {
    let kind = crate::json::field(schema.as_str().as_bytes(), "type").and_then(crate::json::string);
    kind.as_deref() == Some("object")
}

/// Ask for the format in that way.
pub fn impose(request: &mut Request, way: Way, to: Dialect, quirks: &Quirks) -> Option<Loss> {
    let format = request.format.take()?;
    Some(match way {
        Way::Tool => {
            let (schema, description) = match format {
                Format::JsonSchema { schema, description, .. } => (Some(schema), description),
                _ => (None, None),
            };
            request.tools = vec![Tool::Function(Function {
                name: TOOL.to_owned(),
                description: Some(
                    description.unwrap_or_else(|| "Gives the answer. Its arguments are the answer.".to_owned()),
                ),
                parameters: schema,
                ..Function::default()
            })];
            request.tool_choice = Some(ToolChoice::Named(TOOL.to_owned()));
            request.parallel_tool_calls = None;
            Loss::new("response_format", "by forced tool")
        }
        Way::Prompt => {
            instruct(&mut request.turns, &words(&format));
            // Half a promise is better than none, where the upstream can make it.
            let half = to == Dialect::OpenAiChat && quirks.structured == Structured::JsonObject;
            let object = match &format {
                Format::JsonSchema { schema, .. } => is_object(schema),
                _ => true,
            };
            request.format = (half && object).then_some(Format::JsonObject);
            Loss::new("response_format", "by prompt")
        }
    })
}

fn words(format: &Format) -> String {
    match format {
        Format::JsonSchema { schema, .. } => format!(
            "Answer with one JSON value and nothing else: no Markdown, no explanation. It must be valid against this JSON Schema:\n{}",
            schema.as_str()
        ),
        _ => "Answer with one JSON object and nothing else: no Markdown, no explanation.".to_owned(),
    }
}

/// Behind the instructions that are there: several models read the first system message only.
fn instruct(turns: &mut Vec<Turn>, words: &str) {
    let leading = turns.iter().take_while(|turn| matches!(turn.role, Role::System | Role::Developer)).count();
    match leading.checked_sub(1).and_then(|last| turns.get_mut(last)) {
        Some(turn) => turn.blocks.push(Block::text(format!("\n\n{words}"))),
        None => turns.insert(0, Turn::new(Role::System, vec![Block::text(words)])),
    }
}

/// Show the model what it said and what is wrong with it, and ask again.
pub fn ask_again(request: &mut Request, said: &str, wrong: &str) {
    let words = format!(
        "That is not the JSON that was asked for: {wrong}. Answer again, with the corrected JSON and nothing else."
    );
    request.turns.push(Turn::new(Role::Assistant, vec![Block::text(said)]));
    request.turns.push(Turn::new(Role::User, vec![Block::text(words)]));
}
