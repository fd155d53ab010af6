//! The caller's own wishes: OpenRouter's `provider` object, and the name of a load balancer.
//!
//! Wrong types are refused with the path of the member; members nobody knows are left alone, as OpenRouter does.

use crate::strategy::{self, Strategy};
use crate::vocabulary::{QUANTIZATIONS, Quants};
use serde_json::{Map, Value};
use slip_ir::{Fault, FaultKind, Pico, Raw};
use std::fmt;

#[cfg(test)]
mod tests;

/// Entries of `order`, `only`, `ignore`: each is compared with every endpoint, so a list may not be made of thousands.
pub const MAX_NAMES: usize = 256;
/// How urgent a request may be, the most urgent first.
pub const PRIORITIES: [&str; 3] = ["interactive", "batch", "background"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Price,
    Throughput,
    Latency,
    /// Best tool calling.
    Exacto,
}

impl Sort {
    pub const fn strategy(self) -> &'static dyn Strategy {
        match self {
            Sort::Price => &strategy::least_cost::LeastCost,
            Sort::Throughput => &strategy::throughput::Throughput,
            Sort::Exacto => &strategy::exacto::Exacto,
            Sort::Latency => &strategy::least_latency::LeastLatency,
        }
    }
}

/// A soft limit at the percentiles the caller named.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Preferred {
    pub p50: Option<f64>,
    pub p75: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
}

impl Preferred {
    pub fn is_empty(self) -> bool {
        [self.p50, self.p75, self.p90, self.p99].iter().all(Option::is_none)
    }

    /// The limit nearest to a usual figure, for who has no percentiles yet.
    pub fn usual(self) -> Option<f64> {
        self.p50.or(self.p75).or(self.p90).or(self.p99)
    }

    /// Whether every limit that is set holds between it and the figure at that percentile.
    pub fn all(self, at: impl Fn(f64) -> f64, holds: impl Fn(f64, f64) -> bool) -> bool {
        [(self.p50, 0.5), (self.p75, 0.75), (self.p90, 0.9), (self.p99, 0.99)]
            .into_iter()
            .all(|(limit, share)| limit.is_none_or(|limit| holds(at(share), limit)))
    }
}

/// Hard limits on an endpoint's prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPrice {
    /// Per token (written per million).
    pub prompt: Option<Pico>,
    pub completion: Option<Pico>,
    pub audio: Option<Pico>,
    /// Each.
    pub request: Option<Pico>,
    /// Each. Our prices of images are per token, so this is read and not applied.
    pub image: Option<Pico>,
}

/// What a caller may say about who serves. The default says nothing.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Lower case, as are `only` and `ignore`: provider slugs, display names or tags. Empty is no order.
    pub order: Vec<String>,
    /// Empty: anybody.
    pub only: Vec<String>,
    pub ignore: Vec<String>,
    pub allow_fallbacks: bool,
    pub require_parameters: bool,
    /// `data_collection: "deny"`.
    pub deny_collection: bool,
    pub zdr: bool,
    /// Accepted; the catalogue does not know licences yet.
    pub distillable: bool,
    pub quantizations: Option<Quants>,
    pub sort: Option<Sort>,
    /// `sort.partition: "none"`: endpoints of all models of the list compete together.
    pub mix_models: bool,
    /// Tokens per second.
    pub min_throughput: Preferred,
    /// Seconds to the first content.
    pub max_latency: Preferred,
    pub max_price: MaxPrice,
    pub balancer: Option<&'static dyn Strategy>,
    /// Our own word: whether another endpoint may be asked beside a slow first. Only where the name that is asked for gives leave.
    pub hedge: Option<bool>,
    /// Our own word: how urgent it is, one of [`PRIORITIES`].
    pub priority: Option<&'static str>,
    /// Not the caller's: how endpoints are ordered where nothing else says how.
    pub habit: Option<Sort>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            order: Vec::new(),
            only: Vec::new(),
            ignore: Vec::new(),
            allow_fallbacks: true,
            require_parameters: false,
            deny_collection: false,
            zdr: false,
            distillable: false,
            quantizations: None,
            sort: None,
            mix_models: false,
            min_throughput: Preferred::default(),
            max_latency: Preferred::default(),
            max_price: MaxPrice::default(),
            balancer: None,
            hedge: None,
            priority: None,
            habit: None,
        }
    }
}

