//! Why a request can go nowhere, told so that its author knows what to change.

use crate::eligible::{Refusal, Rule};
use crate::resolve::Unresolved;
use slip_ir::{Fault, FaultKind, Op};

/// Endpoints an error names before it only counts them.
const NAMED: usize = 40;

#[derive(Clone, Debug)]
pub enum NoRoute {
    /// Not one model name was given.
    NoModel,
    /// More names than anybody needs.
    TooManyModels(usize),
    /// A name that means nothing here, or a model that no configured provider serves.
    UnknownModel(Unresolved),
    /// Each endpoint was refused.
    NoEndpoint {
        /// The names asked for.
        models: Vec<String>,
        refusals: Vec<Refusal>,
    },
}

impl NoRoute {
    /// OpenRouter's `availability.excluded_by`: each filter that removed somebody, once.
    pub fn excluded_by(&self) -> Vec<&'static str> {
        let mut codes = Vec::new();
        if let NoRoute::NoEndpoint { refusals, .. } = self {
            for code in refusals.iter().filter_map(|r| r.rule.code()) {
                if !codes.contains(&code) {
                    codes.push(code);
                }
            }
        }
        codes
    }

    /// OpenRouter's `availability.code`.
    pub fn code(&self) -> &'static str {
        match self {
            NoRoute::NoModel | NoRoute::TooManyModels(_) => "model_not_found",
            NoRoute::UnknownModel(no) if no.known.is_none() => "model_not_found",
            NoRoute::UnknownModel(_) => "no_endpoints",
            NoRoute::NoEndpoint { refusals, .. } => {
                let privacy = |r: &Refusal| match &r.rule {
                    Rule::Collection | Rule::Zdr => true,
                    Rule::Guard(_, against) => against.is_policy(),
                    _ => false,
                };
                if !refusals.is_empty() && refusals.iter().all(privacy) {
                    "privacy_restricted"
                } else if refusals.iter().any(|r| r.rule.code().is_some()) {
                    "constraint_filtered"
                } else {
                    "no_endpoints"
                }
            }
        }
    }
}

/// The first words, which clients of OpenRouter look for.
fn sentence(refusals: &[Refusal]) -> String {
    let all = |test: fn(&Rule) -> bool| !refusals.is_empty() && refusals.iter().all(|r| test(&r.rule));
    let first = refusals.first().map(|r| &r.rule);
    match first {
        Some(Rule::Tools) if all(|r| *r == Rule::Tools) => "No endpoints found that support tool use".to_owned(),
        Some(Rule::Input(kind)) if refusals.iter().all(|r| r.rule == Rule::Input(*kind)) => {
            format!("No endpoints found that support {} input", kind.name())
        }
        Some(Rule::Output(kind)) if refusals.iter().all(|r| r.rule == Rule::Output(*kind)) => {
            format!("No endpoints found that support {} output", kind.name())
        }
        Some(Rule::Op(op)) if refusals.iter().all(|r| r.rule == Rule::Op(*op)) => made_for(*op, refusals),
        _ if all(|r| matches!(r, Rule::Parameters(_))) => {
            "No endpoints found that can handle the requested parameters".to_owned()
        }
        _ if all(|r| matches!(r, Rule::KeyProvider | Rule::NotInOnly | Rule::Ignored | Rule::NotInOrder)) => {
            "No endpoints found: no allowed providers are available for the selected model".to_owned()
        }
        _ if all(|r| matches!(r, Rule::Guard(..) | Rule::Collection | Rule::Zdr))
            && refusals.iter().any(|r| matches!(r.rule, Rule::Guard(..))) =>
        {
            "No endpoints available matching your guardrail restrictions and data policy".to_owned()
        }
        _ if all(|r| matches!(r, Rule::Collection | Rule::Zdr)) => {
            "No endpoints found matching your data policy".to_owned()
        }
        _ => "No endpoints found that can serve this request".to_owned(),
    }
}

/// What was asked of a model, and what it is for instead.
fn made_for(op: Op, refusals: &[Refusal]) -> String {
    let mut says = format!("No endpoints found that support {op}");
    let makes = refusals.first().map(|r| r.endpoint.model.output.as_slice()).unwrap_or_default();
    if !makes.is_empty() {
        says.push_str(&format!(": this is a model for {}", makes.join(", ")));
    }
    says
}

impl From<NoRoute> for Fault {
    fn from(no: NoRoute) -> Fault {
        match no {
            NoRoute::NoModel => Fault::caller(FaultKind::BadRequest, "no model was named").at("model"),
            NoRoute::TooManyModels(count) => {
                let says = format!("at most {} models, got {count}", crate::plan::MAX_MODELS);
                Fault::caller(FaultKind::BadRequest, says).at("models")
            }
            NoRoute::UnknownModel(unknown) if unknown.known.is_none() => {
                Fault::caller(FaultKind::UnknownModel, unknown.to_string()).at("model")
            }
            NoRoute::UnknownModel(unserved) => {
                Fault::caller(FaultKind::NoEndpoint, format!("No endpoints found: {unserved}")).at("model")
            }
            NoRoute::NoEndpoint { refusals, models } => {
                // What the key forbids is not the request's fault to mend.
                if !refusals.is_empty() && refusals.iter().all(|r| r.rule == Rule::KeyModel) {
                    let says = format!("this key may not use the model: {}", models.join(", "));
                    return Fault::caller(FaultKind::Forbidden, says).at("model");
                }
                let mut says = sentence(&refusals);
                for (at, refusal) in refusals.iter().take(NAMED).enumerate() {
                    says.push_str(if at == 0 { ". " } else { "; " });
                    says.push_str(&refusal.to_string());
                }
                if refusals.len() > NAMED {
                    says.push_str(&format!("; and {} more", refusals.len() - NAMED));
                }
                Fault::caller(FaultKind::NoEndpoint, says)
            }
        }
    }
}
