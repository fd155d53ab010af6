//! From an answer to the steps on the socket, and what a fault makes of them.

use super::SimConfig;
use super::ask::{Ask, Refusal, Why};
use super::mind::Answer;
use super::speak::{Event, Shape, Speak, broke_off};
use crate::fault::Mode;
use crate::http::{Framing, Incoming, Note, Outgoing, Step};
use bytes::Bytes;
use std::time::Duration;

const PAGE: &str =
    "<!doctype html>\n<html><head><title>Simulated page</title></head><body><h1>It works</h1></body></html>\n";

/// How far a plain body gets before it is broken off.
fn middle(len: usize) -> usize {
    len / 2
}

pub(crate) fn plan(
    speaks: &dyn Speak,
    config: &SimConfig,
    request: &Incoming,
    ask: &Ask,
    answer: &Answer,
    mode: Option<&Mode>,
) -> Outgoing {
    let maker = Maker { speaks, config, request, ask, answer };
    match mode {
        None => maker.reply(Shape { usage: true, done: true }),
        Some(mode) => maker.faulty(mode),
    }
}

struct Maker<'a> {
    speaks: &'a dyn Speak,
    config: &'a SimConfig,
    request: &'a Incoming,
    ask: &'a Ask,
    answer: &'a Answer,
}

impl Maker<'_> {
    fn reply(&self, shape: Shape) -> Outgoing {
        if self.ask.stream { self.stream(&self.events(shape), vec![Step::End]) } else { self.plain(self.body(shape)) }
    }

    fn events(&self, shape: Shape) -> Vec<Event> {
        self.speaks.stream(self.request, self.ask, self.answer, shape)
    }

    fn body(&self, shape: Shape) -> Bytes {
        self.speaks.whole_bytes(self.ask, self.answer, shape)
    }

    /// Headers at once, the first token after the usual time, the others at the usual pace.
    fn stream(&self, events: &[Event], ending: Vec<Step>) -> Outgoing {
        self.stream_after(self.config.ttft, events, ending)
    }

    fn stream_after(&self, ttft: Duration, events: &[Event], ending: Vec<Step>) -> Outgoing {
        let mut steps = vec![Step::Head];
        let mut started = false;
        for event in events {
            if event.tokens > 0 {
                steps.push(Step::Wait(if started { self.pace(event.tokens) } else { ttft }));
                started = true;
            }
            steps.push(Step::Send { bytes: event.bytes.clone(), tokens: event.tokens });
        }
        if !started {
            steps.insert(1, Step::Wait(ttft));
        }
        steps.retain(|s| *s != Step::Wait(Duration::ZERO));
        steps.extend(ending);
        let mut headers = vec![("content-type".to_owned(), self.speaks.stream_type(self.request).to_owned())];
        headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
        Outgoing {
            status: 200,
            headers,
            framing: Framing::Chunked,
            steps,
            coalesce: false,
            note: Note { prompt_tokens: self.answer.prompt_tokens, ..Note::default() },
        }
    }

    fn plain(&self, body: Bytes) -> Outgoing {
        self.plain_after(self.config.ttft, body)
    }

    fn plain_after(&self, ttft: Duration, body: Bytes) -> Outgoing {
        let tokens = self.answer.completion_tokens();
        let mut reply = Outgoing::plain(200, "application/json", body);
        for step in &mut reply.steps {
            if let Step::Send { tokens: carried, .. } = step {
                *carried = tokens;
            }
        }
        reply.steps.insert(0, Step::Wait(ttft.saturating_add(self.pace(tokens))));
        reply.note = Note { prompt_tokens: self.answer.prompt_tokens, whole: Some(tokens), ..Note::default() };
        reply
    }

    fn pace(&self, tokens: u64) -> Duration {
        let rate = self.config.tokens_per_second;
        let seconds = if rate > 0.0 { tokens as f64 / rate } else { 0.0 };
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }

    fn refusal(&self, refusal: &Refusal) -> Outgoing {
        let told = self.speaks.refusal(refusal, self.ask.id);
        let mut reply = Outgoing::json(told.status, &told.body);
        reply.headers.extend(told.headers);
        reply
    }

    /// No answer in HTTP at all.
    fn nothing(&self, step: Step) -> Outgoing {
        let mut reply = Outgoing::plain(200, "application/json", "");
        reply.steps = vec![step];
        reply
    }

    fn faulty(&self, mode: &Mode) -> Outgoing {
        let whole = Shape { usage: true, done: true };
        match mode {
            Mode::Status { status, retry_after } => {
                let message = format!("{} answers with status {status} as it was told", self.config.name);
                let mut refusal = Refusal::new(*status, Why::Status, message);
                refusal.retry_after = *retry_after;
                self.refusal(&refusal)
            }
            Mode::Auth | Mode::Quota | Mode::Context => {
                let refusal = self.speaks.mode_refusal(mode);
                self.refusal(&refusal.unwrap_or_else(|| Refusal::new(500, Why::Status, "no such refusal")))
            }
            Mode::ResetHeaders => self.nothing(Step::Reset),
            Mode::Close => self.nothing(Step::Cut),
            Mode::Never => self.nothing(Step::Hang),
            Mode::NotHttp => {
                let mut reply = self.nothing(Step::Raw(Bytes::from_static(b"220 simulated ESMTP\r\n\r\n")));
                reply.steps.push(Step::Cut);
                reply
            }
            Mode::SlowHeaders(time) => {
                let mut reply = self.reply(whole);
                reply.steps.insert(0, Step::Wait(*time));
                reply
            }
            Mode::Ttft(time) if self.ask.stream => self.stream_after(*time, &self.events(whole), vec![Step::End]),
            Mode::Ttft(time) => self.plain_after(*time, self.body(whole)),
            Mode::Reset { after } => reset_after(self.reply(whole), *after),
            Mode::Stall { after } => self.broken(*after, Step::Hang),
            Mode::Cut { after } => self.broken(*after, Step::Cut),
            Mode::EndEarly { after } => self.broken(*after, Step::End),
            Mode::ErrorFirst if self.ask.stream => self.failing(&[]),
            Mode::ErrorAfter { after } if self.ask.stream => self.failing(&first(self.events(whole), *after)),
            Mode::ErrorFirst | Mode::ErrorAfter { .. } | Mode::Error200 => {
                let mut reply = self.refusal(&broke_off());
                reply.status = 200;
                reply
            }
            Mode::BadJson => self.broken_json(whole),
            Mode::Html { status } => Outgoing::plain(*status, "text/html; charset=utf-8", PAGE),
            Mode::Empty if self.ask.stream => self.stream(&[], vec![Step::End]),
            Mode::Empty => Outgoing::plain(200, "application/json", ""),
            Mode::Blank => {
                let mut blank = self.answer.clone();
                for choice in &mut blank.choices {
                    choice.reasoning.clear();
                    choice.text.clear();
                    choice.calls.clear();
                    choice.finish = super::mind::Finish::Stop;
                }
                Maker { answer: &blank, ..*self }.reply(whole)
            }
            Mode::NoUsage => self.reply(Shape { usage: false, done: true }),
            Mode::NoDone => self.reply(Shape { usage: true, done: false }),
            Mode::HugeEvent { bytes } => {
                let mut huge = self.answer.clone();
                for choice in &mut huge.choices {
                    choice.text.insert(0, "x".repeat(usize::try_from(*bytes).unwrap_or(0)));
                    choice.calls.clear();
                }
                Maker { answer: &huge, ..*self }.reply(whole)
            }
            Mode::ShortBody => {
                let mut reply = self.reply(whole);
                let sent: usize =
                    reply.steps.iter().map(|s| if let Step::Send { bytes, .. } = s { bytes.len() } else { 0 }).sum();
                reply.framing = Framing::Length(sent as u64 + 100);
                reply.steps.pop();
                reply.steps.push(Step::Cut);
                reply
            }
            Mode::Redirect => Outgoing::plain(307, "text/plain", "elsewhere\n")
                .header("location", format!("{}/elsewhere", self.speaks.base())),
        }
    }

    /// A stream after so many tokens, or a plain body in its middle, and then `ending`.
    fn broken(&self, after: u64, ending: Step) -> Outgoing {
        let whole = Shape { usage: true, done: true };
        if self.ask.stream {
            return self.stream(&first(self.events(whole), after), vec![ending]);
        }
        // A promised length cannot end early properly.
        let ending = if ending == Step::End { Step::Cut } else { ending };
        let mut reply = self.plain(self.body(whole));
        for step in &mut reply.steps {
            if let Step::Send { bytes, tokens } = step {
                bytes.truncate(middle(bytes.len()));
                *tokens = 0;
            }
        }
        reply.steps.pop();
        reply.steps.push(ending);
        reply
    }

    fn failing(&self, events: &[Event]) -> Outgoing {
        let error = self.speaks.error_event(self.request, &broke_off(), self.ask.id);
        let mut reply = self.stream(events, Vec::new());
        reply.steps.push(Step::Send { bytes: error, tokens: 0 });
        reply.steps.push(Step::End);
        reply
    }

    fn broken_json(&self, shape: Shape) -> Outgoing {
        if !self.ask.stream {
            let body = self.body(shape);
            return self.plain(body.slice(..middle(body.len())));
        }
        let mut events = self.events(Shape { done: false, ..shape });
        for event in &mut events {
            let text = String::from_utf8_lossy(&event.bytes);
            let end = text.trim_end().len();
            // Half of the event, and its own line ends.
            let mut at = middle(end);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let half = [text.get(..at), text.get(end..)].into_iter().flatten().collect::<String>();
            event.bytes = half.into();
        }
        self.stream(&events, vec![Step::End])
    }
}

