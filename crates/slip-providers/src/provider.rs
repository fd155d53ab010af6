//! What a provider is: where it listens, which credential it wants, and how it departs from its dialect. Data, no behaviour of
//! its own; one declared in a configuration file is the same struct as a built-in one.

use slip_ir::{Dialect, FaultKind, Op, Ops, Remedy};
use slip_wire::ops::Shape;
use slip_wire::quirks::MaxTokens;
use slip_wire::{Envelope, Quirks, wire};
use std::borrow::Cow;
use std::fmt;

mod blanks;
pub use blanks::{Blank, Unfilled};

/// Text that is static in a built-in provider and owned in a declared one.
pub type Str = Cow<'static, str>;
/// The same for lists.
pub type List<T> = Cow<'static, [T]>;

#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Slug, unique: what `provider.order` and the catalogue say.
    pub id: Str,
    /// Other ids people know it by (`moonshot` for `moonshotai`), unique as well.
    pub aliases: List<Str>,
    /// Display name, spelt as callers know it: the `provider` of a reply.
    pub title: Str,
    pub dialect: Dialect,
    /// Scheme, host and path prefix, without a trailing slash: `https://api.groq.com/openai/v1`. May have blanks.
    pub base: Str,
    /// The base for who has a plain key and fills no blank, where there is a door for them.
    pub bare: Option<Str>,
    /// What the addresses leave to the customer.
    pub blanks: List<Blank>,
    pub auth: Auth,
    /// Who gives out its credentials, where a plain key is not the only kind.
    pub issuer: Option<Issuer>,
    /// Environment variables that may hold a key, the best first.
    pub key_env: List<Str>,
    /// Headers every request carries, lower case.
    pub headers: List<(Str, Str)>,
    /// The chat path below `base`, where it is not the dialect's own. May have blanks, and `{model}` and `{whole|stream}`, which
    /// are filled by each request.
    pub path: Option<Str>,
    /// The path of an older API beside the newer one, for whom the blank `api_version` holds a date.
    pub dated: Option<Str>,
    pub quirks: Quirks,
    /// Models that are spoken to otherwise than its others.
    pub families: List<Family>,
    /// Other dialects it answers below the same base. A caller who speaks one of them is passed on in it, untranslated.
    pub also: List<Also>,
    /// False for those who only serve what follows.
    pub chats: bool,
    /// What it does besides chat, and how it spells it.
    pub serves: List<Serves>,
    /// Where it fills in what is missing between a prompt and a `suffix`, while other prompts are chats to it.
    pub infill: Option<Also>,
    /// Set when it runs on the operator's own machine.
    pub local: Option<Local>,
    /// How statuses of its own are to be read, where the dialect's reading would be wrong.
    pub faults: List<(u16, FaultKind, Remedy)>,
    /// Hanging up stops generation, and so the bill. Where it does not, a losing hedge is paid in full.
    pub cancel_stops_billing: bool,
    /// What it does with prompts under its ordinary terms.
    pub policy: Policy,
    pub links: Links,
    /// Where the company sits, ISO 3166-1 alpha-2.
    pub headquarters: Option<Str>,
    /// Countries it computes in, ISO 3166-1 alpha-2; empty when it does not say.
    pub datacenters: List<Str>,
    /// Its API reference.
    pub docs: Str,
    /// Where its own list of models is, below `base`, from which a leading `../` climbs; `None` when it has none.
    pub models_path: Option<Str>,
}

/// Another dialect of the same provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Also {
    pub dialect: Dialect,
    /// Below the provider's base, where it is not the dialect's own.
    pub path: Option<Str>,
    pub quirks: Quirks,
}

/// A service beside chat.
#[derive(Clone, Debug, PartialEq)]
pub struct Serves {
    pub op: Op,
    pub shape: Shape,
    /// Below the provider's base, where it is not the usual one of that spelling. Each leading `../` climbs one segment out of the
    /// base: many keep what others spell their way beside what they spell their own.
    pub path: Option<Str>,
}

/// A service at its usual path.
pub const fn serves(op: Op, shape: Shape) -> Serves {
    Serves { op, shape, path: None }
}

