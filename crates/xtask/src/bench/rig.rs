//! Processes pinned to a core, what they cost, and the load generator.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// The gateway has this core for itself, as far as the machine allows.
pub const GATEWAY_CORE: &str = "0";
pub const OTHER_CORE: &str = "1";
/// Enough descriptors for two per stream.
const FILES: &str = "16384";

/// A child process on one core, killed when dropped.
pub struct Pinned(Child);

impl Pinned {
    pub fn start(core: &str, program: &Path, args: &[&str], env: &[(&str, &str)], log: Stdio) -> Result<Pinned> {
        let child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {FILES} 2>/dev/null; exec taskset -c {core} \"$@\""), "sh"])
            .arg(program)
            .args(args)
            // A provider's key in the environment would switch that provider on.
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not be started: {}", program.display()))?;
        Ok(Pinned(child))
    }

    pub fn first_line(&mut self) -> Result<String> {
        let out = self.0.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if line.is_empty() {
            bail!("a process of the benchmark ended before it was ready: {}", self.0.wait()?);
        }
        Ok(line.trim_end().to_owned())
    }

    /// Ask it to end, and wait until it has.
    pub fn terminate(&mut self) -> Result<()> {
        let told = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status()?;
        if !told.success() || !self.0.wait()?.success() {
            bail!("a process of the benchmark did not end well");
        }
        Ok(())
    }

    fn tree(&self) -> Vec<u32> {
        let mut all = vec![self.0.id()];
        let mut at = 0;
        while let Some(pid) = all.get(at) {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|c| c.parse::<u32>().ok()));
            at += 1;
        }
        all
    }

    /// Nanoseconds on a core, of all threads that live, kernel time included.
    pub fn cpu_ns(&self) -> Result<u64> {
        let mut sum = 0;
        for pid in self.tree() {
            for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
                sum += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        Ok(sum)
    }

    /// Resident memory; what nginx's two processes share is counted once.
    pub fn rss_kb(&self) -> Result<u64> {
        let mut sum = 0;
        for pid in self.tree() {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let line = text.lines().find_map(|l| l.strip_prefix("Pss:")).context("no Pss in smaps_rollup")?;
            sum += line.trim().trim_end_matches(" kB").trim().parse::<u64>()?;
        }
        Ok(sum)
    }

    /// Records are written behind the request: wait until nothing moves for longer than they are held.
    pub fn wait_until_quiet(&self) -> Result<()> {
        const STILL: u64 = 300_000;
        for _ in 0..200 {
            let before = self.cpu_ns()?;
            sleep(Duration::from_millis(150));
            if self.cpu_ns()? - before < STILL {
                return Ok(());
            }
        }
        bail!("the gateway does not come to rest")
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a load goes.
pub struct Target {
    pub addr: SocketAddr,
    pub path: &'static str,
    pub key: String,
    pub body: PathBuf,
    pub connections: usize,
    pub stream: bool,
}

impl Target {
    fn args(&self) -> Vec<String> {
        let mut args = vec![format!("--addr={}", self.addr), format!("--path={}", self.path)];
        args.push(format!("--key={}", self.key));
        args.push(format!("--body={}", self.body.display()));
        args.push(format!("--connections={}", self.connections));
        args.extend(self.stream.then(|| "--stream".to_owned()));
        args
    }
}

/// What the load generator saw, times in microseconds.
pub struct Report {
    pub requests: u64,
    pub errors: u64,
    pub error: String,
    pub p50: u64,
    pub p99: u64,
}

pub fn load(ends: &Path, target: &Target, ms: u64) -> Result<Report> {
    let mut args = vec!["load".to_owned(), format!("--ms={ms}")];
    args.extend(target.args());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let line = Pinned::start(OTHER_CORE, ends, &args, &[], Stdio::inherit())?.first_line()?;
    let json: Value = serde_json::from_str(&line).with_context(|| format!("not a report: {line}"))?;
    let number = |name: &str| json[name].as_u64().unwrap_or(0);
    Ok(Report {
        requests: number("requests"),
        errors: number("errors"),
        error: json["error"].as_str().unwrap_or_default().to_owned(),
        p50: number("p50"),
        p99: number("p99"),
    })
}

/// Streams that are open for as long as the answer lives.
pub fn hold(ends: &Path, target: &Target) -> Result<Pinned> {
    let mut args = vec!["hold".to_owned()];
    args.extend(target.args());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut held = Pinned::start(OTHER_CORE, ends, &args, &[], Stdio::inherit())?;
    held.first_line()?;
    Ok(held)
}
