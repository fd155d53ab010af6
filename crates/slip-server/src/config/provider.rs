//! The rules for one provider: which kind it is, what that kind needs, and what it serves.

use super::check::{Checker, MAX_NAME, is_model_name};
use super::checked::{ModelConf, ProviderConf, ProviderKind, Secret, SimConf};
use super::problem::{nearest, suggestion};
use super::raw::{self, Modality, ModelEntry};
use super::tree::{Path, quoted};
use super::words;
use slip_ir::{Dialect, MediaKind, Op, Pico, Price, Rates};
use slip_wire::Envelope;
use std::time::Duration;

/// Headers the connection itself sets.
const OWN_HEADERS: [&str; 6] = ["connection", "content-length", "content-type", "host", "te", "transfer-encoding"];

/// More often would be load.
const MIN_PROBE: Duration = Duration::from_secs(1);

impl Checker<'_> {
    pub(super) fn provider(&mut self, slug: &str, raw: &raw::Provider) -> Option<ProviderConf> {
        let path = Path::of(&["providers", slug]);
        if !is_slug(slug) {
            self.bad(&path, "a provider is named in lower-case letters, digits, dots and dashes", None);
            return None;
        }
        let dialect = raw.dialect.as_deref().and_then(Dialect::parse);
        let base_urls = self.base_urls(&path, raw);
        let kind = self.kind(&path, slug, raw, dialect, &base_urls)?;
        let keys = self.keys(&path, raw);
        let cloud = self.cloud(&path, slug, raw, &kind, keys.is_empty())?;
        let mut models = self.models(&path, raw);
        let only_declared = self.deployments(&path, slug, raw, &mut models);
        Some(ProviderConf {
            slug: slug.to_owned(),
            title: raw.title.clone(),
            dialect,
            envelope: self.envelope(&path, raw, dialect),
            keys,
            base_urls,
            headers: self.headers(&path, raw),
            allow_private: raw.allow_private.unwrap_or(false),
            blanks: cloud.blanks,
            credential: cloud.credential,
            only_declared,
            probe: self.read(&path.key("probe"), raw.probe.as_deref(), |text| match words::duration(text)? {
                often if often < MIN_PROBE => Err(format!("a server is asked at most once a second: {text:?}")),
                every => Ok(every),
            }),
            policy: raw.policy.unwrap_or_default(),
            patience: self.patience(&path, raw.timeouts.as_ref()),
            account: raw.limits.unwrap_or_default(),
            models,
            kind,
        })
    }

    fn envelope(&mut self, path: &Path, raw: &raw::Provider, dialect: Option<Dialect>) -> Option<&'static Envelope> {
        let envelope = Envelope::parse(raw.envelope.as_deref()?)?;
        if dialect != Some(envelope.dialect()) {
            let hint = Some(format!("add `dialect = \"{}\"`?", envelope.dialect()));
            self.bad(&path.key("envelope"), "another dialect comes in this envelope", hint);
            return None;
        }
        Some(envelope)
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
        let lacks = match (raw.dialect.is_none(), raw.models.as_ref().is_none_or(Vec::is_empty)) {
            (true, true) => Some("`dialect` and `models`"),
            (true, false) => Some("`dialect`"),
            (false, true) => Some("`models`"),
            (false, false) => None,
        };
        if let Some(lacks) = lacks {
            self.missing(path, format!("a simulated provider needs {lacks}"), None);
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
                self.bad_name(&at, "not the name of a header");
            } else if OWN_HEADERS.contains(&lower.as_str()) {
                self.bad_name(&at, "this header is set by the connection itself");
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
                services: table.output.as_deref().map(services).unwrap_or_default(),
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
            image_in: token("image_in", &raw.image_in),
            audio_out: token("audio_out", &raw.audio_out),
            image_out: token("image_out", &raw.image_out),
        };
        let character = token("characters", &raw.characters).unwrap_or_default();
        let mut each = |name: &str, text: &Option<String>| {
            self.read(&path.key(name), text.as_deref(), |text| per(text, Pico::per_unit)).unwrap_or_default()
        };
        let (request, web_search) = (each("request", &raw.request), each("web_search", &raw.web_search));
        let search = each("search", &raw.search);
        let (image, second) = (each("image", &raw.image), each("second", &raw.second));
        // Half a price would count the other half as free.
        for (name, given) in [("input", raw.input.is_some()), ("output", raw.output.is_some())] {
            if !given {
                self.missing(path, format!("a price needs `{name}`; write \"0\" for nothing"), None);
            }
        }
        Price { rates, request, web_search, search, image, second, character, ..Price::default() }
    }
}

fn is_slug(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
}

/// What a model does instead of talking.
fn services(list: &[Modality]) -> Vec<Op> {
    list.iter()
        .filter_map(|modality| match modality {
            Modality::Embeddings => Some(Op::Embeddings),
            Modality::Rerank => Some(Op::Rerank),
            Modality::Moderation => Some(Op::Moderation),
            Modality::Speech => Some(Op::Speech),
            Modality::Transcription => Some(Op::Transcription),
            _ => None,
        })
        .collect()
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
            Modality::Embeddings
            | Modality::Rerank
            | Modality::Moderation
            | Modality::Speech
            | Modality::Transcription => None,
        })
        .collect()
}
