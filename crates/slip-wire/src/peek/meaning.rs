//! What is read of a request that was decoded anyway: its meaning says what it wants, its top level how it is to be routed.

use super::*;
use slip_ir::{Block, Format, Params, Source};

pub(super) fn peek(body: &[u8], request: &Request, named: Option<&Named>) -> Result<Peek, Malformed> {
    let mut peek = Peek { members: json::members(body)?, spliceable: true, stream: request.stream, ..Peek::default() };
    peek.model = Some(request.model.clone()).filter(|model| !model.is_empty());
    peek.user.clone_from(&request.params.user);
    let members = std::mem::take(&mut peek.members);
    for member in &members {
        peek.routed(&member.key, &body[member.value.clone()])?;
    }
    peek.members = members;
    if let Some(named) = named {
        peek.model = Some(named.model.clone());
        peek.stream = named.stream;
    }
    if request.turns.len() > MAX_MESSAGES {
        return wrong("", &format!("a conversation must hold at most {MAX_MESSAGES} turns"));
    }
    let mut bytes = request.tools.len();
    for block in request.turns.iter().flat_map(|turn| &turn.blocks) {
        bytes += weigh(&mut peek, block);
    }
    wants(&mut peek, request);
    peek.want.prompt_tokens = (bytes as u64).div_ceil(4);
    Ok(peek)
}

/// Bytes of text in a block; what else it holds is noted.
fn weigh(peek: &mut Peek, block: &Block) -> usize {
    match block {
        Block::Text(text) => text.text.len(),
        Block::Refusal(text) => text.len(),
        Block::Media(media) => {
            peek.want.media.insert(media.kind);
            peek.shape.image_urls |= media.kind == MediaKind::Image && matches!(media.source, Source::Url(_));
            if let Source::Text(text) = &media.source { text.len() } else { 0 }
        }
        Block::Thinking(thinking) => {
            if thinking.signature.is_some() || thinking.data.is_some() {
                peek.seal(&thinking.format);
            }
            thinking.text.len()
        }
        Block::ToolCall(call) => {
            peek.shape.calls = true;
            call.name.len() + call.arguments.len()
        }
        Block::ToolResult(result) => result.content.iter().map(|block| weigh(peek, block)).sum(),
        Block::Opaque { raw, .. } => raw.as_str().len(),
    }
}

fn wants(peek: &mut Peek, request: &Request) {
    let params: &Params = &request.params;
    peek.want.stream = peek.stream;
    peek.want.n = params.n.unwrap_or(1).max(1);
    peek.want.max_tokens = params.max_tokens;
    peek.want.tools = !request.tools.is_empty();
    match &request.format {
        Some(Format::JsonSchema { .. }) => peek.want.json_schema = true,
        Some(Format::JsonObject) => peek.want.json_object = true,
        Some(Format::Text | Format::Opaque { .. }) | None => {}
    }
    if let Some(reasoning) = &request.reasoning {
        peek.hide_reasoning = reasoning.exclude;
        peek.reasoning = Thought { effort: reasoning.effort, budget: reasoning.budget, enabled: reasoning.enabled };
    }
    peek.want.reasoning = peek.reasoning.wanted();
    peek.want.image_out = params.modalities.iter().any(|word| word == "image");
    peek.want.audio_out = params.modalities.iter().any(|word| word == "audio");
    let said: [(&'static str, bool); 20] = [
        ("tools", peek.want.tools),
        ("tool_choice", request.tool_choice.is_some()),
        ("parallel_tool_calls", request.parallel_tool_calls.is_some()),
        ("response_format", peek.want.json_schema || peek.want.json_object),
        ("structured_outputs", peek.want.json_schema),
        ("reasoning", request.reasoning.is_some()),
        ("max_tokens", params.max_tokens.is_some()),
        ("temperature", params.temperature.is_some()),
        ("top_p", params.top_p.is_some()),
        ("top_k", params.top_k.is_some()),
        ("min_p", params.min_p.is_some()),
        ("frequency_penalty", params.frequency_penalty.is_some()),
        ("presence_penalty", params.presence_penalty.is_some()),
        ("repetition_penalty", params.repetition_penalty.is_some()),
        ("seed", params.seed.is_some()),
        ("stop", !params.stop.is_empty()),
        ("logprobs", params.logprobs == Some(true)),
        ("top_logprobs", params.top_logprobs.is_some()),
        ("logit_bias", params.logit_bias.is_some()),
        ("verbosity", params.verbosity.is_some()),
    ];
    said.iter().filter(|(_, present)| *present).for_each(|(name, _)| peek.param(name));
}
