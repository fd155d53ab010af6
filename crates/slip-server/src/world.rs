//! What one configuration came to: everything a request reads, immutable, swapped as a whole.

use crate::config::{
    AccountLimits, CacheConf, Checked, Fetch, Hedge, HouseConf, Limits, ModelConf, Patience, ProviderConf,
    ProviderKind, Timeouts,
};
use crate::decisions::Decisions;
use crate::queue::account::Account;
use crate::tokens::Keeper;
use crate::upstream::tap::{Recorder, Tap};
use crate::upstream::{Failed, Sent, Target, parse_base};
use crate::vitals::{Charge, Vitals};
use http::{HeaderName, HeaderValue};
use slip_ir::{Dialect, Fault, FaultKind, MediaKind, Op, Remedy};
use slip_providers::{Auth, Provider};
use slip_route::catalog::Policy;
use slip_route::health::Breaker;
use slip_route::{
    ByEndpoint, Catalog, Declared, Endpoint, Field, Governor, Health, House, Instance, Metric, Percentiles,
    ProviderSeat, Resolved, Vital, resolve::Reach,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub mod own;

/// One (base URL, key) pair of a provider, ready to be dialled.
#[derive(Clone)]
pub struct Seat {
    pub provider: Arc<Provider>,
    pub target: Target,
    /// Looks after a credential that is more than fixed headers.
    pub keeper: Option<Arc<Keeper>>,
    /// How long to wait for it.
    pub patience: Patience,
    /// Survives a reload: the name its health is kept under.
    name: String,
    probe: Option<Duration>,
    /// Who asks there, what it may, and who waits for it.
    pub account: Arc<Account>,
    limits: AccountLimits,
    /// What else may be to blame for a failure.
    key: Arc<Breaker>,
    host: Arc<Breaker>,
}

/// A word of a credential that is shorter is not looked for in what others say: it may be anything.
const SECRET: usize = 16;

impl Seat {
    /// Some providers repeat the key they are shown. It is not passed on.
    pub fn hush(&self, fault: &mut Fault) {
        for (_, value) in self.target.headers.iter().filter(|(_, value)| value.is_sensitive()) {
            let secret = value.to_str().ok().and_then(|text| text.rsplit(' ').next()).unwrap_or_default();
            if secret.len() < SECRET {
                continue;
            }
            if fault.says.contains(secret) {
                fault.says = fault.says.replace(secret, "…").into();
            }
            for words in [&mut fault.raw, &mut fault.code].into_iter().flatten() {
                *words = words.replace(secret, "…");
            }
        }
    }
}

/// A server that is asked now and then whether it is well.
pub struct Probed<'a> {
    pub every: Duration,
    pub provider: &'a Provider,
    pub target: &'a Target,
    /// What rests while it is not.
    pub host: &'a Arc<Breaker>,
}

/// What the configuration says of one house name, besides where it leads.
#[derive(Clone)]
pub struct Route {
    name: String,
    /// How long to wait for answers under it.
    pub patience: Patience,
    /// When another endpoint is asked beside the first.
    pub hedge: Option<Hedge>,
    /// A stream that breaks off is gone on with elsewhere.
    pub continues: bool,
    /// Sees to it that this stays rare.
    pub governor: Arc<Governor>,
}

impl Route {
    fn of(house: &HouseConf) -> Route {
        Route {
            name: house.name.clone(),
            patience: house.patience,
            hedge: house.hedge,
            continues: house.continues,
            governor: Arc::new(Governor::default()),
        }
    }
}

#[derive(Clone)]
pub struct World {
    pub field: Arc<Field>,
    /// By the number of the house name in `field`.
    routes: Vec<Route>,
    /// By [`Instance::id`].
    seats: Vec<Seat>,
    /// The providers that are switched on.
    pub providers: Vec<Arc<Provider>>,
    pub timeouts: Timeouts,
    pub limits: Limits,
    pub fetch: Fetch,
    /// Requests wait for the disk. Heard at start.
    pub durable: bool,
    pub cache: CacheConf,
    /// Where decisions are written down, if anywhere.
    pub decisions: Option<Arc<Decisions>>,
    vitals: Arc<ByEndpoint<Arc<Health>>>,
    all: Arc<Vitals>,
    soil: Arc<own::Soil>,
    outfits: Arc<own::Outfits>,
    /// The keys of the workspace that sees it like this.
    own: Option<Arc<own::Outfit>>,
    /// The same request always chooses the same way, whatever has happened before: a replay is not left to chance.
    pub steady: bool,
}

