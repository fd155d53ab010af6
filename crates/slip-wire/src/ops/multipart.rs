//! `multipart/form-data` (RFC 7578), read and written whole. The body is in memory and bounded before it comes here; what a form
//! itself may grow without bound, its parts and their heads, is bounded here.
//!
//! Written by hand because the libraries for it are asynchronous readers of a body, and this is the translation of bytes that
//! are already there.

use crate::Malformed;
use bytes::Bytes;
use memchr::memmem;

/// More fields than any service has.
pub const MAX_PARTS: usize = 64;
/// The headers of one part.
pub const MAX_HEAD: usize = 4096;
/// RFC 2046, 5.1.1.
const MAX_BOUNDARY: usize = 70;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub name: String,
    /// The file's name, where it is a file.
    pub file: Option<String>,
    pub media_type: Option<String>,
    pub data: Bytes,
}

impl Part {
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Part {
        Part { name: name.into(), data: Bytes::from(text.into()), ..Part::default() }
    }
}

pub fn is_form(media_type: &str) -> bool {
    media_type.get(..19).is_some_and(|start| start.eq_ignore_ascii_case("multipart/form-data"))
}

fn wrong<T>(why: &str) -> Result<T, Malformed> {
    Err(Malformed::new("", format!("the multipart form {why}")))
}

/// The parts of a form, each with a slice of the body.
pub fn parse(media_type: &str, body: &Bytes) -> Result<Vec<Part>, Malformed> {
    let boundary = match parameter(media_type, "boundary") {
        Some(text) if (1..=MAX_BOUNDARY).contains(&text.len()) && text.bytes().all(|b| (b' '..0x7f).contains(&b)) => {
            text
        }
        Some(_) => return wrong("has a boundary that is not one"),
        None => return wrong("names no boundary in its content-type"),
    };
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    let finder = memmem::Finder::new(&delimiter);
    // The first delimiter needs no line end before it.
    let mut next = match body.strip_prefix(&delimiter[2..]).and_then(after) {
        Some(next) => next.within(delimiter.len() - 2),
        None => match seek(&finder, delimiter.len(), body, 0) {
            Some((_, next)) => next,
            None => return wrong("does not hold its boundary"),
        },
    };
    let mut parts = Vec::new();
    while let Next::Part(start) = next {
        if parts.len() == MAX_PARTS {
            return wrong(&format!("has more than {MAX_PARTS} parts"));
        }
        let (mut part, head) = read_head(&body[start..])?;
        let from = start + head;
        // The line end before a delimiter belongs to it: that of an empty head may be the one after its own.
        let Some((end, then)) = seek(&finder, delimiter.len(), body, from.saturating_sub(2)) else {
            return wrong("ends before its last boundary");
        };
        part.data = body.slice(from.min(end)..end.max(from.min(end)));
        parts.push(part);
        next = then;
    }
    Ok(parts)
}

/// What follows a delimiter.
#[derive(Clone, Copy)]
enum Next {
    /// A part, from here.
    Part(usize),
    End,
}

impl Next {
    fn within(self, offset: usize) -> Next {
        match self {
            Next::Part(at) => Next::Part(at + offset),
            Next::End => Next::End,
        }
    }
}

/// `None` where what looked like a delimiter is data.
fn after(rest: &[u8]) -> Option<Next> {
    if rest.starts_with(b"--") {
        return Some(Next::End);
    }
    let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    rest[blank..].starts_with(b"\r\n").then_some(Next::Part(blank + 2))
}

/// The next delimiter at or behind `from`: where the data before it ends, and what follows.
fn seek(finder: &memmem::Finder<'_>, length: usize, body: &[u8], from: usize) -> Option<(usize, Next)> {
    finder.find_iter(&body[from..]).find_map(|found| {
        let end = from + found;
        let behind = end + length;
        after(&body[behind..]).map(|next| (end, next.within(behind)))
    })
}

