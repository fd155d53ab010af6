//! Who is out there: one file per provider, all of them data. Pure: no I/O, no clock, and the environment is not read here.
//!
//! To add one, write `src/<name>.rs` with a `pub static PROVIDER`, then add two plain lines below: `pub mod <name>;` and a row in
//! [`ALL`]. Start reading at [`provider`]; `groq.rs` is a typical file.

mod prelude;
pub mod provider;

pub mod alibaba;
pub mod amazon_bedrock;
pub mod anthropic;
pub mod azure;
pub mod azure_foundry;
pub mod baseten;
pub mod cerebras;
pub mod chutes;
pub mod cohere;
pub mod deepgram;
pub mod deepinfra;
pub mod deepseek;
pub mod elevenlabs;
pub mod fireworks;
pub mod friendli;
pub mod google_ai_studio;
pub mod google_vertex;
pub mod groq;
pub mod huggingface;
pub mod inception;
pub mod jina;
pub mod llamacpp;
pub mod lmstudio;
pub mod minimax;
pub mod mistral;
pub mod moonshotai;
pub mod nebius;
pub mod novita;
pub mod nvidia;
pub mod ollama;
pub mod openai;
pub mod openrouter;
pub mod perplexity;
pub mod sambanova;
pub mod sglang;
pub mod siliconflow;
pub mod stepfun;
pub mod together;
pub mod upstage;
pub mod venice;
pub mod vllm;
pub mod voyage;
pub mod xai;
pub mod xiaomi;
pub mod z_ai;

#[cfg(test)]
mod tests;

pub use provider::{
    Auth, BadUrl, Blank, Family, Issuer, Links, List, Local, Policy, Provider, Str, Unfilled, check_base,
};

/// Every built-in provider, by the alphabet.
pub static ALL: &[&Provider] = &[
    &alibaba::PROVIDER,
    &amazon_bedrock::PROVIDER,
    &anthropic::PROVIDER,
    &azure::PROVIDER,
    &azure_foundry::PROVIDER,
    &baseten::PROVIDER,
    &cerebras::PROVIDER,
    &chutes::PROVIDER,
    &cohere::PROVIDER,
    &deepgram::PROVIDER,
    &deepinfra::PROVIDER,
    &deepseek::PROVIDER,
    &elevenlabs::PROVIDER,
    &fireworks::PROVIDER,
    &friendli::PROVIDER,
    &google_ai_studio::PROVIDER,
    &google_vertex::PROVIDER,
    &groq::PROVIDER,
    &huggingface::PROVIDER,
    &inception::PROVIDER,
    &jina::PROVIDER,
    &llamacpp::PROVIDER,
    &lmstudio::PROVIDER,
    &minimax::PROVIDER,
    &mistral::PROVIDER,
    &moonshotai::PROVIDER,
    &nebius::PROVIDER,
    &novita::PROVIDER,
    &nvidia::PROVIDER,
    &ollama::PROVIDER,
    &openai::PROVIDER,
    &openrouter::PROVIDER,
    &perplexity::PROVIDER,
    &sambanova::PROVIDER,
    &sglang::PROVIDER,
    &siliconflow::PROVIDER,
    &stepfun::PROVIDER,
    &together::PROVIDER,
    &upstage::PROVIDER,
    &venice::PROVIDER,
    &vllm::PROVIDER,
    &voyage::PROVIDER,
    &xai::PROVIDER,
    &xiaomi::PROVIDER,
    &z_ai::PROVIDER,
];

/// The provider with this id or alias, exactly.
pub fn by_id(id: &str) -> Option<&'static Provider> {
    ALL.iter().copied().find(|p| p.id == id || p.aliases.iter().any(|alias| alias == id))
}
