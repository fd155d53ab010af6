//! From catalogue, seats and houses to a field.

use super::{Alias, BadField, Declared, Endpoint, Facts, Field, House, Names, ProviderSeat, Seat, Target, lower};
use crate::catalog::{Catalog, Model, Offer, Policy, Service};
use crate::resolve::Reach;
use crate::strategy;
use slip_ir::{Price, Tier};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The kinds of name, strongest first.
const HOUSE: u8 = 0;
const ID: u8 = 1;
const CANONICAL: u8 = 2;
const ALIAS: u8 = 3;
const LATEST: u8 = 4;
/// `groq/llama-3.3-70b-versatile`.
const AT_PROVIDER: u8 = 5;
/// `claude-sonnet-4.5`, without its author.
const SLUG: u8 = 6;
/// `llama-3.3-70b-versatile`, a provider's own word.
const NATIVE: u8 = 7;

/// An endpoint before the models are complete.
struct Draft {
    model: usize,
    seat: Arc<str>,
    upstream: String,
    tag: Option<String>,
    quantization: Option<String>,
    context: Option<u64>,
    max_output: Option<u64>,
    params: Option<Vec<String>>,
    variant: Option<String>,
    price: Option<Price>,
    tier: Tier,
    implicit_caching: bool,
    policy: Policy,
}

impl Draft {
    /// The same endpoint, but for the tier of service.
    fn is_sibling(&self, other: &Draft) -> bool {
        let all = |d: &Draft| (d.model, d.seat.clone(), d.upstream.clone(), d.tag.clone(), d.variant.clone());
        self.tier != other.tier && self.price.is_some() && all(self) == all(other)
    }
}

pub(super) fn build(catalog: &Catalog, seats: Vec<ProviderSeat>, houses: Vec<House>) -> Result<Field, BadField> {
    let mut field = Field { models: catalog.models.clone(), ..Field::default() };
    let mut ids = Names::default();
    for (at, model) in field.models.iter().enumerate() {
        name_model(&mut ids, model, at);
    }
    let mut declared = Vec::with_capacity(seats.len());
    for seat in seats {
        let slug: Arc<str> = lower(&seat.slug).into();
        declared.push((slug.clone(), seat.models));
        let new = Seat {
            slug: slug.clone(),
            name: seat.name.into(),
            dialect: seat.dialect,
            policy: seat.policy,
            ops: seat.ops,
            pool: seat.instances.into(),
            only_declared: seat.only_declared,
        };
        if field.seats.insert(slug.clone(), new).is_some() {
            return Err(BadField { at: format!("providers.{slug}"), why: "listed twice".to_owned() });
        }
    }

    let mut drafts: Vec<Draft> = Vec::with_capacity(catalog.offers.len());
    field.absent = vec![Vec::new(); catalog.models.len()];
    for offer in &catalog.offers {
        match field.seats.get(&offer.provider) {
            Some(seat) if !seat.only_declared => drafts.extend(offered(offer, seat)),
            Some(_) => {}
            None => {
                if let Some(list) = field.absent.get_mut(offer.model).filter(|l| !l.contains(&offer.provider)) {
                    list.push(offer.provider.clone());
                }
            }
        }
    }
    for (slug, models) in declared {
        for one in models {
            if one.id.trim().is_empty() {
                return Err(BadField {
                    at: format!("providers.{slug}.models"),
                    why: "a model without an id".to_owned(),
                });
            }
            declare(&mut field, catalog, &mut ids, &mut drafts, &slug, one);
        }
    }
    field.absent.resize_with(field.models.len(), Vec::new);
    price_siblings(&mut drafts);
    drafts.sort_by_key(|d| d.model);
    let mut from = 0;
    for at in 0..field.models.len() {
        let to = from + drafts.get(from..).unwrap_or_default().iter().take_while(|d| d.model == at).count();
        field.ranges.push(from..to);
        from = to;
    }
    field.endpoints = drafts
        .into_iter()
        .filter_map(|d| {
            let (model, seat) = (field.models.get(d.model)?.clone(), field.seats.get(&d.seat)?);
            Some(Arc::new(seal(d, model, seat)))
        })
        .collect();
    field.names = names(&field);
    add_houses(&mut field, houses)?;
    Ok(field)
}

