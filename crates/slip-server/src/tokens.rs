//! Credentials that are fetched and renewed: access tokens of clouds, and the keys that sign requests.
//!
//! A [`Keeper`] looks after one of them. Its task, and nothing else, asks the issuer: ahead of the end, one question at a time, with
//! pauses that grow while the issuer fails. A request takes what is ready. Only while the very first answer is on its way does it
//! wait, a bounded while. Whatever goes wrong is told to callers without the issuer's words; the operator's log has them.

mod aws;
mod call;
mod entra;
mod google;
mod sign;
#[cfg(test)]
mod tests;

use crate::clock;
use crate::config::{AwsKeys, Credential};
use crate::upstream::{Failed, Sent, Target};
use aws_credential_types::Credentials;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use slip_ir::{Fault, FaultKind, Remedy};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// One question to an issuer, its retries not counted.
const FETCH: Duration = Duration::from_secs(30);
/// A request waits this long for the first answer of all.
const FIRST: Duration = Duration::from_secs(10);
/// Renewed this long before the end, or half-way where the whole is shorter: an issuer may be away for minutes.
const AHEAD: Duration = Duration::from_secs(5 * 60);
/// The shortest pause between two questions: an issuer that gives out stale tokens must not be asked without end.
const LEAST: Duration = Duration::from_secs(1);
/// The longest pause after a failure.
const MOST: Duration = Duration::from_secs(60);
/// What has no end may be replaced all the same: a file of keys is looked at again after this.
const LOOK: Duration = Duration::from_secs(15 * 60);
/// A provider that refuses a credential has it asked for anew, but not sooner than this after the last answer.
const DOUBT: Duration = Duration::from_secs(30);
/// Slept at once: the wall clock may jump while the machine is asleep.
const NAP: Duration = Duration::from_secs(30);
/// No issuer's token is longer; a header has to carry it.
const MAX_TOKEN: usize = 16 * 1024;

/// What opens the door at a provider.
pub enum Pass {
    /// `authorization`, marked sensitive.
    Bearer(HeaderValue),
    Aws(Credentials),
}

impl Pass {
    fn bearer(token: &str) -> Result<Pass, Trouble> {
        let fine = !token.is_empty() && token.len() <= MAX_TOKEN;
        let value = fine.then(|| HeaderValue::try_from(format!("Bearer {token}")).ok()).flatten();
        let mut value = value.ok_or_else(|| Trouble::new("the issuer answered without a usable token"))?;
        value.set_sensitive(true);
        Ok(Pass::Bearer(value))
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pass::Bearer(_) => "Bearer(…)",
            Pass::Aws(_) => "Aws(…)",
        })
    }
}

/// An answer of an issuer.
#[derive(Debug)]
struct Fresh {
    pass: Pass,
    /// Unix milliseconds; `None` is for ever.
    expires: Option<u64>,
}

/// Why there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    /// For callers: what and what to do, no names of the operator's.
    says: String,
    /// For the operator, where there is more to say.
    detail: Option<String>,
}

impl Trouble {
    fn new(says: impl Into<String>) -> Trouble {
        Trouble { says: says.into(), detail: None }
    }

    fn detailed(mut self, detail: impl Into<String>) -> Trouble {
        self.detail = Some(detail.into());
        self
    }
}

/// Looks after one credential of one provider. Dropping it ends its task.
pub struct Keeper {
    conf: Credential,
    shared: Arc<Shared>,
    task: OnceLock<AbortHandle>,
}

struct Shared {
    provider: String,
    source: Source,
    state: watch::Sender<State>,
    /// A provider refused it.
    doubted: Notify,
    doubt: Duration,
}

#[derive(Default)]
struct State {
    ready: Option<Ready>,
    trouble: Option<Trouble>,
    /// The issuer has answered, or failed, at least once.
    asked: bool,
}

#[derive(Clone)]
struct Ready {
    pass: Arc<Pass>,
    expires: Option<u64>,
}

enum Source {
    /// Given by the configuration: it never ends.
    Fixed,
    Aws(aws::Chain),
    Entra(entra::Entra),
    Google(google::Google),
}

impl Source {
    async fn fetch(&self) -> Result<Fresh, Trouble> {
        match self {
            Source::Fixed => Err(Trouble::new("a fixed credential is not renewed")),
            Source::Aws(chain) => chain.fetch().await,
            Source::Entra(entra) => entra.fetch().await,
            Source::Google(google) => google.fetch().await,
        }
    }
}

impl Keeper {
    pub fn new(provider: &str, conf: Credential) -> Keeper {
        let mut state = State::default();
        let source = match &conf {
            Credential::Aws(aws) => match &aws.keys {
                AwsKeys::Fixed { id, secret, session } => {
                    let session = session.as_ref().map(|s| s.expose().to_owned());
                    let keys = Credentials::new(id, secret.expose(), session, None, "configuration");
                    state.ready = Some(Ready { pass: Arc::new(Pass::Aws(keys)), expires: None });
                    Source::Fixed
                }
                AwsKeys::Chain { profile } => Source::Aws(aws::Chain::new(&aws.region, profile.as_deref())),
            },
            Credential::Entra(conf) => Source::Entra(entra::Entra::new(conf.clone())),
            Credential::Google(conf) => Source::Google(google::Google::new(conf.clone())),
        };
        let shared = Shared {
            provider: provider.to_owned(),
            source,
            state: watch::Sender::new(state),
            doubted: Notify::new(),
            doubt: DOUBT,
        };
        Keeper { conf, shared: Arc::new(shared), task: OnceLock::new() }
    }

