//! Markdown around JSON: models that were told not to write it write it all the same.

/// A stream of text without the fence around it.
#[derive(Debug, Default)]
pub(super) struct Fence {
    state: State,
    /// What cannot be decided yet.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    /// No fence: everything passes.
    Bare,
    Inside,
    /// Behind the closing fence nothing is of interest.
    Done,
}

const CLOSING: &str = "\n```";
/// An opening line longer than this is none.
const LONGEST_OPENING: usize = 64;

impl Fence {
    /// What of the text so far can go out.
    pub fn push(&mut self, text: &str) -> String {
        match self.state {
            State::Bare => return text.to_owned(),
            State::Done => return String::new(),
            State::Start | State::Inside => self.held.push_str(text),
        }
        if self.state == State::Start {
            let start = self.held.trim_start();
            if "```".starts_with(start)
                || start.starts_with("```") && !start.contains('\n') && start.len() < LONGEST_OPENING
            {
                return String::new();
            }
            let opening = start.strip_prefix("```").and_then(|rest| rest.split_once('\n'));
            match opening {
                Some((_, body)) => {
                    // The newline stays: an empty body is closed by it.
                    self.held = format!("\n{body}");
                    self.state = State::Inside;
                }
                None => {
                    self.state = State::Bare;
                    return std::mem::take(&mut self.held);
                }
            }
        }
        if let Some((body, _)) = self.held.split_once(CLOSING) {
            self.state = State::Done;
            return body.to_owned();
        }
        // The beginning of a closing fence may be at the end.
        let keep = (1..CLOSING.len()).rev().find(|n| self.held.ends_with(&CLOSING[..*n])).unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }

    /// The text is over.
    pub fn end(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Inside | State::Done => String::new(),
            State::Start | State::Bare => held,
        }
    }
}

/// The JSON value in an answer, without what stands around it; `None` when there is none.
pub fn extract(text: &str) -> Option<&str> {
    let is_json = |text: &str| crate::json::check(text.as_bytes()).is_ok();
    let whole = text.trim();
    if is_json(whole) {
        return Some(whole);
    }
    let fenced = whole.split_once("```").and_then(|(_, rest)| rest.split_once('\n')).and_then(|(_, rest)| {
        let end = rest.find("```")?;
        rest.get(..end).map(str::trim)
    });
    if let Some(fenced) = fenced.filter(|fenced| is_json(fenced)) {
        return Some(fenced);
    }
    [('{', '}'), ('[', ']')].into_iter().find_map(|(open, close)| {
        let inner = whole.get(whole.find(open)?..=whole.rfind(close)?)?;
        is_json(inner).then_some(inner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_taken_off_wherever_the_text_is_cut() {
        let rows = [
            ("{\"a\":1}", "{\"a\":1}"),
            ("```json\n{\"a\":1}\n```", "\n{\"a\":1}"),
            ("```\n{\"a\":1}\n```\nI hope this helps.", "\n{\"a\":1}"),
            (" \n```json\n{\"a\":\"``\"}\n```\n", "\n{\"a\":\"``\"}"),
            ("```json\n{\"a\":1}", "\n{\"a\":1}"),
            ("``", "``"),
            ("so `x`\n```\n", "so `x`\n```\n"),
            ("", ""),
        ];
        for (text, want) in rows {
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let mut fence = Fence::default();
                let mut got = fence.push(&text[..at]);
                got += &fence.push(&text[at..]);
                got += &fence.end();
                assert_eq!(got, want, "{text:?} cut at {at}");
            }
        }
    }

    #[test]
    fn the_json_in_an_answer_is_found() {
        let rows = [
            (" {\"a\":1}\n", Some("{\"a\":1}")),
            ("Here you are:\n```json\n[1]\n```\nAnything else?", Some("[1]")),
            ("The answer is {\"a\":{\"b\":2}}.", Some("{\"a\":{\"b\":2}}")),
            ("7", Some("7")),
            ("I cannot {do} that", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(extract(text), want, "{text:?}");
        }
    }
}
