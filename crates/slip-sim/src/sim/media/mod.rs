//! Pictures and sound, as an OpenAI-shaped server makes and hears them: real PNGs drawn from the prompt, real sound that carries
//! what it says, and ears that hear exactly that.
//!
//! An answer is told to [`super::plan`] as if it were a conversation's, so that every fault strikes here as it does there.

mod audio;
mod drawn;
mod form;
mod images;
mod sound;

use super::Brain;
use super::ask::{Ask, Refusal};
use super::mind::{self, Answer};
use super::plan;
use super::speak::{Event, Route, Shape, Speak, Told};
use crate::fault::Mode;
use crate::http::{Incoming, Outgoing};
use bytes::Bytes;
use serde_json::Value;
use slip_ir::Dialect;

/// What is asked for, by the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Draw,
    Edit,
    Say,
    Hear,
    Translate,
}

pub(super) fn service(dialect: Dialect, request: &Incoming) -> Option<Service> {
    if dialect != Dialect::OpenAiChat || request.method != "POST" {
        return None;
    }
    Some(match request.path() {
        "/v1/images/generations" => Service::Draw,
        "/v1/images/edits" => Service::Edit,
        "/v1/audio/speech" => Service::Say,
        "/v1/audio/transcriptions" => Service::Hear,
        "/v1/audio/translations" => Service::Translate,
        _ => return None,
    })
}

/// What will be answered.
pub(super) struct Made {
    pub model: String,
    /// The words that stand for it where tokens are counted.
    pub text: String,
    pub kind: Kind,
}

pub(super) enum Kind {
    /// JSON; without its `usage` where a fault takes it away.
    Whole(Value),
    /// Pieces of a body of this type.
    Flow { media_type: &'static str, pieces: Vec<Bytes> },
}

impl Brain {
    pub(super) fn serve(&self, service: Service, request: &Incoming, id: u64) -> Outgoing {
        let mode = self.strikes();
        let made = match service {
            Service::Draw => images::draw(request),
            Service::Edit => images::edit(request),
            Service::Say => audio::say(request),
            Service::Hear => audio::hear(request, false),
            Service::Translate => audio::hear(request, true),
        };
        let made = made.and_then(|made| self.knows(&made.model).map(|()| made));
        let made = match made {
            Ok(made) => made,
            Err(refusal) => return self.refuse(&refusal, id),
        };
        let stream = matches!(made.kind, Kind::Flow { .. });
        let ask = Ask { model: made.model.clone(), text: made.text.clone(), stream, n: 1, id, ..Ask::default() };
        let answer = mind::answer(&ask);
        // Nothing can be told inside bare sound.
        let mode = match mode {
            Some(Mode::ErrorFirst) => Some(Mode::Error200),
            Some(Mode::ErrorAfter { after }) => Some(Mode::Cut { after }),
            other => other,
        };
        let model = made.model.clone();
        let mut reply =
            plan::plan(&Served { made, inner: self.speaks }, &self.config, request, &ask, &answer, mode.as_ref());
        reply.note.model = Some(model);
        reply.note.fault = mode.map(|m| m.to_string());
        reply
    }
}

/// An answer in the clothes of a conversation.
struct Served {
    made: Made,
    inner: &'static dyn Speak,
}

impl Speak for Served {
    fn base(&self) -> &'static str {
        self.inner.base()
    }

    fn route(&self, request: &Incoming) -> Route {
        self.inner.route(request)
    }

    fn credential(&self, request: &Incoming) -> Option<String> {
        self.inner.credential(request)
    }

    fn ask(&self, request: &Incoming, body: &Value) -> Result<Ask, Refusal> {
        self.inner.ask(request, body)
    }

    fn whole(&self, _: &Ask, answer: &Answer, shape: Shape) -> Value {
        let mut body = match &self.made.kind {
            Kind::Whole(body) => body.clone(),
            Kind::Flow { .. } => Value::Null,
        };
        if let Some(members) = body.as_object_mut() {
            if !shape.usage {
                members.remove("usage");
            }
            if blank(answer) {
                members.retain(|name, _| name == "created");
            }
        }
        body
    }

    fn stream(&self, _: &Incoming, _: &Ask, answer: &Answer, _: Shape) -> Vec<Event> {
        match &self.made.kind {
            Kind::Flow { pieces, .. } if !blank(answer) => {
                pieces.iter().map(|bytes| Event { bytes: bytes.clone(), tokens: 1 }).collect()
            }
            _ => Vec::new(),
        }
    }

    fn stream_type(&self, _: &Incoming) -> &'static str {
        match &self.made.kind {
            Kind::Flow { media_type, .. } => media_type,
            Kind::Whole(_) => "application/json",
        }
    }

    fn refusal(&self, refusal: &Refusal, id: u64) -> Told {
        self.inner.refusal(refusal, id)
    }

    fn error_event(&self, _: &Incoming, _: &Refusal, _: u64) -> Bytes {
        Bytes::new()
    }

    fn models(&self, models: &[String]) -> Value {
        self.inner.models(models)
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        self.inner.mode_refusal(mode)
    }
}

/// A fault took the words away.
fn blank(answer: &Answer) -> bool {
    answer.choices.iter().all(|choice| choice.text.is_empty())
}

/// A member of a request or a field of a form, whichever it was.
struct Fields(Vec<(String, form::Field)>);

impl Fields {
    fn of(request: &Incoming) -> Result<Fields, Refusal> {
        let kind = request.header("content-type").unwrap_or_default();
        if kind.starts_with("multipart/form-data") {
            return form::read(kind, &request.body).map(Fields).map_err(Refusal::invalid);
        }
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|e| Refusal::invalid(format!("the body of the request is not JSON: {e}")))?;
        let Value::Object(members) = body else {
            return Err(Refusal::invalid("the body of the request is not a JSON object"));
        };
        Ok(Fields(members.into_iter().map(|(name, value)| (name, form::Field::Json(value))).collect()))
    }

    /// Nothing but these.
    fn only(&self, names: &[&str]) -> Result<(), Refusal> {
        match self.0.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            Some((name, _)) => Err(Refusal::invalid(format!("Unknown parameter: '{name}'.")).at(name)),
            None => Ok(()),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(n, _)| n == name).and_then(|(_, field)| field.text())
    }

    fn needed(&self, name: &str) -> Result<String, Refusal> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Refusal::invalid(format!("Missing required parameter: '{name}'.")).at(name))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let wrong = || Refusal::invalid(format!("'{name}' must be a whole number.")).at(name);
        self.text(name).map(|text| text.parse().map_err(|_| wrong())).transpose()
    }

    fn files(&self, names: &[&str]) -> impl Iterator<Item = &Bytes> {
        self.0.iter().filter(|(n, _)| names.contains(&n.as_str())).filter_map(|(_, field)| match field {
            form::Field::File(data) => Some(data),
            _ => None,
        })
    }
}
