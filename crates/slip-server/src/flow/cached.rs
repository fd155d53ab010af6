//! Whether a request may be answered with what another was answered with, and whether its own answer is kept. Off, unless the
//! configuration, the key or the request says so; and then only what is whole, said freely, and nobody's secret.

use super::admit::Caller;
use super::read::Inbound;
use super::share::{Begun, Follower, Lead, Seat, Watch};
use super::{bounds, refuse};
use crate::App;
use crate::cache::LONGEST_TTL_S;
use crate::clock;
use crate::config::CacheScope;
use crate::world::World;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use slip_cache::{Entry, Form, Found, Header, Key, Keyer, Scope};
use slip_ir::{Dialect, Finish, Loss, Nano, Op, Usage};
use slip_route::{Plan, Rules};
use slip_store::Generation;
use slip_wire::ops::{Manner, multipart};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::timeout_at;

const WISH: HeaderName = HeaderName::from_static("x-openrouter-cache");
const WISH_TTL: HeaderName = HeaderName::from_static("x-openrouter-cache-ttl");
const WISH_CLEAR: HeaderName = HeaderName::from_static("x-openrouter-cache-clear");
const STATUS: HeaderName = HeaderName::from_static("x-openrouter-cache-status");
const AGE: HeaderName = HeaderName::from_static("x-openrouter-cache-age");
const TTL: HeaderName = HeaderName::from_static("x-openrouter-cache-ttl");
const SOURCE: HeaderName = HeaderName::from_static("x-openrouter-cache-source-id");

/// How often another leader is waited for after one has gone.
const TURNS: u32 = 64;
/// What is held of an answer that others wait for.
const LONGEST_SHARED: usize = 16 * 1024 * 1024;

/// What a response in OpenAI's newer dialect repeats of its request, and the digest of the body leaves out.
const REPEATED: [&str; 7] = [
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
];

thread_local! {
    static KEYER: RefCell<Keyer> = RefCell::default();
}

/// What a request's head says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub on: Option<bool>,
    /// Seconds.
    pub ttl: Option<u32>,
    /// Ask anew, whatever is kept.
    pub clear: bool,
}

impl Wish {
    /// As OpenRouter reads it: a word that is none says nothing, a time is brought within its bounds.
    pub fn of(headers: &HeaderMap) -> Wish {
        let says = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let flag = |text: &str| match text {
            _ if text.eq_ignore_ascii_case("true") => Some(true),
            _ if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        let ttl = says(WISH_TTL).and_then(|text| text.parse::<i64>().ok());
        let ttl = ttl.and_then(|ttl| u32::try_from(ttl.clamp(1, LONGEST_TTL_S.into())).ok());
        Wish { on: says(WISH).and_then(flag), ttl, clear: says(WISH_CLEAR).and_then(flag) == Some(true) }
    }
}

/// What a reply's head says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Miss,
    Hit { age_s: u64, left_s: u64, source: String },
}

impl Told {
    pub fn put(&self, headers: &mut HeaderMap) {
        match self {
            Told::Miss => drop(headers.insert(STATUS, HeaderValue::from_static("MISS"))),
            Told::Hit { age_s, left_s, source } => {
                headers.insert(STATUS, HeaderValue::from_static("HIT"));
                headers.insert(AGE, HeaderValue::from(*age_s));
                headers.insert(TTL, HeaderValue::from(*left_s));
                if let Ok(source) = HeaderValue::try_from(source) {
                    headers.insert(SOURCE, source);
                }
            }
        }
    }
}

/// What is known of an answer beside its bytes. Kept as one line of JSON in front of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// Who answered: canonical name of the model, slug and display name of the provider.
    pub model: String,
    pub slug: String,
    pub provider: String,
    /// What it was announced as, where that does not follow from the dialect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<(String, String)>,
    /// Tokens, for answers that do not tell them.
    pub input: u64,
    pub output: u64,
}

impl Note {
    pub fn losses(&self) -> Vec<Loss> {
        self.losses.iter().map(|(what, why)| Loss::new(what.clone(), why.clone())).collect()
    }

    pub fn usage(&self) -> Usage {
        Usage { input: self.input, output: self.output, ..Usage::default() }
    }

    fn write(&self, body: &[u8]) -> Bytes {
        let note = serde_json::to_vec(self).unwrap_or_default();
        let mut all = BytesMut::with_capacity(note.len() + 1 + body.len());
        all.put_slice(&note);
        all.put_u8(b'\n');
        all.put_slice(body);
        all.freeze()
    }

