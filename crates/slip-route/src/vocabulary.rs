//! Closed word lists as bit sets: request parameters, media, quantizations. Comparing two endpoints is then one `&`.

use slip_ir::MediaKind;
use slip_ir::want::MediaSet;
use std::fmt;

/// OpenRouter's `supported_parameters` vocabulary (its OpenAPI description, schema `Parameter`, read 2026-11).
pub const PARAMETERS: [&str; 26] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "top_a",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "max_tokens",
    "max_completion_tokens",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "prediction",
    "seed",
    "response_format",
    "structured_outputs",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "include_reasoning",
    "reasoning",
    "reasoning_effort",
    "web_search_options",
    "verbosity",
];

/// A set of request parameters. Words outside [`PARAMETERS`] are left out: no endpoint can be said to lack them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params(u32);

impl Params {
    pub const TOOLS: Params = Params(1 << 18);
    pub const RESPONSE_FORMAT: Params = Params(1 << 15);
    pub const STRUCTURED_OUTPUTS: Params = Params(1 << 16);
    pub const REASONING: Params = Params(1 << 22);

    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Params {
        let bit = |name| {
            // Three words say one thing; an endpoint that lists one of them supports it.
            let name = match name {
                "max_completion_tokens" => "max_tokens",
                "include_reasoning" | "reasoning_effort" => "reasoning",
                other => other,
            };
            PARAMETERS.iter().position(|p| *p == name).map_or(0, |at| 1 << at)
        };
        Params(names.into_iter().fold(0, |set, name| set | bit(name)))
    }

    pub const fn has(self, all: Params) -> bool {
        all.0 & !self.0 == 0
    }

    pub const fn missing(self, wanted: Params) -> Params {
        Params(wanted.0 & !self.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub const fn with(self, more: Params) -> Params {
        Params(self.0 | more.0)
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        PARAMETERS.iter().enumerate().filter(move |(at, _)| self.0 & (1 << at) != 0).map(|(_, name)| *name)
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            write!(f, "{}{name}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The kinds of media a model reads or makes, by the catalogue's words.
pub(crate) fn media<'a>(words: impl IntoIterator<Item = &'a str>) -> MediaSet {
    let mut set = MediaSet::default();
    for word in words {
        if let Some(kind) = [MediaKind::Image, MediaKind::Audio, MediaKind::Video, MediaKind::File]
            .into_iter()
            .find(|k| k.name() == word)
        {
            set.insert(kind);
        }
    }
    set
}

/// OpenRouter's quantization words.
pub const QUANTIZATIONS: [&str; 12] =
    ["int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown"];

/// A set of quantizations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quants(u16);

impl Quants {
    pub const UNKNOWN: Quants = Quants(1 << 11);

    /// Exactly this one; `None` for a word outside the list.
    pub fn one(word: &str) -> Option<Quants> {
        QUANTIZATIONS.iter().position(|q| q.eq_ignore_ascii_case(word)).map(|at| Quants(1 << at))
    }

    /// What a caller means by a word: `fp4` takes in `mxfp4` and `nvfp4`, `fp8` takes in `mxfp8`.
    pub fn meant(word: &str) -> Option<Quants> {
        let more: &[&str] = match word.to_ascii_lowercase().as_str() {
            "fp4" => &["mxfp4", "nvfp4"],
            "fp8" => &["mxfp8"],
            _ => &[],
        };
        more.iter().filter_map(|w| Quants::one(w)).chain(Quants::one(word)).reduce(Quants::with).filter(|_| {
            // The word itself must be known, not just what it implies.
            Quants::one(word).is_some()
        })
    }

    pub const fn with(self, more: Quants) -> Quants {
        Quants(self.0 | more.0)
    }

    pub const fn meets(self, other: Quants) -> bool {
        self.0 & other.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_bits_are_the_words_they_claim_to_be() {
        for (bits, name) in [
            (Params::TOOLS, "tools"),
            (Params::RESPONSE_FORMAT, "response_format"),
            (Params::STRUCTURED_OUTPUTS, "structured_outputs"),
            (Params::REASONING, "reasoning"),
        ] {
            assert_eq!(bits.names().collect::<Vec<_>>(), [name]);
            assert_eq!(Params::of([name]), bits);
        }
        assert_eq!(Quants::one("unknown"), Some(Quants::UNKNOWN));
    }

    #[test]
    fn synonyms_are_one_parameter_and_strangers_are_none() {
        assert_eq!(Params::of(["max_completion_tokens"]), Params::of(["max_tokens"]));
        assert_eq!(Params::of(["reasoning_effort", "include_reasoning"]), Params::REASONING);
        assert!(Params::of(["no_such_thing"]).is_empty());
        assert_eq!(Params::of(["tools"]).missing(Params::of(["tools", "seed", "stop"])).to_string(), "seed, stop");
    }

    #[test]
    fn a_quantization_takes_in_its_microscaled_kin() {
        let check = |word: &str, takes: &[&str]| {
            let meant = Quants::meant(word).unwrap();
            for q in QUANTIZATIONS {
                assert_eq!(meant.meets(Quants::one(q).unwrap()), takes.contains(&q), "{word} and {q}");
            }
        };
        check("fp4", &["fp4", "mxfp4", "nvfp4"]);
        check("FP8", &["fp8", "mxfp8"]);
        check("mxfp4", &["mxfp4"]);
        check("unknown", &["unknown"]);
        assert_eq!(Quants::meant("fp5"), None);
    }
}
