//! What the simulated model sees: the size of an image read from its first bytes.

use super::sign::standard_letter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// "an image of 2x3", "a file of 12 bytes", "a sound of 12 bytes".
pub(crate) fn seen(mime: &str, base64: &str) -> String {
    let letters: String = base64.trim().trim_end_matches('=').chars().map(standard_letter).collect();
    let Ok(bytes) = STANDARD_NO_PAD.decode(letters) else { return "something unreadable".to_owned() };
    if mime.starts_with("image/") {
        return match size(&bytes) {
            Some((width, height)) => format!("an image of {width}x{height}"),
            None => "an image of unknown size".to_owned(),
        };
    }
    let what = match mime.split('/').next() {
        Some("audio") => "a sound",
        Some("video") => "a film",
        _ => "a file",
    };
    format!("{what} of {} bytes", bytes.len())
}

/// A `data:` URL, or the address of something that is not fetched.
pub(crate) fn seen_url(url: &str) -> String {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((head, data)) => seen(head.split(';').next().unwrap_or_default(), data),
        None => format!("an image at {url}"),
    }
}

pub(crate) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let be =
        |at: usize, n: usize| Some(bytes.get(at..at + n)?.iter().fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte)));
    let le16 = |at: usize| Some(u32::from(*bytes.get(at)?) | u32::from(*bytes.get(at + 1)?) << 8);
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((be(16, 4)?, be(20, 4)?));
    }
    if bytes.starts_with(b"GIF8") {
        return Some((le16(6)?, le16(8)?));
    }
    if !bytes.starts_with(b"\xff\xd8") {
        return None;
    }
    // JPEG: segments, each with its length, up to the frame header.
    let mut at = 2;
    loop {
        let marker = be(at, 2)?;
        match marker {
            0xffc0..=0xffcf if ![0xffc4, 0xffc8, 0xffcc].contains(&marker) => {
                return Some((be(at + 7, 2)?, be(at + 5, 2)?));
            }
            0xffff => at += 1,
            0xff01..=0xffff => at += 2 + be(at + 2, 2)?.max(2) as usize,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    #[test]
    fn the_size_is_read_from_the_header() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\x01\x00";
        let gif = b"GIF89a\x03\0\x04\0";
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x07\0\x09";
        for (mime, bytes, expected) in [
            ("image/png", &png[..], "an image of 2x256"),
            ("image/gif", &gif[..], "an image of 3x4"),
            ("image/jpeg", &jpeg[..], "an image of 9x7"),
            ("image/jpeg", &jpeg[..8], "an image of unknown size"),
            ("image/png", b"nonsense", "an image of unknown size"),
            ("application/pdf", b"%PDF", "a file of 4 bytes"),
        ] {
            let data = STANDARD.encode(bytes);
            assert_eq!(seen(mime, &data), expected);
            assert_eq!(seen(mime, &URL_SAFE.encode(bytes)), expected);
            assert_eq!(seen_url(&format!("data:{mime};base64,{data}")), expected);
        }
        assert_eq!(seen_url("https://example.com/a.png"), "an image at https://example.com/a.png");
    }
}
