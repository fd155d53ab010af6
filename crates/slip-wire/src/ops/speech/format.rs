//! The formats of sound by name, media type and first bytes.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Mp3,
    Opus,
    Aac,
    Flac,
    Wav,
    /// 24 kHz, 16-bit, little-endian, one channel, without a head.
    Pcm,
}

impl Format {
    pub const ALL: [Format; 6] = [Format::Mp3, Format::Opus, Format::Aac, Format::Flac, Format::Wav, Format::Pcm];

    pub const fn name(self) -> &'static str {
        match self {
            Format::Mp3 => "mp3",
            Format::Opus => "opus",
            Format::Aac => "aac",
            Format::Flac => "flac",
            Format::Wav => "wav",
            Format::Pcm => "pcm",
        }
    }

    pub fn parse(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Mp3 => "audio/mpeg",
            Format::Opus => "audio/ogg",
            Format::Aac => "audio/aac",
            Format::Flac => "audio/flac",
            Format::Wav => "audio/wav",
            Format::Pcm => "audio/pcm",
        }
    }
}

/// What the first bytes of a sound say about it.
pub fn sniff(data: &[u8]) -> Option<Format> {
    let table: [(&[u8], Format); 4] =
        [(b"ID3", Format::Mp3), (b"OggS", Format::Opus), (b"fLaC", Format::Flac), (b"RIFF", Format::Wav)];
    let named = table.iter().find(|(start, _)| data.starts_with(start)).map(|(_, format)| *format);
    // The frames of MP3 and of AAC begin with the same eleven bits; the next tell the layer, which AAC leaves at nothing.
    named.or(match data {
        [0xff, second, ..] if second & 0xf6 == 0xf0 => Some(Format::Aac),
        [0xff, second, ..] if second & 0xe0 == 0xe0 => Some(Format::Mp3),
        _ => None,
    })
}

/// How long a WAV is, in thousandths of a second.
pub fn wav_ms(data: &[u8]) -> Option<u64> {
    let (per_second, samples) = wav(data)?;
    Some((samples.len() as u64) * 1000 / u64::from(per_second))
}

/// Bytes of sound per second, and the samples as far as they are there.
fn wav(data: &[u8]) -> Option<(u32, &[u8])> {
    let word = |at: usize| data.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    if !data.starts_with(b"RIFF") || data.get(8..12)? != b"WAVE" {
        return None;
    }
    let (mut at, mut per_second) = (12usize, None);
    loop {
        let name = data.get(at..at + 4)?;
        let size = word(at + 4)? as usize;
        let body = at + 8;
        match name {
            b"fmt " => per_second = word(body + 8).filter(|n| *n > 0),
            b"data" => return Some((per_second?, &data[body..body.saturating_add(size).min(data.len())])),
            _ => {}
        }
        // Chunks begin at even places.
        at = body.checked_add(size)?.checked_add(size % 2)?;
    }
}

/// Bare 16-bit samples of one channel as a WAV.
pub fn to_wav(samples: &[u8], rate: u32) -> Vec<u8> {
    let size = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(samples.len() + 44);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&size.saturating_add(36).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend_from_slice(&rate.to_le_bytes());
    out.extend_from_slice(&rate.saturating_mul(2).to_le_bytes());
    out.extend_from_slice(b"\x02\0\x10\0data");
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(samples);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_are_told_by_their_first_bytes() {
        let rows: [(&[u8], Option<Format>); 7] = [
            (b"ID3\x04", Some(Format::Mp3)),
            (b"\xff\xf3\x10\xc4", Some(Format::Mp3)),
            (b"\xff\xf1\x50", Some(Format::Aac)),
            (b"RIFF\0\0\0\0WAVE", Some(Format::Wav)),
            (b"OggS", Some(Format::Opus)),
            (b"fLaC", Some(Format::Flac)),
            (b"\0\0", None),
        ];
        for (data, want) in rows {
            assert_eq!(sniff(data), want, "{data:?}");
        }
    }

    #[test]
    fn the_length_of_a_wav_is_read_off_its_head() {
        let wav = to_wav(&[0; 48_000], 24_000);
        assert_eq!(wav_ms(&wav), Some(1000));
        assert_eq!(wav_ms(&wav[..44 + 24_000]), Some(500), "as far as it is there");
        for cut in 0..44 {
            assert_eq!(wav_ms(&wav[..cut]), None, "{cut}");
        }
        let endless = [&b"RIFF\0\0\0\0WAVE"[..], b"junk\xff\xff\xff\xff"].concat();
        assert_eq!(wav_ms(&endless), None);
    }
}
