//! JSON strings without their escapes.

use slip_wire::json::Str;

/// Appends the text of a string that has escapes. Half a surrogate pair alone is no character, but it is not nothing either:
/// it becomes the three bytes that UTF-8 forbids, so that no other text is mistaken for it.
pub(super) fn write(string: &Str<'_>, out: &mut Vec<u8>) {
    let mut rest = string.raw();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        let Some((kind, after)) = rest.split_first() else { return };
        rest = after;
        match kind {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (code, length) = unit(rest);
                rest = rest.get(length..).unwrap_or_default();
                push(code, out);
            }
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
}

/// The code after a `\u`, of two escapes if they are a pair, and how many bytes it took.
fn unit(bytes: &[u8]) -> (u32, usize) {
    let hex = |digits: &[u8]| digits.iter().try_fold(0, |n, b| Some(n * 16 + char::from(*b).to_digit(16)?));
    let first = bytes.get(..4).and_then(hex).unwrap_or(0xfffd);
    if let 0xd800..=0xdbff = first
        && let Some([b'\\', b'u', low @ ..]) = bytes.get(4..10)
        && let Some(low @ 0xdc00..=0xdfff) = hex(low)
    {
        return (0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00), 10);
    }
    (first, 4)
}

fn push(code: u32, out: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.extend([0xe0 | (code >> 12) as u8, 0x80 | (code >> 6) as u8 & 0x3f, 0x80 | code as u8 & 0x3f]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_the_characters_they_mean() {
        for (raw, want) in [
            (r#""a\n\t\r\b\f\"\\\/b""#, &b"a\n\t\r\x08\x0c\"\\/b"[..]),
            (r#""\u00e9\u00E9é""#, "ééé".as_bytes()),
            (r#""\ud83d\ude00""#, "😀".as_bytes()),
            (r#""\ufffd""#, "\u{fffd}".as_bytes()),
            (r#""\ud83d""#, b"\xed\xa0\xbd"),
            (r#""\ude00\ud83d""#, b"\xed\xb8\x80\xed\xa0\xbd"),
            (r#""\ud83d\u0041""#, b"\xed\xa0\xbdA"),
        ] {
            let mut out = Vec::new();
            write(&Str::of(raw.as_bytes()).unwrap(), &mut out);
            assert_eq!(out, want, "{raw}");
        }
    }
}
