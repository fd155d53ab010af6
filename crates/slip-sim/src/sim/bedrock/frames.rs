//! Amazon's event-stream messages, written by hand: lengths, headers, payload, and two checksums.

use bytes::Bytes;

/// One event or exception.
pub(super) fn message(kind: &str, name: &str, payload: &str) -> Bytes {
    let type_header = if kind == "exception" { ":exception-type" } else { ":event-type" };
    let mut headers = Vec::new();
    for (header, value) in [(type_header, name), (":content-type", "application/json"), (":message-type", kind)] {
        headers.push(header.len() as u8);
        headers.extend(header.bytes());
        // A string.
        headers.push(7);
        headers.extend((value.len() as u16).to_be_bytes());
        headers.extend(value.bytes());
    }
    let total = 12 + headers.len() + payload.len() + 4;
    let mut out = Vec::with_capacity(total);
    out.extend((total as u32).to_be_bytes());
    out.extend((headers.len() as u32).to_be_bytes());
    out.extend(crc32(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload.bytes());
    out.extend(crc32(&out).to_be_bytes());
    out.into()
}

/// The checksum of gzip and PNG, bit by bit: slow, and plain to see.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_everybody_means() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
