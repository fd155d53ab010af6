//! The surfaces a client may knock at, each with the dialect it speaks.

use super::ask::Ask;
use super::natives::Native;
use super::said::Said;
use super::{read, responses};
use serde_json::Value;
use slip_sim::Case;

/// Where a client knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    Chat,
    Messages,
    Gemini,
    Responses,
    Native(Native),
}

impl Surface {
    pub const ALL: [Surface; 4] = [Surface::Chat, Surface::Messages, Surface::Gemini, Surface::Responses];

    /// Every surface a request is sent to.
    pub fn callers() -> impl Iterator<Item = Surface> {
        Surface::ALL.into_iter().chain(Native::ALL.map(Surface::Native))
    }

    pub fn native(self) -> Option<Native> {
        if let Surface::Native(native) = self { Some(native) } else { None }
    }

    /// The JSON of a stream's messages.
    pub fn values(self, body: &[u8]) -> Vec<Value> {
        self.native().map_or_else(|| read::values(body), |native| native.values(body))
    }

    /// The surface that speaks the provider's dialect; `None` for APIs this gateway does not call.
    pub fn of(case: &Case) -> Option<Surface> {
        match case.api.as_str() {
            "chat.completions" => Some(Surface::Chat),
            "messages" => Some(Surface::Messages),
            "generateContent" | "streamGenerateContent" => Some(Surface::Gemini),
            "responses" => Some(Surface::Responses),
            api => Native::of(api, case.path()).map(Surface::Native),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Surface::Chat => "chat",
            Surface::Messages => "messages",
            Surface::Gemini => "gemini",
            Surface::Responses => "responses",
            Surface::Native(native) => native.name(),
        }
    }

    pub fn dialect(self) -> &'static str {
        match self {
            Surface::Chat => "openai-chat",
            Surface::Messages => "anthropic",
            Surface::Gemini => "gemini",
            Surface::Responses => "openai-responses",
            Surface::Native(native) => native.dialect(),
        }
    }

    pub fn read(self, parts: &[Value]) -> Said {
        match self {
            Surface::Chat => read::chat(parts),
            Surface::Messages => read::messages(parts),
            Surface::Gemini => read::gemini(parts),
            Surface::Responses => responses::read(parts),
            Surface::Native(native) => native.read(parts),
        }
    }

    pub fn ask_of(self, body: &Value) -> Ask {
        match self {
            Surface::Chat => Ask::from_chat(body),
            Surface::Messages => Ask::from_messages(body),
            Surface::Gemini => Ask::from_gemini(body),
            Surface::Responses => responses::ask(body),
            Surface::Native(native) => native.ask_of(body),
        }
    }

    pub fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Surface::Chat, _) => "/api/v1/chat/completions".to_owned(),
            (Surface::Messages, _) => "/api/v1/messages".to_owned(),
            (Surface::Responses, _) => "/api/v1/responses".to_owned(),
            (Surface::Native(native), _) => native.path().to_owned(),
            (Surface::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Surface::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        }
    }
}
