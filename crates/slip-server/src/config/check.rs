//! From what was written to what is meant. Every rule that needs more than one word is here, and every breach is told with its place.

use super::checked::{CacheConf, Checked, DecisionLog, Fetch, HouseConf, Limits, ProviderConf, Timeouts};
use super::problem::{Problem, nearest, suggestion};
use super::raw::{self, ModelEntry, Raw};
use super::tree::{Node, Path, quoted};
use super::words;
use crate::cache::LONGEST_TTL_S;
use slip_ir::Nano;
use slip_quota::{Cap, Caps, Reset};
use slip_store::DatabaseUrl;
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
pub(super) const MAX_NAME: usize = 200;
/// `None` when there are problems, old or new.
pub fn check(
    raw: &Raw,
    tree: &Node,
    facts: &Facts<'_>,
    env: super::Env<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Checked> {
    let mut c = Checker { tree, facts, env, problems };
    let root = Path::default();
    let listen = c.read(&root.key("listen"), raw.listen.as_deref(), |text| {
        text.parse().map_err(|_| format!("not an address and port such as 127.0.0.1:8484: {text:?}"))
    });
    let data_dir = c.read(&root.key("data_dir"), raw.data_dir.as_deref(), |text| {
        if text.is_empty() { Err("a directory is needed".to_owned()) } else { Ok(text.into()) }
    });
    let database_url = c.database_url(&root.key("database_url"), raw.database_url.as_deref());
    let pepper_file = raw.pepper_file.as_deref().filter(|path| !path.is_empty()).map(Into::into);
    if pepper_file.is_some() && database_url.is_none() {
        let note = "without `database_url` the pepper is the file `pepper` of the data directory";
        c.bad(&root.key("pepper_file"), "is for gateways that share a database", Some(note.to_owned()));
    }
    let drain_timeout = c.read(&root.key("drain_timeout"), raw.drain_timeout.as_deref(), words::duration);
    let timeouts = c.timeouts(raw.timeouts.as_ref());
    let limits = c.limits(raw);
    let providers: Vec<ProviderConf> =
        raw.providers.iter().filter_map(|(slug, provider)| c.provider(slug, provider)).collect();
    let houses = c.houses(raw);
    let cache = raw.cache.as_ref().and_then(|cache| c.cache(cache));
    let decision_log = raw.decision_log.as_ref().and_then(|log| c.decision_log(log));
    if !c.problems.is_empty() {
        return None;
    }
    Some(Checked {
        listen: listen?,
        data_dir: data_dir?,
        database_url,
        pepper_file,
        durable: raw.durability.as_deref() == Some("disk"),
        master_key_file: raw.master_key_file.as_deref().filter(|path| !path.is_empty()).map(Into::into),
        probe: raw.probe?,
        log: raw.log.clone()?,
        drain_timeout: drain_timeout?,
        timeouts: timeouts?,
        limits: limits?,
        fetch: Fetch { allow_private: raw.fetch.as_ref()?.allow_private? },
        cache: cache?,
        decision_log,
        providers,
        houses,
    })
}

pub(super) struct Checker<'a> {
    tree: &'a Node,
    pub(super) facts: &'a Facts<'a>,
    pub(super) env: super::Env<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    pub(super) fn problems(&self) -> usize {
        self.problems.len()
    }

    pub(super) fn bad(&mut self, path: &Path, what: impl Into<String>, note: Option<String>) {
        let origin = self.tree.origin_of(path).clone();
        self.problems.push(Problem::new(origin, self.tree.as_written(path), what).maybe_note(note));
    }

    /// The name is wrong, not what it names.
    pub(super) fn bad_name(&mut self, path: &Path, what: &str) {
        let origin = self.tree.key_origin_of(path).clone();
        self.problems.push(Problem::new(origin, path.clone(), what));
    }

    /// Something is missing: told at the table that should have it, unless something there was refused already.
    pub(super) fn missing(&mut self, table: &Path, what: impl Into<String>, note: Option<String>) {
        let written = self.tree.as_written(table);
        if !self.problems.iter().any(|p| p.path.starts_with(&written)) {
            self.bad(table, what, note);
        }
    }

    pub(super) fn read<T>(
        &mut self,
        path: &Path,
        text: Option<&str>,
        understand: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        understand(text?).map_err(|what| self.bad(path, what, None)).ok()
    }

    /// Empty stands for none, so that a variable can be overruled.
    fn database_url(&mut self, path: &Path, text: Option<&str>) -> Option<DatabaseUrl> {
        self.read(path, text.filter(|text| !text.is_empty()), DatabaseUrl::parse)
    }

    fn timeouts(&mut self, raw: Option<&raw::Timeouts>) -> Option<Timeouts> {
        let raw = raw?;
        let mut wait = |name: &str, text: &Option<String>| self.wait(&Path::of(&["timeouts", name]), text.as_deref());
        let connect = wait("connect", &raw.connect);
        let first_content = wait("first_content", &raw.first_content);
        let idle = wait("idle", &raw.idle);
        let total = wait("total", &raw.total);
        let head_commit = wait("head_commit", &raw.head_commit);
        let keepalive = wait("keepalive", &raw.keepalive);
        Some(Timeouts {
            connect: connect?,
            first_content: first_content?,
            idle: idle?,
            total: total?,
            head_commit: head_commit?,
            keepalive: keepalive?,
        })
    }

    fn limits(&mut self, raw: &Raw) -> Option<Limits> {
        let queue = self.queue(raw.queue.as_ref());
        let raw = raw.limits.as_ref()?;
        let body = self.read(&Path::of(&["limits", "body"]), raw.body.as_deref(), words::size);
        let lease = self.read(&Path::of(&["limits", "lease"]), raw.lease.as_deref(), |text| {
            let lease = words::duration(text)?;
            let few = Duration::from_secs(1)..=Duration::from_secs(600);
            if few.contains(&lease) { Ok(lease) } else { Err(format!("must be between 1s and 10m: {text:?}")) }
        });
        let mut caps = Caps::none();
        for (name, text, reset) in [
            ("daily_usd", &raw.daily_usd, Some(Reset::Daily)),
            ("weekly_usd", &raw.weekly_usd, Some(Reset::Weekly)),
            ("monthly_usd", &raw.monthly_usd, Some(Reset::Monthly)),
            ("total_usd", &raw.total_usd, None),
        ] {
            let dollars = |text: &str| Nano::usd(text).map_err(|e| e.to_string());
            if let Some(limit) = self.read(&Path::of(&["limits", name]), text.as_deref(), dollars) {
                caps = caps.with(reset, Cap { limit, include_byok: false });
            }
        }
        Some(Limits { body: body?, max_concurrent: raw.max_concurrent?, lease: lease?, caps, queue: queue? })
    }

    fn cache(&mut self, raw: &raw::Cache) -> Option<CacheConf> {
        let path = |name| Path::of(&["cache", name]);
        let ttl = self.read(&path("ttl"), raw.ttl.as_deref(), |text| {
            let (least, most) = (Duration::from_secs(1), Duration::from_secs(LONGEST_TTL_S.into()));
            let ttl = words::duration(text)?;
            let says = || format!("shorter than a second or longer than a day: {text:?}");
            (least..=most).contains(&ttl).then_some(ttl).ok_or_else(says)
        });
        let pace = self.read(&path("pace"), raw.pace.as_deref(), |text| {
            let pace = words::duration(text)?;
            let says = || format!("longer than a second, which nobody waits for: {text:?}");
            (pace <= Duration::from_secs(1)).then_some(pace).ok_or_else(says)
        });
        let memory = self.read(&path("memory"), raw.memory.as_deref(), words::size);
        let largest = self.read(&path("largest"), raw.largest.as_deref(), words::size);
        Some(CacheConf {
            enabled: raw.enabled?,
            allow: raw.allow?,
            ttl: ttl?,
            scope: raw.scope?,
            tool_calls: raw.tool_calls?,
            single_flight: raw.single_flight?,
            pace: pace?,
            memory: memory?,
            largest: largest?,
        })
    }

    fn decision_log(&mut self, raw: &raw::DecisionLog) -> Option<DecisionLog> {
        /// Enough for about a hundred thousand requests.
        const MEGABYTES: u32 = 64;
        const KEEP: u32 = 4;
        let path = raw.path.as_deref().filter(|path| !path.is_empty());
        let Some(path) = path else {
            self.missing(&Path::of(&["decision_log"]), "`path` is needed", None);
            return None;
        };
        Some(DecisionLog {
            path: path.into(),
            max_bytes: u64::from(raw.max_mb.unwrap_or(MEGABYTES)) * 1_000_000,
            keep: raw.keep.unwrap_or(KEEP),
        })
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
            houses.push(HouseConf {
                name: name.clone(),
                endpoints,
                load_balancer: house.load_balancer.clone(),
                patience: self.patience(&path, house.timeouts.as_ref()),
                hedge: self.hedge(&path, house.hedge.as_ref()),
                continues: house.continue_streams.unwrap_or(false),
            });
        }
        houses
    }
}

pub(super) fn is_model_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/@+~".contains(&b))
}
