//! The catalogue files as they are written: a mirror of the text, unknown words refused.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Author {
    pub author: Who,
    #[serde(default)]
    pub model: Vec<Model>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Who {
    pub id: String,
    pub name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub id: String,
    pub canonical: Option<String>,
    pub name: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default)]
    pub family: String,
    pub released: String,
    pub knowledge: Option<String>,
    pub context: u64,
    pub max_output: Option<u64>,
    pub input: Vec<String>,
    pub output: Vec<String>,
    pub tokenizer: Option<String>,
    #[serde(default)]
    pub open_weights: bool,
    pub hugging_face: Option<String>,
    #[serde(default)]
    pub params: Vec<String>,
    pub reasoning: Option<Reasoning>,
    pub source: String,
    pub checked: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reasoning {
    #[serde(default)]
    pub efforts: Vec<String>,
    #[serde(default)]
    pub mandatory: bool,
    #[serde(default)]
    pub budget: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub provider: String,
    #[serde(default)]
    pub endpoint: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    pub model: String,
    pub upstream: String,
    pub tag: Option<String>,
    pub quantization: Option<String>,
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    pub params: Option<Vec<String>>,
    pub variant: Option<String>,
    pub price: Option<Rates>,
    #[serde(default)]
    pub tiers: Vec<Rates>,
    #[serde(default)]
    pub implicit_caching: bool,
    pub policy: Option<Policy>,
    #[serde(default)]
    pub service: Vec<Service>,
    pub source: String,
    pub checked: String,
}

/// The same endpoint at another tier of service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub tier: String,
    pub context: Option<u64>,
    pub price: Rates,
    #[serde(default)]
    pub tiers: Vec<Rates>,
    pub source: String,
    pub checked: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub trains: Option<bool>,
    pub retains: Option<bool>,
    pub zdr: Option<bool>,
}

/// USD per million tokens, as decimal strings. One shape for a price and for a tier of it (serde cannot both flatten and refuse
/// unknown words); which of the last three members belongs where is checked afterwards.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rates {
    pub input: String,
    pub output: String,
    pub cache_read: Option<String>,
    pub cache_write: Option<String>,
    pub cache_write_1h: Option<String>,
    pub reasoning: Option<String>,
    pub audio_in: Option<String>,
    pub image_in: Option<String>,
    pub audio_out: Option<String>,
    pub image_out: Option<String>,
    /// USD each; of a price only.
    pub request: Option<String>,
    /// USD each; of a price only.
    pub web_search: Option<String>,
    /// USD per picture made; of a price only.
    pub image: Option<String>,
    /// USD per second of sound; of a price only.
    pub second: Option<String>,
    /// USD per million characters; of a price only.
    pub characters: Option<String>,
    /// USD per search through documents; of a price only.
    pub search: Option<String>,
    /// Prompt tokens exceeded; of a tier only.
    pub above: Option<u64>,
}
