//! Why an endpoint may not serve, or only after others: every reason there is, and its words.

use super::*;

/// Why not. The `Display` form is for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    NoInstance,
    /// It is not made for what is asked, or its provider does not offer it.
    Op(Op),
    KeyModel,
    KeyProvider,
    /// A guardrail, by its name.
    Guard(Arc<str>, Against),
    NotInOnly,
    Ignored,
    NotInOrder,
    NotFree,
    /// A variant that must be asked for by its suffix.
    Variant,
    /// A tier of service that was not asked for.
    Tier(Tier),
    /// It is not of the tier asked for, which others are.
    NotTier(Tier),
    Quantization,
    Collection,
    Zdr,
    MaxPrice(Line),
    UnknownPrice,
    Parameters(Params),
    Tools,
    Input(MediaKind),
    Output(MediaKind),
    Context {
        needs: u64,
        has: u64,
    },
    MaxTokens {
        needs: u64,
        has: u64,
    },
    /// Demoted, not refused: tried when nobody else is left.
    CooledDown,
    /// Demoted, not refused.
    Probing,
    /// Demoted, not refused.
    Spent,
    /// Demoted, not refused.
    SealedElsewhere,
    /// Demoted, not refused.
    Slow,
}

/// A line of `max_price`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Prompt,
    Completion,
    Audio,
    Request,
}

impl Line {
    pub const fn name(self) -> &'static str {
        match self {
            Line::Prompt => "prompt",
            Line::Completion => "completion",
            Line::Audio => "audio",
            Line::Request => "request",
        }
    }
}

impl Rule {
    /// OpenRouter's word in `availability.excluded_by`, where it has one.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Rule::KeyModel | Rule::KeyProvider | Rule::NotInOnly | Rule::Ignored | Rule::NotInOrder => {
                Some("allowed_providers")
            }
            Rule::Guard(_, Against::Zdr) => Some("data_policy:zdr"),
            Rule::Guard(_, Against::Training | Against::Publication) => Some("data_policy:training"),
            Rule::Guard(..) => Some("guardrail"),
            Rule::Quantization => Some("quantization"),
            Rule::Collection => Some("data_policy:training"),
            Rule::Zdr => Some("data_policy:zdr"),
            Rule::MaxPrice(_) | Rule::UnknownPrice => Some("max_price"),
            Rule::Parameters(_) | Rule::Tools | Rule::Input(_) | Rule::Output(_) => Some("require_parameters"),
            Rule::Context { .. } | Rule::MaxTokens { .. } => Some("context_length"),
            Rule::NoInstance
            | Rule::Op(_)
            | Rule::NotFree
            | Rule::Variant
            | Rule::Tier(_)
            | Rule::NotTier(_)
            | Rule::CooledDown
            | Rule::Probing
            | Rule::Spent
            | Rule::SealedElsewhere
            | Rule::Slow => None,
        }
    }

    /// Our own word, stable, for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Rule::NoInstance => "no_instance",
            Rule::Op(_) => "operation",
            Rule::KeyModel => "key_model",
            Rule::KeyProvider => "key_provider",
            Rule::Guard(..) => "guardrail",
            Rule::NotInOnly => "only",
            Rule::Ignored => "ignore",
            Rule::NotInOrder => "order",
            Rule::NotFree => "free",
            Rule::Variant => "variant",
            Rule::Tier(_) | Rule::NotTier(_) => "service_tier",
            Rule::Quantization => "quantizations",
            Rule::Collection => "data_collection",
            Rule::Zdr => "zdr",
            Rule::MaxPrice(_) => "max_price",
            Rule::UnknownPrice => "unknown_price",
            Rule::Parameters(_) => "require_parameters",
            Rule::Tools => "tools",
            Rule::Input(_) => "input_modality",
            Rule::Output(_) => "output_modality",
            Rule::Context { .. } => "context",
            Rule::MaxTokens { .. } => "max_tokens",
            Rule::CooledDown => "cooldown",
            Rule::Probing => "probing",
            Rule::Spent => "rate_limit",
            Rule::SealedElsewhere => "sealed_reasoning",
            Rule::Slow => "slow",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::NoInstance => f.write_str("no key or base URL is configured"),
            Rule::Op(Op::Chat) => f.write_str("not a chat model"),
            Rule::Op(op) => write!(f, "no {op} here"),
            Rule::KeyModel => f.write_str("this key may not use the model"),
            Rule::KeyProvider => f.write_str("this key may not use the provider"),
            Rule::Guard(name, against) => write!(f, "the guardrail {name:?} forbids it: {against}"),
            Rule::NotInOnly => f.write_str("not in provider.only"),
            Rule::Ignored => f.write_str("in provider.ignore"),
            Rule::NotInOrder => f.write_str("not in provider.order, and provider.allow_fallbacks is false"),
            Rule::NotFree => f.write_str("not a free endpoint, and the name ends in :free"),
            Rule::Variant => f.write_str("a variant that has to be asked for by its suffix"),
            Rule::Tier(tier) => {
                let name = tier.name();
                write!(
                    f,
                    "its tier of service has to be asked for: by service_tier {name}, or by its tag in provider.order or provider.only"
                )
            }
            Rule::NotTier(tier) => write!(f, "service_tier is {0}, and it is not of the {0} tier", tier.name()),
            Rule::Quantization => f.write_str("its quantization is not in provider.quantizations"),
            Rule::Collection => {
                f.write_str("it may keep prompts or train on them, and provider.data_collection is deny")
            }
            Rule::Zdr => f.write_str("no zero data retention, and provider.zdr is true"),
            Rule::MaxPrice(line) => write!(f, "dearer than provider.max_price.{}", line.name()),
            Rule::UnknownPrice => f.write_str("its price is not known, and provider.max_price is set"),
            Rule::Parameters(missing) => {
                write!(f, "provider.require_parameters is true, and it is not known to support {missing}")
            }
            Rule::Tools => f.write_str("no tool use"),
            Rule::Input(kind) => write!(f, "no {} input", kind.name()),
            Rule::Output(kind) => write!(f, "no {} output", kind.name()),
            Rule::Context { needs, has } => {
                write!(f, "its maximum context length is {has} tokens, and the prompt has about {needs}")
            }
            Rule::MaxTokens { needs, has } => {
                write!(f, "it writes at most {has} tokens, and max_tokens is {needs}")
            }
            Rule::CooledDown => f.write_str("cooling down after failures, tried last"),
            Rule::Probing => f.write_str("coming back after failures, and another request is trying it, tried last"),
            Rule::Spent => f.write_str(
                "its rate limit has no room for this prompt: others are tried first, and then it is waited for",
            ),
            Rule::SealedElsewhere => {
                f.write_str("it cannot read the sealed reasoning in this conversation, tried last")
            }
            Rule::Slow => f.write_str("slower than preferred, tried last"),
        }
    }
}
