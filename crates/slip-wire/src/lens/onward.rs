//! How another upstream is asked to go on with an answer that broke off, where its part joins, and how the caller is told.

use crate::Stamp;
use crate::frame::eventstream;
use crate::quirks::{Prefill, Quirks};
use bytes::BytesMut;
use serde_json::{Value, json};
use slip_ir::{Block, Dialect, Request, Role, Turn};

/// How much of the end of what was said may be said again.
const OVERLAP: usize = 240;
/// Fewer letters in common are chance.
const LEAST: usize = 6;

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In the words of a user. It may say again what was said last.
    Asked,
    /// The answer so far is the beginning of its own turn. `echoes`: it says all of it again.
    Prefilled { echoes: bool },
}

impl Way {
    /// As well as this model can be asked. One that thinks first has nothing to go on with at once.
    pub fn of(quirks: &Quirks, model: &str, said: &str, thinks: bool) -> Way {
        match quirks.prefill(model) {
            Prefill::Unsaid => Way::Asked,
            _ if thinks || said.trim_end().is_empty() => Way::Asked,
            Prefill::Prefix => Way::Prefilled { echoes: true },
            Prefill::Turn | Prefill::Final => Way::Prefilled { echoes: false },
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Way::Asked => "instruction",
            Way::Prefilled { .. } => "prefill",
        }
    }

    /// How many bytes at the beginning of `more` were said before.
    pub(super) fn repeated(self, said: &str, more: &str) -> usize {
        let Way::Prefilled { echoes } = self else { return repeated(said, more) };
        // It was given no white space at the end, and may write it now.
        let (words, space) = said.split_at(said.trim_end().len());
        let echoed = if echoes && more.starts_with(words) { words.len() } else { 0 };
        let common = |(one, other): &(char, char)| one == other;
        let again = space.chars().zip(more.get(echoed..).unwrap_or_default().chars()).take_while(common);
        echoed + again.map(|(one, _)| one.len_utf8()).sum::<usize>()
    }

    /// Could what came so far still turn out to have been said before?
    pub(super) fn may_repeat(self, said: &str, more: &str) -> bool {
        let Way::Prefilled { echoes } = self else {
            return said.starts_with(more) || more.len() < OVERLAP.min(said.len());
        };
        let space = said.get(said.trim_end().len()..).unwrap_or_default();
        let begins = |whole: &str| more.len() < whole.len() && whole.starts_with(more);
        begins(space) || echoes && begins(said)
    }
}

/// All that was said, or the end of it.
fn repeated(said: &str, more: &str) -> usize {
    if said.len() >= LEAST && more.starts_with(said) {
        return said.len();
    }
    let from = said.floor_char_boundary(said.len().saturating_sub(OVERLAP));
    let end = said.get(from..).unwrap_or_default();
    let overlap = |at: &usize| end.len() - at >= LEAST && end.get(*at..).is_some_and(|tail| more.starts_with(tail));
    end.char_indices().map(|(at, _)| at).find(overlap).map_or(0, |at| end.len() - at)
}

/// Ask for the rest of an answer that broke off, of which `tokens` are there.
pub fn go_on(request: &mut Request, said: &str, tokens: u64, way: Way) {
    const WORDS: &str = "Your answer was cut off by a technical fault. Go on exactly where it ends, in the middle of a word if need be: \
                         repeat nothing, add no remark about the interruption, and answer with the rest alone.";
    // A turn that ends in white space is refused by some.
    let said = if way == Way::Asked { said } else { said.trim_end() };
    match request.turns.last_mut().filter(|last| last.role == Role::Assistant) {
        Some(last) => match (last.blocks.last_mut(), way) {
            (Some(Block::Text(text)), Way::Prefilled { .. }) => text.text.push_str(said),
            _ => last.blocks.push(Block::text(said)),
        },
        None => request.turns.push(Turn::new(Role::Assistant, vec![Block::text(said)])),
    }
    if way == Way::Asked {
        request.turns.push(Turn::new(Role::User, vec![Block::text(WORDS)]));
    }
    if let Some(most) = &mut request.params.max_tokens {
        *most = most.saturating_sub(tokens).max(1);
    }
}