/// A configuration that cannot be put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadWorld {
    pub at: String,
    pub why: String,
}

impl fmt::Display for BadWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

impl std::error::Error for BadWorld {}

impl World {
    pub fn build(conf: &Checked, catalog: &Catalog, vitals: Arc<Vitals>) -> Result<World, BadWorld> {
        let mut seats = Vec::new();
        let mut providers = Vec::new();
        let mut at_table = Vec::new();
        for p in &conf.providers {
            let provider = Arc::new(provider(p)?);
            let first = seats.len();
            let keyed = &mut |base: &str, n: usize| {
                // Several servers behind one key are one account; without keys each server is one.
                let account = if p.keys.is_empty() { format!("{} {base}", p.slug) } else { format!("{} #{n}", p.slug) };
                (vitals.breaker(&format!("key {} #{n}", p.slug)), vitals.account(&account))
            };
            seat(p, &provider, &vitals, keyed, &mut seats)?;
            let instances = seats[first..]
                .iter()
                .zip(weights(p))
                .enumerate()
                .map(|(n, (_, weight))| Instance { id: u32::try_from(first + n).unwrap_or(u32::MAX), weight })
                .collect();
            at_table.push(table_seat(p, &provider, instances, catalog));
            providers.push(provider);
        }
        let houses: Vec<House> = conf
            .houses
            .iter()
            .map(|h| House { name: h.name.clone(), endpoints: h.endpoints.clone(), balancer: h.load_balancer.clone() })
            .collect();
        let field = Field::build(catalog, at_table.clone(), houses.clone())
            .map_err(|e| BadWorld { at: e.at.clone(), why: e.why.clone() })?;
        let mut known = ByEndpoint::default();
        for endpoint in field.endpoints() {
            for instance in endpoint.pool.iter() {
                if let Some(seat) = seats.get(instance.id as usize) {
                    known.insert((endpoint.key, instance.id), vitals.of(&vital_name(endpoint.key, &seat.name)));
                }
            }
        }
        Ok(World {
            field: Arc::new(field),
            routes: conf.houses.iter().map(Route::of).collect(),
            seats,
            providers,
            timeouts: conf.timeouts,
            limits: conf.limits,
            durable: conf.durable,
            fetch: conf.fetch,
            cache: conf.cache,
            decisions: conf.decision_log.clone().map(|conf| Arc::new(Decisions::new(conf))),
            vitals: Arc::new(known),
            all: vitals,
            soil: Arc::new(own::Soil {
                confs: conf.providers.clone(),
                catalog: catalog.clone(),
                table: at_table,
                houses,
            }),
            outfits: Arc::default(),
            own: None,
            steady: false,
        })
    }

    /// Begin to look after credentials and to write decisions down; what the world before has already goes on as it is, counts too.
    pub fn wake(&mut self, before: Option<&World>) {
        if let Some(log) = &mut self.decisions {
            match before.and_then(|world| world.decisions.as_ref()).filter(|old| old.conf() == log.conf()) {
                Some(old) => *log = Arc::clone(old),
                None => log.start(),
            }
        }
        for seat in &self.seats {
            seat.account.set(seat.limits, self.limits.queue);
        }
        for route in &mut self.routes {
            let known = before.and_then(|w| w.routes.iter().find(|old| old.name == route.name));
            route.governor = known.map_or_else(|| route.governor.clone(), |old| old.governor.clone());
        }
        let known: Vec<&Arc<Keeper>> = before.iter().flat_map(|w| &w.seats).filter_map(|s| s.keeper.as_ref()).collect();
        for keeper in self.seats.iter_mut().filter_map(|seat| seat.keeper.as_mut()) {
            match known.iter().find(|old| old.is(keeper)) {
                Some(old) => *keeper = Arc::clone(old),
                None => keeper.start(),
            }
        }
    }

    /// Record what is asked of providers and what they answer.
    pub fn record(&mut self, recorder: &Arc<Recorder>) {
        for seat in &mut self.seats {
            seat.target.tap = Some(Tap::new(&seat.provider.id, recorder.clone()));
        }
    }

    /// What answers is a recording. By an answer of this status it says that it has none: then another may have one, and the caller
    /// hears the words.
    pub fn replays(&mut self, none: u16) {
        self.steady = true;
        for seat in &mut self.seats {
            let lack = (none, FaultKind::NotFound, Remedy::Elsewhere);
            Arc::make_mut(&mut seat.provider).faults.to_mut().insert(0, lack);
        }
    }

