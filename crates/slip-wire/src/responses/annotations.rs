//! Citations: this dialect's flat objects and OpenRouter's nested ones.

use crate::anthropic::object::{Object, Writer, to_raw};
use serde_json::value::RawValue;
use slip_ir::Raw;

/// A `url_citation` as the vocabulary has it. A place in a file of the provider's own store means nothing elsewhere and stays as
/// it is.
pub fn read(annotation: &RawValue) -> Option<Raw> {
    let mut o = Object::parse(annotation.get(), "").ok()?;
    if o.string("type", "").ok().flatten()? != "url_citation" || o.has("url_citation") {
        return Raw::parse(annotation.get());
    }
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("type", "url_citation");
    let mut inner = Writer::open(w.key("url_citation"));
    inner.put("url", &o.string("url", "").ok().flatten().unwrap_or_default());
    inner.put("title", &o.string("title", "").ok().flatten().unwrap_or_default());
    inner.put("content", &o.string("content", "").ok().flatten().unwrap_or_default());
    for name in ["start_index", "end_index"] {
        inner.put(name, &o.count(name, "").ok().flatten().unwrap_or(0));
    }
    inner.close();
    w.close();
    to_raw(out)
}

/// The citation as a client of this dialect reads it: the members of the nested object stand beside its type.
pub fn shown(annotation: &Raw) -> Raw {
    let flat = || {
        let mut o = Object::parse(annotation.as_str(), "").ok()?;
        let mut inner = o.object("url_citation", "").ok()??;
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("type", "url_citation");
        w.put("url", &inner.string("url", "").ok()?.unwrap_or_default());
        w.put("title", &inner.string("title", "").ok()?.unwrap_or_default());
        for name in ["start_index", "end_index"] {
            w.put(name, &inner.count(name, "").ok()?.unwrap_or(0));
        }
        for (name, raw) in inner.rest() {
            w.raw(&name, raw.get());
        }
        w.close();
        to_raw(out)
    };
    flat().unwrap_or_else(|| annotation.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_crosses_and_comes_back() {
        let flat = r#"{"type":"url_citation","url":"https://x.example","title":"X","start_index":3,"end_index":9}"#;
        let nested = read(serde_json::from_str(flat).expect("JSON")).expect("a citation");
        let want = r#"{"type":"url_citation","url_citation":{"url":"https://x.example","title":"X","content":"","start_index":3,"end_index":9}}"#;
        assert_eq!(nested.as_str(), want);
        assert!(shown(&nested).as_str().starts_with(flat.trim_end_matches('}')), "{nested:?}");
        // xAI leaves out what it does not know.
        let bare =
            read(serde_json::from_str(r#"{"type":"url_citation","url":"u"}"#).expect("JSON")).expect("a citation");
        assert_eq!(
            shown(&bare).as_str(),
            r#"{"type":"url_citation","url":"u","title":"","start_index":0,"end_index":0,"content":""}"#
        );
        let file = r#"{"type":"file_citation","index":1,"file_id":"f"}"#;
        assert_eq!(shown(&read(serde_json::from_str(file).expect("JSON")).expect("it")).as_str(), file);
    }
}