/// A part without its data, and how long its head is.
fn read_head(rest: &[u8]) -> Result<(Part, usize), Malformed> {
    let mut part = Part::default();
    let (mut at, mut named) = (0, false);
    loop {
        let window = &rest[at..rest.len().min(MAX_HEAD)];
        let Some(end) = memmem::find(window, b"\r\n") else {
            return wrong(if rest.len() > MAX_HEAD {
                "has a part whose head is too long"
            } else {
                "has a part without an end"
            });
        };
        let line = &window[..end];
        at += end + 2;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':')) else {
            return wrong("has a part with a head that is none");
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                part.name = parameter(value, "name").unwrap_or_default();
                part.file = parameter(value, "filename");
                named = !part.name.is_empty();
            }
            "content-type" => part.media_type = Some(value.to_owned()),
            "content-transfer-encoding"
                if !matches!(value.to_ascii_lowercase().as_str(), "binary" | "8bit" | "7bit") =>
            {
                return wrong("has a part in a transfer encoding, which nobody uses");
            }
            _ => {}
        }
    }
    if named { Ok((part, at)) } else { wrong("has a part without a name") }
}

/// A parameter of a header's value: a token or a quoted string. Browsers write quotes and line ends as `%22`, `%0D` and `%0A`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        // A word without a value stands between semicolons.
        let name = name.rsplit(';').next().unwrap_or(name).trim();
        let (text, behind) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (token, behind) = after.split_once(';').unwrap_or((after, ""));
                (token.trim().to_owned(), behind)
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = behind;
    }
}

fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let text = text.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n");
                return Some((text, quoted.get(at + 1..).unwrap_or_default().trim_start().trim_start_matches(';')));
            }
            // Only a quote is escaped: a backslash before anything else stands in some file's path.
            '\\' if quoted.get(at + 1..).is_some_and(|rest| rest.starts_with('"')) => {
                text.push('"');
                chars.next();
            }
            c => text.push(c),
        }
    }
    None
}

/// The parts as a body, and its content type. The boundary follows from the contents, so that the same form is the same bytes.
pub fn write(parts: &[Part]) -> (String, Vec<u8>) {
    let boundary = boundary(parts);
    let size = parts.iter().map(|part| part.data.len() + part.name.len() + 256).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    for part in parts {
        let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&part.name));
        if let Some(file) = &part.file {
            head.push_str("; filename=\"");
            head.push_str(&quoted(file));
            head.push('"');
        }
        if let Some(kind) = part.media_type.as_deref().filter(|kind| !kind.contains(['\r', '\n'])) {
            head.push_str("\r\nContent-Type: ");
            head.push_str(kind);
        }
        head.push_str("\r\n\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&part.data);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), out)
}

fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn boundary(parts: &[Part]) -> String {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    let stir = |hash: u64, bytes: &[u8]| {
        bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    // The ends of a large file tell it apart as well as all of it.
    let mut hash = parts.iter().fold(START, |hash, part| {
        let data = &part.data;
        let hash = stir(stir(hash, part.name.as_bytes()), &data.len().to_le_bytes());
        stir(stir(hash, &data[..data.len().min(1024)]), &data[data.len().saturating_sub(1024)..])
    });
    loop {
        let boundary = format!("slipswitch-{hash:016x}");
        if parts.iter().all(|part| memmem::find(&part.data, boundary.as_bytes()).is_none()) {
            return boundary;
        }
        hash = stir(hash, b"again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn parsed(boundary: &str, body: &str) -> Result<Vec<Part>, String> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        parse(&format!("multipart/form-data; boundary={boundary}"), &body).map_err(|bad| bad.why)
    }

    #[test]
    fn forms_are_read_as_clients_write_them() {
        /// Name, file, media type and data.
        type Row = (&'static str, Option<&'static str>, Option<&'static str>, &'static str);
        let rows: &[(&str, &str, &[Row])] = &[
            ("x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n", &[("a", None, None, "1")]),
            (
                "\"a b\"",
                "preamble\r\n--a b \r\ncontent-disposition: form-data; name=f; filename=\"s%22p.wav\"\r\nContent-Type: audio/wav\r\n\r\nRI\r\nFF\r\n--a b--",
                &[("f", Some("s\"p.wav"), Some("audio/wav"), "RI\r\nFF")],
            ),
            (
                "x",
                "--x\r\nContent-Disposition: form-data; filename=\"C:\\a\\\"b.wav\"; name=\"a\"\r\n\r\n\r\n--x--",
                &[("a", Some("C:\\a\"b.wav"), None, "")],
            ),
            // A longer word that begins like the boundary is data.
            (
                "x",
                "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--xy\r\n--x--",
                &[("a", None, None, "b\r\n--xy")],
            ),
            ("x", "--x--", &[]),
        ];
        for (boundary, body, want) in rows {
            let parts = parsed(boundary, body).unwrap_or_else(|why| panic!("{why}: {body}"));
            let got: Vec<_> = parts
                .iter()
                .map(|p| {
                    let text = std::str::from_utf8(&p.data).expect("rows are text");
                    (p.name.as_str(), p.file.as_deref(), p.media_type.as_deref(), text)
                })
                .collect();
            assert_eq!(got, *want, "{body}");
        }
    }

    #[test]
    fn a_bad_form_is_refused_with_what_is_wrong() {
        let head = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n";
        let many = format!("{head}\r\n1\r\n").repeat(MAX_PARTS + 1) + "--x--";
        let long = format!("{head}X: {}\r\n\r\n1\r\n--x--", "y".repeat(MAX_HEAD));
        let rows = [
            ("", "--x--".to_owned(), "names no boundary"),
            ("; boundary=", "--x--".to_owned(), "boundary that is not one"),
            (&*format!("; boundary={}", "b".repeat(71)), "--x--".to_owned(), "boundary that is not one"),
            ("; boundary=x", "nothing".to_owned(), "does not hold its boundary"),
            ("; boundary=x", format!("{head}\r\n1"), "ends before its last boundary"),
            (
                "; boundary=x",
                "--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--".to_owned(),
                "part without a name",
            ),
            ("; boundary=x", "--x\r\nnonsense\r\n\r\n1\r\n--x--".to_owned(), "a head that is none"),
            ("; boundary=x", format!("{head}Content-Transfer-Encoding: base64\r\n\r\n1\r\n--x--"), "transfer encoding"),
            ("; boundary=x", head.to_owned(), "part without an end"),
            ("; boundary=x", many, "more than 64 parts"),
            ("; boundary=x", long, "head is too long"),
        ];
        for (parameter, body, want) in rows {
            let bytes = Bytes::from(body);
            let bad = parse(&format!("multipart/form-data{parameter}"), &bytes).expect_err(want);
            assert!(bad.why.contains(want), "{want}: {bad}");
        }
    }

    fn part() -> impl Strategy<Value = Part> {
        let name = "[a-zA-Z0-9 _.\"\u{e9}\\[\\]-]{1,12}";
        let data = prop_oneof![
            vec(any::<u8>(), 0..64),
            Just(b"\r\n--".to_vec()),
            Just(b"\r\n--slipswitch-\r\n".to_vec()),
            Just(b"\r\n\r\n--\r\n--".to_vec()),
        ];
        (name, proptest::option::of(name), proptest::option::of("[a-z]{1,8}/[a-z]{1,8}"), data).prop_map(
            |(name, file, media_type, data)| Part {
                name: name.trim().to_owned() + "n",
                file,
                media_type,
                data: data.into(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(parts in vec(part(), 0..6)) {
            let (media_type, body) = write(&parts);
            prop_assert_eq!(parse(&media_type, &Bytes::from(body)).expect("a form"), parts);
        }

        #[test]
        fn any_bytes_are_read_or_refused(boundary in "[ -~]{0,8}", pieces in vec(prop_oneof![
            Just(b"\r\n--".to_vec()), Just(b"--".to_vec()), Just(b"x".to_vec()), Just(b"\r\n".to_vec()), Just(b": ".to_vec()),
            Just(b"Content-Disposition: form-data; name=\"a\"".to_vec()), vec(any::<u8>(), 0..8),
        ], 0..24)) {
            let body = Bytes::from(pieces.concat());
            for boundary in [boundary.as_str(), "x", "\"x\""] {
                if let Ok(parts) = parse(&format!("multipart/form-data; boundary={boundary}"), &body) {
                    prop_assert!(parts.len() <= MAX_PARTS);
                    prop_assert!(parts.iter().map(|p| p.data.len()).sum::<usize>() <= body.len());
                }
            }
        }
    }
}
