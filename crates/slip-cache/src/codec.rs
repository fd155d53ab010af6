//! An entry as bytes, for a disk or a server that several gateways share.
//!
//! ```text
//! "SLIPCACH" | version u8 | key 32 | form u8 | status u16 | created i64 | ttl u64 | stale u64 | cost i64 | took u64
//!            | dialect, tenant, model, generation (each u16 and its bytes) | body (u32 and its bytes) | crc32 of all before
//! ```
//!
//! Integers are little-endian. Whatever is not exactly this is a miss, and so is an entry of another key: a file that was swapped
//! for another, or a server that answers the wrong question, hands nobody what is not theirs. The checksum is against accidents,
//! not against somebody who may write there; against those a tier seals what it stores.

use crate::Key;
use crate::entry::{Entry, Form, Header};
use bytes::{BufMut, Bytes};
use slip_ir::{Dialect, Nano};

const MAGIC: &[u8; 8] = b"SLIPCACH";
/// What is written. Others are not read: an answer is cheaper to ask for again than a second reader is to keep right.
pub const VERSION: u8 = 1;
/// A name longer than this is no name.
const LONGEST_NAME: usize = 1024;

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Too short, of another make, or torn.
    NotAnEntry,
    /// By another version of this program.
    Version(u8),
    /// A bit is not what it was.
    Corrupt,
    /// Whole, but the answer to something else.
    Another,
}

/// The entry as bytes; `None` if a name or the body is longer than the form has room for.
pub fn encode(entry: &Entry) -> Option<Vec<u8>> {
    let (header, body) = (&entry.header, entry.body());
    let names = [header.dialect.name(), &header.tenant, &header.model, &header.generation];
    if names.iter().any(|name| name.len() > LONGEST_NAME) {
        return None;
    }
    let length = u32::try_from(body.len()).ok()?;
    let mut out = Vec::with_capacity(body.len() + 256);
    out.put_slice(MAGIC);
    out.put_u8(VERSION);
    out.put_slice(entry.key.bytes());
    out.put_u8(Form::ALL.iter().position(|form| *form == header.form)? as u8);
    out.put_u16_le(header.status);
    out.put_i64_le(header.created_ms);
    out.put_u64_le(header.ttl_ms);
    out.put_u64_le(header.stale_ms);
    out.put_i64_le(header.cost.0);
    out.put_u64_le(header.took_ms);
    for name in names {
        out.put_u16_le(name.len() as u16);
        out.put_slice(name.as_bytes());
    }
    out.put_u32_le(length);
    out.put_slice(body);
    let checksum = crc32fast::hash(&out);
    out.put_u32_le(checksum);
    Some(out)
}

