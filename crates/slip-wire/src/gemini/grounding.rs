//! Citations: `groundingMetadata` and `citationMetadata` told as OpenRouter's `url_citation` annotations, and back.
//!
//! Google counts in bytes of UTF-8, OpenAI's clients in characters.

use super::tree::{self, Members, Node};
use serde_json::value::RawValue;
use slip_ir::Raw;

/// Offsets are converted by walking the text; this bounds the walks.
const MOST_SUPPORTS: usize = 1000;
/// Every support repeats its sources: a thousand of each would make a million annotations of one reply.
const MOST_CITATIONS: usize = 2000;
/// Longer names and excerpts would be copied into every annotation.
const LONGEST: usize = 8192;

/// The annotations of one candidate whose visible text so far is `text`.
pub(super) fn read(candidate: &Members<'_>, text: &str, out: &mut Vec<Raw>) {
    if let Some(grounding) = candidate.get("groundingMetadata").and_then(Members::of) {
        read_grounding(&grounding, text, out);
    }
    if let Some(citations) = candidate.get("citationMetadata").and_then(Members::of) {
        // The Gemini API and Vertex AI name the list differently.
        let list = citations.get("citationSources").or_else(|| citations.get("citations"));
        for raw in list.and_then(tree::list).unwrap_or_default().into_iter().take(MOST_SUPPORTS) {
            let Some(m) = Members::of(raw) else { continue };
            let string = |name: &str| m.get(name).and_then(tree::string).filter(|text| text.len() <= LONGEST);
            let Some(uri) = string("uri") else { continue };
            let (start, end) = span(&m, text).unwrap_or((0, 0));
            let title = string("title");
            out.extend(annotation(&uri, title.as_deref(), None, start, end));
        }
    }
}

/// How many searches the provider made, as far as it says.
pub(super) fn searches(candidate: &Members<'_>) -> u64 {
    let grounding = candidate.get("groundingMetadata").and_then(Members::of);
    let queries = grounding.and_then(|m| m.get("webSearchQueries").and_then(tree::list));
    queries.map_or(0, |list| list.len() as u64)
}

struct Source {
    uri: String,
    title: Option<String>,
    content: Option<String>,
}

fn source(raw: &RawValue) -> Option<Source> {
    let chunk = Members::of(raw)?;
    let (_, raw) = chunk.iter().find(|(kind, _)| matches!(*kind, "web" | "retrievedContext" | "maps"))?;
    let m = Members::of(raw)?;
    let text = |name: &str| m.get(name).and_then(tree::string).filter(|text| text.len() <= LONGEST);
    // A file search store has no address; its name is what a reader can look up.
    let uri = text("uri").or_else(|| text("fileSearchStore")).or_else(|| text("title"))?;
    Some(Source { uri, title: text("title"), content: text("text") })
}

fn read_grounding(m: &Members<'_>, text: &str, out: &mut Vec<Raw>) {
    let chunks = m.get("groundingChunks").and_then(tree::list).unwrap_or_default();
    let sources: Vec<Option<Source>> = chunks.into_iter().take(MOST_SUPPORTS).map(source).collect();
    let Some(supports) = m.get("groundingSupports").and_then(tree::list) else {
        for source in sources.iter().flatten() {
            out.extend(annotation(&source.uri, source.title.as_deref(), source.content.as_deref(), 0, 0));
        }
        return;
    };
    for raw in supports.into_iter().take(MOST_SUPPORTS) {
        let Some(support) = Members::of(raw) else { continue };
        let segment = support.get("segment").and_then(Members::of);
        let (start, end) = segment.and_then(|segment| span(&segment, text)).unwrap_or((0, 0));
        let indices: Vec<u64> = support
            .get("groundingChunkIndices")
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        if out.len() >= MOST_CITATIONS {
            return;
        }
        for index in indices.into_iter().take(sources.len()) {
            let Some(Some(source)) = usize::try_from(index).ok().and_then(|index| sources.get(index)) else { continue };
            out.extend(annotation(&source.uri, source.title.as_deref(), source.content.as_deref(), start, end));
        }
    }
}

/// The characters a segment covers. Its own text is believed over its offsets, which count within one part.
fn span(segment: &Members<'_>, text: &str) -> Option<(usize, usize)> {
    let offset = |name: &str| segment.get(name).and_then(tree::count).map_or(0, |n| usize::try_from(n).unwrap_or(0));
    let (start, end) = (offset("startIndex"), offset("endIndex"));
    let quoted = segment.get("text").and_then(tree::string).filter(|quoted| !quoted.is_empty());
    let found = match (text.get(start..end), quoted) {
        (Some(told), Some(quoted)) if told == quoted => (start, end),
        (_, Some(quoted)) => text.find(&quoted).map(|at| (at, at + quoted.len()))?,
        (Some(_), None) if end > start => (start, end),
        _ => return None,
    };
    let first = text.get(..found.0)?.chars().count();
    Some((first, first + text.get(found.0..found.1)?.chars().count()))
}

fn annotation(uri: &str, title: Option<&str>, content: Option<&str>, start: usize, end: usize) -> Option<Raw> {
    let mut citation = Node::object([("url", uri.into())]);
    citation.set("title", title.unwrap_or(uri));
    if let Some(content) = content {
        citation.set("content", content);
    }
    citation.set("start_index", start as u64);
    citation.set("end_index", end as u64);
    Node::object([("type", "url_citation".into()), ("url_citation", citation)]).to_raw()
}

/// `groundingMetadata` for a Gemini client, from annotations on a reply whose visible text is `text`.
pub(super) fn write<'r>(annotations: impl Iterator<Item = &'r Raw>, text: &str) -> Option<Node<'static>> {
    let (mut chunks, mut supports) = (Vec::new(), Vec::new());
    for raw in annotations.take(MOST_SUPPORTS) {
        let Some(node) = Node::parse(raw.as_str()) else { continue };
        let Some(citation) = node.get("url_citation") else { continue };
        let string = |name: &str| citation.get(name).and_then(Node::as_str).map(str::to_owned);
        let Some(uri) = string("url") else { continue };
        let number = |name: &str| match citation.get(name) {
            Some(Node::Number(n)) => n.as_u64().and_then(|n| usize::try_from(n).ok()),
            _ => None,
        };
        let span = bytes(text, number("start_index").unwrap_or(0), number("end_index").unwrap_or(0));
        let title = string("title").unwrap_or_else(|| uri.clone());
        let mut source = Node::object([("uri", uri.into()), ("title", title.into())]);
        let kind = match string("content") {
            Some(content) => {
                source.set("text", content);
                "retrievedContext"
            }
            None => "web",
        };
        let (start, end) = span.unwrap_or((0, 0));
        let mut segment = Node::object([("startIndex", (start as u64).into()), ("endIndex", (end as u64).into())]);
        if let Some(quoted) = text.get(start..end).filter(|quoted| !quoted.is_empty()) {
            segment.set("text", quoted.to_owned());
        }
        let index = Node::Array(vec![(chunks.len() as u64).into()]);
        supports.push(Node::object([("segment", segment), ("groundingChunkIndices", index)]));
        chunks.push(Node::object([(kind, source)]));
    }
    (!chunks.is_empty())
        .then(|| Node::object([("groundingChunks", Node::Array(chunks)), ("groundingSupports", Node::Array(supports))]))
}

/// Character offsets as byte offsets.
fn bytes(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let at = |characters: usize| text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(characters);
    (start <= end).then_some(())?;
    Some((at(start)?, at(end)?))
}
