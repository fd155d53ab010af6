//! A simulated provider: a real socket, a real dialect, a model that answers by rule, and faults on demand.
//!
//! The same request and seed give the same reply, byte for byte (the prompt cache apart, which remembers). What it says is in
//! [`mind`], how many tokens that is in [`tokens`].

mod anthropic;
pub(crate) mod ask;
pub(crate) mod bedrock;
mod cohere;
mod gemini;
mod media;
pub(crate) mod mind;
mod ollama;
mod openai;
mod picture;
pub(crate) mod plan;
mod responses;
mod schema;
mod services;
mod sign;
pub(crate) mod speak;
pub mod tokens;
mod tools;

use crate::fault::{Fault, Mode};
use crate::http::{Answer as Answers, Incoming, Outgoing, Server, listen};
use crate::journal::Journal;
use ask::{Ask, Refusal, Why};
use serde_json::Value;
use slip_ir::Dialect;
use speak::{Route, Speak, speaker};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Prefixes the prompt cache remembers; then it starts afresh.
const MAX_CACHED: usize = 64 * 1024;
/// Shorter prefixes are not cached, and longer ones in steps of this.
const CACHE_STEP: u64 = 16;

#[derive(Clone, Debug)]
pub struct SimConfig {
    /// For error messages and the `x-simulated` header.
    pub name: String,
    pub dialect: Dialect,
    /// Upstream model ids; empty accepts any. `author/slug` and `slug` are taken for the same.
    pub models: Vec<String>,
    /// Until the first token of a stream. A plain reply takes this and the time its tokens need.
    pub ttft: Duration,
    /// 0: as fast as possible.
    pub tokens_per_second: f64,
    pub fault: Option<Fault>,
    pub seed: u64,
    /// The credential expected; `None` accepts any.
    pub key: Option<String>,
    pub listen: SocketAddr,
}