/// A service at this path and not at the usual one.
pub const fn serves_at(op: Op, shape: Shape, path: &'static str) -> Serves {
    Serves { op, shape, path: Some(Cow::Borrowed(path)) }
}

/// What a server of unknown making that looks like OpenAI's may be asked for: it says by itself what it does not do.
const AS_OPENAI: &[Serves] = &[
    serves(Op::Embeddings, Shape::OpenAi),
    serves(Op::Rerank, Shape::Jina),
    serves(Op::Moderation, Shape::OpenAi),
    serves(Op::Image, Shape::OpenAiLinks),
    serves(Op::Speech, Shape::OpenAi),
    serves(Op::Transcription, Shape::OpenAi),
    serves(Op::Translation, Shape::OpenAi),
];

/// Models of another author, who has another dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// How the provider's own names for them begin.
    pub names: List<Str>,
    pub dialect: Dialect,
    /// The provider's own dialect knows them too, and is spoken to whoever does not speak this one.
    pub own_too: bool,
    /// As [`Provider::path`].
    pub path: Option<Str>,
    /// Headers on top of the provider's, lower case.
    pub headers: List<(Str, Str)>,
    pub quirks: Quirks,
}

/// What is spoken to a provider about one model on behalf of one caller.
#[derive(Clone, Copy, Debug)]
pub struct Spoken<'a> {
    pub dialect: Dialect,
    pub path: Option<&'a str>,
    /// Headers on top of the provider's.
    pub headers: &'a [(Str, Str)],
    pub quirks: &'a Quirks,
}

impl Spoken<'_> {
    /// Where a request for `model` (the provider's own name for it) goes, below the base URL.
    pub fn path(&self, model: &str, stream: bool) -> String {
        match (self.path, self.quirks.envelope) {
            (Some(template), _) => blanks::path(template, model, stream),
            (None, Some(envelope)) => envelope.path(model, stream),
            (None, None) => wire(self.dialect).path(model, stream),
        }
    }
}

/// Who gives out the credentials of a cloud. They are fetched and renewed by the server; here is only whom to ask for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// Requests are signed by AWS's scheme for this service.
    Aws { service: Str },
    /// A bearer token from Google, for a service account, a person or a machine.
    Google,
    /// A bearer token from Microsoft Entra, for this scope.
    Entra { scope: Str },
}

/// How the credential travels. Never in a URL: URLs end up in logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer <key>`
    Bearer,
    /// The key alone, in the header of this (lower case) name.
    Header(Str),
    /// `authorization: <word> <key>`, where the word is not Bearer.
    Scheme(Str),
    /// No credential.
    None,
}

/// How to find a server on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    pub port: u16,
    /// A GET here that answers 200 means somebody is home. From the root, not below `base`.
    pub probe: Str,
    /// Environment variable that names another host, or `host:port`, or URL.
    pub host_env: Option<Str>,
}

/// What happens to prompts. `None` is "it does not say", which a caller who forbids it must take as yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Trains on prompts.
    pub trains: Option<bool>,
    /// Keeps prompts beyond the request.
    pub retains: Option<bool>,
    /// Keeps nothing at all, by its ordinary terms.
    pub zdr: bool,
}

/// Pages a caller may want to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    pub privacy: Option<Str>,
    pub terms: Option<Str>,
    pub status: Option<Str>,
}

impl Policy {
    /// Nothing is known.
    pub const UNKNOWN: Policy = Policy { trains: None, retains: None, zdr: false };
    /// Prompts are kept for a while (abuse watch, logs) but not learnt from.
    pub const RETAINS: Policy = Policy { trains: Some(false), retains: Some(true), zdr: false };
    /// Prompts are neither kept nor learnt from.
    pub const ZERO: Policy = Policy { trains: Some(false), retains: Some(false), zdr: true };
}

