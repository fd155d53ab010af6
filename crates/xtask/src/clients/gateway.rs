//! A gateway started for the checks: the binary with a clean environment, ended by SIGTERM, killed only if that does not help.

use super::place;
use super::script::{Tally, until};
use crate::sh::root;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Start to first line; a debug build takes a fraction of a second.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Longer than the drain timeout of `gateway.toml`.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// Fixed, as for an unattended installation.
const KEY: &str = "sk-slip-v1-clients-0123456789abcdef";
const MANAGEMENT_KEY: &str = "sk-slip-v1-clients-management-0123456789";

pub struct Gateway {
    child: Child,
    api: String,
    key: String,
    log: PathBuf,
}

impl Gateway {
    /// `slipswitch serve` with a new data directory.
    pub fn serve(config: &Path) -> Result<Gateway> {
        let data = place().join("data");
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("cannot be emptied: {}", data.display()))?;
        }
        let mut command = binary();
        command.arg("serve").arg("--config").arg(config).arg("--data-dir").arg(&data);
        command.env("SLIPSWITCH_KEY", KEY).env("SLIPSWITCH_MANAGEMENT_KEY", MANAGEMENT_KEY);
        let gateway = Gateway::start(command, "serve.log")?;
        if gateway.key != KEY {
            bail!("SLIPSWITCH_KEY was not taken: the gateway's key is {}", gateway.key);
        }
        Ok(gateway)
    }

    /// `slipswitch demo`, as a newcomer starts it.
    pub fn demo() -> Result<Gateway> {
        let mut command = binary();
        command.args(["demo", "--no-tour"]);
        Gateway::start(command, "demo.log")
    }

    fn start(mut command: Command, log: &str) -> Result<Gateway> {
        fs::create_dir_all(place())?;
        let log = place().join(log);
        let file = File::create(&log).with_context(|| format!("cannot be written: {}", log.display()))?;
        command.args(["--json", "--listen", "127.0.0.1:0"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .context("the gateway could not be started")?;
        let line = first_line(&mut child);
        let mut gateway = Gateway { child, api: String::new(), key: String::new(), log };
        let told = || gateway.log_text();
        let line = line.with_context(|| format!("the gateway did not say that it is ready; it said:\n{}", told()))?;
        let ready: Value = serde_json::from_str(&line).with_context(|| format!("not one line of JSON: {line}"))?;
        let text = |member: &str| match ready.get(member).and_then(Value::as_str) {
            Some(text) => Ok(text.to_owned()),
            None => bail!("the line that says ready has no {member}: {line}"),
        };
        (gateway.api, gateway.key) = (text("api")?, text("key")?);
        Ok(gateway)
    }

    /// What scripts find it by. Loopback is never asked of a proxy.
    pub fn env(&self) -> [(&'static str, &str); 4] {
        [
            ("SLIPSWITCH_API", &self.api),
            ("SLIPSWITCH_KEY", &self.key),
            ("NO_PROXY", "127.0.0.1"),
            ("no_proxy", "127.0.0.1"),
        ]
    }

    pub fn api(&self) -> &str {
        &self.api
    }

    /// End it as a service manager would. That it was still there, ends in time and never panicked are checks too.
    pub fn stop(mut self, name: &str, tally: &mut Tally) {
        let ended = self.terminate();
        tally.check(&format!("{name} runs to the end and stops on SIGTERM"), ended);
        let panic = self.log_text().lines().find(|l| l.contains("panicked")).map(str::to_owned);
        tally.check(&format!("{name} does not panic"), panic.map_or(Ok(()), Err));
    }

    fn terminate(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("it had ended before: {status}"));
        }
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        match until(STOP_LIMIT, || self.child.try_wait().ok().flatten()) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("it ended with {status}")),
            None => Err(format!("it still runs {} s after SIGTERM", STOP_LIMIT.as_secs())),
        }
    }

    fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _: Option<ExitStatus> = self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// What `cargo build` leaves.
pub fn binary_path() -> PathBuf {
    root().join("target/debug/slipswitch")
}

/// Keys of real providers in the caller's environment must not switch anything on.
fn binary() -> Command {
    let mut command = Command::new(binary_path());
    command.env_clear().current_dir(root()).env("HOME", place());
    command
}

fn first_line(child: &mut Child) -> Result<String> {
    let out = child.stdout.take().context("no standard output")?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(out).lines();
        let _ = send.send(lines.next());
        // Read on, or the gateway would one day block on a full pipe.
        lines.for_each(drop);
    });
    match receive.recv_timeout(START_LIMIT) {
        Ok(Some(line)) => Ok(line?),
        Ok(None) => bail!("it ended"),
        Err(_) => bail!("it said nothing for {} s", START_LIMIT.as_secs()),
    }
}
