//! Media on its way to a model or a provider that cannot take it as it is: files become text, pictures by URL become data.

use crate::json;
use slip_ir::{Block, Media, MediaKind, Raw, Request, Source, Text};
use std::collections::HashMap;

/// A file as a model without file input can read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileText {
    pub name: String,
    /// Of what the caller sent, for annotations; `None` for a file that was text already.
    pub hash: Option<String>,
    /// Its text, in pieces (pages).
    pub content: Vec<String>,
}

impl FileText {
    /// The pieces with a mark before and behind, as OpenRouter marks them.
    fn marked(&self) -> impl Iterator<Item = String> {
        let opening =
            format!("<file name={}>", Raw::of(&self.name).map_or_else(String::new, |raw| raw.as_str().to_owned()));
        [opening].into_iter().chain(self.content.iter().cloned()).chain(["</file>".to_owned()])
    }

    pub fn blocks(&self, media: &Media) -> Vec<Block> {
        let mut blocks: Vec<Block> = self.marked().map(Block::text).collect();
        // A breakpoint behind the file stays behind it.
        if let (Some(Block::Text(last)), Some(cache)) = (blocks.last_mut(), &media.cache) {
            last.cache = Some(cache.clone());
        }
        blocks
    }

    /// What the caller may send back so that the file need not be read again.
    pub fn annotation(&self) -> Option<Raw> {
        let hash = self.hash.as_ref()?;
        let content: Vec<_> = self.marked().map(|text| serde_json::json!({ "type": "text", "text": text })).collect();
        Raw::of(&serde_json::json!({ "type": "file", "file": { "hash": hash, "name": self.name, "content": content } }))
    }
}

/// All media of the conversation, in order.
pub fn media(request: &Request) -> Vec<&Media> {
    let mut found = Vec::new();
    for block in request.turns.iter().flat_map(|turn| &turn.blocks) {
        match block {
            Block::Media(media) => found.push(media),
            Block::ToolResult(result) => found.extend(result.content.iter().filter_map(|inner| match inner {
                Block::Media(media) => Some(media),
                _ => None,
            })),
            _ => {}
        }
    }
    found
}

/// Put other blocks in the place of media. `with` is told which one it is, counted as [`media`] lists them.
pub fn replace(request: &mut Request, mut with: impl FnMut(usize, &Media) -> Option<Vec<Block>>) {
    let mut at = 0;
    let mut each = |blocks: &mut Vec<Block>| {
        let mut place = 0;
        while place < blocks.len() {
            let mut step = 1;
            if let Some(Block::Media(media)) = blocks.get(place) {
                if let Some(instead) = with(at, media) {
                    step = instead.len();
                    blocks.splice(place..=place, instead);
                }
                at += 1;
            }
            place += step;
        }
    };
    for turn in &mut request.turns {
        // A tool turn holds results only, other turns media only: the order is that of `media` either way.
        for block in &mut turn.blocks {
            if let Block::ToolResult(result) = block {
                each(&mut result.content);
            }
        }
        each(&mut turn.blocks);
    }
}

/// What the conversation says about files that were read before, by their hashes.
pub fn told(request: &Request) -> HashMap<String, Vec<String>> {
    let mut told = HashMap::new();
    for raw in annotations(request) {
        let text = raw.as_str().as_bytes();
        let Some(file) = json::field(text, "file") else { continue };
        let Some(hash) = json::field(file, "hash").and_then(json::string) else { continue };
        let parts = json::field(file, "content").map(|span| json::items(span).collect::<Vec<_>>()).unwrap_or_default();
        let mut content: Vec<String> = parts
            .into_iter()
            .filter_map(|part| json::field(part, "text").and_then(json::string).map(|text| text.into_owned()))
            .collect();
        // Between our own marks.
        if content.first().is_some_and(|first| first.starts_with("<file name=")) {
            content.remove(0);
            content.pop_if(|last| last == "</file>");
        }
        told.insert(hash.into_owned(), content);
    }
    told
}

fn annotations(request: &Request) -> impl Iterator<Item = &Raw> {
    request.turns.iter().flat_map(|turn| &turn.blocks).flat_map(|block| match block {
        Block::Text(text) => text.annotations.as_slice(),
        _ => &[],
    })
}