impl Provider {
    /// A server of unknown making that speaks OpenAI chat completions: what every other provider is written against.
    pub const BLANK: Provider = Provider {
        id: Cow::Borrowed(""),
        aliases: Cow::Borrowed(&[]),
        title: Cow::Borrowed(""),
        dialect: Dialect::OpenAiChat,
        base: Cow::Borrowed(""),
        bare: None,
        blanks: Cow::Borrowed(&[]),
        auth: Auth::Bearer,
        issuer: None,
        key_env: Cow::Borrowed(&[]),
        headers: Cow::Borrowed(&[]),
        path: None,
        dated: None,
        quirks: Quirks::OPENAI_CHAT,
        families: Cow::Borrowed(&[]),
        also: Cow::Borrowed(&[]),
        chats: true,
        serves: Cow::Borrowed(&[]),
        infill: None,
        local: None,
        faults: Cow::Borrowed(&[]),
        cancel_stops_billing: false,
        policy: Policy::UNKNOWN,
        links: Links { privacy: None, terms: None, status: None },
        headquarters: None,
        datacenters: Cow::Borrowed(&[]),
        docs: Cow::Borrowed(""),
        models_path: Some(Cow::Borrowed("/models")),
    };

    /// A declared provider of this dialect, ready to be filled in.
    pub fn declared(id: impl Into<String>, dialect: Dialect, base: impl Into<String>) -> Provider {
        let id = id.into();
        let (auth, quirks) = match dialect {
            Dialect::OpenAiChat => {
                (Auth::Bearer, Quirks { max_tokens: MaxTokens::AsSent, server_tools: true, ..Quirks::OPENAI_CHAT })
            }
            Dialect::Anthropic => (Auth::Header(Cow::Borrowed("x-api-key")), Quirks::ANTHROPIC),
            Dialect::Gemini => (Auth::Header(Cow::Borrowed("x-goog-api-key")), Quirks::GEMINI),
            other => (Auth::Bearer, Quirks::of(other).clone()),
        };
        let headers: List<(Str, Str)> = match dialect {
            Dialect::Anthropic => crate::anthropic::PROVIDER.headers.clone(),
            _ => Cow::Borrowed(&[]),
        };
        Provider {
            title: Cow::Owned(id.clone()),
            id: Cow::Owned(id),
            serves: Cow::Borrowed(match dialect {
                Dialect::OpenAiChat => AS_OPENAI,
                Dialect::Gemini => crate::google_ai_studio::SERVES,
                Dialect::Anthropic => crate::anthropic::SERVES,
                Dialect::Bedrock => crate::amazon_bedrock::SERVES,
                _ => &[],
            }),
            dialect,
            base: Cow::Owned(base.into()),
            auth,
            headers,
            quirks,
            ..Provider::BLANK
        }
    }

    /// The same behind a cloud that wraps the dialect: a bearer token, and no headers of the author's.
    pub fn wrapped(mut self, envelope: &'static Envelope) -> Provider {
        self.auth = Auth::Bearer;
        self.headers = Cow::Borrowed(&[]);
        self.quirks.envelope = Some(envelope);
        self
    }

