//! A caller's wish that the prompt be cached, for upstreams that want to be told where: the one word at the top becomes a mark on the
//! last block that can bear one, which is where it would be put by those who find the place themselves.

use crate::Quirks;
use slip_ir::{Block, Cache, Dialect, Loss, Request, Tool};

/// Anthropic's limit, and Bedrock's.
const MOST: usize = 4;

/// Does this upstream want the place named? Routers find it themselves, and who takes no marks caches unasked or not at all.
pub fn needs(request: &Request, to: Dialect, quirks: &Quirks) -> bool {
    let marks = match to {
        Dialect::Anthropic | Dialect::OpenAiChat => quirks.cache_control && !quirks.router,
        Dialect::Bedrock => true,
        _ => false,
    };
    marks && request.params.cache.is_some()
}

/// Name it.
pub fn set(request: &mut Request) -> Option<Loss> {
    let cache = request.params.cache.take()?;
    let in_turns = request.turns.iter_mut().flat_map(|turn| &mut turn.blocks);
    let marks: Vec<&mut Option<Cache>> = in_turns.filter_map(place).collect();
    let tools: Vec<&mut Option<Cache>> = request
        .tools
        .iter_mut()
        .filter_map(|tool| match tool {
            Tool::Function(function) => Some(&mut function.cache),
            Tool::Opaque { .. } => None,
        })
        .collect();
    let set = marks.iter().chain(&tools).filter(|mark| mark.is_some()).count();
    // What stands before the conversation is its prefix: tools come first.
    let last = tools.into_iter().chain(marks).next_back()?;
    if last.is_some() {
        return None;
    }
    if set >= MOST {
        return Some(Loss::new("cache_control", "all breakpoints a provider takes are set already: 4"));
    }
    *last = Some(cache);
    None
}

/// Where a block bears a mark; `None` when it bears none.
fn place(block: &mut Block) -> Option<&mut Option<Cache>> {
    match block {
        Block::Text(text) if !text.text.trim().is_empty() => Some(&mut text.cache),
        Block::Media(media) => Some(&mut media.cache),
        Block::ToolCall(call) => Some(&mut call.cache),
        Block::ToolResult(result) => Some(&mut result.cache),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;
    use serde_json::{Value, json};
    use slip_ir::request::Function;
    use slip_ir::{Role, Text, Thinking, ToolCall, ToolResult, Turn};

    fn hour() -> Option<Cache> {
        Some(Cache { ttl: Some("1h".into()) })
    }

    fn asked(turns: Vec<Turn>) -> Request {
        let mut request = Request { model: "m".into(), turns, ..Request::default() };
        request.params.cache = hour();
        request
    }

    fn marked(text: &str) -> Block {
        Block::Text(Text { text: text.into(), cache: Some(Cache::default()), ..Text::default() })
    }

    #[test]
    fn only_upstreams_that_take_marks_and_do_not_find_the_place_are_told_it() {
        let router = Quirks { cache_control: true, router: true, ..Quirks::OPENAI_CHAT };
        let marks = Quirks { cache_control: true, ..Quirks::OPENAI_CHAT };
        let rows: [(Dialect, &Quirks, bool); 6] = [
            (Dialect::Anthropic, &Quirks::ANTHROPIC, true),
            (Dialect::Bedrock, &Quirks::OPENAI_CHAT, true),
            (Dialect::OpenAiChat, &Quirks::OPENAI_CHAT, false),
            (Dialect::OpenAiChat, &marks, true),
            (Dialect::OpenAiChat, &router, false),
            (Dialect::Gemini, &Quirks::GEMINI, false),
        ];
        for (to, quirks, want) in rows {
            assert_eq!(needs(&asked(Vec::new()), to, quirks), want, "{to}");
        }
        assert!(!needs(&Request::default(), Dialect::Anthropic, &Quirks::ANTHROPIC));
    }

    #[test]
    fn the_mark_stands_on_the_last_block_that_can_bear_it() {
        let user = |blocks| Turn::new(Role::User, blocks);
        let result = ToolResult { id: "c".into(), content: vec![Block::text("r")], ..ToolResult::default() };
        let call = ToolCall { id: "c".into(), name: "f".into(), arguments: "{}".into(), ..ToolCall::default() };
        let rows = [
            (vec![user(vec![Block::text("a"), Block::text("b"), Block::text(" ")])], "/messages/0/content/1"),
            (
                vec![
                    Turn::new(Role::System, vec![Block::text("s")]),
                    user(vec![Block::text("a")]),
                    Turn::new(Role::Assistant, vec![Block::text("b"), Block::Thinking(Thinking::default())]),
                ],
                "/messages/1/content/0",
            ),
            (
                vec![
                    user(vec![Block::text("a")]),
                    Turn::new(Role::Assistant, vec![Block::ToolCall(call)]),
                    Turn::new(Role::Tool, vec![Block::ToolResult(result)]),
                ],
                "/messages/2/content/0",
            ),
        ];
        for (turns, at) in rows {
            let mut request = asked(turns);
            assert_eq!(set(&mut request), None);
            let (body, _) = wire(Dialect::Anthropic).encode_request(&request, &Quirks::ANTHROPIC);
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            let mark = body.pointer(at).map(|block| block["cache_control"].clone());
            assert_eq!(mark, Some(json!({ "type": "ephemeral", "ttl": "1h" })), "{at}: {body}");
            assert_eq!((body.to_string().matches("cache_control").count(), body.get("cache_control")), (1, None));
        }
    }

    #[test]
    fn marks_of_the_callers_own_stay_and_are_not_exceeded() {
        let mut own = asked(vec![Turn::new(Role::User, vec![Block::text("a"), marked("b")])]);
        assert_eq!(set(&mut own), None);
        assert_eq!(own.turns[0].blocks[1], marked("b"));
        let full = vec![marked("a"), marked("b"), marked("c"), Block::text("d")];
        let mut full = asked(vec![Turn::new(Role::User, full)]);
        full.tools = vec![Tool::Function(Function { cache: hour(), ..Function::default() })];
        assert!(set(&mut full).is_some_and(|loss| !loss.counts()));
        assert_eq!(full.turns[0].blocks[3], Block::text("d"));
    }
}
