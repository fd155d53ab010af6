//! Subtitles: SubRip and WebVTT, made of segments or of words.

use super::{Format, Piece, Reply};
use std::fmt::Write as _;

/// Words are gathered into lines of about this many characters.
const LINE: usize = 80;

pub(super) fn write(reply: &Reply, format: Format) -> String {
    let cues = cues(reply);
    let mut out = String::new();
    if format == Format::Vtt {
        out.push_str("WEBVTT\n\n");
    }
    let comma = if format == Format::Srt { ',' } else { '.' };
    for (at, cue) in cues.iter().enumerate() {
        if format == Format::Srt {
            let _ = writeln!(out, "{}", at + 1);
        }
        let (start, end) = (clock(cue.start, comma), clock(cue.end, comma));
        // A blank line would end the cue, and an arrow begin another.
        let text = cue.text.trim().replace(['\r', '\n'], " ").replace("-->", "->");
        let _ = writeln!(out, "{start} --> {end}\n{text}\n");
    }
    out
}

fn cues(reply: &Reply) -> Vec<Piece> {
    if !reply.segments.is_empty() {
        return reply.segments.clone();
    }
    let mut lines: Vec<Piece> = Vec::new();
    for word in &reply.words {
        match lines.last_mut() {
            Some(line) if line.text.len() + word.text.len() < LINE => {
                line.text.push(' ');
                line.text.push_str(&word.text);
                line.end = word.end;
            }
            _ => lines.push(word.clone()),
        }
    }
    if lines.is_empty() && !reply.text.is_empty() {
        // Nobody said when: it is one cue as long as the sound.
        lines.push(Piece { text: reply.text.clone(), end: reply.duration_ms.unwrap_or(0), ..Piece::default() });
    }
    lines
}

/// `00:01:02,500`
fn clock(ms: u64, comma: char) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}{comma}{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// When the last cue of a text ends, where it is one of subtitles.
pub(super) fn last_ms(text: &str) -> Option<u64> {
    let (_, end) = text.rsplit_once("-->")?;
    let clock = end.trim_start().split(|c: char| !matches!(c, '0'..='9' | ':' | ',' | '.')).next()?;
    let (whole, ms) = clock.split_once([',', '.'])?;
    let ms: u64 = ms.get(..3)?.parse().ok()?;
    let parts = whole.split(':').map(|part| part.parse::<u64>().ok().filter(|n| *n < 1000));
    let seconds = parts.collect::<Option<Vec<_>>>().filter(|parts| parts.len() <= 3)?;
    Some(seconds.into_iter().fold(0, |sum, part| sum * 60 + part) * 1000 + ms)
}
