//! Other families' sealed reasoning on its way through Responses-shaped clients.
//!
//! A client of this dialect keeps a reasoning item's `encrypted_content` and sends it back untouched, but not always what else
//! stands in the item. So a seal that is not of this dialect's own kind travels as `<format>:<id>:<signature>` or
//! `<format>!<id>:<blob>`. The own ones are base64, which has neither mark.

use super::ids;
use crate::seals::{LONGEST_FORMAT, is_format};
use slip_ir::request::format;
use slip_ir::{Block, Request, Thinking, ThinkingKind};

/// Whether servers of this dialect made a seal.
pub fn is_native(name: &str) -> bool {
    name.ends_with("-responses-v1")
}

/// What stands in `encrypted_content` for a seal: a native one as it is, but only where the family needs no telling.
pub fn seal(name: &str, kind: ThinkingKind, id: Option<&str>, payload: &str) -> String {
    if name == format::OPENAI {
        return payload.to_owned();
    }
    let name = if name.is_empty() { format::UNKNOWN } else { name };
    let mark = if kind == ThinkingKind::Encrypted { '!' } else { ':' };
    format!("{name}{mark}{}:{payload}", id.unwrap_or_default())
}

/// What a wrapped seal was: who made it, whether it is a blob of its own (or signs a text), for which id, and the seal itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrapped<'a> {
    pub format: &'a str,
    pub blob: bool,
    pub id: Option<&'a str>,
    pub payload: &'a str,
}

pub fn unwrap(text: &str) -> Option<Wrapped<'_>> {
    let at = text.bytes().take(LONGEST_FORMAT + 1).position(|b| matches!(b, b':' | b'!'))?;
    let (name, rest) = (text.get(..at)?, text.get(at + 1..)?);
    if !is_format(name) {
        return None;
    }
    let (id, payload) = rest.split_once(':')?;
    Some(Wrapped { format: name, blob: text.as_bytes()[at] == b'!', id: (!id.is_empty()).then_some(id), payload })
}

/// Whether a server of this dialect can read the block again.
pub fn replayable(thinking: &Thinking) -> bool {
    is_native(&thinking.format)
}

/// Whether a caller's items may go to a server of this dialect as they are: no item of theirs is one that only this house can
/// read, and no member of the body is addressed to it.
pub(crate) fn speaks_natively(body: &[u8], request: &Request) -> bool {
    // A wrapped seal of this dialect's own kind reads like a bare one once it is decoded.
    if memchr::memmem::find(body, b"-responses-v1!").is_some() {
        return false;
    }
    let members = request.extra.iter().all(|(name, _)| super::encode::is_known(name));
    let p = &request.params;
    let sampling = p.top_k.is_some()
        || p.min_p.is_some()
        || p.top_a.is_some()
        || p.frequency_penalty.is_some()
        || p.presence_penalty.is_some()
        || p.repetition_penalty.is_some()
        || p.seed.is_some()
        || !p.stop.is_empty()
        || !p.modalities.is_empty()
        || p.image_config.is_some()
        || p.cache.is_some();
    let reasoning = request.reasoning.as_ref().is_some_and(|r| r.budget.is_some() || r.enabled.is_some() || r.exclude);
    members && !sampling && !reasoning && request.turns.iter().flat_map(|turn| &turn.blocks).all(is_own)
}

fn is_own(block: &Block) -> bool {
    match block {
        Block::Thinking(thinking) => is_native(&thinking.format) && !thinking.id.as_deref().is_some_and(ids::is_minted),
        Block::ToolCall(call) => call.signature.is_none(),
        Block::Text(text) => text.signature.is_none(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_seal_comes_back_as_it_went() {
        let rows = [
            (format::ANTHROPIC, ThinkingKind::Text, None, "EuYBCkQ=="),
            (format::ANTHROPIC, ThinkingKind::Encrypted, None, "Eu:B!"),
            (format::GEMINI, ThinkingKind::Encrypted, Some("call_1"), "CiQB:x"),
            (format::XAI, ThinkingKind::Encrypted, Some("rs_1"), "gAAA"),
            (format::UNKNOWN, ThinkingKind::Text, None, ""),
        ];
        for (name, kind, id, payload) in rows {
            let sealed = seal(name, kind, id, payload);
            let want = Wrapped { format: name, blob: kind == ThinkingKind::Encrypted, id, payload };
            assert_eq!(unwrap(&sealed), Some(want), "{sealed}");
        }
    }

    #[test]
    fn the_dialects_own_seal_is_not_wrapped() {
        let own = seal(format::OPENAI, ThinkingKind::Encrypted, Some("rs_1"), "gAAAAABo_-x=");
        assert_eq!(own, "gAAAAABo_-x=");
        for own in ["", "gAAAAABo_-x=", "a:b", "Not-A-Format:b:c", "-v1:b:c", "x-v1y::", "x-v1:no"] {
            assert_eq!(unwrap(own), None, "{own}");
        }
    }
}
