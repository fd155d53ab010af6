//! From what was written to what is meant. Every rule that needs more than one word is here, and every breach is told with its place.

use super::checked::{Checked, HouseConf, Limits, ModelConf, ProviderConf, ProviderKind, Secret, SimConf, Timeouts};
use super::problem::{Problem, nearest, suggestion};
use super::raw::{self, Modality, ModelEntry, Raw};
use super::tree::{Node, Path, quoted};
use super::words;
use slip_ir::{Dialect, MediaKind, Pico, Price, Rates};
use std::time::Duration;

/// What the rest of the house knows and a configuration may refer to.
pub struct Facts<'a> {
    /// Slugs of the built-in providers.
    pub builtin: &'a [&'a str],
    /// Whether the catalogue has a model (or can make something of its name).
    pub knows: &'a dyn Fn(&str) -> bool,
    /// Names of the ways to choose among endpoints.
    pub balancers: &'a [&'a str],
    /// How the failures of a simulated provider are written: `status:S`.
    pub modes: &'a [&'a str],
    /// Whether one is written right; the error says how it should be.
    pub mode: &'a dyn Fn(&str) -> Result<(), String>,
}

/// Longest name of a provider or model: names end up in headers, metrics and rows.
const MAX_NAME: usize = 200;
/// Headers the connection itself sets.
const OWN_HEADERS: [&str; 6] = ["connection", "content-length", "content-type", "host", "te", "transfer-encoding"];

/// `None` when there are problems, old or new.
pub fn check(raw: &Raw, tree: &Node, facts: &Facts<'_>, problems: &mut Vec<Problem>) -> Option<Checked> {
    let mut c = Checker { tree, facts, problems };
    let root = Path::default();
    let listen = c.read(&root.key("listen"), raw.listen.as_deref(), |text| {
        text.parse().map_err(|_| format!("not an address and port such as 127.0.0.1:8484: {text:?}"))
    });
    let data_dir = c.read(&root.key("data_dir"), raw.data_dir.as_deref(), |text| {
        if text.is_empty() { Err("a directory is needed".to_owned()) } else { Ok(text.into()) }
    });
    let drain_timeout = c.read(&root.key("drain_timeout"), raw.drain_timeout.as_deref(), words::duration);
    let timeouts = c.timeouts(raw.timeouts.as_ref());
    let limits = c.limits(raw.limits.as_ref());
    let providers: Vec<ProviderConf> =
        raw.providers.iter().filter_map(|(slug, provider)| c.provider(slug, provider)).collect();
    let houses = c.houses(raw);
    if !c.problems.is_empty() {
        return None;
    }
    Some(Checked {
        listen: listen?,
        data_dir: data_dir?,
        probe: raw.probe?,
        log: raw.log.clone()?,
        drain_timeout: drain_timeout?,
        timeouts: timeouts?,
        limits: limits?,
        providers,
        houses,
    })
}

