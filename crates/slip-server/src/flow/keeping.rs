//! What is asked and answered, of keys that want it kept: taken down beside the request, and handed over once its record is written.
//! For every other key there is none of this.

use super::admit::Caller;
use super::read::Inbound;
use crate::contents::{Piece, Reply};
use bytes::{Bytes, BytesMut};
use slip_ir::Dialect;
use slip_store::Generation;
use std::sync::Arc;

/// Of a request and of a whole answer no more than this is kept.
pub const MOST: usize = 1024 * 1024;
/// The same of a stream, whose words are a small part of its bytes.
pub const MOST_STREAMED: usize = 4 * MOST;
const DAY_MS: i64 = 86_400_000;

pub struct Keeping {
    key_hash: Arc<str>,
    days: u16,
    dialect: Dialect,
    request: Bytes,
    request_bytes: usize,
    reply: Heard,
}

enum Heard {
    Nothing,
    Whole(Bytes, usize),
    Stream(BytesMut, usize),
}

/// The beginning of it, which does not hold on to the rest.
fn beginning(bytes: &Bytes, most: usize) -> Bytes {
    if bytes.len() > most { Bytes::copy_from_slice(&bytes[..most]) } else { bytes.clone() }
}

impl Keeping {
    /// `None` unless the caller's key wants it.
    pub fn of(inbound: &Inbound, caller: &Caller) -> Option<Box<Keeping>> {
        let key = caller.key()?;
        let days = key.detail.keep_content_days?;
        Some(Box::new(Keeping {
            key_hash: key.hash.clone(),
            days,
            dialect: inbound.dialect,
            request: beginning(&inbound.raw, MOST),
            request_bytes: inbound.raw.len(),
            reply: Heard::Nothing,
        }))
    }

    /// The answer, which is not streamed.
    pub fn answered(&mut self, reply: &Bytes) {
        self.reply = Heard::Whole(beginning(reply, MOST), reply.len());
    }

    /// The next part of a streamed answer.
    pub fn hears(&mut self, more: &[u8]) {
        if let Heard::Nothing = self.reply {
            self.reply = Heard::Stream(BytesMut::new(), 0);
        }
        if let Heard::Stream(heard, all) = &mut self.reply {
            *all += more.len();
            let room = MOST_STREAMED - heard.len();
            heard.extend_from_slice(&more[..more.len().min(room)]);
        }
    }

    /// It is over, and this is its record.
    pub fn told(self, row: &Generation) -> Piece {
        let until_ms = row.created_ms.saturating_add(i64::from(self.days) * DAY_MS);
        Piece {
            id: row.id.clone(),
            key_hash: self.key_hash,
            until_ms,
            dialect: self.dialect,
            op: row.op,
            request: self.request,
            request_bytes: self.request_bytes,
            reply: match self.reply {
                Heard::Nothing => Reply::None,
                Heard::Whole(bytes, all) => Reply::Whole { cut: all > bytes.len(), bytes },
                Heard::Stream(bytes, all) => Reply::Stream { cut: all > bytes.len(), bytes: bytes.freeze() },
            },
            status: row.status,
            provider: row.provider_name.clone(),
            failure: row.error.clone(),
            earlier: row.attempts.iter().filter_map(|a| Some((a.provider.clone(), a.status, a.fault?))).collect(),
        }
    }
}