/// They have served: no provider takes them.
pub fn forget(request: &mut Request) {
    let is_file =
        |raw: &Raw| json::field(raw.as_str().as_bytes(), "type").and_then(json::string).as_deref() == Some("file");
    for block in request.turns.iter_mut().flat_map(|turn| &mut turn.blocks) {
        if let Block::Text(Text { annotations, .. }) = block {
            annotations.retain(|raw| !is_file(raw));
        }
    }
}

/// A file rather than a picture, sound or film that came in a file's part.
pub fn is_file(media: &Media) -> bool {
    let other = |mime: &str| ["image/", "audio/", "video/"].iter().any(|kind| mime.starts_with(kind));
    media.kind == MediaKind::File && !matches!(&media.source, Source::Data { mime, .. } if other(mime))
}

/// Where providers keep what callers gave them: without their credential there is nothing to fetch, and they know it by its URL.
const STORES: [&str; 1] = ["https://generativelanguage.googleapis.com/"];

/// The URL of a picture that somebody must fetch.
pub fn picture_url(media: &Media) -> Option<&str> {
    match &media.source {
        Source::Url(url) if media.kind == MediaKind::Image && is_http(url) => {
            (!STORES.iter().any(|store| url.starts_with(store))).then_some(url.as_str())
        }
        _ => None,
    }
}

pub fn is_http(url: &str) -> bool {
    let front = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    front("http://") || front("https://")
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::{Cache, Role, ToolResult, Turn};

    fn file(name: &str) -> Block {
        Block::Media(Media {
            kind: MediaKind::File,
            source: Source::Data { mime: "application/pdf".into(), base64: "JVBERi0=".into() },
            name: Some(name.to_owned()),
            detail: None,
            cache: Some(Cache::default()),
            extra: None,
        })
    }

    #[test]
    fn media_is_replaced_where_it_stands_by_the_number_it_is_listed_under() {
        let result = ToolResult { id: "c".into(), content: vec![file("b"), Block::text("x")], ..ToolResult::default() };
        let turns = vec![
            Turn::new(Role::User, vec![Block::text("look"), file("a"), Block::text("!")]),
            Turn::new(Role::Tool, vec![Block::ToolResult(result)]),
            Turn::new(Role::User, vec![file("c"), file("d")]),
        ];
        let mut request = Request { turns, ..Request::default() };
        let names: Vec<String> = media(&request).iter().filter_map(|media| media.name.clone()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let mut seen = Vec::new();
        replace(&mut request, |at, media| {
            seen.push((at, media.name.clone().unwrap_or_default()));
            (at != 2).then(|| vec![Block::text(format!("{at}")), Block::text("&")])
        });
        assert_eq!(
            seen.iter().map(|(at, name)| (*at, names[*at] == *name)).collect::<Vec<_>>(),
            [(0, true), (1, true), (2, true), (3, true)]
        );
        let shape: Vec<usize> = request.turns.iter().map(|turn| turn.blocks.len()).collect();
        assert_eq!((shape, media(&request).len()), (vec![4, 1, 3], 1));
    }

    #[test]
    fn what_is_told_of_a_file_spares_reading_it_again() {
        let read =
            FileText { name: "a \"b\".pdf".into(), hash: Some("h".into()), content: vec!["one".into(), "two".into()] };
        let Block::Media(media) = file("a") else { return };
        let blocks = read.blocks(&media);
        let texts: Vec<&str> = blocks
            .iter()
            .filter_map(|block| if let Block::Text(text) = block { Some(text.text.as_str()) } else { None })
            .collect();
        assert_eq!(texts, [r#"<file name="a \"b\".pdf">"#, "one", "two", "</file>"]);
        assert!(matches!(blocks.last(), Some(Block::Text(Text { cache: Some(_), .. }))));
        let annotations =
            vec![read.annotation().expect("it has a hash"), Raw::parse(r#"{"type":"url_citation"}"#).expect("JSON")];
        let said = Text { text: "so".into(), annotations, ..Text::default() };
        let mut request =
            Request { turns: vec![Turn::new(Role::Assistant, vec![Block::Text(said)])], ..Request::default() };
        assert_eq!(told(&request).get("h"), Some(&read.content));
        forget(&mut request);
        assert_eq!((told(&request).len(), super::annotations(&request).count()), (0, 1));
    }
}