    fn read(all: &Bytes) -> Option<(Note, Bytes)> {
        let end = memchr::memchr(b'\n', all)?;
        let note = serde_json::from_slice(all.get(..end)?).ok()?;
        Some((note, all.slice(end + 1..)))
    }
}

/// An answer that somebody paid for.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The generation it is.
    pub source: String,
    pub form: Form,
    pub note: Arc<Note>,
    pub body: Bytes,
    pub cost: Nano,
    pub age_ms: u64,
    pub left_ms: u64,
}

impl Default for Answer {
    fn default() -> Answer {
        Answer {
            source: String::new(),
            form: Form::Whole,
            note: Arc::default(),
            body: Bytes::new(),
            cost: Nano(0),
            age_ms: 0,
            left_ms: 0,
        }
    }
}

impl Answer {
    fn of(entry: &Entry, now: i64) -> Option<Answer> {
        let (note, body) = Note::read(entry.body())?;
        let header = &entry.header;
        Some(Answer {
            source: header.generation.clone(),
            form: header.form,
            note: Arc::new(note),
            body,
            cost: header.cost,
            age_ms: header.age_ms(now),
            left_ms: header.left_ms(now),
        })
    }

    pub fn told(&self) -> Told {
        Told::Hit { age_s: self.age_ms / 1000, left_s: self.left_ms.div_ceil(1000), source: self.source.clone() }
    }
}

/// A request that is answered with what is kept, if anything is, and whose answer is kept.
pub struct Caching {
    app: Arc<App>,
    pub key: Key,
    tenant: String,
    op: Op,
    dialect: Dialect,
    ttl_ms: u64,
    clear: bool,
    single_flight: bool,
    tool_calls: bool,
    /// Of several choices one may be cut short, and the first does not tell.
    one: bool,
    largest: usize,
    manner: Manner,
}

/// `None` for most requests, after a look at two flags.
pub fn wanted(app: &Arc<App>, world: &World, caller: &Caller, inbound: &Inbound, plan: &Plan) -> Option<Box<Caching>> {
    let (wish, conf) = (inbound.heads.cache, &world.cache);
    let key = caller.key()?;
    let on = match (wish.on, key.detail.cache.as_deref()) {
        (_, Some("never")) | (Some(false), _) | (None, Some("off")) => false,
        (Some(true), said) => conf.allow || conf.enabled || said.is_some(),
        (None, Some(_)) => true,
        (None, None) => conf.enabled,
    };
    // The account of a reply's routing is not another reply's.
    if !on || inbound.heads.metadata {
        return None;
    }
    let bounds = bounds::of(app, key);
    let rules = inbound.peek.provider.as_ref().and_then(|raw| Rules::parse(raw).ok()).unwrap_or_default();
    if bounds.zero_retention || rules.zdr || rules.deny_collection {
        return None;
    }
    let scope = match key.detail.cache_scope.as_deref() {
        Some("workspace") => CacheScope::Workspace,
        Some(_) => CacheScope::Key,
        None => conf.scope,
    };
    let tenant = match scope {
        CacheScope::Key => format!("key:{}", key.hash),
        CacheScope::Workspace => format!("workspace:{}", key.workspace),
    };
    let (op, dialect) = (inbound.peek.want.op, inbound.dialect);
    let manner = match &inbound.inquiry {
        Some(inquiry) => inquiry.manner(),
        None if inbound.peek.stream => Manner::Events,
        None => Manner::Whole,
    };
    let names: Vec<&str> = plan.asked().iter().map(|asked| asked.asked.as_str()).collect();
    let policy = policy(&bounds.rules, inbound, manner);
    let scope = Scope { tenant: &tenant, policy: &policy, model: &names.join(","), op, dialect };
    let found = KEYER.with_borrow_mut(|keyer| digest(keyer, &scope, &inbound.raw))?;
    let ttl_s = wish.ttl.or(key.detail.cache_ttl).map_or(conf.ttl.as_secs(), u64::from);
    Some(Box::new(Caching {
        app: app.clone(),
        key: found,
        tenant,
        op,
        dialect,
        ttl_ms: ttl_s.clamp(1, LONGEST_TTL_S.into()) * 1000,
        clear: wish.clear,
        single_flight: conf.single_flight,
        tool_calls: conf.tool_calls,
        one: inbound.inquiry.is_some() || inbound.peek.want.n <= 1,
        largest: usize::try_from(conf.largest).unwrap_or(usize::MAX),
        manner,
    }))
}

