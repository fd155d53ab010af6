//! What could not be carried from one dialect into another. A loss is a value, not a log line.

use std::borrow::Cow;
use std::fmt;

/// `what` is the caller's own name for it (`top_k`, `messages[3].image_url.detail`); `why` one short clause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loss {
    pub what: Cow<'static, str>,
    pub why: Cow<'static, str>,
}

impl Loss {
    pub fn new(what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Loss {
        Loss { what: what.into(), why: why.into() }
    }

    /// Is it something the caller asked of the answer? Whoever wants every parameter honoured (`provider.require_parameters`) is not
    /// sent where such a thing is lost; what [`ASIDE`] lists is not worth losing an endpoint for.
    pub fn counts(&self) -> bool {
        let what = unnumbered(&self.what);
        !ASIDE.iter().any(|row| row.covers(&what, &self.why))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// A kind of loss that leaves the answer what it would have been.
struct Aside {
    /// A name without numbers in brackets; `*` at either end stands for any path.
    what: &'static str,
    /// How its reason begins; empty for any.
    why: &'static str,
}

const fn aside(what: &'static str, why: &'static str) -> Aside {
    Aside { what, why }
}

/// What is lost without the answer being another: bookkeeping, hints for a cache, what the model itself said earlier, and wishes
/// that are told in other words.
const ASIDE: [Aside; 44] = [
    // Bookkeeping.
    aside("stream_options", ""),
    aside("usage", ""),
    aside("user", ""),
    aside("metadata", ""),
    aside("metadata.*", ""),
    aside("*.metadata", ""),
    aside("store", ""),
    aside("safety_identifier", ""),
    aside("session_id", ""),
    aside("trace", ""),
    // What a cache is told changes the bill, not the answer; most providers cache unasked.
    aside("cache_control", ""),
    aside("*.cache_control", ""),
    aside("prompt_cache_key", ""),
    aside("prompt_cache_retention", ""),
    // What the model said earlier: its reasoning, seals and sources. The next answer is asked for, not these.
    aside("reasoning.signature", ""),
    aside("messages.signature", ""),
    aside("messages.reasoning", ""),
    aside("messages.reasoning_content", ""),
    aside("messages.reasoning_details", ""),
    aside("messages.thought_signature", ""),
    aside("messages.tool_calls.signature", ""),
    aside("messages.tool_calls.caller", ""),
    aside("messages.tool_calls.extra", ""),
    aside("messages.annotations", ""),
    aside("messages.refusal", ""),
    // Said in another place or in other words.
    aside("messages", ""),
    aside("messages.role", ""),
    aside("file", "by text"),
    aside("messages.text", "text of white space alone"),
    aside("messages.content", "media of a tool result is sent beside it"),
    aside("*.url", "sent as a link"),
    aside("reasoning.effort", "told as"),
    aside("reasoning.effort", "the budget says it"),
    aside("reasoning.max_tokens", "told as"),
    aside("reasoning.max_tokens", "raised to"),
    aside("max_tokens", "raised to"),
    aside("tool_choice", "there are no tools"),
    // Words of a schema that constrain nothing.
    aside("*.$schema", ""),
    aside("*.$id", ""),
    aside("*.$comment", ""),
    aside("*.title", ""),
    aside("*.description", ""),
    aside("*.examples", ""),
    aside("*.oneOf", "sent as anyOf"),
];

impl Aside {
    fn covers(&self, what: &str, why: &str) -> bool {
        let named = match (self.what.strip_prefix('*'), self.what.strip_suffix('*')) {
            (Some(end), _) => what.ends_with(end),
            (None, Some(front)) => what.starts_with(front),
            (None, None) => what == self.what,
        };
        named && why.starts_with(self.why)
    }
}

/// `messages[3].image_url` as `messages.image_url`.
fn unnumbered(what: &str) -> Cow<'_, str> {
    if !what.contains('[') {
        return Cow::Borrowed(what);
    }
    let mut plain = String::with_capacity(what.len());
    let mut inside = false;
    for c in what.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => {}
            _ => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_of_the_answer_counts_and_bookkeeping_does_not() {
        let rows = [
            ("top_k", "this dialect has no word for it", true),
            ("seed", "this provider refuses it", true),
            ("n", "this provider refuses it", true),
            ("temperature", "brought into 0 to 1", true),
            ("response_format", "by forced tool", true),
            ("response_format", "by prompt", true),
            ("file", "by text", false),
            ("reasoning", "this provider cannot be told", true),
            ("reasoning.effort", "high is the most there is", true),
            ("tools[2]", "a tool of another dialect", true),
            ("tools[0].strict", "has no place in gemini", true),
            ("tool_choice", "a model that thinks cannot be made to call a tool: it may choose", true),
            ("messages[4].image_url.detail", "not known to this dialect", true),
            ("messages[].content", "a part only anthropic knows", true),
            ("messages[0].content", "instructions can only be text", true),
            ("safetySettings", "only gemini knows it", true),
            ("stream_options", "this provider refuses it", false),
            ("user", "has no place in gemini", false),
            ("metadata.tag", "not a member we know", false),
            ("cache_control", "this upstream takes none", false),
            ("tools[3].cache_control", "this upstream takes none", false),
            ("prompt_cache_key", "has no place in gemini", false),
            ("messages[7].reasoning", "reasoning of another family is not replayed", false),
            ("messages[].reasoning_details", "this provider takes no earlier reasoning back", false),
            ("messages[1].annotations", "citations are not replayed", false),
            ("messages[3].content", "media of a tool result is sent beside it", false),
            ("messages[2].content[1].url", "sent as a link, which the provider may refuse to follow", false),
            ("reasoning.effort", "told as xhigh: max", false),
            ("max_tokens", "raised to leave room for the answer beside the thinking budget", false),
            ("tool_choice", "there are no tools to choose from", false),
            ("response_format.json_schema.description", "has no place in gemini", false),
            ("tools[0].parameters.pattern", "not in the provider's schema subset", true),
            ("tools[0].parameters.$schema", "not in the provider's schema subset", false),
        ];
        for (what, why, counts) in rows {
            assert_eq!(Loss::new(what, why).counts(), counts, "{what}: {why}");
        }
    }
}
