//! The real client libraries, and the README's examples, against a running gateway with simulated providers.
//!
//! Nothing is installed outside `target/clients`. A script of `tests/clients` prints one line per check, `ok <name>` or
//! `FAIL <name>: why`; those lines are counted here, and so are crashes, silence and scripts that do not end.

mod gateway;
mod install;
mod readme;
mod script;

use crate::sh::{root, run, step};
use anyhow::{Result, bail};
use gateway::Gateway;
use script::{Script, Tally};
use std::path::PathBuf;
use std::time::Duration;

/// Scripts take a few seconds; this is for a slow machine, and the end of one that hangs.
const SCRIPT_LIMIT: Duration = Duration::from_secs(300);

const PYTHON: &[(&str, &str, &str)] = &[
    ("openai-py", "venv", "openai_check.py"),
    ("openrouter-py", "venv", "openrouter_check.py"),
    ("litellm", "venv-litellm", "litellm_check.py"),
    ("anthropic-py", "venv-makers", "anthropic_check.py"),
    ("genai-py", "venv-makers", "genai_check.py"),
    ("instructor", "venv-makers", "instructor_check.py"),
    ("langchain-py", "venv-frameworks", "langchain_check.py"),
    ("agents", "venv-frameworks", "agents_check.py"),
    ("coding-agents", "venv", "coding_agents_check.py"),
    ("boto3", "venv-bedrock", "bedrock_check.py"),
    ("surfaces", "venv", "surfaces_check.py"),
    ("media-py", "venv", "media_check.py"),
    ("contract", "venv", "openapi_check.py"),
    ("natives", "venv-natives", "natives_check.py"),
    ("services-py", "venv-services", "services_check.py"),
];
const NODE: &[(&str, &str)] = &[
    ("openai-js", "openai_check.mjs"),
    ("openrouter-js", "openrouter_check.mjs"),
    ("ai-sdk", "ai_sdk_check.mjs"),
    ("ai-sdk-dialects", "ai_sdk_dialects_check.mjs"),
    ("anthropic-js", "anthropic_check.mjs"),
    ("genai-js", "genai_check.mjs"),
    ("langchain-js", "langchain_check.mjs"),
    ("services-js", "services_check.mjs"),
    ("media-js", "media_check.mjs"),
];
const README: &str = "readme";

/// Where everything is installed and written.
pub(crate) fn place() -> PathBuf {
    root().join("target/clients")
}

pub fn clients(filter: Option<&str>) -> Result<()> {
    let wanted = |name: &str| filter.is_none_or(|f| name.contains(f));
    let python: Vec<_> = PYTHON.iter().filter(|(name, ..)| wanted(name)).collect();
    let node: Vec<_> = NODE.iter().filter(|(name, _)| wanted(name)).collect();
    let readme = wanted(README);
    if python.is_empty() && node.is_empty() && !readme {
        let names: Vec<&str> = PYTHON.iter().map(|p| p.0).chain(NODE.iter().map(|n| n.0)).chain([README]).collect();
        bail!("no client is named like this, choose among {}: {}", names.join(", "), filter.unwrap_or_default());
    }

    let mut scripts = Vec::new();
    let tests = root().join("tests/clients/python");
    for (name, venv, file) in python {
        let program = install::venv(venv)?;
        scripts.push(Script::new(name, program).arg(tests.join(file)).env("PYTHONDONTWRITEBYTECODE", "1"));
    }
    if !node.is_empty() {
        let installed = install::node()?;
        scripts.extend(node.iter().map(|(name, file)| Script::new(name, "node").arg(installed.join(file))));
    }
    run("cargo", &["build", "--package", "slipswitch"])?;

    let mut tally = Tally::default();
    if !scripts.is_empty() {
        let config = root().join("tests/clients/gateway.toml");
        let gateway = Gateway::serve(&config)?;
        for script in &scripts {
            step(script.name());
            script.run(&gateway.env(), SCRIPT_LIMIT, &mut tally);
        }
        gateway.stop("the gateway of the clients", &mut tally);
    }
    if readme {
        step("the README's examples, against the demo");
        readme::run(&mut tally)?;
    }
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 {
        bail!("{} client checks failed", tally.failed);
    }
    Ok(())
}
