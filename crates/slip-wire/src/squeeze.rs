//! Middle-out: a conversation that is longer than the model's context, made to fit by leaving out turns from its middle, and, when that
//! is not enough, the middle of its longest text. Beginnings say what it is about, ends what is wanted; models read both best.
//!
//! Only for callers that asked for it (`transforms: ["middle-out"]`, or OpenRouter's plugin `context-compression`).

use crate::json;
use crate::peek::Peek;
use slip_ir::{Block, Loss, Request, Role, Turn};

/// What a cut text has in the place of its middle.
const GAP: &str = "\n[…]\n";
/// A text is not cut shorter than this, in bytes.
const LEAST: usize = 256;

/// Whether the caller asked for it.
pub fn wanted(peek: &Peek, body: &[u8]) -> bool {
    let value = |name: &str| peek.member(name).and_then(|m| body.get(m.value.clone())).unwrap_or_default();
    let is = |span: &[u8], word: &str| json::string(span).is_some_and(|text| text == word);
    if json::items(value("transforms")).any(|word| is(word, "middle-out")) {
        return true;
    }
    let plugin = json::items(value("plugins"))
        .find(|plugin| json::field(plugin, "id").is_some_and(|id| is(id, "context-compression")));
    plugin.is_some_and(|plugin| json::field(plugin, "enabled") != Some(b"false"))
}

/// Bytes of a turn that the model reads, about.
fn weight(turn: &Turn) -> usize {
    16 + turn.blocks.iter().map(block_weight).sum::<usize>()
}

fn block_weight(block: &Block) -> usize {
    match block {
        Block::Text(text) => text.text.len(),
        Block::Refusal(text) => text.len(),
        Block::Thinking(thinking) => thinking.text.len(),
        Block::ToolCall(call) => call.name.len() + call.arguments.len(),
        Block::ToolResult(result) => result.content.iter().map(block_weight).sum(),
        Block::Media(_) | Block::Opaque { .. } => 64,
    }
}

/// Makes it fit into so many tokens (four bytes each). `None` when it did already.
pub fn middle_out(request: &mut Request, most_tokens: u64) -> Option<Loss> {
    let most = usize::try_from(most_tokens.saturating_mul(4)).unwrap_or(usize::MAX);
    let mut total: usize = request.turns.iter().map(weight).sum();
    if total <= most {
        return None;
    }
    let before = request.turns.len();
    let mut units = units(&request.turns);
    // The first and the last stay: what it is about, and what is asked.
    while total > most && units.len() > 2 {
        let unit = units.remove(units.len() / 2);
        let gone: usize = request.turns.get(unit.clone()).unwrap_or_default().iter().map(weight).sum();
        total -= gone;
        request.turns.drain(unit.clone());
        let shift = unit.len();
        for later in units.iter_mut().filter(|later| later.start >= unit.end) {
            *later = later.start - shift..later.end - shift;
        }
    }
    let left_out = before - request.turns.len();
    let cut = cut(request, total, most);
    let mut why = format!("{left_out} of {before} turns were left out of the middle to fit the model's context");
    if cut > 0 {
        why.push_str(&format!(", and {cut} bytes of the longest text"));
    }
    Some(Loss::new("messages", why))
}

/// Stretches of turns that belong together: a call of tools and what the tools said. Instructions belong to none and stay.
fn units(turns: &[Turn]) -> Vec<std::ops::Range<usize>> {
    let mut units: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, turn) in turns.iter().enumerate() {
        let answers = turn.blocks.iter().any(|block| matches!(block, Block::ToolResult(_)));
        match (turn.role, units.last_mut()) {
            (Role::System | Role::Developer, _) => {}
            (_, Some(last)) if (turn.role == Role::Tool || answers) && last.end == at => last.end = at + 1,
            _ => units.push(at..at + 1),
        }
    }
    units
}