/// The offer, and after it the same at other tiers of service.
fn offered<'a>(offer: &'a Offer, seat: &'a Seat) -> impl Iterator<Item = Draft> + 'a {
    let service = |service: &Service| Draft {
        tier: service.tier,
        price: Some(service.price.clone()),
        context: service.context.or(offer.context),
        ..standard(offer, seat)
    };
    std::iter::once(standard(offer, seat)).chain(offer.services.iter().map(service))
}

/// Each learns what the others cost: a request is not always served at the tier it was sent to.
fn price_siblings(drafts: &mut [Draft]) {
    if drafts.iter().all(|d| d.tier == Tier::Standard) {
        return;
    }
    let others = |d: &Draft| -> Vec<Arc<Price>> {
        let siblings = drafts.iter().filter(|other| other.is_sibling(d));
        siblings.filter_map(|other| other.price.clone().map(Arc::new)).collect()
    };
    let all: Vec<_> = drafts.iter().map(others).collect();
    for (draft, others) in drafts.iter_mut().zip(all) {
        if let Some(price) = &mut draft.price {
            price.elsewhere = others;
        }
    }
}

fn standard(offer: &Offer, seat: &Seat) -> Draft {
    Draft {
        model: offer.model,
        seat: seat.slug.clone(),
        upstream: offer.upstream.clone(),
        tag: offer.tag.clone(),
        quantization: offer.quantization.clone(),
        context: offer.context,
        max_output: offer.max_output,
        params: offer.params.clone(),
        variant: offer.variant.clone(),
        price: offer.price.clone(),
        tier: Tier::Standard,
        implicit_caching: offer.implicit_caching,
        policy: Policy {
            trains: offer.trains.or(seat.policy.trains),
            retains: offer.retains.or(seat.policy.retains),
            zdr: offer.zdr.unwrap_or(seat.policy.zdr),
        },
    }
}

/// Puts a declared model into the drafts: over the catalogue's endpoint of the same provider and model where there is one.
fn declare(
    field: &mut Field,
    catalog: &Catalog,
    ids: &mut Names,
    drafts: &mut Vec<Draft>,
    slug: &Arc<str>,
    one: Declared,
) {
    let Some(seat) = field.seats.get(slug) else { return };
    let model = match ids.find(&lower(&one.id)) {
        Some(Target::Model(at)) => at,
        _ => {
            let at = field.models.len();
            let model = unlisted(&one, slug, &seat.name);
            name_model(ids, &model, at);
            field.models.push(Arc::new(model));
            at
        }
    };
    let same = |d: &Draft| {
        d.model == model
            && d.seat == *slug
            && d.variant.is_none()
            && d.tier == Tier::Standard
            && one.upstream.as_ref().is_none_or(|u| *u == d.upstream)
    };
    let at = match drafts.iter().position(same) {
        Some(at) => at,
        None => {
            // A seat of declared models only may still borrow what the catalogue knows of them.
            let mut known = catalog.offers.iter().filter(|o| o.model == model && o.provider == *slug);
            let draft = known.find_map(|o| Some(standard(o, seat)).filter(same)).unwrap_or_else(|| Draft {
                model,
                seat: slug.clone(),
                upstream: own_word(&one, slug),
                tag: None,
                quantization: None,
                context: None,
                max_output: None,
                params: None,
                variant: None,
                price: None,
                tier: Tier::Standard,
                implicit_caching: false,
                policy: seat.policy,
            });
            drafts.push(draft);
            drafts.len() - 1
        }
    };
    let Some(draft) = drafts.get_mut(at) else { return };
    draft.quantization = one.quantization.or(draft.quantization.take());
    draft.context = one.context.or(draft.context);
    draft.max_output = one.max_output.or(draft.max_output);
    draft.params = one.params.or(draft.params.take());
    if let Some(price) = one.price {
        draft.price = Some(price);
        // Who has a price of his own has it for what he says it is for: what the other tiers cost him is not known.
        let (upstream, tag) = (draft.upstream.clone(), draft.tag.clone());
        let sibling = |d: &Draft| d.model == model && d.seat == *slug && d.upstream == upstream && d.tag == tag;
        drafts.retain(|d| d.tier == Tier::Standard || d.variant.is_some() || !sibling(d));
    }
}

