//! The response object a caller reads: whole, and as the snapshots a stream begins and ends with.

use super::{echo, error, usage};
use crate::Stamp;
use crate::object::{Writer, array};
use slip_ir::event::Start;
use slip_ir::{Fault, Finish, Usage};

/// How far a response has come.
pub enum State<'a> {
    InProgress,
    Ended(Finish),
    Failed(&'a Fault),
}

impl State<'_> {
    /// The status, and what a stream's last event is called after it.
    pub fn status(&self) -> &'static str {
        match self {
            State::InProgress => "in_progress",
            State::Ended(Finish::Stop | Finish::ToolCalls) => "completed",
            State::Ended(Finish::Length | Finish::ContentFilter) => "incomplete",
            State::Ended(Finish::Error) | State::Failed(_) => "failed",
        }
    }
}

/// What the response holds beside its state.
#[derive(Default)]
pub struct Held<'a> {
    /// Whole items.
    pub output: &'a [&'a [u8]],
    /// All text of all messages.
    pub text: &'a str,
    pub usage: Option<&'a Usage>,
}

pub fn write(out: &mut Vec<u8>, stamp: &Stamp, start: &Start, state: &State<'_>, held: &Held<'_>) {
    let mut w = Writer::open(out);
    w.put("id", &stamp.id).put("object", "response").put("created_at", &stamp.created);
    w.put("status", state.status());
    match state {
        State::Ended(_) => w.put("completed_at", &stamp.created),
        State::InProgress | State::Failed(_) => w.raw("completed_at", "null"),
    };
    match state {
        State::Failed(fault) => error::write(w.key("error"), fault),
        State::Ended(Finish::Error) => error::write_unknown(w.key("error")),
        State::Ended(_) | State::InProgress => w.key("error").extend_from_slice(b"null"),
    }
    if let State::Failed(fault) = state {
        w.put("error_type", fault.kind.error_type());
    }
    let reason = match state {
        State::Ended(Finish::Length) => Some("max_output_tokens"),
        State::Ended(Finish::ContentFilter) => Some("content_filter"),
        _ => None,
    };
    match reason {
        Some(reason) => {
            let mut details = Writer::open(w.key("incomplete_details"));
            details.put("reason", reason);
            details.close();
        }
        None => {
            w.raw("incomplete_details", "null");
        }
    }
    w.put("model", &stamp.model).put("provider", &stamp.provider);
    array(w.key("output"), held.output, |out, item| out.extend_from_slice(item));
    w.text("output_text", held.text);
    echo::write(&mut w, stamp.echo.as_deref());
    w.put("service_tier", &start.service_tier);
    if let Some(usage) = held.usage {
        usage::write(w.key("usage"), usage, stamp);
    }
    w.close();
}
