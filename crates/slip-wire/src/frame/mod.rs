//! Framing: where one message of a stream ends and the next begins.

pub mod sse;

/// One complete server-sent event. `data` is the joined payload without the field name (multi-line data joined by `\n`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field, where there was one.
    pub event: Option<&'a str>,
    pub data: &'a [u8],
}

impl Frame<'_> {
    pub fn is_done(&self) -> bool {
        self.data.trim_ascii() == b"[DONE]"
    }
}
