//! What the house writes onto a reply: the generation's identity and its price.

use crate::responses::Echo;
use slip_ir::Price;
use std::sync::Arc;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stamp {
    /// `gen-<unix seconds>-<20 alphanumerics>`.
    pub id: String,
    /// Unix seconds.
    pub created: u64,
    /// Canonical slug of the model that answered.
    pub model: String,
    /// Display name of the provider that answered.
    pub provider: String,
    /// `None` when the catalogue does not know it: the cost is then written as 0 with `"cost_unknown": true` beside it.
    pub price: Option<Arc<Price>>,
    /// The caller brought their own provider key.
    pub byok: bool,
    /// The caller asked not to see reasoning. Signatures and sealed blobs are still shown when tools are in play.
    pub hide_reasoning: bool,
    /// Our estimate of the prompt, used when the provider reports no usage.
    pub prompt_estimate: u64,
    /// What the reply repeats of its request, where the caller's dialect does so.
    pub echo: Option<Box<Echo>>,
}