/// A member of the wrong type or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRules {
    /// `provider.sort.by`.
    pub at: String,
    pub why: String,
}

impl fmt::Display for BadRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

impl std::error::Error for BadRules {}

impl From<BadRules> for Fault {
    fn from(bad: BadRules) -> Fault {
        Fault::caller(FaultKind::BadRequest, bad.to_string()).at(bad.at)
    }
}

impl Rules {
    /// Reads the request's `provider` member.
    pub fn parse(provider: &Raw) -> Result<Rules, BadRules> {
        match provider.value() {
            Value::Null => Ok(Rules::default()),
            Value::Object(members) => Rules::read(&members),
            other => Err(wrong("provider", "an object", &other)),
        }
    }

    fn read(members: &Map<String, Value>) -> Result<Rules, BadRules> {
        let mut rules = Rules::default();
        for (name, value) in members {
            if value.is_null() {
                continue;
            }
            let at = || format!("provider.{name}");
            match name.as_str() {
                "order" => rules.order = names(&at(), value)?,
                "only" => rules.only = names(&at(), value)?,
                "ignore" => rules.ignore = names(&at(), value)?,
                "allow_fallbacks" => rules.allow_fallbacks = flag(&at(), value)?,
                "require_parameters" => rules.require_parameters = flag(&at(), value)?,
                "zdr" => rules.zdr = flag(&at(), value)?,
                "enforce_distillable_text" => rules.distillable = flag(&at(), value)?,
                "data_collection" => {
                    rules.deny_collection = match value.as_str() {
                        Some("deny") => true,
                        Some("allow") => false,
                        _ => return Err(wrong(&at(), "\"allow\" or \"deny\"", value)),
                    };
                }
                "quantizations" => rules.quantizations = quantizations(&at(), value)?,
                "sort" => (rules.sort, rules.mix_models) = sort(value)?,
                "preferred_min_throughput" => rules.min_throughput = preferred(&at(), value)?,
                "preferred_max_latency" => rules.max_latency = preferred(&at(), value)?,
                "max_price" => rules.max_price = max_price(value)?,
                "load_balancer" => rules.balancer = Some(balancer(&at(), value)?),
                "hedge" => rules.hedge = Some(flag(&at(), value)?),
                "priority" => rules.priority = Some(priority(&at(), value)?),
                _ => {}
            }
        }
        Ok(rules)
    }

    /// Adds a balancer by its name, for a request that names one outside `provider`.
    pub fn balance(mut self, name: &str) -> Result<Rules, BadRules> {
        self.balancer = Some(balancer("load_balancer", &Value::from(name))?);
        Ok(self)
    }
}

/// The longest piece of a caller's value that an error repeats.
const SHOWN: usize = 40;

fn wrong(at: &str, expected: &str, got: &Value) -> BadRules {
    let got = match got {
        Value::String(text) if text.chars().count() <= SHOWN => format!("{text:?}"),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => "null".to_owned(),
        Value::String(_) => "a long string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    BadRules { at: at.to_owned(), why: format!("expected {expected}, got {got}") }
}

fn flag(at: &str, value: &Value) -> Result<bool, BadRules> {
    value.as_bool().ok_or_else(|| wrong(at, "true or false", value))
}

fn priority(at: &str, value: &Value) -> Result<&'static str, BadRules> {
    let known = PRIORITIES.into_iter().find(|word| value.as_str() == Some(word));
    known.ok_or_else(|| wrong(at, &format!("one of {}", PRIORITIES.join(", ")), value))
}

fn strings<'a>(at: &str, value: &'a Value) -> Result<Vec<&'a str>, BadRules> {
    let list = value.as_array().ok_or_else(|| wrong(at, "an array of strings", value))?;
    if list.len() > MAX_NAMES {
        return Err(BadRules { at: at.to_owned(), why: format!("at most {MAX_NAMES} entries, got {}", list.len()) });
    }
    let each =
        |(index, v): (usize, &'a Value)| v.as_str().ok_or_else(|| wrong(&format!("{at}[{index}]"), "a string", v));
    list.iter().enumerate().map(each).collect()
}

