//! The catalogue: what is known of models and of the endpoints that serve them, with source and date, embedded in the binary.
//!
//! The files are `catalog/models/<author>.toml` and `catalog/endpoints/<provider>.toml`. A broken file is a failing test, never a
//! surprise in service.

use slip_ir::{Effort, Pico, Price, Rates, Tier};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

mod date;
mod file;
#[cfg(test)]
mod tests;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/catalog.rs"));
}

/// One model, whoever serves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// `author/slug`.
    pub id: Arc<str>,
    /// The dated slug, which replies name.
    pub canonical: Arc<str>,
    pub name: String,
    pub author: Arc<str>,
    pub author_name: Arc<str>,
    pub family: String,
    pub aliases: Vec<String>,
    /// `YYYY-MM-DD` or `YYYY-MM`; empty when unknown.
    pub released: String,
    /// `released` in unix seconds; 0 when unknown.
    pub created: u64,
    pub knowledge: Option<String>,
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    /// `text`, `image`, `audio`, `video`, `file`; empty when unknown.
    pub input: Vec<String>,
    pub output: Vec<String>,
    pub tokenizer: Option<String>,
    pub open_weights: bool,
    pub hugging_face: Option<String>,
    /// OpenRouter's parameter words; empty when unknown.
    pub params: Vec<String>,
    pub reasoning: Option<Thinks>,
    pub source: String,
    /// When a person last compared this with `source`.
    pub checked: String,
}

/// How a model can be told to think.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinks {
    pub efforts: Vec<Effort>,
    /// It cannot be switched off.
    pub mandatory: bool,
    /// It takes a budget in tokens.
    pub budget: bool,
}

/// What happens to prompts. `None` is "it does not say", which a caller who forbids it must take as yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Trains on prompts.
    pub trains: Option<bool>,
    /// Keeps prompts beyond the request.
    pub retains: Option<bool>,
    /// Keeps nothing at all.
    pub zdr: bool,
}

/// One row of `catalog/endpoints`: a model as one provider offers it.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Index into [`Catalog::models`].
    pub model: usize,
    pub provider: Arc<str>,
    pub upstream: String,
    pub tag: Option<String>,
    pub quantization: Option<String>,
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    pub params: Option<Vec<String>>,
    pub variant: Option<String>,
    pub price: Option<Price>,
    pub implicit_caching: bool,
    /// Members this row says; the rest is the provider's.
    pub trains: Option<bool>,
    pub retains: Option<bool>,
    pub zdr: Option<bool>,
    /// The same at the provider's other tiers of service.
    pub services: Vec<Service>,
    pub source: String,
    pub checked: String,
}

/// What is different about an offer at another tier of service.
#[derive(Clone, Debug)]
pub struct Service {
    pub tier: Tier,
    /// Where it takes less than the standard tier.
    pub context: Option<u64>,
    pub price: Price,
    pub source: String,
    pub checked: String,
}

#[derive(Clone, Debug, Default)]
pub struct Catalog {
    pub models: Vec<Arc<Model>>,
    pub offers: Vec<Offer>,
}

/// A catalogue file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub file: String,
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "catalog/{}: {}", self.file, self.why)
    }
}

impl std::error::Error for Broken {}

