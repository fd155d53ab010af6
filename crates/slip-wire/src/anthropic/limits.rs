//! How much the model may write and think: `max_tokens`, `thinking` and the effort, which Anthropic only accepts together in
//! certain combinations.

use super::request;
use crate::Quirks;
use crate::object::{Object, Writer};
use crate::quirks::ReasoningStyle;
use serde_json::Number;
use slip_ir::request::format;
use slip_ir::{Block, Effort, Loss, Params, Reasoning, Request, Role, Thinking, ThinkingKind, Turn};

/// Anthropic refuses a smaller thinking budget.
const LEAST_BUDGET: u64 = 1024;
/// The least `top_p` allowed beside thinking.
const LEAST_TOP_P: f64 = 0.95;
pub const BESIDE_THINKING: &str = "not allowed beside thinking";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is said: the model does as it does.
    Unsaid,
    Off,
    Budget(u64),
    Adaptive,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub max_tokens: u64,
    pub mode: Mode,
    /// For `output_config.effort`.
    pub effort: Option<Effort>,
    /// For `thinking.display`.
    pub display: Option<&'static str>,
}

impl Limits {
    pub fn thinks(&self) -> bool {
        matches!(self.mode, Mode::Budget(_) | Mode::Adaptive)
    }

    pub fn of(request: &Request, quirks: &Quirks, losses: &mut Vec<Loss>) -> Limits {
        let max_tokens = request.params.max_tokens.unwrap_or(quirks.default_max_tokens);
        let mut limits = Limits { max_tokens, mode: Mode::Unsaid, effort: None, display: None };
        let Some(wish) = request.reasoning.clone().or_else(|| said_in_extra(request)) else { return limits };
        if quirks.reasoning == ReasoningStyle::Unsaid {
            losses.push(Loss::new("reasoning", "this upstream has no way to say it"));
            return limits;
        }
        limits.mode = mode(&wish, request, max_tokens);
        if limits.mode == Mode::Adaptive {
            limits.effort = wish.effort;
        } else if quirks.reasoning == ReasoningStyle::Effort {
            limits.turn_adaptive(&wish);
        }
        if limits.effort == Some(Effort::Minimal) {
            limits.effort = Some(Effort::Low);
        }
        if matches!(limits.mode, Mode::Budget(_)) && breaks_into_a_tool_loop(request) {
            losses.push(Loss::new("reasoning", "thinking cannot begin in the middle of a turn that began without it"));
            limits.mode = Mode::Unsaid;
        }
        limits.make_room(request.params.max_tokens, quirks.default_max_tokens, losses);
        if limits.thinks() {
            limits.display = match (wish.exclude, &wish.summary) {
                (true, _) => Some("omitted"),
                (false, Some(_)) => Some("summarized"),
                (false, None) => None,
            };
        }
        limits
    }

    /// The `thinking` object's own members.
    pub fn write_thinking(&self, w: &mut Writer<'_>) {
        match self.mode {
            Mode::Budget(budget) => w.put("type", "enabled").put("budget_tokens", &budget),
            Mode::Adaptive => w.put("type", "adaptive"),
            Mode::Off | Mode::Unsaid => w.put("type", "disabled"),
        };
        w.put_some("display", &self.display);
    }

