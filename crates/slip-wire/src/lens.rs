//! How a reply crosses from the upstream's dialect into the caller's: verbatim, patched or translated. One type to the journey.

use slip_ir::{Fault, Finish, Loss, Usage};

/// Where a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing the caller could use has come yet (role, pings and comments do not count): another endpoint may still be tried.
    Waiting,
    /// The first content has been seen: committed.
    Flowing,
    /// The upstream said how it ended.
    Finished,
    /// It failed; see `fault`.
    Broken,
}

/// How the upstream's bytes ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The body ended by itself.
    Eof,
    /// The connection or a deadline failed.
    Fault(Fault),
    /// The caller left.
    Gone,
}

/// What a reply came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Always there once a reply has content: reported, or estimated and marked so.
    pub usage: Option<Usage>,
    pub finish: Option<Finish>,
    pub native: Option<String>,
    /// Events that carried content.
    pub content: u64,
    /// Bytes of visible text, reasoning and arguments.
    pub text_bytes: u64,
    pub malformed: u32,
    pub upstream_id: Option<String>,
    pub upstream_model: Option<String>,
    pub fault: Option<Fault>,
    pub losses: Vec<Loss>,
}

pub struct Lens;
