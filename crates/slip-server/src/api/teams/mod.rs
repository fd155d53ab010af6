//! Workspaces, members, guardrails and keys at providers: the management API as OpenRouter has it. Members are made here too, which it leaves to its
//! sign-up.

mod assignments;
mod budgets;
mod byok;
mod fields;
mod guardrails;
mod joined;
mod members;
mod workspaces;

use super::{Query, ok, shown};
use crate::body::Body;
use crate::flow::{read, refuse};
use crate::{App, clock};
use fields::Fields;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use slip_ir::{Fault, FaultKind};
use slip_store::{Edit, Snapshot};

pub use guardrails::name as guardrail_name;

/// What is managed is small.
const MAX_BODY: u64 = 1024 * 1024;
/// Entries of a page unless another number is asked for, and at most.
const PAGE: usize = 50;
const MAX_PAGE: usize = 100;

/// What a route of this folder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Team {
    Workspaces,
    MakeWorkspace,
    Workspace,
    ChangeWorkspace,
    RemoveWorkspace,
    Budgets,
    Budget,
    PutBudget,
    RemoveBudget,
    Joined,
    Join,
    Leave,
    Members,
    MakeMember,
    Member,
    ChangeMember,
    RemoveMember,
    Guardrails,
    MakeGuardrail,
    Guardrail,
    ChangeGuardrail,
    RemoveGuardrail,
    ProviderKeys,
    MakeProviderKey,
    ProviderKey,
    ChangeProviderKey,
    RemoveProviderKey,
    /// Assignments of every guardrail, to keys and to members.
    AllKeys,
    AllMembers,
    /// Those of one.
    Keys,
    AssignKeys,
    UnassignKeys,
    Assigned,
    AssignMembers,
    UnassignMembers,
}

/// A call of this API.
struct Call<'a> {
    app: &'a App,
    captured: Vec<String>,
    query: Query,
    body: Vec<u8>,
    now_ms: i64,
}

pub async fn answer(
    app: &App,
    team: Team,
    captured: Vec<String>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    let query = Query::of(parts.uri.query().unwrap_or_default());
    let said = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
    let body = if said { read::bytes(&parts.headers, body, MAX_BODY).await.map_err(smaller)?.to_vec() } else { vec![] };
    let now_ms = i64::try_from(clock::unix_ms()).unwrap_or(i64::MAX);
    let call = Call { app, captured, query, body, now_ms };
    match team {
        Team::Workspaces => workspaces::list(&call),
        Team::MakeWorkspace => workspaces::make(&call).await,
        Team::Workspace => workspaces::one(&call),
        Team::ChangeWorkspace => workspaces::change(&call).await,
        Team::RemoveWorkspace => workspaces::remove(&call).await,
        Team::Budgets => budgets::list(&call),
        Team::Budget => budgets::one(&call),
        Team::PutBudget => budgets::put(&call).await,
        Team::RemoveBudget => budgets::remove(&call).await,
        Team::Joined => joined::list(&call),
        Team::Join => joined::join(&call).await,
        Team::Leave => joined::leave(&call).await,
        Team::Members => members::list(&call),
        Team::MakeMember => members::make(&call).await,
        Team::Member => members::one(&call),
        Team::ChangeMember => members::change(&call).await,
        Team::RemoveMember => members::remove(&call).await,
        Team::Guardrails => guardrails::list(&call),
        Team::MakeGuardrail => guardrails::make(&call).await,
        Team::Guardrail => guardrails::one(&call),
        Team::ChangeGuardrail => guardrails::change(&call).await,
        Team::RemoveGuardrail => guardrails::remove(&call).await,
        Team::ProviderKeys => byok::list(&call),
        Team::MakeProviderKey => byok::make(&call).await,
        Team::ProviderKey => byok::one(&call),
        Team::ChangeProviderKey => byok::change(&call).await,
        Team::RemoveProviderKey => byok::remove(&call).await,
        Team::AllKeys => assignments::keys(&call, None),
        Team::AllMembers => assignments::members(&call, None),
        Team::Keys => assignments::keys(&call, Some(call.name(0))),
        Team::AssignKeys => assignments::assign_keys(&call).await,
        Team::UnassignKeys => assignments::unassign_keys(&call).await,
        Team::Assigned => assignments::members(&call, Some(call.name(0))),
        Team::AssignMembers => assignments::assign_members(&call).await,
        Team::UnassignMembers => assignments::unassign_members(&call).await,
    }
}

/// The limit is this API's own, not the configuration's.
fn smaller(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::TooLarge => Fault::caller(FaultKind::TooLarge, "the request body is larger than 1 MiB"),
        _ => fault,
    }
}

impl Call<'_> {
    /// A segment of the path.
    fn name(&self, at: usize) -> &str {
        self.captured.get(at).map_or("", String::as_str)
    }

    fn fields(&self, known: &[&str]) -> Result<Fields, Fault> {
        Fields::read(&self.body, known)
    }

    /// Change the directory: see [`slip_store::Store::direct`].
    async fn direct<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&Snapshot) -> Result<(Vec<Edit>, T), Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let changed = self.app.store.direct(move |directory| decide(directory).map_err(No::Fault)).await;
        changed.map_err(|no| match no {
            No::Fault(fault) => fault,
            No::Store(e) => {
                tracing::error!("the directory could not be changed: {e}");
                Fault::house(FaultKind::Internal, "internal error: it could not be stored")
            }
        })
    }

    /// The page of these that was asked for, and how many there are.
    fn page<T>(&self, all: &[T], shown: impl Fn(&T) -> Value) -> Result<Response<Body>, Fault> {
        let offset = self.count("offset", 0..=usize::MAX)?.unwrap_or(0);
        let limit = self.count("limit", 1..=MAX_PAGE)?.unwrap_or(PAGE);
        let data: Vec<Value> = all.iter().skip(offset).take(limit).map(shown).collect();
        Ok(ok(&json!({ "data": data, "total_count": all.len() })))
    }

    fn count(&self, name: &str, range: std::ops::RangeInclusive<usize>) -> Result<Option<usize>, Fault> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|n| range.contains(n));
        let most = if *range.end() == usize::MAX { String::new() } else { format!(" and at most {}", range.end()) };
        let says = || format!("must be a whole number of at least {}{most}: {}", range.start(), shown(text));
        number.map(Some).ok_or_else(|| bad(name, says()))
    }
}

/// Why a change was not made.
enum No {
    Fault(Fault),
    Store(slip_store::Error),
}

impl From<slip_store::Error> for No {
    fn from(e: slip_store::Error) -> No {
        No::Store(e)
    }
}

fn bad(at: &str, says: impl std::fmt::Display) -> Fault {
    Fault::caller(FaultKind::BadRequest, format!("Invalid request parameters: `{at}` {says}")).at(at)
}

fn missing(what: &str, name: &str) -> Fault {
    Fault::caller(FaultKind::NotFound, format!("Resource not found: no such {what}: {}", shown(name)))
}

fn created(value: &Value) -> Response<Body> {
    refuse::json(StatusCode::CREATED, value.to_string().into_bytes())
}

fn deleted() -> Response<Body> {
    ok(&json!({ "deleted": true }))
}