/// Whatever beside the body shapes the answer.
fn policy(rules: &[u8; 32], inbound: &Inbound, manner: Manner) -> Vec<u8> {
    let mut policy = rules.to_vec();
    for head in [&inbound.heads.beta, &inbound.heads.anthropic_version] {
        policy.extend_from_slice(head.as_ref().map_or(b"", |value| value.as_bytes()));
        policy.push(0);
    }
    // Here the reply repeats what the request said of itself, which must not be another's.
    if inbound.dialect == Dialect::Responses {
        for name in REPEATED {
            let said = inbound.peek.member(name).and_then(|member| inbound.raw.get(member.value.clone()));
            policy.extend_from_slice(said.unwrap_or_default());
            policy.push(0);
        }
    }
    // A service's answer is kept in the form it was asked for; a chat's can be told in either.
    if let Some(inquiry) = &inbound.inquiry {
        policy.extend_from_slice(format!("{:?}{manner:?}", inquiry.shape).as_bytes());
    }
    policy
}

fn digest(keyer: &mut Keyer, scope: &Scope<'_>, raw: &Bytes) -> Option<Key> {
    if !raw.starts_with(b"--") {
        return keyer.key(scope, raw).ok();
    }
    // A form. Where its parts end differs each time, and says nothing.
    let line = memchr::memchr(b'\r', raw).and_then(|end| raw.get(2..end))?;
    let media_type = format!("multipart/form-data; boundary=\"{}\"", std::str::from_utf8(line).ok()?);
    let parts = multipart::parse(&media_type, raw).ok()?;
    let pieces = parts.iter().flat_map(|part| {
        let texts = [Some(&part.name), part.file.as_ref(), part.media_type.as_ref()];
        texts.map(|text| text.map_or(&b""[..], |text| text.as_bytes())).into_iter().chain([&part.data[..]])
    });
    Some(keyer.raw(scope, pieces))
}

/// Where a request's answer comes from.
pub enum Way {
    /// It is there. `joined`: it came while this request waited.
    Kept { answer: Arc<Answer>, joined: bool },
    /// It is on its way.
    Follow { follower: Follower, note: Arc<Note> },
    /// Somebody has to be asked.
    Own(Box<Storing>),
}

impl Caching {
    /// Look, and wait if somebody else is being answered.
    pub async fn way(self: Box<Self>, plan: &Plan, over: Instant) -> Way {
        let app = self.app.clone();
        if self.clear {
            app.cache.forget(&self.key);
            let lead = match self.single_flight.then(|| app.cache.flights.join(self.key)) {
                Some(Seat::Lead(lead)) => Some(lead),
                _ => None,
            };
            return self.own(lead);
        }
        if let Some(answer) = self.kept(plan) {
            return Way::Kept { answer, joined: false };
        }
        for _ in 0..TURNS {
            if !self.single_flight {
                break;
            }
            match app.cache.flights.join(self.key) {
                Seat::Alone => break,
                Seat::Lead(lead) => {
                    // It may have come between the look and the lead.
                    if let Some(answer) = self.arrived(plan) {
                        return Way::Kept { answer, joined: false };
                    }
                    return self.own(Some(lead));
                }
                Seat::Follow(mut follower) => {
                    let begun = async {
                        match self.manner {
                            Manner::Whole => follower.whole().await,
                            Manner::Events | Manner::Bytes => follower.begins().await,
                        }
                    };
                    match timeout_at(over.into(), begun).await {
                        Ok(Begun::Whole(answer)) if fits(&answer.note, plan) => {
                            return Way::Kept { answer, joined: true };
                        }
                        Ok(Begun::Flowing(note)) if fits(&note, plan) => return Way::Follow { follower, note },
                        // Whoever led has left: somebody else does now, perhaps this one.
                        Ok(Begun::Gone) => {}
                        Ok(_) | Err(_) => break,
                    }
                }
            }
        }
        self.own(None)
    }

    fn own(self: Box<Self>, lead: Option<Lead>) -> Way {
        self.app.cache.missed();
        let form = match (self.manner, self.op) {
            (Manner::Whole, _) => Form::Whole,
            (Manner::Events, _) => Form::Events,
            (Manner::Bytes, _) => Form::Raw,
        };
        let watch = lead.as_ref().map(Lead::watch);
        Way::Own(Box::new(Storing { caching: self, lead, watch, form, note: None, heard: Vec::new(), bytes: 0 }))
    }