impl Catalog {
    /// The catalogue inside this binary, parsed once.
    pub fn embedded() -> Result<&'static Catalog, Broken> {
        static ONCE: OnceLock<Result<Catalog, Broken>> = OnceLock::new();
        ONCE.get_or_init(|| Catalog::parse(embedded::MODELS, embedded::ENDPOINTS)).as_ref().map_err(Clone::clone)
    }

    /// From (file name, text) pairs.
    pub fn parse(models: &[(&str, &str)], endpoints: &[(&str, &str)]) -> Result<Catalog, Broken> {
        let mut catalog = Catalog::default();
        let mut ids: HashMap<String, usize> = HashMap::new();
        for (name, text) in models {
            let broken = |why: String| Broken { file: (*name).to_owned(), why };
            let file: file::Author = toml::from_str(text).map_err(|e| broken(e.to_string()))?;
            let author: Arc<str> = file.author.id.as_str().into();
            let author_name: Arc<str> = file.author.name.as_str().into();
            for raw in file.model {
                let at = format!("model {}", raw.id);
                let model = model(raw, &author, &author_name).map_err(|why| broken(format!("{at}: {why}")))?;
                if ids.insert(model.id.to_lowercase(), catalog.models.len()).is_some() {
                    return Err(broken(format!("{at}: listed twice")));
                }
                catalog.models.push(Arc::new(model));
            }
        }
        let mut seen = HashSet::new();
        for (name, text) in endpoints {
            let broken = |why: String| Broken { file: (*name).to_owned(), why };
            let file: file::Provider = toml::from_str(text).map_err(|e| broken(e.to_string()))?;
            let provider: Arc<str> = file.provider.to_lowercase().into();
            for raw in file.endpoint {
                let at = format!("endpoint {}", raw.model);
                let model = *ids
                    .get(&raw.model.to_lowercase())
                    .ok_or_else(|| broken(format!("{at}: no file in catalog/models has this model")))?;
                if !seen.insert((provider.clone(), model, raw.tag.clone(), raw.variant.clone())) {
                    return Err(broken(format!("{at}: listed twice with the same tag and variant")));
                }
                catalog.offers.push(offer(raw, model, &provider).map_err(|why| broken(format!("{at}: {why}")))?);
            }
        }
        Ok(catalog)
    }
}

fn model(raw: file::Model, author: &Arc<str>, author_name: &Arc<str>) -> Result<Model, String> {
    if raw.id.split_once('/').is_none_or(|(before, slug)| before != &**author || slug.is_empty()) {
        return Err(format!("the id must start with its author: {author}"));
    }
    // Some authors announce no day: the month counts from its first.
    let created = date::unix(&raw.released)
        .or_else(|| date::unix(&format!("{}-01", raw.released)))
        .ok_or_else(|| format!("released is not YYYY-MM-DD or YYYY-MM: {}", raw.released))?;
    date::unix(&raw.checked).ok_or_else(|| format!("checked is not YYYY-MM-DD: {}", raw.checked))?;
    let reasoning = match raw.reasoning {
        None => None,
        Some(r) => Some(Thinks {
            efforts: r
                .efforts
                .iter()
                .map(|e| Effort::parse(e).ok_or_else(|| format!("not a reasoning effort: {e}")))
                .collect::<Result<_, _>>()?,
            mandatory: r.mandatory,
            budget: r.budget,
        }),
    };
    Ok(Model {
        canonical: raw.canonical.as_deref().unwrap_or(&raw.id).into(),
        id: raw.id.into(),
        name: raw.name,
        author: author.clone(),
        author_name: author_name.clone(),
        family: raw.family,
        aliases: raw.aliases,
        released: raw.released,
        created,
        knowledge: raw.knowledge,
        context: Some(raw.context),
        max_output: raw.max_output,
        input: raw.input,
        output: raw.output,
        tokenizer: raw.tokenizer,
        open_weights: raw.open_weights,
        hugging_face: raw.hugging_face,
        params: raw.params,
        reasoning,
        source: raw.source,
        checked: raw.checked,
    })
}

