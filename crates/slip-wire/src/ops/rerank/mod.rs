//! Reranking: documents in the order of how well they answer a query.
//!
//! Everybody took Cohere's first spelling and changed a word or two, so that one reader understands all callers and one all
//! providers; only who is written to makes a difference.

mod ask;
#[cfg(test)]
mod tests;
mod told;
mod write;

use super::{Answer, Body, Sent, Shape, unknown};
use crate::lens::not_json;
use crate::{Malformed, Stamp, json};
use slip_ir::{Fault, Raw, Usage, Want};

/// Documents of one request: Cohere's own limit.
pub const MAX_DOCUMENTS: usize = 10_000;
/// So many documents make one search, where searches are counted and the provider does not say how many it took.
const PER_SEARCH: u64 = 100;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub query: String,
    pub documents: Vec<Document>,
    /// How many of the best are wanted; all where it is not said.
    pub top: Option<u64>,
    /// Whether they are to be repeated in the answer, where the caller says.
    pub echo: Option<bool>,
    /// Members only the caller's spelling knows, in order.
    pub extra: Vec<(String, Raw)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    Text(String),
    /// An object with more than a text, as it came: `{"text": …, "image": …}`.
    Parts(Raw),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub ranks: Vec<Rank>,
    pub usage: Option<Usage>,
    /// Searches the provider says it made.
    pub searches: Option<u64>,
    pub id: Option<String>,
}

/// The place of a document, with the digits of its score as the provider wrote them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    pub index: usize,
    pub score: Raw,
}

impl Rank {
    fn value(&self) -> f64 {
        self.score.as_str().parse().unwrap_or(f64::MIN)
    }
}

impl Task {
    /// Bytes of text, the query read once for each document as the providers count it.
    pub(super) fn wants(&self, want: &mut Want) {
        let mut bytes = self.query.len() * self.documents.len();
        for document in &self.documents {
            match document {
                Document::Text(text) => bytes += text.len(),
                Document::Parts(raw) => {
                    bytes += raw.as_str().len();
                    if json::field(raw.as_str().as_bytes(), "image").is_some_and(|image| image != b"null") {
                        want.media.insert(slip_ir::MediaKind::Image);
                    }
                }
            }
        }
        want.prompt_tokens = (bytes as u64).div_ceil(4);
    }
}

pub(super) fn read(body: &[u8]) -> Result<Task, Malformed> {
    ask::read(body)
}

pub(super) fn lower(task: &Task, caller: Shape, to: Shape, model: &str) -> Result<Sent, Malformed> {
    ask::lower(task, caller, to, model)
}

#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub(super) fn reply(task: &Task, caller: Shape, body: Body<'_>, stamp: &Stamp) -> Result<Answer, Fault> {
    let bytes = body.bytes.as_ref();
    if json::check(bytes).is_err() {
        return Err(not_json());
    }
    let mut reply = told::parse(bytes).filter(|reply| !reply.ranks.is_empty()).ok_or_else(|| unknown("no ranking"))?;
    let mut seen = vec![false; task.documents.len()];
    for rank in &reply.ranks {
        match seen.get_mut(rank.index) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(unknown(format_args!("a rank for document {}", rank.index))),
        }
    }
    // Some give them in the order of the documents, and some give all of them whatever was asked.
    reply.ranks.sort_by(|a, b| b.value().total_cmp(&a.value()));
    reply.ranks.truncate(task.top.map_or(usize::MAX, |top| usize::try_from(top).unwrap_or(usize::MAX)));
    let usage = usage(task, &reply, stamp);
    write::answer(task, caller, &reply, usage, stamp).ok_or_else(|| unknown("a score that is not a number"))
}

/// What it took. Where the price is one per search and nobody counted them, they are counted here.
fn usage(task: &Task, reply: &Reply, stamp: &Stamp) -> Usage {
    let mut usage = reply.usage.clone().unwrap_or_else(|| Usage {
        input: stamp.prompt_estimate,
        estimated: true,
        ..Usage::default()
    });
    let by_search = stamp.price.as_ref().is_some_and(|price| price.search.0 > 0);
    match reply.searches {
        Some(searches) => usage.searches = searches,
        None if by_search => {
            usage.searches = (task.documents.len() as u64).div_ceil(PER_SEARCH);
            usage.estimated = true;
        }
        None => {}
    }
    usage
}
