//! Real sound that carries its words: tones in a WAV with a chunk of text, or silence in an MP3 with a tag.

use bytes::Bytes;

const RATE: u32 = 24_000;
/// A character is heard so many samples long: a fiftieth of a second.
const LENGTH: u32 = RATE / 50;

/// Samples of one tone for each character.
pub(super) fn samples(text: &str) -> Vec<u8> {
    let tone = |letter: char| {
        let period = 24 + letter as u32 % 64;
        (0..LENGTH).flat_map(move |at| {
            // A saw needs no sine.
            let level = (at % period) as i32 * 16_000 / period as i32 - 8_000;
            (level as i16).to_le_bytes()
        })
    };
    text.chars().flat_map(tone).collect()
}

/// A WAV with what it says in a chunk of its own, before the samples.
pub(super) fn wav(text: &str) -> Vec<u8> {
    let samples = samples(text);
    let mut out = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    out.extend_from_slice(&RATE.to_le_bytes());
    out.extend_from_slice(&(RATE * 2).to_le_bytes());
    out.extend_from_slice(b"\x02\0\x10\0");
    let mut chunk = |name: &[u8; 4], data: &[u8]| {
        out.extend_from_slice(name);
        out.extend_from_slice(&(data.len() as u32).to_le_bytes());
        out.extend_from_slice(data);
        out.resize(out.len() + data.len() % 2, 0);
    };
    chunk(b"said", text.as_bytes());
    chunk(b"data", &samples);
    let size = (out.len() - 8) as u32;
    out[4..8].copy_from_slice(&size.to_le_bytes());
    out
}

/// A tag with what it says, and frames of silence: 128 kbit/s, 44.1 kHz.
pub(super) fn mp3(text: &str) -> Vec<u8> {
    let body = [b"\x03", text.as_bytes()].concat();
    let frame = body.len() as u32 + 10;
    let sevens = |n: u32| [(n >> 21 & 127) as u8, (n >> 14 & 127) as u8, (n >> 7 & 127) as u8, (n & 127) as u8];
    let mut out = b"ID3\x04\0\0".to_vec();
    out.extend_from_slice(&sevens(frame));
    out.extend_from_slice(b"TIT2");
    out.extend_from_slice(&sevens(body.len() as u32));
    out.extend_from_slice(b"\0\0");
    out.extend_from_slice(&body);
    for _ in 0..text.chars().count().div_ceil(2) {
        out.extend_from_slice(b"\xff\xfb\x90\x64");
        out.resize(out.len() + 413, 0);
    }
    out
}

/// What a sound says, and how long it is in seconds. `None` where it is none of ours.
pub(super) fn heard(data: &Bytes) -> Option<(String, f64)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    if data.starts_with(b"ID3") {
        let at = memchr::memmem::find(data.get(..32)?, b"TIT2")?;
        let size = data.get(at + 4..at + 8)?.iter().fold(0usize, |sum, b| sum << 7 | usize::from(*b));
        let body = data.get(at + 11..at + 10 + size)?;
        let frames = data.len().saturating_sub(at + 10 + size) / 417;
        return Some((text(body)?, frames as f64 * 1152.0 / 44_100.0));
    }
    if !data.starts_with(b"RIFF") {
        return None;
    }
    let (mut at, mut said) = (12, None);
    loop {
        let size = u32::from_le_bytes(data.get(at + 4..at + 8)?.try_into().ok()?) as usize;
        let body = data.get(at + 8..at + 8 + size)?;
        match data.get(at..at + 4)? {
            b"said" => said = text(body),
            b"data" => return Some((said?, size as f64 / f64::from(RATE * 2))),
            _ => {}
        }
        at += 8 + size + size % 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        for text in ["Hello there", "zażółć", "x"] {
            let seconds = text.chars().count() as f64 / 50.0;
            assert_eq!(heard(&wav(text).into()), Some((text.to_owned(), seconds)));
            assert_eq!(heard(&mp3(text).into()).map(|(said, _)| said), Some(text.to_owned()));
        }
        for noise in [&b""[..], b"RIFF", b"ID3", b"\0\0\0\0"] {
            assert_eq!(heard(&Bytes::copy_from_slice(noise)), None);
        }
    }
}
