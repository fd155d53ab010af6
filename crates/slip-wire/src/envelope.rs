//! How a cloud wraps a dialect that is not its own: what the author's API says in the body or in a header moves into the path, and
//! the other way round. Two clouds serve Anthropic's Messages so. Where the body is not the dialect's either, [`tongue`] tells it.

pub mod asked;
mod chat;
mod claude;
mod cohere;
mod command;
mod counted;
mod jurassic;
mod llama;
mod mistral;
mod nova;
mod prompt;
pub(crate) mod retold;
mod titan;
pub mod tongue;

use crate::frame::Framing;
use crate::{Quirks, json};
use bytes::Bytes;
pub use counted::{METRICS, counted};
use slip_ir::{Dialect, Loss};
use std::fmt::Write;
pub use tongue::Tongue;

/// One cloud's wrapping.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The name configuration files know it by.
    pub name: &'static str,
    /// Path of a whole reply and of a stream; `{model}` stands for the model's name, escaped.
    pub paths: [&'static str; 2],
    /// What is spoken inside, where it is not the dialect itself.
    pub tongue: Option<Tongue>,
    /// Value of the body's `anthropic_version`, which takes the place of the header; empty where there is none.
    pub version: &'static str,
    /// Members of the body that have moved into the path.
    pub moved: &'static [&'static str],
    /// Beta features are named in the body, as `anthropic_beta`, and not in a header.
    pub beta_in_body: bool,
    /// How its streams are cut into messages.
    pub framing: Framing,
    /// In whose words it refuses.
    pub errors: Dialect,
}

impl Envelope {
    /// Bedrock's InvokeModel.
    pub const INVOKE_MODEL: Envelope = Envelope {
        name: "invoke-model",
        paths: INVOKE,
        tongue: None,
        version: "bedrock-2023-05-31",
        moved: &["model", "stream"],
        beta_in_body: true,
        framing: Framing::Chunks,
        errors: Dialect::Bedrock,
    };

    /// Vertex AI, below `…/publishers/anthropic`. A stream is asked for in the path and in the body.
    pub const RAW_PREDICT: Envelope = Envelope {
        name: "raw-predict",
        paths: ["/models/{model}:rawPredict", "/models/{model}:streamRawPredict"],
        tongue: None,
        version: "vertex-2023-10-16",
        moved: &["model"],
        beta_in_body: false,
        framing: Framing::Sse,
        errors: Dialect::Anthropic,
    };

    /// InvokeModel, in the words of a maker.
    const fn invoked(name: &'static str, tongue: Tongue) -> Envelope {
        Envelope {
            name,
            tongue: Some(tongue),
            version: "",
            moved: &["model", "stream"],
            framing: Framing::Invoked(tongue),
            ..Envelope::INVOKE_MODEL
        }
    }

    pub const TITAN: Envelope = Envelope::invoked("invoke-titan", Tongue::Titan);
    pub const NOVA: Envelope = Envelope::invoked("invoke-nova", Tongue::Nova);
    pub const LLAMA: Envelope = Envelope::invoked("invoke-llama", Tongue::Llama);
    /// It does not stream: it is asked whole, and a short stream made of that.
    pub const JURASSIC: Envelope =
        Envelope { paths: [INVOKE[0], INVOKE[0]], ..Envelope::invoked("invoke-jurassic", Tongue::Jurassic) };
    pub const COMMAND: Envelope = Envelope::invoked("invoke-command", Tongue::Command);
    pub const COMMAND_R: Envelope = Envelope::invoked("invoke-command-r", Tongue::Cohere);
    pub const MISTRAL: Envelope = Envelope::invoked("invoke-mistral", Tongue::Mistral);
    pub const CLAUDE: Envelope = Envelope::invoked("invoke-claude-text", Tongue::Claude);

    /// Chat completions, of makers who have no other words.
    pub const CHAT: Envelope =
        Envelope { moved: &["model", "stream", "stream_options"], ..Envelope::invoked("invoke-chat", Tongue::Chat) };

    /// Cohere itself, asked as it was before its second version: below `/v1`.
    pub const COHERE_V1: Envelope = Envelope {
        name: "cohere-v1",
        paths: ["/chat", "/chat"],
        tongue: Some(Tongue::Cohere),
        version: "",
        moved: &[],
        beta_in_body: false,
        framing: Framing::Lined(Tongue::Cohere),
        errors: Dialect::Cohere,
    };

    pub const ALL: [&'static Envelope; 12] = [
        &Envelope::INVOKE_MODEL,
        &Envelope::RAW_PREDICT,
        &Envelope::TITAN,
        &Envelope::NOVA,
        &Envelope::LLAMA,
        &Envelope::JURASSIC,
        &Envelope::COMMAND,
        &Envelope::COMMAND_R,
        &Envelope::MISTRAL,
        &Envelope::CLAUDE,
        &Envelope::CHAT,
        &Envelope::COHERE_V1,
    ];

    /// The dialect that comes in it.
    pub fn dialect(&self) -> Dialect {
        self.tongue.map_or(Dialect::Anthropic, Tongue::dialect)
    }