struct Checker<'a> {
    tree: &'a Node,
    facts: &'a Facts<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn bad(&mut self, path: &Path, what: impl Into<String>, note: Option<String>) {
        let origin = self.tree.origin_of(path).clone();
        self.problems.push(Problem::new(origin, self.tree.as_written(path), what).maybe_note(note));
    }

    /// Something is missing: told at the table that should have it, unless something there was refused already.
    fn missing(&mut self, table: &Path, what: impl Into<String>, note: Option<String>) {
        let written = self.tree.as_written(table);
        if !self.problems.iter().any(|p| p.path.starts_with(&written)) {
            self.bad(table, what, note);
        }
    }

    fn read<T>(
        &mut self,
        path: &Path,
        text: Option<&str>,
        understand: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        understand(text?).map_err(|what| self.bad(path, what, None)).ok()
    }

    fn timeouts(&mut self, raw: Option<&raw::Timeouts>) -> Option<Timeouts> {
        let raw = raw?;
        let mut wait = |name: &str, text: &Option<String>| {
            self.read(&Path::of(&["timeouts", name]), text.as_deref(), |text| match words::duration(text)? {
                Duration::ZERO => Err(format!("a time to wait is longer than nothing: {text:?}")),
                some => Ok(some),
            })
        };
        let connect = wait("connect", &raw.connect);
        let first_content = wait("first_content", &raw.first_content);
        let idle = wait("idle", &raw.idle);
        let total = wait("total", &raw.total);
        Some(Timeouts { connect: connect?, first_content: first_content?, idle: idle?, total: total? })
    }

    fn limits(&mut self, raw: Option<&raw::Limits>) -> Option<Limits> {
        let raw = raw?;
        let body = self.read(&Path::of(&["limits", "body"]), raw.body.as_deref(), words::size);
        Some(Limits { body: body?, max_concurrent: raw.max_concurrent? })
    }

    fn provider(&mut self, slug: &str, raw: &raw::Provider) -> Option<ProviderConf> {
        let path = Path::of(&["providers", slug]);
        if !is_slug(slug) {
            self.bad(&path, "a provider is named in lower-case letters, digits, dots and dashes", None);
            return None;
        }
        let dialect = raw.dialect.as_deref().and_then(Dialect::parse);
        let base_urls = self.base_urls(&path, raw);
        let kind = self.kind(&path, slug, raw, dialect, &base_urls)?;
        Some(ProviderConf {
            slug: slug.to_owned(),
            title: raw.title.clone(),
            dialect,
            keys: self.keys(&path, raw),
            base_urls,
            headers: self.headers(&path, raw),
            allow_private: raw.allow_private.unwrap_or(false),
            models: self.models(&path, raw),
            kind,
        })
    }

    fn kind(
        &mut self,
        path: &Path,
        slug: &str,
        raw: &raw::Provider,
        dialect: Option<Dialect>,
        base_urls: &[String],
    ) -> Option<ProviderKind> {
        if raw.kind.as_deref() == Some("simulated") {
            return self.simulated(path, raw, dialect);
        }
        let only = [
            ("ttft", raw.ttft.is_some()),
            ("tokens_per_second", raw.tokens_per_second.is_some()),
            ("fault", raw.fault.is_some()),
        ];
        for (name, _) in only.into_iter().filter(|(_, given)| *given) {
            self.bad(&path.key(name), "only for a simulated provider", Some("add `kind = \"simulated\"`?".into()));
        }
        if self.facts.builtin.contains(&slug) {
            return Some(ProviderKind::Builtin);
        }
        let gave_url = raw.base_url.is_some() || raw.base_urls.is_some();
        if dialect.is_some() && !base_urls.is_empty() {
            return Some(ProviderKind::Declared);
        }
        let lacks = match (dialect.is_some(), gave_url) {
            (false, false) => "`dialect` and `base_url`",
            (false, true) => "`dialect`",
            _ => "`base_url`",
        };
        let meant = nearest(slug, self.facts.builtin).map(|meant| format!("did you mean `{meant}`?"));
        self.missing(path, format!("not a built-in provider, so it needs {lacks}: {slug}"), meant);
        None
    }

    fn simulated(&mut self, path: &Path, raw: &raw::Provider, dialect: Option<Dialect>) -> Option<ProviderKind> {
        for (name, given) in [("base_url", raw.base_url.is_some()), ("base_urls", raw.base_urls.is_some())] {
            if given {
                self.bad(&path.key(name), "a simulated provider lives in this process and has no URL", None);
            }
        }
        if raw.models.as_ref().is_none_or(Vec::is_empty) {
            self.missing(path, "a simulated provider needs `models`", None);
        }
        let ttft = self.read(&path.key("ttft"), raw.ttft.as_deref(), words::duration);
        let fault = raw.fault.as_ref().and_then(|fault| {
            let at = path.key("fault");
            let Some(mode) = fault.mode.as_deref() else {
                self.missing(&at, "a fault needs its `mode`", None);
                return None;
            };
            if let Err(what) = (self.facts.mode)(mode) {
                let bare = |form: &str| form.split([':', '[']).next().unwrap_or_default().to_owned();
                let known: Vec<String> = self.facts.modes.iter().map(|form| bare(form)).collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let word = bare(mode);
                let (what, note) = if known.contains(&word.as_str()) {
                    (what, None)
                } else {
                    (format!("unknown fault mode: {}", quoted(mode)), suggestion(&word, &known))
                };
                self.bad(&at.key("mode"), what, note);
            }
            Some((mode.to_owned(), fault.rate.unwrap_or(1.0)))
        });
        if dialect.is_none() && raw.dialect.is_none() {
            self.missing(path, "a simulated provider needs its `dialect`", None);
        }
        Some(ProviderKind::Simulated(SimConf {
            dialect: dialect?,
            ttft,
            tokens_per_second: raw.tokens_per_second,
            fault,
        }))
    }

    fn base_urls(&mut self, path: &Path, raw: &raw::Provider) -> Vec<String> {
        let (one, several) = (path.key("base_url"), path.key("base_urls"));
        if raw.base_url.is_some() && raw.base_urls.is_some() {
            self.bad(&several, "give `base_url` or `base_urls`, not both", None);
        }
        let mut urls: Vec<String> = self.read(&one, raw.base_url.as_deref(), words::base_url).into_iter().collect();
        for (at, text) in raw.base_urls.iter().flatten().enumerate() {
            if let Some(url) = self.read(&several.item(at), Some(text), words::base_url) {
                if urls.contains(&url) {
                    self.bad(&several.item(at), format!("named twice: {url}"), None);
                }
                urls.push(url);
            }
        }
        if raw.base_urls.as_ref().is_some_and(Vec::is_empty) {
            self.bad(&several, "at least one URL is needed", None);
        }
        urls
    }

    fn keys(&mut self, path: &Path, raw: &raw::Provider) -> Vec<(Secret, u32)> {
        if raw.key.is_some() && raw.keys.is_some() {
            self.bad(&path.key("keys"), "give `key` or `keys`, not both", None);
        }
        let one = raw.key.iter().map(|key| (path.key("key"), key.as_str(), 1));
        let mut given: Vec<(Path, &str, u32)> = one.collect();
        for (at, entry) in raw.keys.iter().flatten().enumerate() {
            let at = path.key("keys").item(at);
            match &entry.key {
                Some(key) => given.push((at.key("key"), key, entry.weight.unwrap_or(1))),
                None => self.missing(&at, "an entry of `keys` needs its `key`", None),
            }
        }
        let mut keys = Vec::with_capacity(given.len());
        for (at, key, weight) in given {
            // `none` says so in words; nothing is what `${VAR:-}` leaves when the variable is unset.
            if key.is_empty() || key == "none" {
                continue;
            }
            if key.bytes().all(|b| b.is_ascii_graphic()) {
                keys.push((Secret::new(key), weight));
            } else {
                self.bad(&at, "a key has only visible ASCII characters, and no spaces", None);
            }
        }
        keys
    }

    fn headers(&mut self, path: &Path, raw: &raw::Provider) -> Vec<(String, Secret)> {
        let mut headers = Vec::with_capacity(raw.headers.len());
        for (name, value) in &raw.headers {
            let at = path.key("headers").key(name);
            let lower = name.to_ascii_lowercase();
            if http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
                self.bad(&at, "not the name of a header", None);
            } else if OWN_HEADERS.contains(&lower.as_str()) {
                self.bad(&at, "this header is set by the connection itself", None);
            } else if http::HeaderValue::from_str(value).is_err() {
                self.bad(&at, "a header's value is visible ASCII on one line", None);
            } else {
                headers.push((lower, Secret::new(value)));
            }
        }
        headers
    }

    fn models(&mut self, path: &Path, raw: &raw::Provider) -> Vec<ModelConf> {
        let price = raw.price.as_ref().map(|price| self.price(&path.key("price"), price));
        let mut models: Vec<ModelConf> = Vec::new();
        for (at, entry) in raw.models.iter().flatten().enumerate() {
            let path = path.key("models").item(at);
            let plain;
            let (table, id_at) = match entry {
                ModelEntry::Id(id) => {
                    plain = raw::ModelTable { id: Some(id.clone()), ..raw::ModelTable::default() };
                    (&plain, path.clone())
                }
                ModelEntry::Table(table) => (&**table, path.key("id")),
            };
            let Some(id) = table.id.clone() else {
                self.missing(&path, "a model needs its `id`", None);
                continue;
            };
            if !is_model_name(&id) {
                self.bad(&id_at, format!("not the name of a model: {}", quoted(&id)), None);
            }
            if models.iter().any(|other| other.id == id) {
                self.bad(&id_at, format!("named twice: {id}"), None);
            }
            let own = table.price.as_ref().map(|price| self.price(&path.key("price"), price));
            models.push(ModelConf {
                upstream: table.upstream.clone().unwrap_or_else(|| id.clone()),
                id,
                name: table.name.clone(),
                context: table.context,
                max_output: table.max_output,
                input: table.input.as_deref().map(media),
                output: table.output.as_deref().map(media),
                params: table.params.clone(),
                quantization: table.quantization.clone(),
                price: own.or_else(|| price.clone()),
            });
        }
        models
    }

    fn price(&mut self, path: &Path, raw: &raw::Price) -> Price {
        let per = |text: &str, unit: fn(&str) -> Result<Pico, slip_ir::money::BadAmount>| {
            unit(text).map_err(|_| format!("not a price in USD such as \"0.5\": {}", quoted(text)))
        };
        let mut token = |name: &str, text: &Option<String>| {
            self.read(&path.key(name), text.as_deref(), |text| per(text, Pico::per_million))
        };
        let (input, output) = (token("input", &raw.input), token("output", &raw.output));
        let rates = Rates {
            input: input.unwrap_or_default(),
            output: output.unwrap_or_default(),
            cache_read: token("cache_read", &raw.cache_read),
            cache_write: token("cache_write", &raw.cache_write),
            cache_write_1h: token("cache_write_1h", &raw.cache_write_1h),
            reasoning: token("reasoning", &raw.reasoning),
            audio_in: token("audio_in", &raw.audio_in),
            audio_out: token("audio_out", &raw.audio_out),
            image_out: token("image_out", &raw.image_out),
        };
        let mut each = |name: &str, text: &Option<String>| {
            self.read(&path.key(name), text.as_deref(), |text| per(text, Pico::per_unit)).unwrap_or_default()
        };
        let (request, web_search) = (each("request", &raw.request), each("web_search", &raw.web_search));
        // Half a price would count the other half as free.
        for (name, given) in [("input", raw.input.is_some()), ("output", raw.output.is_some())] {
            if !given {
                self.missing(path, format!("a price needs `{name}`; write \"0\" for nothing"), None);
            }
        }
        Price { rates, request, web_search, tiers: Vec::new() }
    }

    fn houses(&mut self, raw: &Raw) -> Vec<HouseConf> {
        let declared: Vec<&str> = raw
            .providers
            .values()
            .flat_map(|provider| provider.models.iter().flatten())
            .filter_map(|entry| match entry {
                ModelEntry::Id(id) => Some(id.as_str()),
                ModelEntry::Table(table) => table.id.as_deref(),
            })
            .collect();
        // A list of models that was refused declares fewer than its author meant: what hangs on it is not his mistake.
        let incomplete = self.problems.iter().any(|p| {
            p.path.mentions("providers")
                && (p.path.mentions("models")
                    || p.note.as_deref() == Some("did you mean `models`?")
                    || p.path.0.len() <= 2)
        });
        let mut houses = Vec::with_capacity(raw.models.len());
        for (name, house) in &raw.models {
            let path = Path::of(&["models", name]);
            if !is_model_name(name) {
                self.bad(&path, "not the name of a model", None);
            }
            let endpoints = house.endpoints.clone().unwrap_or_default();
            if endpoints.is_empty() {
                self.missing(&path, "at least one of `endpoints` is needed", None);
            }
            for (at, endpoint) in endpoints.iter().enumerate() {
                let at_path = path.key("endpoints").item(at);
                if endpoints[..at].contains(endpoint) {
                    self.bad(&at_path, format!("named twice: {endpoint}"), None);
                } else if !incomplete && !declared.contains(&endpoint.as_str()) && !(self.facts.knows)(endpoint) {
                    let note = if raw.models.contains_key(endpoint) {
                        Some("a name under [models] cannot stand for another".to_owned())
                    } else {
                        let meant = nearest(endpoint, &declared);
                        meant.map(|meant| format!("did you mean `{meant}`?"))
                    };
                    self.bad(
                        &at_path,
                        format!("no provider declares this model, and the catalogue has none: {endpoint}"),
                        note,
                    );
                }
            }
            if let Some(balancer) = house.load_balancer.as_deref()
                && !self.facts.balancers.contains(&balancer)
            {
                let note = suggestion(balancer, self.facts.balancers);
                self.bad(&path.key("load_balancer"), format!("unknown load balancer: {}", quoted(balancer)), note);
            }
            houses.push(HouseConf { name: name.clone(), endpoints, load_balancer: house.load_balancer.clone() });
        }
        houses
    }
}

fn is_slug(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
}

fn is_model_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/@+~".contains(&b))
}

/// Text is what every model reads and writes.
fn media(list: &[Modality]) -> Vec<MediaKind> {
    list.iter()
        .filter_map(|modality| match modality {
            Modality::Text => None,
            Modality::Image => Some(MediaKind::Image),
            Modality::Audio => Some(MediaKind::Audio),
            Modality::Video => Some(MediaKind::Video),
            Modality::File => Some(MediaKind::File),
        })
        .collect()
}