/// `lab/one` at the provider `lab` is its `one`; `meta-llama/llama` at `lab` is what it says.
fn own_word(one: &Declared, slug: &str) -> String {
    let bare = || match one.id.split_once('/') {
        Some((before, rest)) if lower(before) == slug && !rest.is_empty() => rest.to_owned(),
        _ => one.id.clone(),
    };
    one.upstream.clone().unwrap_or_else(bare)
}

/// A model nobody but the configuration knows.
fn unlisted(one: &Declared, slug: &Arc<str>, provider: &Arc<str>) -> Model {
    let author = one.id.split_once('/').map_or(slug.clone(), |(author, _)| lower(author).into());
    Model {
        id: one.id.as_str().into(),
        canonical: one.id.as_str().into(),
        name: one.name.clone().unwrap_or_else(|| one.id.clone()),
        author_name: if author == *slug { provider.clone() } else { author.clone() },
        author,
        context: one.context,
        max_output: one.max_output,
        input: one.input.clone().unwrap_or_default(),
        output: one.output.clone().unwrap_or_default(),
        params: one.params.clone().unwrap_or_default(),
        source: "configuration".to_owned(),
        ..Model::default()
    }
}

fn seal(draft: Draft, model: Arc<Model>, seat: &Seat) -> Endpoint {
    // A catalogue model always says what it supports; a declared one may leave it open.
    let known = draft.params.or_else(|| (!model.params.is_empty()).then(|| model.params.clone()));
    let tag: Arc<str> = match &draft.tag {
        None => seat.slug.clone(),
        Some(tag) => {
            let tag = lower(tag);
            let whole = tag.strip_prefix(&*seat.slug).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if whole { tag.into() } else { format!("{}/{tag}", seat.slug).into() }
        }
    };
    let tag = draft.tier.tag().map_or(tag.clone(), |tier| format!("{tag}/{tier}").into());
    let facts = Facts::of(
        &model,
        known.as_deref(),
        draft.quantization.as_deref(),
        draft.variant.as_deref(),
        &seat.pool,
        seat.ops,
    );
    let variant = draft.variant.as_deref().unwrap_or("");
    Endpoint {
        key: key(&[&seat.slug, &model.id, &tag, variant, &draft.upstream]),
        provider: seat.slug.clone(),
        provider_name: seat.name.clone(),
        upstream: draft.upstream.into(),
        tag,
        quantization: draft.quantization.map(Into::into),
        context: draft.context.or(model.context),
        max_output: draft.max_output.or(model.max_output),
        params: known.map(Into::into),
        variant: draft.variant.map(Into::into),
        price: draft.price.map(Arc::new),
        tier: draft.tier,
        implicit_caching: draft.implicit_caching,
        policy: draft.policy,
        dialect: seat.dialect,
        pool: seat.pool.clone(),
        ad_hoc: false,
        facts,
        model,
    }
}

/// `provider/anything`: nothing is known but where to send it.
pub(crate) fn ad_hoc(seat: &Seat, upstream: &str) -> Endpoint {
    let id: Arc<str> = format!("{}/{upstream}", seat.slug).into();
    let model = Arc::new(Model {
        canonical: id.clone(),
        name: upstream.to_owned(),
        author: seat.slug.clone(),
        author_name: seat.name.clone(),
        id,
        ..Model::default()
    });
    Endpoint {
        key: key(&[&seat.slug, &model.id, &seat.slug, "", upstream]),
        facts: Facts::of(&model, None, None, None, &seat.pool, seat.ops),
        provider: seat.slug.clone(),
        provider_name: seat.name.clone(),
        upstream: upstream.into(),
        tag: seat.slug.clone(),
        quantization: None,
        context: None,
        max_output: None,
        params: None,
        variant: None,
        price: None,
        tier: Tier::Standard,
        implicit_caching: false,
        policy: seat.policy,
        dialect: seat.dialect,
        pool: seat.pool.clone(),
        ad_hoc: true,
        model,
    }
}

