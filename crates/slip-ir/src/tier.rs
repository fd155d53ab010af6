//! Tiers of service: how soon a provider works on a request, where it sells that at different prices.

/// The words are OpenAI's; what others call the same is one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// What everybody gets who asks for nothing else.
    #[default]
    Standard,
    /// When there is room: cheaper, slower, and refused more often.
    Flex,
    /// Before the others, and dearer. OpenAI says `fast` for it since July 2026, and takes either word.
    Priority,
    /// Capacity that was paid for beforehand (OpenAI's `scale`, Bedrock's `reserved`), and whatever a later day will bring: what a
    /// token costs there, nobody but the provider knows.
    Other,
}

impl Tier {
    /// What a provider or a caller says. `auto` says nothing.
    pub fn parse(word: &str) -> Option<Tier> {
        let word = word.trim().to_ascii_lowercase();
        let word = word.strip_prefix("service_tier_").or(word.strip_prefix("on_demand_")).unwrap_or(&word);
        match word {
            "" | "auto" | "unspecified" | "traffic_type_unspecified" => None,
            "default" | "standard" | "standard_only" | "on_demand" => Some(Tier::Standard),
            "flex" => Some(Tier::Flex),
            "priority" | "fast" => Some(Tier::Priority),
            _ => Some(Tier::Other),
        }
    }

    /// The part of an endpoint's tag that names it; the standard one has none.
    pub const fn tag(self) -> Option<&'static str> {
        match self {
            Tier::Flex => Some("flex"),
            Tier::Priority => Some("priority"),
            Tier::Standard | Tier::Other => None,
        }
    }

    /// As callers are told.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Standard => "default",
            Tier::Flex => "flex",
            Tier::Priority => "priority",
            Tier::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tier;

    #[test]
    fn every_providers_word_is_one_of_ours() {
        let rows = [
            ("auto", None),
            ("", None),
            ("default", Some(Tier::Standard)),
            ("standard", Some(Tier::Standard)),
            ("standard_only", Some(Tier::Standard)),
            ("ON_DEMAND", Some(Tier::Standard)),
            ("flex", Some(Tier::Flex)),
            ("SERVICE_TIER_FLEX", Some(Tier::Flex)),
            ("ON_DEMAND_FLEX", Some(Tier::Flex)),
            ("priority", Some(Tier::Priority)),
            ("fast", Some(Tier::Priority)),
            ("ON_DEMAND_PRIORITY", Some(Tier::Priority)),
            ("scale", Some(Tier::Other)),
            ("PROVISIONED_THROUGHPUT", Some(Tier::Other)),
        ];
        for (word, tier) in rows {
            assert_eq!(Tier::parse(word), tier, "{word}");
        }
    }
}
