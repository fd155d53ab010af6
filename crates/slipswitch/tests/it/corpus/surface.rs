//! The surfaces a client may knock at, each with the dialect it speaks.

use super::ask::Ask;
use super::invoked::House;
use super::natives::Native;
use super::said::Said;
use super::{bedrock, read, responses};
use serde_json::Value;
use slip_sim::Case;

/// Where a client knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    Chat,
    Messages,
    Gemini,
    Responses,
    Bedrock,
    Native(Native),
    /// Nobody's but a provider's.
    Invoked(House),
}

impl Surface {
    pub const ALL: [Surface; 5] =
        [Surface::Chat, Surface::Messages, Surface::Gemini, Surface::Responses, Surface::Bedrock];

    /// Every surface a request is sent to.
    pub fn callers() -> impl Iterator<Item = Surface> {
        Surface::ALL.into_iter().chain(Native::ALL.map(Surface::Native))
    }

    pub fn native(self) -> Option<Native> {
        if let Surface::Native(native) = self { Some(native) } else { None }
    }

    /// The JSON of a stream's messages.
    pub fn values(self, body: &[u8]) -> Vec<Value> {
        match self {
            Surface::Native(native) => native.values(body),
            Surface::Invoked(house) => house.values(body),
            _ => read::values(body),
        }
    }

    /// The surface that speaks the provider's dialect; `None` for APIs this gateway does not call.
    pub fn of(case: &Case) -> Option<Surface> {
        match case.api.as_str() {
            "chat.completions" => Some(Surface::Chat),
            "messages" => Some(Surface::Messages),
            "generateContent" | "streamGenerateContent" => Some(Surface::Gemini),
            "converse" | "converse-stream" => Some(Surface::Bedrock),
            "invoke" | "invoke-stream" if Surface::wraps_claude(case) => Some(Surface::Messages),
            "responses" => Some(Surface::Responses),
            api => {
                let native = Native::of(api, case.path()).map(Surface::Native);
                native.or_else(|| House::of(case).map(Surface::Invoked))
            }
        }
    }

    /// Anthropic's dialect inside Bedrock's InvokeModel.
    pub fn is_wrapped(case: &Case) -> bool {
        matches!(case.api.as_str(), "invoke" | "invoke-stream") && Surface::wraps_claude(case)
    }

    pub fn house(self) -> Option<House> {
        if let Surface::Invoked(house) = self { Some(house) } else { None }
    }

    /// One text is all there is to say.
    pub fn is_prompt(self) -> bool {
        self.native().is_some_and(Native::is_prompt) || self.house().is_some_and(House::is_prompt)
    }

    fn wraps_claude(case: &Case) -> bool {
        let named = case.model.as_deref().is_some_and(|model| model.contains("anthropic.claude"));
        // Older ones were prompted with bare text.
        named && case.request.body["prompt"].is_null()
    }

    /// The model's name, and whether to stream, stand in the path.
    pub fn is_named_in_path(self) -> bool {
        matches!(self, Surface::Gemini | Surface::Bedrock)
            || self.house().is_some_and(|house| house != House::CohereOld)
    }

    pub fn name(self) -> &'static str {
        match self {
            Surface::Chat => "chat",
            Surface::Messages => "messages",
            Surface::Gemini => "gemini",
            Surface::Responses => "responses",
            Surface::Native(native) => native.name(),
            Surface::Bedrock => "bedrock",
            Surface::Invoked(house) => house.envelope(),
        }
    }

    pub fn dialect(self) -> &'static str {
        match self {
            Surface::Chat => "openai-chat",
            Surface::Messages => "anthropic",
            Surface::Gemini => "gemini",
            Surface::Responses => "openai-responses",
            Surface::Native(native) => native.dialect(),
            Surface::Bedrock => "bedrock",
            Surface::Invoked(house) => house.dialect(),
        }
    }

    pub fn read(self, parts: &[Value]) -> Said {
        match self {
            Surface::Chat => read::chat(parts),
            Surface::Messages => read::messages(parts),
            Surface::Gemini => read::gemini(parts),
            Surface::Responses => responses::read(parts),
            Surface::Native(native) => native.read(parts),
            Surface::Bedrock => bedrock::read(parts),
            Surface::Invoked(house) => house.read(parts),
        }
    }

    pub fn ask_of(self, body: &Value) -> Ask {
        match self {
            Surface::Chat => Ask::from_chat(body),
            Surface::Messages => Ask::from_messages(body),
            Surface::Gemini => Ask::from_gemini(body),
            Surface::Responses => responses::ask(body),
            Surface::Native(native) => native.ask_of(body),
            Surface::Bedrock => bedrock::from(body),
            Surface::Invoked(house) => house.ask_of(body),
        }
    }

    pub fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Surface::Chat, _) => "/api/v1/chat/completions".to_owned(),
            (Surface::Messages, _) => "/api/v1/messages".to_owned(),
            (Surface::Responses, _) => "/api/v1/responses".to_owned(),
            (Surface::Native(native), _) => native.path().to_owned(),
            (Surface::Invoked(_), _) => unreachable!("no client speaks it"),
            (Surface::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Surface::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            (Surface::Bedrock, false) => format!("/model/{}/converse", model.replace('/', "%2F")),
            (Surface::Bedrock, true) => format!("/model/{}/converse-stream", model.replace('/', "%2F")),
        }
    }
}