/// What an OpenAI-like server must be told beside the turns, so that the last of them is gone on with.
pub fn prefilled(body: Vec<u8>, prefill: Prefill) -> Vec<u8> {
    if matches!(prefill, Prefill::Unsaid | Prefill::Turn) {
        return body;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else { return body };
    match prefill {
        Prefill::Prefix => {
            let last = value["messages"].as_array_mut().and_then(|all| all.last_mut());
            if let Some(last) = last.and_then(Value::as_object_mut) {
                last.insert("prefix".to_owned(), Value::Bool(true));
            }
        }
        _ => {
            if let Some(members) = value.as_object_mut() {
                members.insert("add_generation_prompt".to_owned(), Value::Bool(false));
                members.insert("continue_final_message".to_owned(), Value::Bool(true));
            }
        }
    }
    value.to_string().into_bytes()
}

/// Tells the caller where the answer was gone on with: at once where the dialect has an event for it that says nothing else, and
/// else with the next event of the answer.
pub(super) struct Note {
    caller: Dialect,
    continued: Value,
}

impl Note {
    pub fn new(caller: Dialect, second: &Stamp, tokens: u64, way: Way) -> Note {
        let continued = json!({ "continued": {
            "provider": second.provider, "model": second.model, "after_tokens": tokens, "how": way.name(),
        } });
        Note { caller, continued }
    }

    /// An event of its own. False: this dialect has none.
    pub fn alone(&self, first: &Stamp, out: &mut BytesMut) -> bool {
        let told = match self.caller {
            Dialect::OpenAiChat => {
                let chunk = json!({
                    "id": first.id,
                    "object": "chat.completion.chunk",
                    "created": first.created,
                    "model": first.model,
                    "provider": first.provider,
                    "choices": [],
                    "slipswitch": self.continued,
                });
                format!("data: {chunk}\n\n")
            }
            Dialect::Anthropic => {
                format!("event: ping\ndata: {}\n\n", json!({ "type": "ping", "slipswitch": self.continued }))
            }
            _ => return false,
        };
        out.extend_from_slice(told.as_bytes());
        true
    }

    /// A member of the first event that was written from `at` on. False: none was.
    pub fn beside(&self, at: usize, out: &mut BytesMut) -> bool {
        let fresh = out.split_off(at);
        let member = format!("\"slipswitch\":{},", self.continued);
        if self.caller == Dialect::Bedrock {
            return eventstream::with_member(&fresh, member.as_bytes(), out);
        }
        let Some(brace) = memchr::memchr(b'{', &fresh) else {
            out.unsplit(fresh);
            return false;
        };
        let (before, after) = fresh.split_at(brace + 1);
        out.extend_from_slice(before);
        out.extend_from_slice(member.as_bytes());
        out.extend_from_slice(after);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quirks::Quirks;
    use std::borrow::Cow;

    #[test]
    fn what_is_said_twice_is_found_and_chance_is_not() {
        let (asked, plain, echo) = (Way::Asked, Way::Prefilled { echoes: false }, Way::Prefilled { echoes: true });
        let rows = [
            (asked, "one two three", " four", ""),
            (asked, "one two three", "two three four", "two three"),
            (asked, "one two three", "one two three four", "one two three"),
            (asked, "one two three", "three four", ""),
            (asked, "one two three", "e four", ""),
            (asked, "aaaaaaaaaa", "aaaaaaab", "aaaaaaa"),
            (asked, "größer, größer", " größer noch", " größer"),
            (asked, "", "anything", ""),
            // Who goes on with its own turn repeats nothing: what looks like it is meant.
            (plain, "ha ha ha ha", " ha ha ha ha", ""),
            (plain, "one two \n", " \nthree", " \n"),
            (plain, "one two ", "three", ""),
            (plain, "one two \n", " three", " "),
            (echo, "hi", "hi there", "hi"),
            (echo, "one two ", "one two three", "one two "),
            (echo, "one two ", "one twothree", "one two"),
            (echo, "one two", " three", ""),
        ];
        for (way, said, more, want) in rows {
            assert_eq!(&more[..way.repeated(said, more)], want, "{way:?} {said:?} {more:?}");
        }
        assert!(!plain.may_repeat("one two", " "), "nothing is held back where nothing can be repeated");
        assert!(plain.may_repeat("one  ", " ") && !plain.may_repeat("one  ", "  "));
        assert!(echo.may_repeat("one two", "one t") && !echo.may_repeat("one two", "one x"));
    }

    #[test]
    fn models_are_asked_as_well_as_they_can_be() {
        let of = |quirks: &Quirks, model: &str| Way::of(quirks, model, "so far", false);
        let plain = Way::Prefilled { echoes: false };
        for (model, want) in [
            ("claude-sonnet-4-5-20250929", plain),
            ("claude-opus-4-20250514", plain),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", plain),
            ("claude-opus-4-6", Way::Asked),
            ("claude-sonnet-4-6", Way::Asked),
            ("claude-opus-4-7", Way::Asked),
            ("claude-sonnet-5", Way::Asked),
            ("kimi-k2", Way::Asked),
        ] {
            assert_eq!(of(&Quirks::ANTHROPIC, model), want, "{model}");
            assert_eq!(of(&Quirks::BEDROCK, model), want, "{model}");
        }
        assert_eq!(of(&Quirks::OPENAI_CHAT, "gpt-6"), Way::Asked);
        assert_eq!(Way::of(&Quirks::ANTHROPIC, "claude-sonnet-4-5", "so far", true), Way::Asked, "it thinks");
        assert_eq!(Way::of(&Quirks::ANTHROPIC, "claude-sonnet-4-5", " \n", false), Way::Asked, "nothing to go on with");
        let any = Quirks { prefill: Prefill::Prefix, prefills: Cow::Borrowed(&[]), ..Quirks::OPENAI_CHAT };
        assert_eq!(of(&any, "whatever"), Way::Prefilled { echoes: true });
    }

    #[test]
    fn the_last_turn_is_gone_on_with_or_answered() {
        let mut request = Request { turns: vec![Turn::new(Role::User, vec![Block::text("q")])], ..Request::default() };
        request.params.max_tokens = Some(100);
        let mut asked = request.clone();
        go_on(&mut asked, "said ", 30, Way::Asked);
        let roles = |r: &Request| r.turns.iter().map(|turn| turn.role).collect::<Vec<_>>();
        assert_eq!((roles(&asked), asked.params.max_tokens), (vec![Role::User, Role::Assistant, Role::User], Some(70)));
        // A caller's own beginning and what was said after it are one.
        request.turns.push(Turn::new(Role::Assistant, vec![Block::text("I ")]));
        go_on(&mut request, "say so ", 30, Way::Prefilled { echoes: false });
        assert_eq!(request.turns[1..], [Turn::new(Role::Assistant, vec![Block::text("I say so")])]);
    }

    #[test]
    fn servers_that_look_like_openai_are_told_beside_the_turns() {
        let body = || json!({ "messages": [{ "role": "user" }, { "role": "assistant" }] }).to_string().into_bytes();
        let read = |prefill| serde_json::from_slice::<Value>(&prefilled(body(), prefill)).unwrap();
        assert_eq!(prefilled(body(), Prefill::Turn), body());
        assert_eq!(
            read(Prefill::Prefix)["messages"],
            json!([{ "role": "user" }, { "role": "assistant", "prefix": true }])
        );
        let told = read(Prefill::Final);
        assert_eq!((&told["continue_final_message"], &told["add_generation_prompt"]), (&json!(true), &json!(false)));
    }
}