fn names(at: &str, value: &Value) -> Result<Vec<String>, BadRules> {
    Ok(strings(at, value)?.into_iter().map(|name| name.trim().to_lowercase()).collect())
}

fn quantizations(at: &str, value: &Value) -> Result<Option<Quants>, BadRules> {
    let mut all: Option<Quants> = None;
    for (index, word) in strings(at, value)?.into_iter().enumerate() {
        let one = Quants::meant(word).ok_or_else(|| {
            wrong(&format!("{at}[{index}]"), &format!("one of {}", QUANTIZATIONS.join(", ")), &Value::from(word))
        })?;
        all = Some(all.unwrap_or_default().with(one));
    }
    Ok(all)
}

fn sort(value: &Value) -> Result<(Option<Sort>, bool), BadRules> {
    let by = |at: &str, value: &Value| match value.as_str() {
        Some("price") => Ok(Sort::Price),
        Some("throughput") => Ok(Sort::Throughput),
        Some("latency") => Ok(Sort::Latency),
        Some("exacto") => Ok(Sort::Exacto),
        _ => {
            let or = if at == "provider.sort" { " or an object" } else { "" };
            Err(wrong(at, &format!("\"price\", \"throughput\", \"latency\", \"exacto\"{or}"), value))
        }
    };
    let Some(members) = value.as_object() else {
        return Ok((Some(by("provider.sort", value)?), false));
    };
    let member = |name: &str| members.get(name).filter(|v| !v.is_null());
    let mix = match member("partition").map(|v| (v, v.as_str())) {
        None | Some((_, Some("model"))) => false,
        Some((_, Some("none"))) => true,
        Some((other, _)) => return Err(wrong("provider.sort.partition", "\"model\" or \"none\"", other)),
    };
    Ok((member("by").map(|v| by("provider.sort.by", v)).transpose()?, mix))
}

fn preferred(at: &str, value: &Value) -> Result<Preferred, BadRules> {
    let number = |at: &str, v: &Value| {
        v.as_f64().filter(|n| n.is_finite() && *n >= 0.0).ok_or_else(|| wrong(at, "a number of at least 0", v))
    };
    let Some(members) = value.as_object() else {
        let or = |_| wrong(at, "a number of at least 0 or an object of percentiles", value);
        return Ok(Preferred { p50: Some(number(at, value).map_err(or)?), ..Preferred::default() });
    };
    let at_percentile =
        |name: &str| members.get(name).filter(|v| !v.is_null()).map(|v| number(&format!("{at}.{name}"), v)).transpose();
    Ok(Preferred {
        p50: at_percentile("p50")?,
        p75: at_percentile("p75")?,
        p90: at_percentile("p90")?,
        p99: at_percentile("p99")?,
    })
}

fn max_price(value: &Value) -> Result<MaxPrice, BadRules> {
    let members = value.as_object().ok_or_else(|| wrong("provider.max_price", "an object", value))?;
    let amount = |name: &str, read: fn(&str) -> Result<Pico, slip_ir::money::BadAmount>| {
        let Some(value) = members.get(name).filter(|v| !v.is_null()) else { return Ok(None) };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let expected = "an amount in USD (a number or a decimal string)";
        read(&text).map(Some).map_err(|_| wrong(&format!("provider.max_price.{name}"), expected, value))
    };
    Ok(MaxPrice {
        prompt: amount("prompt", Pico::per_million)?,
        completion: amount("completion", Pico::per_million)?,
        audio: amount("audio", Pico::per_million)?,
        request: amount("request", Pico::per_unit)?,
        image: amount("image", Pico::per_unit)?,
    })
}

fn balancer(at: &str, value: &Value) -> Result<&'static dyn Strategy, BadRules> {
    let name = value.as_str().ok_or_else(|| wrong(at, "the name of a load balancer", value))?;
    strategy::find(name).ok_or_else(|| BadRules { at: at.to_owned(), why: strategy::unknown(name) })
}