fn offer(raw: file::Endpoint, model: usize, provider: &Arc<str>) -> Result<Offer, String> {
    if let Some(word) = raw.quantization.as_deref().filter(|w| crate::vocabulary::Quants::one(w).is_none()) {
        return Err(format!("not a quantization: {word}"));
    }
    date::unix(&raw.checked).ok_or_else(|| format!("checked is not YYYY-MM-DD: {}", raw.checked))?;
    let policy = raw.policy.unwrap_or_default();
    let mut services: Vec<Service> = Vec::with_capacity(raw.service.len());
    for one in raw.service {
        let word = one.tier.clone();
        let new = service(one).map_err(|why| format!("service {word}: {why}"))?;
        if services.iter().any(|known| known.tier == new.tier) {
            return Err(format!("service {word}: listed twice"));
        }
        services.push(new);
    }
    Ok(Offer {
        model,
        provider: provider.clone(),
        upstream: raw.upstream,
        tag: raw.tag,
        quantization: raw.quantization,
        context: raw.context,
        max_output: raw.max_output,
        params: raw.params,
        variant: raw.variant.map(|v| v.to_lowercase()),
        price: raw
            .price
            .map(|p| price(p, raw.tiers).map(|price| Price { version: version(&raw.checked), ..price }))
            .transpose()?,
        implicit_caching: raw.implicit_caching,
        trains: policy.trains,
        retains: policy.retains,
        zdr: policy.zdr,
        services,
        source: raw.source,
        checked: raw.checked,
    })
}

fn service(raw: file::Service) -> Result<Service, String> {
    let sold = Tier::parse(&raw.tier).filter(|tier| tier.tag() == Some(&raw.tier));
    date::unix(&raw.checked).ok_or_else(|| format!("checked is not YYYY-MM-DD: {}", raw.checked))?;
    let tier = sold.ok_or_else(|| format!("not a tier of service besides the standard one: {}", raw.tier))?;
    Ok(Service {
        tier,
        context: raw.context,
        price: Price { service: tier, version: version(&raw.checked), ..price(raw.price, raw.tiers)? },
        source: raw.source,
        checked: raw.checked,
    })
}

/// What a price out of these files is called in the record of a request: when it was last compared with its source.
fn version(checked: &str) -> Option<Arc<str>> {
    Some(format!("catalogue {checked}").into())
}

fn price(raw: file::Rates, tiers: Vec<file::Rates>) -> Result<Price, String> {
    let each = |text: &Option<String>| match text {
        None => Ok(Pico(0)),
        Some(text) => Pico::per_unit(text).map_err(|e| e.to_string()),
    };
    if raw.above.is_some() {
        return Err("above belongs into tiers, not into price".to_owned());
    }
    let mut steps = Vec::with_capacity(tiers.len());
    for tier in &tiers {
        let above = tier.above.ok_or("a tier needs above, the prompt size it begins at")?;
        let each = [&tier.request, &tier.web_search, &tier.image, &tier.second, &tier.characters, &tier.search];
        if each.iter().any(|price| price.is_some()) {
            return Err(
                "prices per request, search, picture, second or character belong into price, not into tiers".into()
            );
        }
        steps.push((above, rates(tier)?));
    }
    steps.sort_by_key(|(above, _)| *above);
    Ok(Price {
        rates: rates(&raw)?,
        request: each(&raw.request)?,
        web_search: each(&raw.web_search)?,
        image: each(&raw.image)?,
        second: each(&raw.second)?,
        character: raw
            .characters
            .as_deref()
            .map(Pico::per_million)
            .transpose()
            .map_err(|e| e.to_string())?
            .unwrap_or_default(),
        search: each(&raw.search)?,
        tiers: steps,
        service: Tier::Standard,
        elsewhere: Vec::new(),
        version: None,
    })
}

fn rates(raw: &file::Rates) -> Result<Rates, String> {
    let must = |text: &str| Pico::per_million(text).map_err(|e| e.to_string());
    let may = |text: &Option<String>| text.as_deref().map(must).transpose();
    Ok(Rates {
        input: must(&raw.input)?,
        output: must(&raw.output)?,
        cache_read: may(&raw.cache_read)?,
        cache_write: may(&raw.cache_write)?,
        cache_write_1h: may(&raw.cache_write_1h)?,
        reasoning: may(&raw.reasoning)?,
        audio_in: may(&raw.audio_in)?,
        image_in: may(&raw.image_in)?,
        audio_out: may(&raw.audio_out)?,
        image_out: may(&raw.image_out)?,
    })
}