    /// `path` (which may carry a query) below the base URL, or below `base` where an instance has its own.
    pub fn url(&self, base: Option<&str>, path: &str) -> Result<String, BadUrl> {
        let base = check_base(base.unwrap_or(&self.base))?;
        let bad = |why| Err(BadUrl { why, url: path.to_owned() });
        if !path.starts_with('/') {
            return bad("a path must begin with a slash");
        }
        if !path.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\') {
            return bad("a path must be percent-encoded");
        }
        // A model name travels in some paths: it must not climb out of the base.
        let (segments, _) = path.split_once('?').unwrap_or((path, ""));
        if segments.split('/').any(is_dots) {
            return bad("a path must not contain dot segments");
        }
        Ok([base, path].concat())
    }

    /// How it is asked for a service beside chat.
    pub fn service(&self, op: Op) -> Option<&Serves> {
        self.serves.iter().find(|one| one.op == op)
    }

    /// Everything that can be asked of it.
    pub fn ops(&self) -> Ops {
        let chat = if self.chats { Ops::CHAT } else { Ops::default() };
        self.serves.iter().fold(chat, |ops, one| ops.with(one.op))
    }

    /// The dialect to speak about a model (the provider's own name for it) on behalf of a caller of this one: the model's, or else
    /// the caller's own where the provider knows it.
    pub fn spoken(&self, caller: Dialect, model: &str) -> Spoken<'_> {
        let kin = |family: &&Family| {
            (!family.own_too || family.dialect == caller)
                && family.names.iter().any(|start| model.starts_with(&**start))
        };
        if let Some(Family { dialect, path, headers, quirks, .. }) = self.families.iter().find(kin) {
            return Spoken { dialect: *dialect, path: path.as_deref(), headers, quirks };
        }
        if caller != self.dialect
            && let Some(also) = self.also.iter().find(|also| also.dialect == caller)
        {
            return Spoken { dialect: caller, path: also.path.as_deref(), headers: &[], quirks: &also.quirks };
        }
        Spoken { dialect: self.dialect, path: self.path.as_deref(), headers: &[], quirks: &self.quirks }
    }

    /// [`Provider::spoken`], for a caller who may ask for what is missing in the middle of a text.
    pub fn spoken_for(&self, caller: Dialect, model: &str, infill: bool) -> Spoken<'_> {
        match &self.infill {
            Some(also) if infill && also.dialect == caller => {
                Spoken { dialect: caller, path: also.path.as_deref(), headers: &[], quirks: &also.quirks }
            }
            _ => self.spoken(caller, model),
        }
    }

    /// Where a chat request for `model` (the provider's own name for it) goes.
    pub fn chat_url(&self, base: Option<&str>, model: &str, stream: bool) -> Result<String, BadUrl> {
        self.url(base, &self.spoken(self.dialect, model).path(model, stream))
    }

    /// Header name and value that carry `key`.
    pub fn credential(&self, key: &str) -> Option<(&str, String)> {
        match &self.auth {
            // A server that wants none by itself may stand behind something that does.
            Auth::Bearer | Auth::None => Some(("authorization", format!("Bearer {key}"))),
            Auth::Header(name) => Some((name, key.to_owned())),
            Auth::Scheme(word) => Some(("authorization", format!("{word} {key}"))),
        }
    }

    /// Whether a caller who writes `name` (`provider.order`, `only`, `ignore`) means this one: slug, alias or display name.
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.trim();
        [&self.id, &self.title].into_iter().chain(self.aliases.iter()).any(|own| own.eq_ignore_ascii_case(name))
    }

    /// How an answer with this status is to be read, where the provider departs from its dialect.
    pub fn fault(&self, status: u16) -> Option<(FaultKind, Remedy)> {
        self.faults.iter().find(|(s, ..)| *s == status).map(|(_, kind, remedy)| (*kind, *remedy))
    }
}

/// `.`, `..` and their percent-encoded spellings, which servers resolve alike.
fn is_dots(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    plain == "." || plain == ".."
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadUrl {
    pub why: &'static str,
    /// What was given, without any credentials in it.
    pub url: String,
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.why, self.url)
    }
}

impl std::error::Error for BadUrl {}

/// A base URL without its trailing slashes, if it is one that requests may be sent to.
pub fn check_base(base: &str) -> Result<&str, BadUrl> {
    let trimmed = base.trim_end_matches('/');
    let bad = |why| Err(BadUrl { why, url: base.to_owned() });
    let Some((scheme, rest)) = trimmed.split_once("://") else {
        return bad("a base URL must begin with https:// or http://");
    };
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return bad("a base URL must begin with https:// or http://");
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        // Shown without what stands before the @: it may be a password.
        let host = authority.rsplit('@').next().unwrap_or_default();
        return Err(BadUrl {
            why: "a base URL must not contain a credential, give it as the key",
            url: format!("{scheme}://{host}"),
        });
    }
    if trimmed.contains(['?', '#']) {
        // Shown up to there: a query may hold a key.
        let shown = trimmed.split(['?', '#']).next().unwrap_or_default().to_owned();
        return Err(BadUrl { why: "a base URL must not have a query or a fragment", url: shown });
    }
    if authority.is_empty() || trimmed.parse::<http::Uri>().map_or(true, |u| u.host().is_none_or(str::is_empty)) {
        return bad("not a URL with a host");
    }
    if path.split('/').any(is_dots) {
        return bad("a base URL must not contain dot segments");
    }
    Ok(trimmed)
}
