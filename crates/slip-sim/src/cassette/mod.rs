//! A cassette: one exchange with a provider as a file that people can read, without what is secret in it.
//!
//! [`tape`] makes one from what went over the wire, [`scrub`] takes the secrets out, [`meaning`] says when two requests mean the
//! same, [`shelf`] finds the answer to a request, [`player`] serves it.

pub mod meaning;
mod near;
pub mod player;
pub mod scrub;
mod shelf;
mod tape;
#[cfg(test)]
mod tests;
mod twist;

pub use player::{MISS, Player, PlayerConfig, Speed, Strike};
pub use scrub::Scrub;
pub use shelf::Shelf;
pub use tape::{Raw, Unfit, tape};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What this house writes. A file that says another number was written by a later one.
pub const FORMAT: u32 = 1;
/// A file past this is not a cassette.
const MAX_FILE: u64 = 256 * 1024 * 1024;
/// All files of a directory together, since they are held in memory.
const MAX_SHELF: u64 = 2 * 1024 * 1024 * 1024;
const MAX_CASSETTES: usize = 100_000;
/// How the last event of a stream is known, where there is one.
const LAST: [&str; 4] = ["[DONE]", "message_stop", "response.completed", "message-end"];
/// What the directory holds beside cassettes: the gateway they were recorded with.
pub const GATEWAY: &str = "gateway.json";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cassette {
    pub cassette: u32,
    /// The hash of what the request means.
    pub address: String,
    /// The same request may be recorded several times: which time this was, from 1.
    pub take: u32,
    pub provider: String,
    pub request: Request,
    pub reply: Reply,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub path: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    pub body: Data,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// From the request until the head came.
    pub ms: u64,
    /// A whole reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Data>,
    /// A stream, as it came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<Chunk>,
    pub end: End,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// Since the request.
    pub ms: u64,
    #[serde(flatten)]
    pub data: Data,
}

/// Bytes, as readable as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// Of requests only: what its member order and spaces were is not kept.
    Json(Value),
    Text(String),
    Base64(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The proper end of the body.
    Whole,
    /// The provider broke it off.
    Broken,
    /// The gateway had heard enough, or its caller left.
    Left,
}

impl Data {
    /// Text where it is text.
    pub fn of(bytes: &[u8]) -> Data {
        match std::str::from_utf8(bytes) {
            Ok(text) => Data::Text(text.to_owned()),
            Err(_) => Data::Base64(STANDARD.encode(bytes)),
        }
    }

    pub fn bytes(&self) -> anyhow::Result<Bytes> {
        Ok(match self {
            Data::Json(value) => value.to_string().into(),
            Data::Text(text) => text.clone().into(),
            Data::Base64(text) => STANDARD.decode(text)?.into(),
        })
    }
}

impl Reply {
    pub fn is_stream(&self) -> bool {
        self.body.is_none()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Cassette {
    /// What the file is called.
    pub fn name(&self) -> String {
        let short = self.address.get(..16).unwrap_or(&self.address);
        format!("{}-{short}.{:02}.json", self.provider, self.take)
    }

    /// Members in one order, one to a line.
    pub fn write(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    pub fn parse(text: &[u8]) -> anyhow::Result<Cassette> {
        let said: Value = serde_json::from_slice(text).context("not JSON")?;
        match said["cassette"].as_u64() {
            Some(n) if n == u64::from(FORMAT) => {}
            Some(later) => bail!("written by a later version, format {later}"),
            None => bail!("not a cassette: no member `cassette`"),
        }
        let cassette: Cassette = serde_json::from_value(said).context("not a cassette")?;
        for data in cassette.reply.chunks.iter().map(|c| &c.data).chain(&cassette.reply.body) {
            data.bytes().context("not base64")?;
        }
        Ok(cassette)
    }
}

/// Every cassette of a directory, by name.
pub fn load(dir: &Path) -> anyhow::Result<Vec<(String, Cassette)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read: {}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && name != GATEWAY && !name.starts_with('.') {
            names.push((name, entry.metadata()?.len()));
        }
    }
    names.sort();
    let total: u64 = names.iter().map(|(_, size)| size).sum();
    if names.len() > MAX_CASSETTES || total > MAX_SHELF || names.iter().any(|(_, size)| *size > MAX_FILE) {
        bail!("more than is played from one directory: {} files, {total} bytes", names.len());
    }
    let mut cassettes = Vec::with_capacity(names.len());
    for (name, _) in names {
        let path = dir.join(&name);
        let text = std::fs::read(&path).with_context(|| format!("cannot read: {}", path.display()))?;
        let cassette = Cassette::parse(&text).with_context(|| format!("cannot use: {}", path.display()))?;
        cassettes.push((name, cassette));
    }
    Ok(cassettes)
}
