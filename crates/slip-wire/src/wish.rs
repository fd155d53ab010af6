//! Parameters by their names, for dialects that have no word for some of them: what the caller asked for is told as lost, what
//! would have happened anyway is not.

use serde_json::Number;
use slip_ir::Params;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    TopK,
    MinP,
    TopA,
    FrequencyPenalty,
    PresencePenalty,
    RepetitionPenalty,
    Seed,
    Stop,
    N,
    Logprobs,
    TopLogprobs,
    LogitBias,
    User,
    Verbosity,
    ServiceTier,
    Prediction,
    Modalities,
    Audio,
    ImageConfig,
    WebSearchOptions,
    PromptCacheKey,
    CacheControl,
    Metadata,
}

/// Those of `wishes` that are said, by their names and in their order.
pub(crate) fn said(params: &Params, wishes: &[Wish]) -> impl Iterator<Item = &'static str> {
    wishes.iter().filter(|wish| wish.is_said(params)).map(|wish| wish.name())
}

/// The same without those that ask for what happens anyway.
pub(crate) fn asked(params: &Params, wishes: &[Wish]) -> impl Iterator<Item = &'static str> {
    wishes.iter().filter(|wish| wish.is_said(params) && !wish.is_idle(params)).map(|wish| wish.name())
}

impl Wish {
    fn name(self) -> &'static str {
        match self {
            Wish::TopK => "top_k",
            Wish::MinP => "min_p",
            Wish::TopA => "top_a",
            Wish::FrequencyPenalty => "frequency_penalty",
            Wish::PresencePenalty => "presence_penalty",
            Wish::RepetitionPenalty => "repetition_penalty",
            Wish::Seed => "seed",
            Wish::Stop => "stop",
            Wish::N => "n",
            Wish::Logprobs => "logprobs",
            Wish::TopLogprobs => "top_logprobs",
            Wish::LogitBias => "logit_bias",
            Wish::User => "user",
            Wish::Verbosity => "verbosity",
            Wish::ServiceTier => "service_tier",
            Wish::Prediction => "prediction",
            Wish::Modalities => "modalities",
            Wish::Audio => "audio",
            Wish::ImageConfig => "image_config",
            Wish::WebSearchOptions => "web_search_options",
            Wish::PromptCacheKey => "prompt_cache_key",
            Wish::CacheControl => "cache_control",
            Wish::Metadata => "metadata",
        }
    }

    fn is_said(self, p: &Params) -> bool {
        match self {
            Wish::TopK => p.top_k.is_some(),
            Wish::MinP => p.min_p.is_some(),
            Wish::TopA => p.top_a.is_some(),
            Wish::FrequencyPenalty => p.frequency_penalty.is_some(),
            Wish::PresencePenalty => p.presence_penalty.is_some(),
            Wish::RepetitionPenalty => p.repetition_penalty.is_some(),
            Wish::Seed => p.seed.is_some(),
            Wish::Stop => !p.stop.is_empty(),
            Wish::N => p.n.is_some_and(|n| n > 1),
            Wish::Logprobs => p.logprobs == Some(true),
            Wish::TopLogprobs => p.top_logprobs.is_some_and(|n| n > 0),
            Wish::LogitBias => p.logit_bias.is_some(),
            Wish::User => p.user.is_some(),
            Wish::Verbosity => p.verbosity.is_some(),
            Wish::ServiceTier => p.service_tier.is_some(),
            Wish::Prediction => p.prediction.is_some(),
            Wish::Modalities => p.modalities.iter().any(|kind| kind != "text"),
            Wish::Audio => p.audio.is_some(),
            Wish::ImageConfig => p.image_config.is_some(),
            Wish::WebSearchOptions => p.web_search_options.is_some(),
            Wish::PromptCacheKey => p.prompt_cache_key.is_some(),
            Wish::CacheControl => p.cache.is_some(),
            Wish::Metadata => p.metadata.is_some(),
        }
    }

    fn is_idle(self, p: &Params) -> bool {
        let is = |number: &Option<Number>, idle: f64| number.as_ref().is_some_and(|n| n.as_f64() == Some(idle));
        match self {
            Wish::MinP => is(&p.min_p, 0.0),
            Wish::TopA => is(&p.top_a, 0.0),
            Wish::FrequencyPenalty => is(&p.frequency_penalty, 0.0),
            Wish::PresencePenalty => is(&p.presence_penalty, 0.0),
            Wish::RepetitionPenalty => is(&p.repetition_penalty, 1.0),
            Wish::LogitBias => p.logit_bias.as_ref().is_some_and(|raw| raw.as_str() == "{}"),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::Raw;

    #[test]
    fn what_would_happen_anyway_is_said_but_not_asked() {
        let all = [Wish::N, Wish::MinP, Wish::RepetitionPenalty, Wish::LogitBias, Wish::Modalities, Wish::Seed];
        type Row = (f64, f64, &'static str, u32, &'static [&'static str], &'static [&'static str]);
        let rows: [Row; 2] = [
            (0.0, 1.0, "{}", 1, &["min_p", "repetition_penalty", "logit_bias", "seed"], &["seed"]),
            (
                0.1,
                0.0,
                r#"{"1":2}"#,
                2,
                &["n", "min_p", "repetition_penalty", "logit_bias", "seed"],
                &["n", "min_p", "repetition_penalty", "logit_bias", "seed"],
            ),
        ];
        for (min_p, repetition, bias, n, is_said, is_asked) in rows {
            let params = Params {
                min_p: Number::from_f64(min_p),
                repetition_penalty: Number::from_f64(repetition),
                logit_bias: Raw::parse(bias),
                n: Some(n),
                seed: Some(7),
                modalities: vec!["text".to_owned()],
                ..Params::default()
            };
            assert_eq!(said(&params, &all).collect::<Vec<_>>(), is_said);
            assert_eq!(asked(&params, &all).collect::<Vec<_>>(), is_asked);
        }
        assert_eq!(said(&Params::default(), &all).count(), 0);
    }
}
