//! Stand-ins for AI providers, over real sockets: simulated, scripted, replayed and canned upstreams, and a load generator.
//!
//! Nothing here shares code with the translator or with the HTTP library the gateway uses: a stand-in that did could not catch
//! their mistakes. The HTTP server is hand-written ([`http`]) because it must also be able to lie: reset in the middle, promise
//! bytes it never sends, answer with nothing.
//!
//! Start reading at [`Sim`]; what it answers is decided in `sim/mind.rs` and spelt in `sim/openai.rs`, `sim/anthropic.rs` and
//! `sim/gemini.rs`; how it misbehaves is listed in [`fault`].

pub mod canned;
pub mod case;
pub mod cassette;
pub mod fault;
pub mod http;
pub mod journal;
pub mod load;
pub mod replay;
pub mod scripted;
pub mod sim;

#[cfg(test)]
mod tests;

pub use canned::{Canned, CannedConfig};
pub use case::Case;
pub use cassette::Cassette;
pub use fault::{Fault, Mode, modes};
pub use journal::{Entry, Journal};
pub use load::{LoadPlan, LoadReport};
pub use replay::{Chunking, Replay, ReplayConfig};
pub use scripted::{Script, Scripted};
pub use sim::tokens::{count as count_tokens, split as split_tokens};
pub use sim::{Sim, SimConfig};
