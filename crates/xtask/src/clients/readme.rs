//! The README's examples, run as they stand. A block is marked by the comment before it, `<!-- run: curl -->`; only the address it
//! names is changed, to that of the demo running here.

use super::gateway::{self, Gateway};
use super::script::{Ended, Script, Tally};
use super::{install, place};
use crate::sh::{debian, root};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// Where the README says the gateway is.
const ADDRESS: &str = "http://127.0.0.1:8484";
/// Each kind of example that must be there, with what its output must show: the demo's model echoes.
const KINDS: [(&str, &str); 4] =
    [("curl", "echo: hello"), ("python", "echo: hello"), ("typescript", "echo: hello"), ("config", "")];

#[derive(Debug, PartialEq)]
struct Example {
    kind: String,
    code: String,
}

pub fn run(tally: &mut Tally) -> Result<()> {
    let text = fs::read_to_string(root().join("README.md")).context("README.md cannot be read")?;
    let examples = examples(&text)?;
    for (kind, _) in KINDS {
        if !examples.iter().any(|e| e.kind == kind) {
            bail!("README.md has no example marked <!-- run: {kind} -->");
        }
    }
    let gateway = Gateway::demo()?;
    for (nth, example) in examples.iter().enumerate() {
        let name = format!("readme: the {} example", example.kind);
        let ended = example.run(&gateway, nth)?;
        tally.check(&name, example.judge(&ended));
    }
    gateway.stop("the demo of the README", tally);
    Ok(())
}

impl Example {
    fn run(&self, gateway: &Gateway, nth: usize) -> Result<Ended> {
        let host = gateway.api().strip_suffix("/api/v1").unwrap_or(gateway.api());
        let code = self.code.replace(ADDRESS, host);
        let file = |dir: &Path, extension: &str| -> Result<_> {
            let path = dir.join(format!("readme_{nth}.{extension}"));
            fs::write(&path, &code).with_context(|| format!("cannot be written: {}", path.display()))?;
            Ok(path)
        };
        let script = match self.kind.as_str() {
            "curl" => {
                debian("curl", "curl")?;
                Script::new("curl", "bash").arg("-euo").arg("pipefail").arg(file(&place(), "sh")?)
            }
            "python" => Script::new("python", install::venv("venv")?).arg(file(&place(), "py")?),
            // What the README shows has no types to strip, so that any Node.js runs it.
            "typescript" => Script::new("typescript", "node").arg(file(&install::node()?, "mjs")?),
            "config" => {
                let check = Script::new("config", gateway::binary_path()).arg("config").arg("check");
                check.arg(file(&place(), "toml")?).env("OPENAI_API_KEY", "for-the-example")
            }
            other => bail!("README.md marks an example of an unknown kind: {other}"),
        };
        Ok(script.dir(place()).execute(&gateway.env(), LIMIT, |line| println!("  {line}")))
    }

    fn judge(&self, ended: &Ended) -> Result<(), String> {
        let shows = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, shows)| shows);
        match &ended.trouble {
            Some(why) => Err(why.clone()),
            None if ended.lines.join("\n").contains(shows) => Ok(()),
            None => Err(format!("its output lacks {shows:?}")),
        }
    }
}

/// The marked blocks, in order.
fn examples(text: &str) -> Result<Vec<Example>> {
    let mut out = Vec::new();
    let mut marked: Option<&str> = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("<!-- run: ").and_then(|rest| rest.strip_suffix(" -->")) {
            marked = Some(kind);
        } else if let Some(kind) = marked.take_if(|_| line.starts_with("```")) {
            let code: Vec<&str> = lines.by_ref().take_while(|l| !l.starts_with("```")).collect();
            out.push(Example { kind: kind.to_owned(), code: code.join("\n") + "\n" });
        } else if let Some(kind) = marked.filter(|_| !line.is_empty()) {
            bail!("README.md marks something to run that is not a fenced block: {kind}");
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_blocks_are_found_and_others_are_not() {
        let text = "# A\n```sh\nnot this\n```\n<!-- run: curl -->\n```sh\ncurl x\ncurl y\n```\ntext\n<!-- run: python -->\n\n```python\nz\n```\n";
        let got = examples(text).unwrap();
        let want = [("curl", "curl x\ncurl y\n"), ("python", "z\n")];
        let want = want.map(|(kind, code)| Example { kind: kind.to_owned(), code: code.to_owned() });
        assert_eq!(got, want);
    }

    #[test]
    fn a_mark_without_a_block_is_refused() {
        let error = examples("<!-- run: curl -->\ntext\n").unwrap_err().to_string();
        assert!(error.contains("not a fenced block: curl"), "{error}");
    }
}
