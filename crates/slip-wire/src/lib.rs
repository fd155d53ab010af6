//! Dialects and framing: bytes to meaning and back. Pure: no tokio, no hyper, no clock, and no provider names.
//!
//! > Bytes are the truth. Meaning is a lens.
//!
//! Start reading at [`dialect`] (what a dialect must be able to do), then [`lens`] (how a reply crosses), then one dialect's
//! folder.

pub mod anthropic;
pub mod bedrock;
mod body;
pub mod breakpoint;
pub mod carry;
pub mod cohere;
pub mod completions;
pub mod cross;
pub mod dialect;
pub mod envelope;
pub mod frame;
pub mod gemini;
pub mod house;
pub mod json;
#[cfg(test)]
mod laws;
pub mod lens;
mod object;
pub mod ollama;
pub mod openai_chat;
pub mod ops;
pub mod peek;
pub mod quirks;
#[cfg(test)]
mod recordings;
pub mod responses;
pub mod seals;
pub mod squeeze;
pub mod stamp;
pub mod structured;
pub mod upstream_error;
mod wish;

pub use cross::cross;
pub use dialect::{Decode, Encode, Malformed, Wire, wire};
pub use envelope::Envelope;
pub use lens::{Called, Calls, End, Lens, Phase, Tally};
pub use peek::Peek;
pub use quirks::Quirks;
pub use stamp::Stamp;