/// Up to and with the n-th token, or to the last there is; for 0, what comes before the first.
fn first(events: Vec<Event>, n: u64) -> Vec<Event> {
    let all: u64 = events.iter().map(|e| e.tokens).sum();
    let mut left = n.min(all);
    let mut out = Vec::new();
    for event in events {
        if left == 0 && (event.tokens > 0 || n.min(all) > 0) {
            break;
        }
        left = left.saturating_sub(event.tokens);
        out.push(event);
    }
    out
}

fn reset_after(mut reply: Outgoing, after: u64) -> Outgoing {
    let mut left = usize::try_from(after).unwrap_or(usize::MAX);
    let mut steps = Vec::new();
    for step in reply.steps {
        match step {
            Step::Send { bytes, tokens } => {
                let fits = bytes.len() <= left;
                let kept = bytes.slice(..bytes.len().min(left));
                left -= kept.len();
                steps.push(Step::Send { bytes: kept, tokens: if fits { tokens } else { 0 } });
                if !fits || left == 0 {
                    break;
                }
            }
            Step::End => break,
            other => {
                let is_head = other == Step::Head;
                steps.push(other);
                if is_head && left == 0 {
                    break;
                }
            }
        }
    }
    steps.push(Step::Reset);
    reply.steps = steps;
    reply
}
