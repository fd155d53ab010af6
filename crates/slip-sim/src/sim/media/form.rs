//! Forms, read line by line: not how the gateway writes them.

use bytes::Bytes;
use serde_json::Value;

pub(super) enum Field {
    Json(Value),
    Text(String),
    File(Bytes),
}

impl Field {
    pub fn text(&self) -> Option<String> {
        match self {
            Field::Json(Value::Null) | Field::File(_) => None,
            Field::Json(Value::String(text)) | Field::Text(text) => Some(text.clone()),
            Field::Json(value) => Some(value.to_string()),
        }
    }
}

pub(super) fn read(content_type: &str, body: &Bytes) -> Result<Vec<(String, Field)>, String> {
    let boundary = content_type.split("boundary=").nth(1).ok_or("no boundary in the content-type")?;
    let mark = format!("--{}", boundary.trim_matches('"'));
    let mut fields = Vec::new();
    let mut starts = memchr::memmem::find_iter(body, mark.as_bytes()).peekable();
    while let Some(at) = starts.next() {
        let head = at + mark.len();
        if body[head..].starts_with(b"--") {
            return Ok(fields);
        }
        let end = *starts.peek().ok_or("the form does not end")?;
        let part = body.get(head + 2..end.saturating_sub(2)).ok_or("a part is too short")?;
        let gap = memchr::memmem::find(part, b"\r\n\r\n").ok_or("a part has no data")?;
        let headers = std::str::from_utf8(&part[..gap]).map_err(|_| "a part's head is not text")?;
        let data = body.slice_ref(&part[gap + 4..]);
        let of = |name: &str| Some(headers.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?.to_owned());
        let name = of("name").ok_or("a part has no name")?;
        let field = match of("filename") {
            Some(_) => Field::File(data),
            None => Field::Text(String::from_utf8(data.to_vec()).map_err(|_| format!("{name} is not text"))?),
        };
        fields.push((name, field));
    }
    Err("the form does not end".to_owned())
}