/// The entry of this key that `bytes` are. The body stays a part of them.
pub fn decode(key: &Key, bytes: &Bytes) -> Result<Entry, Unreadable> {
    let mut reader = Reader { rest: bytes };
    if reader.take::<8>() != Some(*MAGIC) {
        return Err(Unreadable::NotAnEntry);
    }
    let version = reader.take::<1>().ok_or(Unreadable::NotAnEntry)?[0];
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let (told, checksum) = bytes.split_last_chunk::<4>().ok_or(Unreadable::NotAnEntry)?;
    if crc32fast::hash(told) != u32::from_le_bytes(*checksum) {
        return Err(Unreadable::Corrupt);
    }
    let (theirs, header, body) = reader.entry().ok_or(Unreadable::NotAnEntry)?;
    if theirs != *key {
        return Err(Unreadable::Another);
    }
    Ok(Entry::new(theirs, header, bytes.slice_ref(body)))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn name(&mut self) -> Option<String> {
        let length = usize::from(u16::from_le_bytes(self.take()?));
        let name = self.bytes(length).filter(|name| name.len() <= LONGEST_NAME)?;
        std::str::from_utf8(name).ok().map(str::to_owned)
    }

    /// Everything after the version.
    fn entry(&mut self) -> Option<(Key, Header, &'a [u8])> {
        let key = Key::new(self.take()?);
        let [form] = self.take()?;
        let form = *Form::ALL.get(usize::from(form))?;
        let status = u16::from_le_bytes(self.take()?);
        let created_ms = i64::from_le_bytes(self.take()?);
        let (ttl_ms, stale_ms) = (u64::from_le_bytes(self.take()?), u64::from_le_bytes(self.take()?));
        let cost = Nano(i64::from_le_bytes(self.take()?));
        let took_ms = u64::from_le_bytes(self.take()?);
        let dialect = Dialect::parse(&self.name()?)?;
        let (tenant, model, generation) = (self.name()?, self.name()?, self.name()?);
        let length = u32::from_le_bytes(self.take()?) as usize;
        let body = self.bytes(length)?;
        let header =
            Header { tenant, model, generation, dialect, form, status, created_ms, ttl_ms, stale_ms, cost, took_ms };
        // Only the checksum is left.
        (self.rest.len() == 4).then_some((key, header, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::header;
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry::new(Key::new([7; 32]), header(), Bytes::from_static(b"data: {\"choices\":[]}\n\n"))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let bodies = [Bytes::new(), Bytes::from_static(b"x"), Bytes::from(vec![0xff; 100_000])];
        for (body, (form, dialect)) in bodies.iter().zip(Form::ALL.into_iter().zip(Dialect::ALL)) {
            let header = Header { form, dialect, cost: Nano(-1), created_ms: i64::MIN, ttl_ms: u64::MAX, ..header() };
            let entry = Entry::new(Key::new([9; 32]), header, body.clone());
            let bytes = Bytes::from(encode(&entry).unwrap());
            assert_eq!(decode(&entry.key, &bytes), Ok(entry));
        }
        let long =
            Entry::new(Key::new([0; 32]), Header { model: "m".repeat(LONGEST_NAME + 1), ..header() }, Bytes::new());
        assert_eq!(encode(&long), None);
    }

    #[test]
    fn any_flipped_bit_and_any_missing_end_is_a_miss() {
        let entry = entry();
        let whole = encode(&entry).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&entry.key, &bytes.into()).is_err(), "bit {bit} is wrong and nobody sees it");
        }
        for length in 0..whole.len() {
            assert!(decode(&entry.key, &whole[..length].to_vec().into()).is_err(), "{length} bytes are an entry");
        }
        assert!(decode(&entry.key, &[&whole[..], b"\0"].concat().into()).is_err());
    }

    #[test]
    fn an_entry_of_another_key_or_version_is_a_miss() {
        let entry = entry();
        let mut bytes = encode(&entry).unwrap();
        assert_eq!(decode(&Key::new([8; 32]), &bytes.clone().into()), Err(Unreadable::Another));
        bytes[8] = VERSION + 1;
        assert_eq!(decode(&entry.key, &bytes.into()), Err(Unreadable::Version(VERSION + 1)));
        assert_eq!(decode(&entry.key, &Bytes::from_static(b"GIF89a")), Err(Unreadable::NotAnEntry));
    }

    #[test]
    fn lengths_that_lie_are_a_miss_though_the_checksum_is_right() {
        let entry = entry();
        let whole = encode(&entry).unwrap();
        let end = whole.len() - 4;
        for at in 9..end {
            for wrong in [0, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = wrong;
                let checksum = crc32fast::hash(&bytes[..end]);
                bytes[end..].copy_from_slice(&checksum.to_le_bytes());
                // It may be another entry now, but never more than its bytes.
                if let Ok(read) = decode(&entry.key, &bytes.into()) {
                    assert_eq!(read.body().len(), entry.body().len());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0..60usize) {
            let _ = decode(&Key::new([0; 32]), &bytes.clone().into());
            // After a beginning that is right, too.
            let mut known = encode(&entry()).unwrap();
            known.truncate(cut + 9);
            known.extend(bytes);
            let checksum = crc32fast::hash(&known);
            known.extend(checksum.to_le_bytes());
            let _ = decode(&Key::new([7; 32]), &known.into());
        }
    }
}