    /// The word for `output_config.effort`, which is also how verbose to be.
    pub fn effort_word<'r>(&self, params: &'r Params) -> Option<&'r str> {
        self.effort.map(Effort::name).or(params.verbosity.as_deref())
    }

    /// Thinking allows no sampling of its own.
    pub fn temperature(&self, params: &Params, losses: &mut Vec<Loss>) -> Option<Number> {
        let temperature = params.temperature.clone()?;
        match temperature.as_f64() {
            Some(value) if self.thinks() && value != 1.0 => {
                losses.push(Loss::new("temperature", BESIDE_THINKING));
                None
            }
            Some(value) if !(0.0..=1.0).contains(&value) => {
                losses.push(Loss::new("temperature", "brought into 0 to 1"));
                Some(Number::from(u8::from(value > 1.0)))
            }
            _ => Some(temperature),
        }
    }

    /// Newer models take `temperature` or `top_p`, but not both.
    pub fn top_p<'r>(&self, params: &'r Params, tempered: bool, losses: &mut Vec<Loss>) -> Option<&'r Number> {
        let top_p = params.top_p.as_ref()?;
        let why = if self.thinks() && top_p.as_f64().unwrap_or(1.0) < LEAST_TOP_P {
            "below 0.95, which is not allowed beside thinking"
        } else if tempered {
            "temperature is set, and only one of the two is taken"
        } else {
            return Some(top_p);
        };
        losses.push(Loss::new("top_p", why));
        None
    }

    /// For models that refuse a budget: let them decide, and say how hard to try.
    fn turn_adaptive(&mut self, wish: &Reasoning) {
        let Mode::Budget(budget) = self.mode else { return };
        self.mode = Mode::Adaptive;
        self.effort = match (wish.effort, wish.budget) {
            (Some(effort), _) => Some(effort),
            (None, Some(_)) => Effort::ALL[1..6].iter().copied().find(|e| e.budget(self.max_tokens) >= budget),
            (None, None) => None,
        };
    }

    /// The budget is part of `max_tokens`, and must be smaller: the caller's own cap is kept for the visible answer.
    fn make_room(&mut self, asked: Option<u64>, default: u64, losses: &mut Vec<Loss>) {
        let Mode::Budget(budget) = &mut self.mode else { return };
        if *budget < LEAST_BUDGET {
            *budget = LEAST_BUDGET;
            losses.push(Loss::new("reasoning.max_tokens", "raised to the least budget of 1024"));
        }
        if self.max_tokens > *budget {
            return;
        }
        self.max_tokens = budget.saturating_add(asked.unwrap_or(default).max(1));
        if asked.is_some() {
            losses.push(Loss::new("max_tokens", "raised to leave room for the answer beside the thinking budget"));
        }
    }
}

fn mode(wish: &Reasoning, request: &Request, max_tokens: u64) -> Mode {
    if wish.is_off() {
        return Mode::Off;
    }
    if wish.adaptive {
        return Mode::Adaptive;
    }
    if let Some(budget) = wish.budget {
        return Mode::Budget(budget);
    }
    match wish.effort {
        // An effort said in Anthropic's own words does not ask for thinking.
        Some(_) if wish.enabled.is_none() && says_effort(request) => Mode::Unsaid,
        Some(effort) => Mode::Budget(effort.budget(max_tokens)),
        None if wish.enabled == Some(true) => Mode::Budget(Effort::Medium.budget(max_tokens)),
        None => Mode::Unsaid,
    }
}

/// A caller of another dialect may still have written Anthropic's `thinking` object.
fn said_in_extra(request: &Request) -> Option<Reasoning> {
    let thinking = Object::parse(request.in_extra("thinking")?.as_str(), "").ok()?;
    request::thinking(thinking).ok().map(|(reasoning, _)| reasoning)
}

pub fn says_effort(request: &Request) -> bool {
    let config = request.in_extra("output_config");
    config.is_some_and(|raw| Object::parse(raw.as_str(), "").is_ok_and(|o| o.has("effort")))
}

/// Whether Anthropic can read this piece of reasoning again.
pub fn replayable(thinking: &Thinking) -> bool {
    thinking.format == format::ANTHROPIC
        && match thinking.kind {
            ThinkingKind::Encrypted => thinking.data.as_ref().is_some_and(|data| !data.is_empty()),
            ThinkingKind::Text | ThinkingKind::Summary => thinking.signature.as_ref().is_some_and(|s| !s.is_empty()),
        }
}

/// With a thinking budget, what the assistant said since the user last spoke must begin with thinking: a turn another model
/// began, or one the caller put into its mouth, cannot be continued so.
fn breaks_into_a_tool_loop(request: &Request) -> bool {
    let since = request.turns.iter().rposition(|turn| turn.role == Role::User).map_or(0, |n| n + 1);
    let first = request.turns[since..].iter().find(|turn| turn.role == Role::Assistant);
    first.is_some_and(|turn| !begins_with_thinking(turn))
}

fn begins_with_thinking(turn: &Turn) -> bool {
    turn.blocks
        .iter()
        .find(|block| match block {
            Block::Thinking(thinking) => replayable(thinking),
            Block::Text(text) => !text.text.trim().is_empty(),
            _ => true,
        })
        .is_some_and(|block| matches!(block, Block::Thinking(_)))
}
