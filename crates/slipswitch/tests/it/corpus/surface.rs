//! The surfaces a client may knock at, each with the dialect it speaks.

use super::ask::Ask;
use super::said::Said;
use super::{bedrock, read};
use serde_json::Value;
use slip_sim::Case;

/// Where a client knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    Chat,
    Messages,
    Gemini,
    Bedrock,
}

impl Surface {
    pub const ALL: [Surface; 4] = [Surface::Chat, Surface::Messages, Surface::Gemini, Surface::Bedrock];

    /// The surface that speaks the provider's dialect; `None` for APIs this gateway does not call.
    pub fn of(case: &Case) -> Option<Surface> {
        match case.api.as_str() {
            "chat.completions" => Some(Surface::Chat),
            "messages" => Some(Surface::Messages),
            "generateContent" | "streamGenerateContent" => Some(Surface::Gemini),
            "converse" | "converse-stream" => Some(Surface::Bedrock),
            // The bodies of other families are dialects of their own, which nobody speaks to this gateway: Converse serves them all.
            "invoke" | "invoke-stream" if Surface::wraps_claude(case) => Some(Surface::Messages),
            _ => None,
        }
    }

    /// Anthropic's dialect inside Bedrock's InvokeModel.
    pub fn is_wrapped(case: &Case) -> bool {
        matches!(case.api.as_str(), "invoke" | "invoke-stream")
    }

    fn wraps_claude(case: &Case) -> bool {
        let named = case.model.as_deref().is_some_and(|model| model.contains("anthropic.claude"));
        // Older ones were prompted with bare text.
        named && case.request.body["prompt"].is_null()
    }

    /// The model's name, and whether to stream, stand in the path.
    pub fn is_named_in_path(self) -> bool {
        matches!(self, Surface::Gemini | Surface::Bedrock)
    }

    pub fn name(self) -> &'static str {
        match self {
            Surface::Chat => "chat",
            Surface::Messages => "messages",
            Surface::Gemini => "gemini",
            Surface::Bedrock => "bedrock",
        }
    }

    pub fn dialect(self) -> &'static str {
        match self {
            Surface::Chat => "openai-chat",
            Surface::Messages => "anthropic",
            Surface::Gemini => "gemini",
            Surface::Bedrock => "bedrock",
        }
    }

    pub fn read(self, parts: &[Value]) -> Said {
        match self {
            Surface::Chat => read::chat(parts),
            Surface::Messages => read::messages(parts),
            Surface::Gemini => read::gemini(parts),
            Surface::Bedrock => bedrock::read(parts),
        }
    }

    pub fn ask_of(self, body: &Value) -> Ask {
        match self {
            Surface::Chat => Ask::from_chat(body),
            Surface::Messages => Ask::from_messages(body),
            Surface::Gemini => Ask::from_gemini(body),
            Surface::Bedrock => bedrock::from(body),
        }
    }

    pub fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Surface::Chat, _) => "/api/v1/chat/completions".to_owned(),
            (Surface::Messages, _) => "/api/v1/messages".to_owned(),
            (Surface::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Surface::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            (Surface::Bedrock, false) => format!("/model/{}/converse", model.replace('/', "%2F")),
            (Surface::Bedrock, true) => format!("/model/{}/converse-stream", model.replace('/', "%2F")),
        }
    }
}
