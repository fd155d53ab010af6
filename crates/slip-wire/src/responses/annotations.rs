//! Citations: this dialect's flat objects and OpenRouter's nested ones.

use crate::object::{Object, Writer, to_raw};
use serde_json::value::RawValue;
use slip_ir::Raw;

/// Places in files of the provider's own store.
const PLACES: [&str; 3] = ["file_citation", "container_file_citation", "file_path"];

/// A citation as the vocabulary has it. A place in a file of the provider's own store has no address elsewhere and gets one within
/// the conversation; its own words travel along as `location`.
pub fn read(annotation: &RawValue) -> Option<Raw> {
    let mut o = Object::parse(annotation.get(), "").ok()?;
    let kind = o.string("type", "").ok().flatten()?;
    if PLACES.contains(&kind.as_str()) {
        return place(o, annotation.get());
    }
    if kind != "url_citation" || o.has("url_citation") {
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

fn place(mut o: Object<'_>, whole: &str) -> Option<Raw> {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("type", "url_citation");
    let mut inner = Writer::open(w.key("url_citation"));
    inner.put("url", &format!("#document-{}", o.string("file_id", "").ok().flatten().unwrap_or_default()));
    inner.put("title", &o.string("filename", "").ok().flatten().unwrap_or_default());
    inner.put("content", "");
    let at = o.count("index", "").ok().flatten();
    for name in ["start_index", "end_index"] {
        inner.put(name, &o.count(name, "").ok().flatten().or(at).unwrap_or(0));
    }
    inner.raw("location", whole);
    inner.close();
    w.close();
    to_raw(out)
}

/// The citation as a client of this dialect reads it: the members of the nested object stand beside its type. `None` for what its
/// clients do not know.
pub fn shown(annotation: &Raw) -> Option<Raw> {
    let flat = || {
        let mut o = Object::parse(annotation.as_str(), "").ok()?;
        let mut inner = o.object("url_citation", "").ok()??;
        if let Some(location) = inner.take("location")
            && Object::parse(location.get(), "").is_ok_and(|mut own| {
                own.string("type", "").ok().flatten().is_some_and(|kind| PLACES.contains(&kind.as_str()))
            })
        {
            return Raw::parse(location.get());
        }
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
    let known = || {
        let kind = Object::parse(annotation.as_str(), "").ok()?.string("type", "").ok()??;
        (kind == "url_citation" || PLACES.contains(&kind.as_str())).then(|| annotation.clone())
    };
    flat().or_else(known)
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
        let again = shown(&nested).expect("a citation");
        assert!(again.as_str().starts_with(flat.trim_end_matches('}')), "{nested:?}");
        // xAI leaves out what it does not know.
        let bare =
            read(serde_json::from_str(r#"{"type":"url_citation","url":"u"}"#).expect("JSON")).expect("a citation");
        assert_eq!(
            shown(&bare).expect("a citation").as_str(),
            r#"{"type":"url_citation","url":"u","title":"","start_index":0,"end_index":0,"content":""}"#
        );
        let file = r#"{"type":"file_citation","index":1,"file_id":"f"}"#;
        let nested = read(serde_json::from_str(file).expect("JSON")).expect("a citation");
        assert!(nested.as_str().contains("#document-f"), "{nested:?}");
        assert_eq!(shown(&nested).expect("a citation").as_str(), file);
        assert_eq!(shown(&Raw::parse(r#"{"type":"file","file":{}}"#).expect("JSON")), None);
    }
}