    fn kept(&self, plan: &Plan) -> Option<Arc<Answer>> {
        let now = clock::unix_ms_signed();
        match self.app.cache.store.get(&self.key, now) {
            Found::Fresh(entry) => self.fit(&entry, plan, now),
            Found::Stale { .. } | Found::Miss => None,
        }
    }

    fn arrived(&self, plan: &Plan) -> Option<Arc<Answer>> {
        let now = clock::unix_ms_signed();
        let entry = self.app.cache.store.peek(&self.key, now)?;
        self.fit(&entry, plan, now)
    }

    fn fit(&self, entry: &Entry, plan: &Plan, now: i64) -> Option<Arc<Answer>> {
        let header = &entry.header;
        // It is in the key; but if it ever were not, another's answer must not be the price.
        let ours = header.tenant == self.tenant && header.dialect == self.dialect && header.status == 200;
        let answer = Answer::of(entry, now).filter(|_| ours)?;
        fits(&answer.note, plan).then(|| Arc::new(answer))
    }
}

/// Might the same model answer this request, if it were asked now?
fn fits(note: &Note, plan: &Plan) -> bool {
    plan.line().any(|(_, endpoint)| endpoint.is_some_and(|endpoint| *endpoint.model.canonical == *note.model))
}

/// An answer that will be kept if it ends well, and that others may be waiting for.
pub struct Storing {
    caching: Box<Caching>,
    lead: Option<Lead>,
    watch: Option<Watch>,
    form: Form,
    note: Option<Note>,
    heard: Vec<Bytes>,
    bytes: usize,
}

impl Storing {
    /// A stream begins.
    pub fn flows(&mut self, source: &str, note: Note) {
        if let Some(lead) = &self.lead {
            lead.flows(source, Arc::new(note.clone()));
        }
        self.note = Some(note);
    }

    /// The next part of it, which ends where an event does. Signs of life are for whoever is there to see them.
    pub fn hears(&mut self, more: &[u8]) {
        let most = if self.lead.is_some() { LONGEST_SHARED } else { self.caching.largest };
        self.bytes = self.bytes.saturating_add(more.len());
        if self.bytes > most {
            self.heard = Vec::new();
            if let Some(lead) = self.lead.take() {
                lead.failed("is too long to be shared");
            }
            return;
        }
        let mut rest = more;
        while let Some(after) = rest.strip_prefix(super::relay::KEEPALIVE) {
            rest = after;
        }
        if rest.is_empty() {
            return;
        }
        let piece = Bytes::copy_from_slice(rest);
        if let Some(lead) = &mut self.lead {
            lead.more(piece.clone());
        }
        self.heard.push(piece);
    }

    /// All of it, which is not streamed.
    pub fn answered(&mut self, note: Note, bytes: &Bytes) {
        self.note = Some(note);
        self.bytes = bytes.len();
        self.heard = vec![bytes.clone()];
    }

    /// Looks after it, where others may wait for it.
    pub fn watch(&self) -> Option<Watch> {
        self.watch.clone()
    }