    /// The servers that want to be asked whether they are well.
    pub fn probed(&self) -> impl Iterator<Item = Probed<'_>> {
        self.seats.iter().filter_map(|seat| {
            let Seat { provider, target, host, .. } = seat;
            Some(Probed { every: seat.probe?, provider, target, host })
        })
    }

    /// What is said of the house name that was asked for, if it was one.
    pub fn route(&self, asked: Option<&Resolved>) -> Option<&Route> {
        match asked?.reach {
            Reach::House(at) => self.routes.get(at),
            _ => None,
        }
    }

    pub fn seat(&self, instance: u32) -> Result<&Seat, Failed> {
        let own = || self.own.as_ref()?.seat(instance).map(|(seat, _)| seat);
        self.seats.get(instance as usize).or_else(own).ok_or_else(|| Failed {
            fault: Fault::upstream(FaultKind::Internal, Remedy::Elsewhere, "internal error"),
            sent: Sent::NotSent,
        })
    }

    /// The health of an endpoint through one instance. An endpoint made up from `provider/anything` shares one record per instance.
    pub fn health(&self, endpoint: &Endpoint, instance: u32) -> Arc<Health> {
        if let Some((_, tended)) = self.own.as_ref().and_then(|own| own.seat(instance)) {
            return tended.health(if endpoint.ad_hoc { 0 } else { endpoint.key });
        }
        if let Some(health) = self.vitals.get(&(endpoint.key, instance)) {
            return health.clone();
        }
        let name = self.seats.get(instance as usize).map_or("", |s| s.name.as_str());
        self.all.of(&vital_name(0, name))
    }

    /// From when a provider, by its own words, has room for such a prompt; `None` is now, as far as is known.
    pub fn opens(&self, endpoint: &Endpoint, instance: u32, prompt: u64, now_ms: u64) -> Option<u64> {
        let known = self.vitals.get(&(endpoint.key, instance)).filter(|_| !self.steady);
        known?.opens(now_ms, prompt)
    }

    /// What an attempt there is charged to.
    pub fn charge(&self, endpoint: &Endpoint, instance: u32) -> Result<Charge, Failed> {
        let seat = self.seat(instance)?;
        Ok(Charge { health: self.health(endpoint, instance), key: seat.key.clone(), host: seat.host.clone() })
    }

    /// How everybody is at this moment.
    pub fn at(&self, now_ms: u64) -> Moment<'_> {
        Moment { world: self, now_ms }
    }
}

/// Live facts as they are at one moment.
pub struct Moment<'a> {
    world: &'a World,
    now_ms: u64,
}

impl Moment<'_> {
    /// Look at the health of an endpoint through one instance. Says whether there is any.
    fn known(&self, endpoint: u64, instance: u32, look: impl FnOnce(&Health)) -> bool {
        let own = || self.world.own.as_ref()?.seat(instance)?.1.known(endpoint);
        match self.world.vitals.get(&(endpoint, instance)) {
            Some(health) => look(health),
            None => match own() {
                Some(health) => look(&health),
                None => return false,
            },
        }
        true
    }
}

impl slip_route::Vitals for Moment<'_> {
    fn read(&self, endpoint: u64, instance: u32, vital: &mut Vital) {
        if self.world.steady || !self.known(endpoint, instance, |health| health.read(self.now_ms, vital)) {
            *vital = Vital::default();
        }
        if self.world.steady {
            return;
        }
        // Whoever else it depends on rests: so does it.
        if let Ok(seat) = self.world.seat(instance) {
            for verdict in [seat.key.verdict(self.now_ms), seat.host.verdict(self.now_ms)] {
                vital.cooldown_until_ms = vital.cooldown_until_ms.max(verdict.until_ms);
                vital.half_open |= verdict.half_open;
                vital.probing |= verdict.probing;
            }
            if seat.account.is_full(self.now_ms) {
                vital.requests_left = Some(0);
            }
        }
    }

    fn percentiles(&self, endpoint: u64, instance: u32, metric: Metric) -> Option<Percentiles> {
        if self.world.steady {
            return None;
        }
        let mut found = None;
        self.known(endpoint, instance, |health| found = health.percentiles(metric, self.now_ms));
        found
    }
}

fn vital_name(endpoint: u64, seat: &str) -> String {
    format!("{endpoint:016x} {seat}")
}

