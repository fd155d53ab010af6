//! A real PNG out of a prompt: eight by eight fields, mirrored, black on white or the reverse. One bit a pixel, nothing compressed.

use crate::sim::ask::{hash, mix};

/// `1024x1024`, as large as asked for.
pub(super) fn png(prompt: &str, which: u64, (wide, high): (u32, u32)) -> Vec<u8> {
    let pattern = mix(hash(prompt.as_bytes()), which);
    let row = wide.div_ceil(8) as usize;
    let mut rows = Vec::with_capacity((row + 1) * high as usize);
    for y in 0..high {
        // No filter.
        rows.push(0);
        let band = u64::from(y) * 8 / u64::from(high.max(1));
        rows.extend((0..row).map(|x| {
            let column = (x * 8 / row.max(1)) as u64;
            let column = column.min(7 - column);
            if pattern >> (band * 4 + column) & 1 == 1 { 0x00 } else { 0xff }
        }));
    }
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = Vec::new();
    head.extend_from_slice(&wide.to_be_bytes());
    head.extend_from_slice(&high.to_be_bytes());
    head.extend_from_slice(&[1, 0, 0, 0, 0]);
    chunk(b"IHDR", &head, &mut out);
    chunk(b"tEXt", &[b"Description\0", prompt.as_bytes()].concat(), &mut out);
    chunk(b"IDAT", &stored(&rows), &mut out);
    chunk(b"IEND", b"", &mut out);
    out
}

/// A zlib stream of blocks that are as they were.
fn stored(data: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 65_535;
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (mut a, mut b) = (1u32, 0u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend_from_slice(&(b << 16 | a).to_be_bytes());
    out
}

fn chunk(name: &[u8; 4], data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let from = out.len();
    out.extend_from_slice(name);
    out.extend_from_slice(data);
    let check = crc(&out[from..]);
    out.extend_from_slice(&check.to_be_bytes());
}

fn crc(data: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    };
    !data.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::picture;

    #[test]
    fn a_picture_has_its_size_and_follows_from_its_prompt() {
        let cat = png("a cat", 0, (64, 32));
        assert_eq!(picture::size(&cat), Some((64, 32)));
        assert_eq!(cat, png("a cat", 0, (64, 32)));
        assert_ne!(cat, png("a cat", 1, (64, 32)));
        // As PNG's own specification has it for an empty IEND.
        assert!(cat.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
    }

    #[test]
    fn a_checksum_is_the_published_one() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        assert_eq!(stored(b"Wikipedia")[16..], [0x11, 0xe6, 0x03, 0x98]);
    }
}