/// FNV-1a over the parts, kept apart by a byte no name contains.
fn key(parts: &[&str]) -> u64 {
    parts
        .iter()
        .flat_map(|part| part.bytes().chain([0xff]))
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn name_model(names: &mut Names, model: &Model, at: usize) {
    names.claim(ID, &model.id, Target::Model(at));
    names.claim(CANONICAL, &model.canonical, Target::Model(at));
    for alias in &model.aliases {
        names.claim(ALIAS, alias, Target::Model(at));
    }
}

fn names(field: &Field) -> Names {
    let mut names = Names::default();
    let mut latest: HashMap<String, usize> = HashMap::new();
    for (at, model) in field.models.iter().enumerate() {
        name_model(&mut names, model, at);
        if let Some((_, slug)) = model.id.split_once('/') {
            names.claim(SLUG, slug, Target::Model(at));
        }
        if !model.family.is_empty() {
            // The newest that can be used; a tie goes to the one listed first.
            let rank = |at: usize| {
                let usable = field.ranges.get(at).is_some_and(|r| !r.is_empty());
                (usable, field.models.get(at).map_or(0, |m| m.created))
            };
            let best = latest.entry(format!("~{}/{}-latest", model.author, model.family)).or_insert(at);
            if rank(at) > rank(*best) {
                *best = at;
            }
        }
    }
    for (name, at) in &latest {
        names.claim(LATEST, name, Target::Model(*at));
    }
    for (model, range) in field.ranges.iter().enumerate() {
        for at in range.clone() {
            let Some(endpoint) = field.endpoints.get(at) else { continue };
            names.claim(NATIVE, &endpoint.upstream, Target::Model(model));
            if endpoint.variant.is_none() && endpoint.tier == Tier::Standard {
                let name = format!("{}/{}", endpoint.provider, endpoint.upstream);
                names.claim(AT_PROVIDER, &name, Target::Endpoint(at));
            }
        }
    }
    names
}

fn add_houses(field: &mut Field, houses: Vec<House>) -> Result<(), BadField> {
    let mut built = Vec::with_capacity(houses.len());
    let mut seen = HashSet::new();
    for house in houses {
        let at = |part: &str| format!("models.\"{}\"{part}", house.name);
        if !seen.insert(lower(&house.name).into_owned()) {
            return Err(BadField { at: at(""), why: "listed twice".to_owned() });
        }
        if house.endpoints.is_empty() {
            return Err(BadField { at: at(".endpoints"), why: "at least one endpoint is needed".to_owned() });
        }
        let balancer = match &house.balancer {
            None => None,
            Some(name) => match strategy::find(name) {
                None => return Err(BadField { at: at(".load_balancer"), why: strategy::unknown(name) }),
                found => found,
            },
        };
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
        for (index, name) in house.endpoints.iter().enumerate() {
            let here = || at(&format!(".endpoints[{index}]"));
            // Resolved before any house has a name: one cannot stand on another, so none can stand on itself.
            let found = field.resolve(name).map_err(|no| BadField { at: here(), why: no.to_string() })?;
            for endpoint in field.reach(&found.reach) {
                let fits = matches!(found.reach, Reach::Endpoint(_)) || endpoint.facts.free == found.wish.free;
                if fits && !endpoints.iter().any(|e| e.key == endpoint.key) {
                    endpoints.push(endpoint.clone());
                }
            }
        }
        if endpoints.is_empty() {
            return Err(BadField { at: at(".endpoints"), why: "none of them leads to an endpoint".to_owned() });
        }
        built.push(Alias { name: house.name.as_str().into(), endpoints, balancer });
    }
    for (at, alias) in built.iter().enumerate() {
        field.names.claim(HOUSE, &alias.name, Target::House(at));
    }
    field.aliases = built;
    Ok(())
}