/// Takes the middle out of the longest texts until it fits, and gives back how many bytes went.
fn cut(request: &mut Request, mut total: usize, most: usize) -> usize {
    let mut gone = 0;
    while total > most {
        let texts = request.turns.iter_mut().flat_map(|turn| &mut turn.blocks).filter_map(|block| match block {
            Block::Text(text) => Some(&mut text.text),
            Block::ToolResult(result) => result.content.iter_mut().find_map(|inner| match inner {
                Block::Text(text) => Some(&mut text.text),
                _ => None,
            }),
            _ => None,
        });
        let Some(longest) = texts.max_by_key(|text| text.len()).filter(|text| text.len() > LEAST * 2) else { break };
        let keep = longest.len().saturating_sub(total - most + GAP.len()).max(LEAST) / 2;
        let head = floor(longest, keep);
        let tail = floor(longest, longest.len() - keep);
        let shorter = [longest.get(..head).unwrap_or_default(), GAP, longest.get(tail..).unwrap_or_default()].concat();
        let less = longest.len().saturating_sub(shorter.len());
        if less == 0 {
            break;
        }
        *longest = shorter;
        total -= less.min(total);
        gone += less;
    }
    gone
}

/// The nearest boundary between characters at or before this byte.
fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;
    use slip_ir::Dialect;

    fn conversation(turns: usize, bytes: usize) -> Request {
        let mut request = wire(Dialect::OpenAiChat)
            .decode_request(br#"{"model":"m","messages":[{"role":"system","content":"be brief"}]}"#)
            .unwrap()
            .0;
        for n in 0..turns {
            let role = if n % 2 == 0 { Role::User } else { Role::Assistant };
            request.turns.push(Turn::new(role, vec![Block::text(format!("{n} ") + &"x".repeat(bytes))]));
        }
        request
    }

    fn firsts(request: &Request) -> Vec<String> {
        let text = |turn: &Turn| match turn.blocks.first() {
            Some(Block::Text(text)) => text.text.chars().take_while(|c| *c != ' ').collect(),
            _ => String::new(),
        };
        request.turns.iter().map(text).collect()
    }

    #[test]
    fn what_fits_is_left_alone() {
        let mut request = conversation(9, 100);
        let before = request.clone();
        assert_eq!(middle_out(&mut request, 1_000), None);
        assert_eq!(request, before);
    }

    #[test]
    fn turns_go_from_the_middle_and_instructions_stay() {
        let mut request = conversation(9, 400);
        let loss = middle_out(&mut request, 500).unwrap();
        assert_eq!(firsts(&request), ["be", "0", "1", "7", "8"], "{loss}");
        assert!(loss.to_string().contains("5 of 10 turns"), "{loss}");
    }

    #[test]
    fn a_call_goes_with_its_result_or_not_at_all() {
        let mut request = wire(Dialect::OpenAiChat)
            .decode_request(
                br#"{"model":"m","messages":[{"role":"user","content":"a"},
                {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
                {"role":"tool","tool_call_id":"c1","content":"a long result a long result a long result a long result"},
                {"role":"assistant","content":"so"},{"role":"user","content":"b"}]}"#,
            )
            .unwrap()
            .0;
        middle_out(&mut request, 22).unwrap();
        let calls = |request: &Request| {
            let blocks: Vec<&Block> = request.turns.iter().flat_map(|turn| &turn.blocks).collect();
            let count = |is: fn(&&&Block) -> bool| blocks.iter().filter(is).count();
            (count(|b| matches!(b, Block::ToolCall(_))), count(|b| matches!(b, Block::ToolResult(_))))
        };
        assert_eq!(calls(&request), (0, 0));
    }

    #[test]
    fn one_text_too_long_loses_its_middle() {
        let mut request = conversation(1, 100_000);
        let loss = middle_out(&mut request, 1_000).unwrap();
        let Some(Block::Text(text)) = request.turns[1].blocks.first() else { panic!("a text") };
        assert!(text.text.len() <= 4_000 && text.text.starts_with("0 xx") && text.text.contains(GAP), "{loss}");
        let mut umlauts = conversation(0, 0);
        umlauts.turns.push(Turn::new(Role::User, vec![Block::text("ü".repeat(9_001))]));
        assert!(middle_out(&mut umlauts, 500).is_some());
    }

    #[test]
    fn it_is_asked_for_in_two_ways() {
        for (extra, want) in [
            (r#""transforms":["middle-out"]"#, true),
            (r#""transforms":[]"#, false),
            (r#""plugins":[{"id":"web"},{"id":"context-compression"}]"#, true),
            (r#""plugins":[{"id":"context-compression","enabled":false}]"#, false),
            (r#""x":1"#, false),
        ] {
            let body = format!(r#"{{"messages":[{{"role":"user","content":"a"}}],{extra}}}"#);
            assert_eq!(wanted(&Peek::openai_chat(body.as_bytes()).unwrap(), body.as_bytes()), want, "{extra}");
        }
    }
}
