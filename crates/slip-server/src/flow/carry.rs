//! What this endpoint cannot take as it is: files are read and pictures fetched, once for all attempts, before the request is lowered.

use super::read::Inbound;
use crate::files::{self, Sent as File};
use crate::upstream::download::{download, picture};
use crate::upstream::{Failed, Sent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use slip_ir::{Block, Dialect, Fault, FaultKind, Loss, Media, MediaKind, Origin, Raw, Remedy, Request, Source};
use slip_route::Endpoint;
use slip_wire::carry::{self, FileText};
use slip_wire::{Quirks, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Of one request.
const MAX_FILES: usize = 32;
const MAX_PICTURES: usize = 32;
/// All pictures together, and the time for all of them.
const MAX_BYTES: usize = 64 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

/// OpenRouter's `plugins: [{"id": "file-parser", "pdf": {"engine": …}}]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Text where the model takes no files.
    #[default]
    Unsaid,
    /// Never text.
    Native,
    /// Always text.
    Text,
}

/// What is to be done for one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub files: bool,
    pub pictures: bool,
}

impl Needs {
    pub fn any(self) -> bool {
        self.files || self.pictures
    }
}

/// What was read and fetched so far, by the number of the media in the conversation.
#[derive(Default)]
pub struct Carried {
    files: Option<HashMap<usize, FileText>>,
    pictures: Option<HashMap<usize, (&'static str, String)>>,
}

/// A model without file input can be given a file's text: it is no reason to refuse it.
pub fn mark(inbound: &mut Inbound) {
    if !inbound.peek.want.media.contains(MediaKind::File) {
        return;
    }
    let plugins = inbound.peek.member("plugins").and_then(|m| inbound.raw.get(m.value.clone())).unwrap_or_default();
    inbound.engine = engine(plugins);
    if inbound.engine != Engine::Native {
        inbound.peek.want.readable.insert(MediaKind::File);
    }
}

fn engine(plugins: &[u8]) -> Engine {
    let text = |span: &[u8], name: &str| json::field(span, name).and_then(json::string).map(|s| s.into_owned());
    let parser = json::items(plugins).find(|plugin| text(plugin, "id").as_deref() == Some("file-parser"));
    let pdf = parser.and_then(|parser| json::field(parser, "pdf"));
    match pdf.and_then(|pdf| text(pdf, "engine")).as_deref() {
        None | Some("") => Engine::Unsaid,
        Some("native") => Engine::Native,
        // `pdf-text`, `cloudflare-ai`, `mistral-ocr`: there is one reader here.
        Some(_) => Engine::Text,
    }
}

/// Dialects without a place for files, and without one for URLs of pictures.
const NO_FILES: [Dialect; 4] = [Dialect::Completions, Dialect::Ollama, Dialect::OllamaGenerate, Dialect::Cohere];
const NO_URLS: [Dialect; 3] = [Dialect::Ollama, Dialect::OllamaGenerate, Dialect::Bedrock];

pub fn needs(inbound: &Inbound, endpoint: &Endpoint, to: Dialect, quirks: &Quirks) -> Needs {
    let media = inbound.peek.want.media;
    if media.is_empty() {
        return Needs::default();
    }
    let input = &endpoint.model.input;
    let blind = !input.is_empty() && !input.iter().any(|kind| kind == "file");
    let files = media.contains(MediaKind::File)
        && match inbound.engine {
            Engine::Native => false,
            Engine::Text => true,
            Engine::Unsaid => blind || NO_FILES.contains(&to),
        };
    // A caller of the provider's own dialect names what the provider can find.
    let foreign = inbound.dialect != to || inbound.peek.shape.image_urls;
    let pictures = media.contains(MediaKind::Image) && foreign && (!quirks.image_urls || NO_URLS.contains(&to));
    Needs { files, pictures }
}

/// Read and fetch what is not there yet. Nothing has been sent: who cannot be helped here may be served elsewhere.
pub async fn prepare(inbound: &mut Inbound, needs: Needs, private: bool) -> Result<(), Failed> {
    // Nobody else holds it between two attempts.
    let mut carried = inbound.carried.take().and_then(Arc::into_inner).unwrap_or_default();
    let (request, _) = inbound.ir().map_err(|fault| Failed { fault, sent: Sent::NotSent })?;
    if needs.files && carried.files.is_none() {
        carried.files = Some(read(request, private).await?);
    }
    if needs.pictures && carried.pictures.is_none() {
        let late =
            |_| refused("image_url", format!("image_download_failed: they took longer than {} s", PATIENCE.as_secs()));
        carried.pictures = Some(timeout(PATIENCE, fetch(request, private)).await.map_err(late)??);
    }
    inbound.carried = Some(Arc::new(carried));
    Ok(())
}

/// As if everything had been read and fetched, and had been of use: for who wants to know what a request would become, and asks nobody.
pub fn pretend(inbound: &mut Inbound) -> Result<(), Fault> {
    /// The smallest picture there is.
    const PICTURE: (&str, &str) = ("image/gif", "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7");
    let (request, _) = inbound.ir()?;
    let (mut files, mut pictures) = (HashMap::new(), HashMap::new());
    for (at, media) in carry::media(request).into_iter().enumerate() {
        if carry::is_file(media) {
            let name = media.name.clone().unwrap_or_else(|| "document".to_owned());
            files.insert(at, FileText { name, hash: None, content: vec!["text".to_owned()] });
        } else if carry::picture_url(media).is_some() {
            pictures.insert(at, (PICTURE.0, PICTURE.1.to_owned()));
        }
    }
    inbound.carried = Some(Arc::new(Carried { files: Some(files), pictures: Some(pictures) }));
    Ok(())
}

async fn read(request: &Request, private: bool) -> Result<HashMap<usize, FileText>, Failed> {
    let told = carry::told(request);
    let all: Vec<(usize, &Media)> =
        carry::media(request).into_iter().enumerate().filter(|(_, media)| carry::is_file(media)).collect();
    if all.len() > MAX_FILES {
        return Err(refused("file", format!("at most {MAX_FILES} files are read for one request, got {}", all.len())));
    }
    let mut read = HashMap::new();
    for (number, (at, media)) in all.into_iter().enumerate() {
        let name = media.name.as_deref();
        let failed = |why: String| {
            let shown = crate::api::shown(name.unwrap_or("without a name"));
            refused("file", format!("file_unreadable: file {} ({shown}) could not be read as text: {why}", number + 1))
        };
        let text = match &media.source {
            Source::Text(text) => {
                FileText { name: name.unwrap_or("document").to_owned(), hash: None, content: vec![text.clone()] }
            }
            Source::Data { mime, base64 } => files::read(File { name, mime, base64 }, &told).await.map_err(failed)?,
            Source::Url(url) if carry::is_http(url) => {
                let bytes = download(url, private).await.map_err(failed)?;
                let base64 = STANDARD.encode(&bytes);
                let name = name.or_else(|| url.split(['?', '#']).next()?.rsplit('/').next());
                files::read(File { name, mime: "of an unknown kind", base64: &base64 }, &told).await.map_err(failed)?
            }
            Source::Url(_) => return Err(failed("only http and https are fetched".to_owned())),
            Source::FileId(_) => return Err(failed("it is named by an id of another store".to_owned())),
        };
        read.insert(at, text);
    }
    Ok(read)
}

async fn fetch(request: &Request, private: bool) -> Result<HashMap<usize, (&'static str, String)>, Failed> {
    let urls: Vec<(usize, &str)> = carry::media(request)
        .into_iter()
        .enumerate()
        .filter_map(|(at, media)| carry::picture_url(media).map(|url| (at, url)))
        .collect();
    if urls.len() > MAX_PICTURES {
        let says = format!("at most {MAX_PICTURES} pictures are fetched for one request, got {}", urls.len());
        return Err(refused("image_url", says));
    }
    let mut fetched: HashMap<usize, (&'static str, String)> = HashMap::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut total = 0;
    for (number, (at, url)) in urls.into_iter().enumerate() {
        if let Some(same) = known.get(url).and_then(|first| fetched.get(first)).cloned() {
            fetched.insert(at, same);
            continue;
        }
        let failed = |why: String| {
            let shown = crate::api::shown(url);
            refused("image_url", format!("image_download_failed: image {} ({shown}): {why}", number + 1))
        };
        let bytes = download(url, private).await.map_err(failed)?;
        let mime = picture(&bytes).ok_or_else(|| failed("it is no PNG, JPEG, GIF or WebP picture".to_owned()))?;
        total += bytes.len();
        if total > MAX_BYTES {
            return Err(failed(format!("all of them are larger than {} MiB", MAX_BYTES / (1024 * 1024))));
        }
        fetched.insert(at, (mime, STANDARD.encode(&bytes)));
        known.insert(url, at);
    }
    Ok(fetched)
}

fn refused(param: &'static str, says: String) -> Failed {
    let fault = Fault::new(FaultKind::BadRequest, Origin::Caller, Remedy::Elsewhere, says).at(param);
    Failed { fault, sent: Sent::NotSent }
}

impl Carried {
    /// Put into the request what was read and fetched for it.
    pub fn apply(&self, needs: Needs, request: &mut Request) -> Vec<Loss> {
        let files = self.files.as_ref().filter(|files| needs.files && !files.is_empty());
        let pictures = self.pictures.as_ref().filter(|_| needs.pictures);
        carry::replace(request, |at, media| {
            if let Some(text) = files.and_then(|files| files.get(&at)) {
                return Some(text.blocks(media));
            }
            let (mime, base64) = pictures?.get(&at)?;
            let source = Source::Data { mime: (*mime).to_owned(), base64: base64.clone() };
            Some(vec![Block::Media(Media { source, ..media.clone() })])
        });
        if files.is_none() {
            return Vec::new();
        }
        carry::forget(request);
        vec![Loss::new("file", "by text")]
    }

    /// For the reply: what spares reading the files again.
    pub fn annotations(&self) -> Vec<Raw> {
        let mut all: Vec<(&usize, &FileText)> = self.files.iter().flatten().collect();
        all.sort_unstable_by_key(|(at, _)| **at);
        all.into_iter().filter_map(|(_, text)| text.annotation()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_read_off_the_plugin() {
        for (plugins, want) in [
            ("", Engine::Unsaid),
            ("[]", Engine::Unsaid),
            (r#"[{"id":"file-parser"}]"#, Engine::Unsaid),
            (r#"[{"id":"web"},{"id":"file-parser","pdf":{"engine":"native"}}]"#, Engine::Native),
            (r#"[{"id":"file-parser","pdf":{"engine":"pdf-text"}}]"#, Engine::Text),
            (r#"[{"id":"file-parser","pdf":{"engine":"mistral-ocr"}}]"#, Engine::Text),
        ] {
            assert_eq!(engine(plugins.as_bytes()), want, "{plugins}");
        }
    }
}