/// The built-in description where there is one, with what the configuration says on top.
fn provider(p: &ProviderConf) -> Result<Provider, BadWorld> {
    let mut provider = match slip_providers::by_id(&p.slug) {
        Some(builtin) if matches!(p.kind, ProviderKind::Builtin) => builtin.clone(),
        _ => Provider::declared(
            p.slug.clone(),
            p.dialect.unwrap_or(slip_ir::Dialect::OpenAiChat),
            p.base_urls.first().cloned().unwrap_or_default(),
        ),
    };
    if let Some(envelope) = p.envelope {
        provider = provider.wrapped(envelope);
    }
    let (said, policy) = (p.policy, &mut provider.policy);
    policy.trains = said.trains.or(policy.trains);
    policy.retains = said.retains.or(policy.retains);
    policy.zdr = said.zdr.unwrap_or(policy.zdr);
    if matches!(p.kind, ProviderKind::Simulated(_)) {
        provider.quirks.server_tools = false;
    }
    if let Some(title) = &p.title {
        provider.title = title.clone().into();
    }
    let given = |name: &str| p.blanks.get(name).cloned();
    provider.fill(&given, !p.base_urls.is_empty(), !p.keys.is_empty()).map_err(|unfilled| BadWorld {
        at: format!("providers.{}", p.slug),
        why: format!("`{}` is needed", unfilled.name),
    })?;
    Ok(provider)
}

fn table_seat(p: &ProviderConf, provider: &Provider, instances: Vec<Instance>, catalog: &Catalog) -> ProviderSeat {
    let policy = provider.policy;
    ProviderSeat {
        slug: provider.id.to_string(),
        name: provider.title.to_string(),
        dialect: provider.dialect,
        ops: provider.ops(),
        policy: Policy { trains: policy.trains, retains: policy.retains, zdr: policy.zdr },
        instances,
        only_declared: p.only_declared,
        models: p.models.iter().map(|m| Declared { price: price(p, m, catalog), ..declared(m) }).collect(),
    }
}

/// A deployment under a name of its own costs what the catalogue knows of the provider's model.
fn price(p: &ProviderConf, m: &ModelConf, catalog: &Catalog) -> Option<slip_ir::Price> {
    let same = |o: &&slip_route::catalog::Offer| {
        *o.provider == *p.slug
            && o.variant.is_none()
            && catalog.models.get(o.model).is_some_and(|known| *known.id == *m.id)
    };
    let offer = || catalog.offers.iter().find(same).filter(|_| p.only_declared);
    m.price.clone().or_else(|| offer()?.price.clone())
}

fn bases(p: &ProviderConf, provider: &Provider) -> Vec<String> {
    if p.base_urls.is_empty() { vec![provider.base.to_string()] } else { p.base_urls.clone() }
}

/// Weights in the order in which [`seat`] makes seats: every base URL with every key.
fn weights(p: &ProviderConf) -> impl Iterator<Item = u32> {
    let keys: Vec<u32> = if p.keys.is_empty() { vec![1] } else { p.keys.iter().map(|(_, w)| *w).collect() };
    (0..p.base_urls.len().max(1)).flat_map(move |_| keys.clone())
}

/// Anthropic's and Google's own libraries are given a base URL without the version and add it themselves; OpenAI's is given it whole.
/// Either habit is understood here. Ollama's own API stands beside its OpenAI-like one, whose address people know better.
fn versioned(prefix: String, dialect: Dialect) -> String {
    let is_version = |s: &str| s.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    match dialect {
        Dialect::Anthropic if !prefix.split('/').any(is_version) => prefix + "/v1",
        Dialect::Gemini if !prefix.split('/').any(is_version) => prefix + "/v1beta",
        Dialect::Cohere if !prefix.split('/').any(is_version) => prefix + "/v2",
        Dialect::Ollama | Dialect::OllamaGenerate => {
            let root = ["/v1", "/api"].iter().find_map(|door| prefix.strip_suffix(door));
            root.map(str::to_owned).unwrap_or(prefix)
        }
        _ => prefix,
    }
}

/// Whose key it is: what else may be to blame, and who waits for it, by the base URL and the number of the key.
type Keyed<'a> = &'a mut dyn FnMut(&str, usize) -> (Arc<Breaker>, Arc<Account>);

