//! How an entry is written: a mark, the length, a checksum, then the fields one after the other (numbers little-endian, texts
//! behind their length).

use super::Opening;
use crate::generations::Generation;
use slip_ir::Nano;
use std::sync::Arc;

/// Where an entry begins. Reading finds the next one by it after a part of one.
pub const MARK: [u8; 4] = *b"\x93sl\x01";
/// Mark, length and checksum.
pub const HEAD: usize = 12;
/// No entry is longer: a length beyond it was never written by us.
pub const LONGEST: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Says nothing: it was to be seen whether it could be written.
    Tried = 0,
    Opened = 1,
    Closed = 2,
}

/// An entry being written.
pub struct Draft(Vec<u8>);

impl Draft {
    fn new(kind: Kind, room: usize) -> Draft {
        let mut bytes = Vec::with_capacity(HEAD + 1 + room);
        bytes.extend_from_slice(&[0; HEAD]);
        bytes.push(kind as u8);
        Draft(bytes)
    }

    /// As long as others, so that it finds no room where they would not.
    pub fn tried() -> Draft {
        let mut draft = Draft::new(Kind::Tried, 512);
        draft.0.resize(HEAD + 1 + 512, 0);
        draft
    }

    pub fn opened(o: &Opening<'_>) -> Draft {
        let mut draft = Draft::new(Kind::Opened, 288);
        draft.text(o.id).i64(o.created_ms).text(o.key_hash.unwrap_or_default()).text(o.model);
        draft.text(o.provider_slug).text(o.provider_name).text(o.endpoint).text(o.dialect_in);
        draft.text(o.workspace).text(o.member.unwrap_or_default());
        draft.u64(o.prompt_tokens).u64(o.output_tokens).i64(o.cost.0);
        draft.u64(u64::from(o.byok) | u64::from(o.cost_known) << 1);
        draft
    }

    pub fn closed(g: &Generation, detail: &str) -> Draft {
        let mut draft = Draft::new(Kind::Closed, detail.len() + 224);
        draft.text(&g.id).i64(g.created_ms).text(g.key_hash.as_deref().unwrap_or_default()).text(&g.model);
        draft.text(&g.provider_slug).u64(g.status.into()).i64(g.cost.0).text(&g.workspace).text(detail);
        draft
    }

    fn text(&mut self, text: &str) -> &mut Draft {
        self.0.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn i64(&mut self, number: i64) -> &mut Draft {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn u64(&mut self, number: u64) -> &mut Draft {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub fn finish(mut self) -> Vec<u8> {
        let (head, body) = self.0.split_at_mut(HEAD);
        head[..4].copy_from_slice(&MARK);
        head[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
        head[8..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
        self.0
    }
}

/// What an entry says.
pub enum Entry {
    Opened(Generation),
    Closed(Generation),
}

/// The entries of a file, in order. What was written in part, or damaged, is passed over.
pub struct Entries<'a>(pub &'a [u8]);

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.0.len() >= HEAD {
            let entry = body(self.0);
            let Some(body) = entry else {
                self.0 = &self.0[1..];
                let mark = self.0.windows(MARK.len()).position(|window| window == MARK);
                self.0 = mark.map_or(&[], |at| &self.0[at..]);
                continue;
            };
            self.0 = &self.0[HEAD + body.len()..];
            if let Some(entry) = read(body) {
                return Some(entry);
            }
        }
        None
    }
}

/// The body of the entry that begins here, if a whole one does.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    let (mark, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if *mark != MARK || length > LONGEST {
        return None;
    }
    let body = rest.get(..length)?;
    (crc32fast::hash(body) == u32::from_le_bytes(*sum)).then_some(body)
}

/// `None` for what only a later release knows.
fn read(body: &[u8]) -> Option<Entry> {
    let (kind, rest) = body.split_first()?;
    let mut fields = Fields(rest);
    match *kind {
        kind if kind == Kind::Opened as u8 => opened(&mut fields).map(Entry::Opened),
        kind if kind == Kind::Closed as u8 => closed(&mut fields).map(Entry::Closed),
        _ => None,
    }
}

fn opened(f: &mut Fields<'_>) -> Option<Generation> {
    let mut g = Generation {
        id: f.text()?.to_owned(),
        created_ms: f.i64()?,
        key_hash: f.name()?,
        model: f.text()?.into(),
        provider_slug: f.text()?.into(),
        provider_name: f.text()?.into(),
        ..Generation::default()
    };
    let attempt = crate::Attempt {
        endpoint: f.text()?.into(),
        provider: g.provider_name.clone(),
        model: g.model.clone(),
        ..crate::Attempt::default()
    };
    g.attempts = vec![attempt];
    g.dialect_in = crate::generations::known(f.text()?);
    g.workspace = f.text()?.into();
    g.member = f.name()?;
    g.tokens.input = f.u64()?;
    g.tokens.output = f.u64()?;
    g.tokens.estimated = true;
    let cost = Nano(f.i64()?);
    let flags = f.u64()?;
    (g.byok, g.cost_known) = (flags & 1 != 0, flags & 2 != 0);
    if g.byok {
        g.upstream_cost = Some(cost)
    } else {
        g.cost = cost
    }
    Some(g)
}

fn closed(f: &mut Fields<'_>) -> Option<Generation> {
    let (id, created_ms, key_hash) = (f.text()?.to_owned(), f.i64()?, f.name()?);
    let (model, provider_slug) = (f.text()?.into(), f.text()?.into());
    let (status, cost) = (u16::try_from(f.u64()?).ok()?, Nano(f.i64()?));
    let workspace = f.text()?.into();
    let detail: Generation = serde_json::from_str(f.text()?).ok()?;
    Some(Generation { id, created_ms, key_hash, model, provider_slug, status, cost, workspace, ..detail })
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn text(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn name(&mut self) -> Option<Option<Arc<str>>> {
        self.text().map(|text| (!text.is_empty()).then(|| text.into()))
    }

    fn i64(&mut self) -> Option<i64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(i64::from_le_bytes(*number))
    }

    fn u64(&mut self) -> Option<u64> {
        self.i64().map(i64::cast_unsigned)
    }
}
