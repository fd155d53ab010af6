//! What to write into a configuration for a server that was looked at.

use super::listing::Listed;
use super::look::Found;
use std::fmt::Write;

/// Models that are written down; a hub of thousands is better asked as `name/anything`.
const MOST: usize = 50;
/// What every server of this kind understands. Said only where something else is missing, since a list is taken to be all.
const PLAIN: [&str; 5] = ["temperature", "top_p", "max_tokens", "stop", "seed"];

pub fn toml(found: &Found, name: Option<&str>, keyed: bool, variable: Option<&str>) -> String {
    let builtin = found.kind.and_then(slip_providers::by_id).filter(|_| name.is_none_or(|n| Some(n) == found.kind));
    let name = name.map_or_else(|| builtin.map_or_else(|| host(&found.base), |p| p.id.to_string()), slug);
    let mut out = format!("[providers.{name}]\n");
    let mut base = &found.base;
    match builtin {
        // Its own API stands beside the other one.
        Some(p) if p.id == "ollama" => base = &found.root,
        Some(_) => {}
        None if found.does("messages") && !found.does("chat") => out.push_str("dialect = \"anthropic\"\n"),
        None if found.does("responses") && !found.does("chat") => out.push_str("dialect = \"openai-responses\"\n"),
        None => out.push_str("dialect = \"openai-chat\"\n"),
    }
    let _ = writeln!(out, "base_url = {}", quoted(base));
    if keyed {
        let fallback = format!("{}_API_KEY", name.to_uppercase().replace(['-', '.'], "_"));
        let _ = writeln!(out, "key = \"${{{}}}\"", variable.unwrap_or(&fallback));
    } else if builtin.is_none() {
        out.push_str("key = \"none\"\n");
    }
    if !found.models.is_empty() {
        out.push_str("models = [\n");
        let mut ids = Vec::new();
        for model in found.models.iter().filter(|m| !m.id.is_empty()).take(MOST) {
            let id = format!("{name}/{}", plain(&model.id));
            if !ids.contains(&id) {
                let _ = writeln!(out, "    {},", entry(found, model, &id));
                ids.push(id);
            }
        }
        out.push_str("]\n");
    }
    if found.models.len() > MOST {
        let _ = writeln!(out, "# and {} more: any is reached as {name}/MODEL", found.models.len() - MOST);
    }
    out
}

fn entry(found: &Found, model: &Listed, id: &str) -> String {
    let mut out = format!("{{ id = {}, upstream = {}", quoted(id), quoted(&model.id));
    if let Some(context) = model.context {
        let _ = write!(out, ", context = {context}");
    }
    if model.sees {
        out.push_str(", input = [\"text\", \"image\"]");
    }
    if model.embeds {
        out.push_str(", output = [\"embeddings\"]");
    }
    let lacks = |door: &str| found.door(door).is_some() && !found.does(door);
    if found.asked.as_ref() == Some(&model.id) && found.does("chat") && (lacks("tools") || lacks("structured")) {
        let mut params = PLAIN.to_vec();
        if found.does("tools") {
            params.extend(["tools", "tool_choice"]);
        }
        if found.does("structured") {
            params.extend(["response_format", "structured_outputs"]);
        }
        let params: Vec<String> = params.into_iter().map(quoted).collect();
        let _ = write!(out, ", params = [{}]", params.join(", "));
    }
    if let Some(precision) = &model.quantization {
        let _ = write!(out, ", quantization = {}", quoted(precision));
    }
    out.push_str(" }");
    out
}

/// As a provider may be named.
fn slug(name: &str) -> String {
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c.to_ascii_lowercase() } else { '-' };
    let slug: String = name.chars().map(plain).collect();
    let slug = slug.trim_matches(['-', '.']).to_owned();
    if slug.is_empty() { "local".to_owned() } else { slug }
}

/// The first word of its host's name; an address says nothing.
fn host(base: &str) -> String {
    let host = base.split("://").nth(1).unwrap_or(base).split(['/', ':']).next().unwrap_or_default();
    let word = host.trim_start_matches("api.").split('.').next().unwrap_or_default();
    match word {
        "" | "localhost" => "local".to_owned(),
        word if word.chars().all(|c| c.is_ascii_digit()) || word.starts_with('[') => "local".to_owned(),
        word => slug(word),
    }
}

/// As a model may be named. A file's path is not a name.
fn plain(id: &str) -> String {
    let id = if id.starts_with(['/', '.']) { id.rsplit('/').next().unwrap_or(id) } else { id };
    id.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.:/@+~".contains(c) { c } else { '-' }).collect()
}

/// JSON's strings are TOML's.
fn quoted(text: impl AsRef<str>) -> String {
    serde_json::to_string(text.as_ref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::look::Door;
    use super::*;

    #[test]
    fn what_is_written_down_is_a_configuration() {
        let yes = Door::Yes { ms: 1, note: "" };
        let model = |id: &str| Listed { id: id.into(), context: Some(8192), sees: true, ..Listed::default() };
        let base = |kind, doors: Vec<(&'static str, Door)>| Found {
            base: "http://127.0.0.1:8000/v1".into(),
            root: "http://127.0.0.1:8000".into(),
            kind,
            models: vec![model("/models/a b.gguf"), Listed { embeds: true, ..model("qwen/embed") }],
            asked: Some("/models/a b.gguf".into()),
            doors,
            ..Found::default()
        };
        let rows = [
            (
                base(None, vec![("chat", yes.clone()), ("tools", Door::No), ("structured", yes.clone())]),
                None,
                "local",
                "openai-chat",
            ),
            (base(None, vec![("messages", yes.clone())]), Some("my Lab"), "my-lab", "anthropic"),
            (base(Some("vllm"), vec![("chat", yes.clone())]), None, "vllm", ""),
            (base(Some("ollama"), Vec::new()), None, "ollama", ""),
            (base(Some("tgi"), vec![("chat", yes)]), None, "local", "openai-chat"),
        ];
        for (found, name, slug, dialect) in rows {
            let text = toml(&found, name, false, None);
            let conf = crate::config::from_text("found.toml", &text).unwrap_or_else(|e| panic!("{text}\n{}", e.says));
            let p = conf.providers.iter().find(|p| p.slug == slug).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(p.dialect.map_or("", |d| d.name()), dialect, "{text}");
            assert_eq!(
                p.models.first().map(|m| (m.upstream.as_str(), m.context)),
                Some(("/models/a b.gguf", Some(8192)))
            );
            assert_eq!(p.models.first().map(|m| m.id.clone()), Some(format!("{slug}/a-b.gguf")));
        }
        assert!(toml(&base(None, Vec::new()), None, true, Some("LAB_KEY")).contains("key = \"${LAB_KEY}\""));
        assert_eq!((host("https://api.acme.ai/v1"), host("http://10.0.0.1:1")), ("acme".into(), "local".into()));
    }
}
