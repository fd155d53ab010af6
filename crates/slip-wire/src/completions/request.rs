//! A caller's completions request, read into what it means: the prompt is a user's turn.

use crate::Malformed;
use crate::openai_chat::node::Node;
use crate::openai_chat::request::wishes;
use slip_ir::{Block, Dialect, Loss, Request, Role, Turn};

/// Prompts in one request; OpenAI allows no more.
const MAX_PROMPTS: usize = 2048;
/// Alternatives to a token that a server tells.
const MAX_LOGPROBS: u64 = 20;

pub(super) fn decode(body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
    let root = Node::root(body)?;
    let top = root.members()?;
    let (mut request, losses) = wishes(&top, &["prompt", "logprobs"])?;
    let prompt = top.need("prompt", "a string")?;
    request.turns = vec![Turn::new(Role::User, vec![read(&prompt)?])];
    if let Some(node) = top.get("logprobs") {
        // How many alternatives; chat servers' `true` is understood as well.
        match node.span() {
            b"true" => request.params.logprobs = Some(true),
            b"false" => request.params.logprobs = Some(false),
            _ => {
                let alternatives = node.count()?;
                if alternatives > MAX_LOGPROBS {
                    return Err(node.wrong(format!("expected at most {MAX_LOGPROBS}, found: {alternatives}")));
                }
                request.params.logprobs = Some(true);
                request.params.top_logprobs = Some(alternatives as u32);
            }
        }
    }
    Ok((request, losses))
}

/// One text; or several, or tokens, which stay as they are.
fn read(prompt: &Node<'_>) -> Result<Block, Malformed> {
    if prompt.is_string() {
        return Ok(Block::text(prompt.string()?));
    }
    if !prompt.is_array() {
        return Err(prompt.expected("a string or an array"));
    }
    let items = prompt.items()?;
    match items.as_slice() {
        [] => return Err(prompt.wrong("expected at least one prompt")),
        [one] if one.is_string() => return Ok(Block::text(one.string()?)),
        _ if items.len() > MAX_PROMPTS && !items.iter().all(is_token) => {
            return Err(prompt.wrong(format!("expected at most {MAX_PROMPTS} prompts, found: {}", items.len())));
        }
        _ => {}
    }
    let texts = items.iter().all(Node::is_string);
    let tokens = items.iter().all(is_token);
    let lists = items.iter().all(|item| item.items().is_ok_and(|list| list.iter().all(is_token)));
    if !(texts || tokens || lists) {
        return Err(prompt.wrong("expected strings, tokens, or lists of tokens"));
    }
    Ok(Block::Opaque { dialect: Dialect::Completions, raw: prompt.raw()? })
}

fn is_token(node: &Node<'_>) -> bool {
    node.count().is_ok()
}