/// Every base URL with every key.
fn seat(
    p: &ProviderConf,
    provider: &Arc<Provider>,
    vitals: &Vitals,
    keyed: Keyed<'_>,
    seats: &mut Vec<Seat>,
) -> Result<(), BadWorld> {
    let bad = |why: String| BadWorld { at: format!("providers.{}", p.slug), why };
    let keeper = p.credential.clone().map(|credential| Arc::new(Keeper::new(&provider.title, credential)));
    for base in bases(p, provider) {
        let (origin, prefix) = parse_base(&base, p.allow_private).map_err(bad)?;
        // A cloud that wraps the dialect has paths of its own.
        let prefix = match provider.quirks.envelope {
            Some(_) => prefix,
            None => versioned(prefix, provider.dialect),
        };
        let origin = Arc::new(origin);
        let keys: Vec<Option<&str>> =
            if p.keys.is_empty() { vec![None] } else { p.keys.iter().map(|(k, _)| Some(k.expose())).collect() };
        for (n, key) in keys.into_iter().enumerate() {
            let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
            let fixed = provider.headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
            let given = p.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
            for (name, value) in fixed.chain(given) {
                let name = HeaderName::try_from(name.to_ascii_lowercase())
                    .map_err(|_| bad(format!("not a header name: {name}")))?;
                let mut value =
                    HeaderValue::try_from(value).map_err(|_| bad(format!("not a header value, for {name}")))?;
                value.set_sensitive(true);
                headers.push((name, value));
            }
            if let Some((name, value)) =
                key.filter(|k| !k.is_empty() && *k != "none").and_then(|k| provider.credential(k))
            {
                let name = HeaderName::try_from(name).map_err(|_| bad(format!("not a header name: {name}")))?;
                let mut value = HeaderValue::try_from(value)
                    .map_err(|_| bad("the key holds characters a header cannot carry".to_owned()))?;
                value.set_sensitive(true);
                headers.push((name, value));
            } else if key.is_none()
                && keeper.is_none()
                && provider.auth != Auth::None
                && p.base_urls.is_empty()
                && provider.local.is_none()
            {
                return Err(bad("no key: set `key`, or remove the provider".to_owned()));
            }
            let (key, account) = keyed(&base, n);
            seats.push(Seat {
                provider: provider.clone(),
                target: Target {
                    origin: origin.clone(),
                    prefix: prefix.as_str().into(),
                    headers: headers.into(),
                    tap: None,
                },
                keeper: keeper.clone(),
                patience: p.patience,
                name: format!("{} {base} #{n}", p.slug),
                probe: p.probe,
                account,
                limits: p.account,
                key,
                host: vitals.breaker(&format!("host {}:{}", origin.host, origin.port)),
            });
        }
    }
    Ok(())
}

/// The catalogue's words for services.
fn services(services: &[Op]) -> Vec<String> {
    services.iter().filter_map(|op| op.output()).map(str::to_owned).collect()
}

fn declared(m: &ModelConf) -> Declared {
    let words = |kinds: &Option<Vec<MediaKind>>| {
        let kinds = kinds.as_ref()?;
        Some(std::iter::once("text".to_owned()).chain(kinds.iter().map(|k| k.name().to_owned())).collect())
    };
    Declared {
        id: m.id.clone(),
        upstream: Some(m.upstream.clone()),
        name: m.name.clone(),
        context: m.context,
        max_output: m.max_output,
        price: m.price.clone(),
        params: m.params.clone(),
        input: words(&m.input),
        output: if m.services.is_empty() { words(&m.output) } else { Some(services(&m.services)) },
        quantization: m.quantization.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_leave_the_version_to_us_where_the_vendors_library_would() {
        let rows = [
            (Dialect::Anthropic, "", "/v1"),
            (Dialect::Anthropic, "/v1", "/v1"),
            (Dialect::Anthropic, "/anthropic", "/anthropic/v1"),
            (Dialect::Gemini, "", "/v1beta"),
            (Dialect::Gemini, "/v1beta", "/v1beta"),
            (
                Dialect::Gemini,
                "/v1/projects/p/locations/l/publishers/google",
                "/v1/projects/p/locations/l/publishers/google",
            ),
            (Dialect::OpenAiChat, "", ""),
            (Dialect::OpenAiChat, "/openai/v1", "/openai/v1"),
            (Dialect::Anthropic, "/vendor", "/vendor/v1"),
            (Dialect::Cohere, "", "/v2"),
            (Dialect::Cohere, "/v2", "/v2"),
            (Dialect::Ollama, "", ""),
            (Dialect::Ollama, "/v1", ""),
            (Dialect::OllamaGenerate, "/box/api", "/box"),
        ];
        for (dialect, prefix, want) in rows {
            assert_eq!(versioned(prefix.to_owned(), dialect), want, "{dialect} {prefix}");
        }
    }
}