impl Default for SimConfig {
    fn default() -> SimConfig {
        SimConfig {
            name: "sim".to_owned(),
            dialect: Dialect::OpenAiChat,
            models: Vec::new(),
            ttft: Duration::ZERO,
            tokens_per_second: 0.0,
            fault: None,
            seed: 1,
            key: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// A running provider. Dropping it stops it.
pub struct Sim {
    server: Server,
    brain: Arc<Brain>,
    journal: Journal,
}

impl Sim {
    /// Listens and serves on the current runtime.
    pub async fn start(config: SimConfig) -> anyhow::Result<Sim> {
        let journal = Journal::new();
        let state =
            State { fault: config.fault.clone(), dice: fastrand::Rng::with_seed(config.seed), cache: HashSet::new() };
        let listen_on = config.listen;
        let brain = Arc::new(Brain { speaks: speaker(config.dialect), config, state: Mutex::new(state) });
        let server = listen(listen_on, brain.clone(), journal.clone()).await?;
        Ok(Sim { server, brain, journal })
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// What a gateway's configuration calls the base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.server.addr, self.brain.speaks.base())
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    pub fn config(&self) -> &SimConfig {
        &self.brain.config
    }

    /// From the next request on.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.brain.state.lock().unwrap_or_else(PoisonError::into_inner).fault = fault;
    }

    /// Closes the listener and every connection.
    pub fn stop(&self) {
        self.server.stop();
    }
}

struct Brain {
    config: SimConfig,
    speaks: &'static dyn Speak,
    state: Mutex<State>,
}

struct State {
    fault: Option<Fault>,
    dice: fastrand::Rng,
    /// Fingerprints of prompts sent before.
    cache: HashSet<u64>,
}

impl Answers for Brain {
    fn answer(&self, request: &Incoming) -> Outgoing {
        let id = ask::mix(self.config.seed, ask::hash(&request.body));
        if let Some(service) = services::find(request) {
            return self.marked(self.reckon(&service, request, id), id);
        }
        if let Some(service) = media::service(self.config.dialect, request) {
            let reply = match self.admit(request) {
                Ok(()) => self.serve(service, request, id),
                Err(refusal) => self.refuse(&refusal, id),
            };
            return self.marked(reply, id);
        }
        let reply = match self.speaks.route(request) {
            Route::Lost => {
                let message = format!("no such endpoint: {} {}", request.method, request.path());
                self.refuse(&Refusal::new(404, Why::Status, message), id)
            }
            route => match self.admit(request) {
                Err(refusal) => self.refuse(&refusal, id),
                Ok(()) if route == Route::Models => Outgoing::json(200, &self.speaks.models(&self.config.models)),
                Ok(()) => self.generate(request, id),
            },
        };
        self.marked(reply, id)
    }
}

impl Brain {
    fn marked(&self, reply: Outgoing, id: u64) -> Outgoing {
        reply.header("x-request-id", format!("req_{id:016x}")).header("x-simulated", self.config.name.clone())
    }

    /// A service beside chat; it fails as a chat would.
    fn reckon(&self, service: &services::Service, request: &Incoming, id: u64) -> Outgoing {
        let served = self.admit(request).and_then(|()| service.serve(request));
        let served = served.and_then(|served| self.knows(&served.model).map(|()| served));
        let served = match served {
            Ok(served) => served,
            Err(refusal) => {
                let told = services::told(self.speaks, service, &refusal, id);
                let mut reply = Outgoing::json(told.status, &told.body);
                reply.headers.extend(told.headers);
                return reply;
            }
        };
        let mode = self.strikes();
        let speaks = services::Serving { dialect: self.speaks, service, served: &served };
        let ask = Ask { id, ..Ask::default() };
        let answer = mind::Answer { prompt_tokens: served.tokens, ..mind::Answer::default() };
        let mut reply = plan::plan(&speaks, &self.config, request, &ask, &answer, mode.as_ref());
        reply.note.model = Some(served.model.clone());
        reply.note.fault = mode.map(|m| m.to_string());
        reply
    }

    fn admit(&self, request: &Incoming) -> Result<(), Refusal> {
        let Some(key) = &self.config.key else { return Ok(()) };
        if self.speaks.credential(request).as_ref() == Some(key) { Ok(()) } else { Err(self.unauthorised()) }
    }

    fn unauthorised(&self) -> Refusal {
        let refusal = self.speaks.mode_refusal(&Mode::Auth);
        refusal.unwrap_or_else(|| Refusal::new(401, Why::Auth, "wrong credential"))
    }

    fn refuse(&self, refusal: &Refusal, id: u64) -> Outgoing {
        let told = self.speaks.refusal(refusal, id);
        let mut reply = Outgoing::json(told.status, &told.body);
        reply.headers.extend(told.headers);
        reply
    }

    fn generate(&self, request: &Incoming, id: u64) -> Outgoing {
        let mode = self.strikes();
        let mut ask = match self.understand(request) {
            Ok(ask) => ask,
            Err(refusal) => return self.refuse(&refusal, id),
        };
        ask.id = id;
        let mut answer = mind::answer(&ask);
        if ask.caches {
            (answer.cached, answer.cache_written) = self.remember(&ask);
        }
        let mut reply = plan::plan(self.speaks, &self.config, request, &ask, &answer, mode.as_ref());
        reply.note.model = Some(ask.model);
        reply.note.fault = mode.map(|m| m.to_string());
        reply
    }

    fn understand(&self, request: &Incoming) -> Result<Ask, Refusal> {
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|e| Refusal::invalid(format!("the body of the request is not JSON: {e}")))?;
        if !body.is_object() {
            return Err(Refusal::invalid("the body of the request is not a JSON object"));
        }
        let ask = self.speaks.ask(request, &body)?;
        self.knows(&ask.model)?;
        Ok(ask)
    }

    fn knows(&self, model: &str) -> Result<(), Refusal> {
        let known = |m: &String| *m == model || m.ends_with(&format!("/{model}")) || model.ends_with(&format!("/{m}"));
        if self.config.models.is_empty() || self.config.models.iter().any(known) {
            return Ok(());
        }
        Err(Refusal::new(404, Why::NotFound, format!("The model `{model}` does not exist")).at("model"))
    }

    /// The fault that strikes this request.
    fn strikes(&self) -> Option<Mode> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = state.fault.clone()?;
        (fault.rate >= 1.0 || state.dice.f64() < fault.rate).then_some(fault.mode)
    }

    /// How much of the prompt was sent before, and how much is new to the cache.
    fn remember(&self, ask: &Ask) -> (u64, u64) {
        let step = |tokens: u64| tokens / CACHE_STEP * CACHE_STEP;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = ask.prompt.marks.iter().filter(|(mark, _)| state.cache.contains(mark)).map(|(_, tokens)| *tokens);
        let cached = step(seen.max().unwrap_or(0));
        if state.cache.len() + ask.prompt.marks.len() > MAX_CACHED {
            state.cache.clear();
        }
        state.cache.extend(ask.prompt.marks.iter().map(|(mark, _)| *mark));
        (cached, step(ask.prompt.tokens).saturating_sub(cached))
    }
}