    pub fn parse(name: &str) -> Option<&'static Envelope> {
        Envelope::ALL.into_iter().find(|envelope| envelope.name == name)
    }

    /// Path below the base URL.
    pub fn path(&self, model: &str, stream: bool) -> String {
        self.paths[usize::from(stream)].replace("{model}", &escaped(model))
    }

    /// The body as this cloud reads it, in whatever is spoken inside. What that has no word for is lost.
    pub fn seal(&self, body: Vec<u8>, model: &str, beta: Option<&str>, losses: &mut Vec<Loss>) -> Vec<u8> {
        let Some(tongue) = self.tongue else { return self.wrap(body, beta) };
        let body = tongue.ask(&body, model, losses);
        let Ok(members) = json::members(&body) else { return body };
        if !members.iter().any(|member| self.moved.contains(&member.key.as_str())) {
            return body;
        }
        let kept = members.into_iter().filter(|member| !self.moved.contains(&member.key.as_str()));
        let kept: Vec<&[u8]> = kept.map(|member| &body[member.whole]).collect();
        [b"{".as_slice(), &kept.join(b",".as_slice()), b"}"].concat()
    }

    /// The body as this cloud reads it. `beta` is the value of the caller's `anthropic-beta` header.
    pub fn wrap(&self, body: Vec<u8>, beta: Option<&str>) -> Vec<u8> {
        let Ok(members) = json::members(&body) else { return body };
        let mut out = Vec::with_capacity(body.len() + 64);
        out.extend_from_slice(b"{\"anthropic_version\":");
        json::write_string(self.version, &mut out);
        let beta = beta.filter(|_| self.beta_in_body && !members.iter().any(|m| m.key == "anthropic_beta"));
        if let Some(beta) = beta {
            let names: Vec<&str> = beta.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            out.extend_from_slice(b",\"anthropic_beta\":");
            out.extend_from_slice(&serde_json::to_vec(&names).unwrap_or_else(|_| b"[]".to_vec()));
        }
        for member in members {
            if member.key != "anthropic_version" && !self.moved.contains(&member.key.as_str()) {
                out.push(b',');
                out.extend_from_slice(&body[member.whole]);
            }
        }
        out.push(b'}');
        out
    }
}

impl Quirks {
    /// A whole reply, as the dialect would have told it. What is none is left to be refused as it is.
    pub fn opened(&self, headers: &http::HeaderMap, body: Bytes) -> Bytes {
        let Some(tongue) = self.envelope.and_then(|envelope| envelope.tongue) else { return body };
        let body = counted(headers, body);
        tongue.whole(&body).map_or(body, Bytes::from)
    }
}

/// Where InvokeModel is asked, and where for a stream.
const INVOKE: [&str; 2] = ["/model/{model}/invoke", "/model/{model}/invoke-with-response-stream"];

/// A model's name as one segment of a path: it can never reach another path, nor add a query.
pub fn escaped(model: &str) -> String {
    let mut path = String::with_capacity(model.len() + 8);
    for byte in model.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => path.push(char::from(byte)),
            _ => {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_models_name_is_one_segment_of_the_path() {
        let rows = [
            (
                &Envelope::INVOKE_MODEL,
                "us.anthropic.claude-x-v1:0",
                false,
                "/model/us.anthropic.claude-x-v1%3A0/invoke",
            ),
            (&Envelope::INVOKE_MODEL, "a/b?c", true, "/model/a%2Fb%3Fc/invoke-with-response-stream"),
            (&Envelope::RAW_PREDICT, "claude-x@20241022", false, "/models/claude-x@20241022:rawPredict"),
            (&Envelope::RAW_PREDICT, "claude-x", true, "/models/claude-x:streamRawPredict"),
        ];
        for (envelope, model, stream, want) in rows {
            assert_eq!(envelope.path(model, stream), want);
        }
    }

    #[test]
    fn the_body_loses_what_moved_and_says_its_version() {
        let body = br#"{"model":"m", "max_tokens": 1.0,"stream":true,"anthropic_version":"mine","x":{"model":1}}"#;
        let wrapped = |envelope: &Envelope, beta| -> Value {
            serde_json::from_slice(&envelope.wrap(body.to_vec(), beta)).expect("JSON")
        };
        let rest = |version: &str| json!({"anthropic_version": version, "max_tokens": 1.0, "x": {"model": 1}});
        let mut want = rest("bedrock-2023-05-31");
        assert_eq!(wrapped(&Envelope::INVOKE_MODEL, None), want);
        want["anthropic_beta"] = json!(["a-1", "b-2"]);
        assert_eq!(wrapped(&Envelope::INVOKE_MODEL, Some("a-1, b-2")), want);
        let mut want = rest("vertex-2023-10-16");
        want["stream"] = json!(true);
        assert_eq!(wrapped(&Envelope::RAW_PREDICT, Some("a-1")), want);
    }

    #[test]
    fn every_envelope_is_found_by_its_name() {
        for envelope in Envelope::ALL {
            assert_eq!(Envelope::parse(envelope.name), Some(envelope));
        }
    }
}
