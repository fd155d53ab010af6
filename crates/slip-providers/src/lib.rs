//! Who is out there: one file per provider, all of them data. Pure: no I/O, no clock, and the environment is not read here.
//!
//! To add one, write `src/<name>.rs` with a `pub static PROVIDER`, then add two plain lines below: `pub mod <name>;` and a row in
//! [`ALL`]. Start reading at [`provider`]; `groq.rs` is a typical file.

mod prelude;
pub mod provider;

pub mod anthropic;
pub mod google_ai_studio;
pub mod groq;
pub mod mistral;
pub mod ollama;
pub mod openai;

#[cfg(test)]
mod tests;

pub use provider::{Auth, BadUrl, Links, List, Local, Policy, Provider, Str, check_base};

/// Every built-in provider, in the order in which they are listed to people.
pub static ALL: &[&Provider] = &[
    &anthropic::PROVIDER,
    &google_ai_studio::PROVIDER,
    &groq::PROVIDER,
    &mistral::PROVIDER,
    &ollama::PROVIDER,
    &openai::PROVIDER,
];

pub fn by_id(id: &str) -> Option<&'static Provider> {
    ALL.iter().copied().find(|p| p.id == id)
}
