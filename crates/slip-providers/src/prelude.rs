//! What a provider's file needs, so that it can be all data.

pub use crate::provider::{
    Also, Auth, Blank, Family, Issuer, Links, Local, Policy, Provider, Serves, serves, serves_at,
};
pub use slip_ir::{Dialect, FaultKind, Op, Remedy};
pub use slip_wire::ops::Shape;
pub use slip_wire::quirks::{MaxTokens, Prefill, ReasoningStyle, Replay, Structured, ToolIds};
pub use slip_wire::{Envelope, Quirks};
pub use std::borrow::Cow;

use crate::provider::Str;

/// Static text.
pub const fn s(text: &'static str) -> Str {
    Cow::Borrowed(text)
}

/// A static list of anything. (A function would not do: the compiler refuses to drop its argument in a static.)
macro_rules! list {
    ($($item:expr),* $(,)?) => { std::borrow::Cow::Borrowed(const { &[$($item),*] }) };
}

/// A static list of names.
macro_rules! names {
    ($($name:literal),+ $(,)?) => { $crate::prelude::list![$($crate::prelude::s($name)),+] };
}

pub(crate) use {list, names};

/// It continues text as well, below the same base: OpenAI's legacy completions.
pub const TEXT: Also = Also { dialect: Dialect::Completions, path: None, quirks: Quirks::OPENAI_CHAT };

/// Privacy policy, terms of service, status page.
pub const fn links(privacy: &'static str, terms: &'static str, status: Option<&'static str>) -> Links {
    let status = match status {
        Some(page) => Some(s(page)),
        None => None,
    };
    Links { privacy: Some(s(privacy)), terms: Some(s(terms)), status }
}

/// OpenAI Responses at its usual path, for callers who speak it.
pub const fn responses(quirks: Quirks) -> Also {
    Also { dialect: Dialect::Responses, path: None, quirks }
}
