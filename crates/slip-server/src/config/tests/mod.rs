//! Configurations good and bad, and what is said of them.

mod bad;
mod clouds;
mod database;
mod good;

use super::*;

pub const BUILTIN: &[&str] = &["amazon-bedrock", "anthropic", "azure", "google-ai-studio", "google-vertex", "openai"];
pub const BALANCERS: &[&str] = &["price-weighted", "round-robin", "throughput"];
pub const MODES: &[&str] = &["status:S[:R]", "stall:N", "html[:S]"];

fn mode(text: &str) -> Result<(), String> {
    match text.split(':').collect::<Vec<_>>().as_slice() {
        ["status" | "stall", number] if number.parse::<u16>().is_ok() => Ok(()),
        ["html"] => Ok(()),
        _ => Err(format!("not a mode: {text}")),
    }
}

/// Load as the process would, with a few variables set and one readable file.
pub fn load_with(file: Option<(&str, &str)>, env: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let set = [("LAB_KEY", "lab-key-0123456789"), ("EMPTY", ""), ("NUMBER", "7")];
    let env: Vec<(String, String)> =
        set.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read = |path: &str| (path == "/run/secrets/lab").then(|| "file-key-0123456789\n".to_owned());
    let facts = Facts {
        builtin: BUILTIN,
        knows: &|model| model == "openai/known",
        balancers: BALANCERS,
        modes: MODES,
        mode: &mode,
    };
    load(&Sources { file, env: &env, read: &read, data_dir: "./data", flags: &[] }, &facts)
}