    /// The same credential of the same provider.
    pub fn is(&self, other: &Keeper) -> bool {
        self.conf == other.conf && self.shared.provider == other.shared.provider
    }

    /// Begin to look after it. Needs a runtime, which must outlive the requests.
    pub fn start(&self) {
        if !matches!(self.shared.source, Source::Fixed) {
            self.task.get_or_init(|| tokio::spawn(keep(self.shared.clone())).abort_handle());
        }
    }

    /// A provider answered this to what the credential opened: it may have been revoked, or its keys replaced.
    pub fn hear(&self, fault: &Fault) {
        if fault.kind == FaultKind::UpstreamAuth {
            self.shared.doubted.notify_one();
        }
    }

    /// The credential in force, or why there is none.
    async fn pass(&self, patience: Duration) -> Result<Arc<Pass>, Fault> {
        if let Some(settled) = self.settled() {
            return settled;
        }
        let mut state = self.shared.state.subscribe();
        let _ = timeout(patience.min(FIRST), state.wait_for(|state| state.asked)).await;
        self.settled().unwrap_or_else(|| Err(self.fault("its issuer has not answered yet")))
    }

    fn settled(&self) -> Option<Result<Arc<Pass>, Fault>> {
        let state = self.shared.state.borrow();
        let good = |ready: &&Ready| ready.expires.is_none_or(|end| clock::unix_ms() < end);
        match (state.ready.as_ref().filter(good), &state.trouble) {
            (Some(ready), _) => Some(Ok(ready.pass.clone())),
            (None, Some(trouble)) => Some(Err(self.fault(&trouble.says))),
            (None, None) if state.asked => Some(Err(self.fault("it has ended and is being renewed"))),
            (None, None) => None,
        }
    }

    fn fault(&self, why: &str) -> Fault {
        let says = format!("no credential for {}: {why}", self.shared.provider);
        Fault::upstream(FaultKind::UpstreamAuth, Remedy::Elsewhere, says)
    }

    /// Put what opens the door into the headers of a request that will be sent as it is. `path` is below the target's prefix.
    pub async fn admit(
        &self,
        target: &Target,
        path: &str,
        body: &[u8],
        patience: Duration,
        headers: &mut Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), Failed> {
        let not_sent = |fault| Failed { fault, sent: Sent::NotSent };
        let pass = self.pass(patience).await.map_err(not_sent)?;
        match (&*pass, &self.conf) {
            (Pass::Bearer(value), _) => headers.push((AUTHORIZATION, value.clone())),
            (Pass::Aws(keys), Credential::Aws(aws)) => {
                let url = target.url(path).ok_or_else(|| not_sent(self.fault("its address cannot be signed")))?;
                let now = UNIX_EPOCH + Duration::from_millis(clock::unix_ms());
                let signed = sign::sign(keys, &aws.region, &aws.service, &url, body, now);
                headers.extend(signed.map_err(|()| not_sent(self.fault("the request cannot be signed")))?);
            }
            (Pass::Aws(_), _) => return Err(not_sent(self.fault("it is of the wrong kind"))),
        }
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keeper({})", self.shared.provider)
    }
}

/// Ask, wait, ask again, until the keeper is dropped.
async fn keep(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        let answer = timeout(FETCH, shared.source.fetch()).await;
        let answer = answer.unwrap_or_else(|_| Err(Trouble::new("its issuer did not answer in time")));
        let now = clock::unix_ms();
        let pause = match answer {
            Ok(fresh) => {
                failures = 0;
                let expires = fresh.expires;
                shared.state.send_modify(|state| {
                    state.ready = Some(Ready { pass: Arc::new(fresh.pass), expires });
                    state.trouble = None;
                    state.asked = true;
                });
                tracing::debug!("a credential for {} was fetched", shared.provider);
                expires.map_or(LOOK, |end| ahead(end.saturating_sub(now)))
            }
            Err(trouble) => {
                failures += 1;
                let detail = trouble.detail.as_deref().map(|d| format!(" ({d})")).unwrap_or_default();
                tracing::warn!("no credential for {}: {}{detail}", shared.provider, trouble.says);
                shared.state.send_modify(|state| {
                    state.trouble = Some(trouble);
                    state.asked = true;
                });
                backoff(failures)
            }
        };
        let mut until = now.saturating_add(clock::ms(pause));
        loop {
            let left = Duration::from_millis(until.saturating_sub(clock::unix_ms()));
            if left.is_zero() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(NAP)) => {}
                () = shared.doubted.notified() => until = until.min(now.saturating_add(clock::ms(shared.doubt))),
            }
        }
    }
}

/// How long to wait with renewing what has `left` milliseconds to go.
fn ahead(left: u64) -> Duration {
    let left = Duration::from_millis(left);
    left.saturating_sub(AHEAD.min(left / 2)).max(LEAST)
}

/// The pause after so many failures in a row, a little uneven, so that many gateways do not ask at once.
fn backoff(failures: u32) -> Duration {
    let doubled = LEAST.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(MOST);
    doubled.mul_f64(0.8 + 0.4 * fastrand::f64())
}
