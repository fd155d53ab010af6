//! `${VAR}`, `${VAR:-default}` and `${file:/path}` inside the strings of a file. The text is parsed first, so what is filled in is
//! only ever a value: it cannot open a table or end a string. `$${` stands for `${`.

use super::problem::Problem;
use super::tree::{Node, Origin, Path, Value};

/// Where names get their values.
pub struct Sources<'a> {
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    pub file: &'a dyn Fn(&str) -> Option<String>,
}

/// Expand every string below `node` that stands in the file. What the environment and flags give is taken as it is.
pub fn expand(node: &mut Node, path: &Path, sources: &Sources<'_>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Table(entries) => {
            entries.iter_mut().for_each(|e| expand(&mut e.node, &path.key(&e.key), sources, problems));
        }
        Value::List(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                expand(item, &path.item(at), sources, problems);
            }
        }
        Value::String(text) if matches!(node.origin, Origin::File(_)) && text.contains("${") => {
            match filled(text, sources, &mut node.expanded) {
                Ok(filled) => *text = filled,
                Err((what, note)) => {
                    problems.push(Problem::new(node.origin.clone(), path.clone(), what).maybe_note(note));
                    // Said once; a reader further on sees a value that was not given.
                    node.value = Value::Null;
                }
            }
        }
        _ => {}
    }
}

fn filled(text: &str, sources: &Sources<'_>, used: &mut Vec<String>) -> Result<String, (String, Option<String>)> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.push_str(before);
        let end = from.find('}').ok_or_else(|| ("`${` without its `}`".to_owned(), None))?;
        let inside = &from[2..end];
        rest = &from[end + 1..];

        if let Some(file) = inside.strip_prefix("file:") {
            let content = (sources.file)(file).ok_or_else(|| (format!("cannot read the file: {file}"), None))?;
            out.push_str(content.trim_end());
            used.push(inside.to_owned());
            continue;
        }
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let named = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(named) || name.as_bytes()[0].is_ascii_digit() {
            return Err((format!("not the name of a variable: {name}"), None));
        }
        // As in a shell: `:-` also stands in for a variable that is set to nothing.
        let value = (sources.variable)(name).filter(|value| default.is_none() || !value.is_empty());
        match value.or_else(|| default.map(str::to_owned)) {
            Some(value) => out.push_str(&value),
            None => {
                return Err((
                    format!("the environment variable is not set: {name}"),
                    Some(format!("set it, or write ${{{name}:-default}}")),
                ));
            }
        }
        used.push(name.to_owned());
    }
    out.push_str(rest);
    Ok(out)
}