    /// It went on for others after its caller had left.
    pub fn is_left(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::has_left)
    }

    /// Others read along.
    pub fn is_followed(&self) -> bool {
        self.lead.as_ref().is_some_and(|lead| lead.followers() > 0)
    }

    /// It is over, and this is its record. A failure is told to those who wait, each of whom then asks for themselves.
    pub fn ends(mut self, row: &Generation, calls: bool) {
        let lead = self.lead.take();
        if let Some(error) = &row.error {
            if let Some(lead) = lead {
                lead.failed(&format!("broke off: {}", error.message));
            }
            return;
        }
        let Some(mut note) = self.note.take().filter(|_| !self.heard.is_empty()) else { return };
        (note.input, note.output) = (row.tokens.prompt_total(), row.tokens.completion_total());
        let body = match self.heard.as_slice() {
            [one] => one.clone(),
            many => many.concat().into(),
        };
        let cost = Nano(row.cost.0.saturating_add(row.own_key_cost().0));
        if self.is_kept(row, calls, body.len()) {
            let (caching, now) = (&self.caching, clock::unix_ms_signed());
            let header = Header {
                tenant: caching.tenant.clone(),
                model: note.model.clone(),
                generation: row.id.clone(),
                dialect: caching.dialect,
                form: self.form,
                status: 200,
                created_ms: now,
                ttl_ms: caching.ttl_ms,
                stale_ms: 0,
                cost,
                took_ms: row.total_ms,
            };
            caching.app.cache.store.put(Entry::new(caching.key, header, note.write(&body)), now);
        }
        if let Some(lead) = lead {
            lead.done(Arc::new(Answer {
                source: row.id.clone(),
                form: self.form,
                note: Arc::new(note),
                body,
                cost,
                age_ms: 0,
                left_ms: self.caching.ttl_ms,
            }));
        }
    }

    /// Whole, said to its end, and nothing that does something.
    fn is_kept(&self, row: &Generation, calls: bool, bytes: usize) -> bool {
        let chat = self.caching.op == Op::Chat;
        let whole = match row.finish {
            Some(Finish::Stop) => true,
            Some(Finish::ToolCalls) => self.caching.tool_calls,
            Some(Finish::Length | Finish::ContentFilter | Finish::Error) => false,
            None => !chat,
        };
        // Whoever asked may have left, while others read it to its end.
        whole
            && (row.status == 200 || row.cancelled)
            && self.caching.one
            && (!calls || self.caching.tool_calls)
            && bytes <= self.caching.largest
    }
}

/// Of what an answer was announced as, where a service says it.
pub fn media_type(note: &Note) -> HeaderValue {
    note.media_type.as_deref().and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or(refuse::JSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_head_says_is_read_as_openrouter_reads_it() {
        let on = Wish { on: Some(true), ..Wish::default() };
        let rows: &[(&[(&str, &str)], Wish)] = &[
            (&[], Wish::default()),
            (&[("x-openrouter-cache", "true")], on),
            (&[("x-openrouter-cache", " TRUE ")], on),
            (&[("x-openrouter-cache", "false")], Wish { on: Some(false), ..on }),
            (&[("x-openrouter-cache", "yes")], Wish::default()),
            (&[("x-openrouter-cache", "true"), ("x-openrouter-cache-ttl", "60")], Wish { ttl: Some(60), ..on }),
            (&[("x-openrouter-cache", "true"), ("x-openrouter-cache-ttl", "0")], Wish { ttl: Some(1), ..on }),
            (&[("x-openrouter-cache", "true"), ("x-openrouter-cache-ttl", "-7")], Wish { ttl: Some(1), ..on }),
            (
                &[("x-openrouter-cache", "true"), ("x-openrouter-cache-ttl", "1000000")],
                Wish { ttl: Some(86_400), ..on },
            ),
            (&[("x-openrouter-cache", "true"), ("x-openrouter-cache-ttl", "soon")], on),
            (&[("x-openrouter-cache", "true"), ("x-openrouter-cache-clear", "true")], Wish { clear: true, ..on }),
        ];
        for (said, wish) in rows {
            let headers: HeaderMap = said
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(Wish::of(&headers), *wish, "{said:?}");
        }
    }

    #[test]
    fn a_note_stands_in_front_of_the_bytes_and_is_read_again() {
        let note = Note { model: "a/m\n".into(), losses: vec![("x".into(), "y".into())], output: 7, ..Note::default() };
        for body in [&b""[..], b"{\"a\":\n1}", b"\xff\n\x00"] {
            let written = note.write(body);
            assert_eq!(Note::read(&written), Some((note.clone(), Bytes::copy_from_slice(body))));
        }
        assert_eq!(Note::read(&Bytes::from_static(b"{}")), None);
        assert_eq!(Note::read(&Bytes::from_static(b"no\n{}")), None);
    }

    #[test]
    fn of_a_form_its_parts_count_and_not_its_boundary() {
        let scope = Scope { tenant: "t", policy: b"", model: "m", op: Op::Transcription, dialect: Dialect::OpenAiChat };
        let form = |boundary: &str, text: &str| {
            let part = "Content-Disposition: form-data; name=\"prompt\"";
            let body = format!("--{boundary}\r\n{part}\r\n\r\n{text}\r\n--{boundary}--\r\n");
            digest(&mut Keyer::default(), &scope, &Bytes::from(body))
        };
        assert!(form("a1", "x").is_some());
        assert_eq!(form("a1", "x"), form("b2", "x"));
        assert_ne!(form("a1", "x"), form("a1", "y"));
    }
}
