//! The vocabulary of the house: what a request means, what a reply means, what it cost, what went wrong.
//!
//! Every other crate speaks in these types. There is no I/O here, no clock, no dialect and no provider.
//! Start reading at [`request`], then [`event`].

pub mod event;
pub mod fault;
pub mod ids;
pub mod loss;
pub mod money;
pub mod op;
pub mod raw;
pub mod reply;
pub mod request;
pub mod tier;
pub mod usage;
pub mod want;

pub use event::{Event, Kind as BlockKind, Piece};
pub use fault::{Fault, Kind as FaultKind, Origin, Remedy};
pub use ids::Dialect;
pub use loss::Loss;
pub use money::{Nano, Pico, Price, Rates};
pub use op::{Op, Ops};
pub use raw::Raw;
pub use reply::{Choice, Finish, Reply, fold, unfold};
pub use request::{
    Block, Cache, Effort, Format, Media, MediaKind, Params, Reasoning, Request, Role, Source, Text, Thinking,
    ThinkingKind, Tool, ToolCall, ToolChoice, ToolResult, Turn,
};
pub use tier::Tier;
pub use usage::Usage;
pub use want::Want;
