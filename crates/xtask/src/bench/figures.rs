//! What was measured, as a table.

use super::Scenario;
use super::peers::Gateway;
use super::rig::Report;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

#[derive(Default)]
pub struct Figures {
    pub rows: Vec<Row>,
    pub memory: Vec<Memory>,
    /// Bytes of the binary.
    pub size: u64,
}

/// One scenario.
pub struct Row {
    name: &'static str,
    about: &'static str,
    target: Option<f64>,
    chunks: u32,
    /// CPU microseconds per request, one per turn.
    nginx: Vec<f64>,
    slipswitch: Vec<f64>,
    /// p50 and p99 in microseconds, one per turn.
    latency: [Vec<(u64, u64)>; 3],
}

/// Kilobytes resident.
pub struct Memory {
    pub name: &'static str,
    pub fresh: u64,
    pub before: u64,
    pub holding: u64,
    pub streams: u64,
}

fn best(of: &[f64]) -> f64 {
    of.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Row {
    pub fn new(scenario: &Scenario) -> Row {
        let Scenario { name, about, target, chunks, .. } = *scenario;
        Row { name, about, target, chunks, nginx: Vec::new(), slipswitch: Vec::new(), latency: Default::default() }
    }

    pub fn add(&mut self, gateway: Gateway, cpu_us: f64, report: &Report) {
        match gateway {
            Gateway::Direct => {}
            Gateway::Nginx => self.nginx.push(cpu_us),
            Gateway::Slipswitch => self.slipswitch.push(cpu_us),
        }
        self.latency[gateway as usize].push((report.p50, report.p99));
    }

    fn ratio(&self) -> f64 {
        best(&self.slipswitch) / best(&self.nginx)
    }

    /// Turns are taken in pairs, so that each pair saw the same weather.
    fn paired(&self) -> f64 {
        median(self.slipswitch.iter().zip(&self.nginx).map(|(a, b)| a / b).collect())
    }

    pub fn line(&self) -> String {
        let (nginx, ours) = (best(&self.nginx), best(&self.slipswitch));
        let target = self.target.map_or("–".to_owned(), |t| {
            let verdict = if self.ratio() <= t { "met" } else { "missed" };
            format!("≤ {t} ({verdict})")
        });
        let per_chunk = match self.chunks {
            0 => String::new(),
            n => format!(" ({:.2} a chunk)", ours / f64::from(n)),
        };
        format!(
            "| {} | {} | {nginx:.1} | {ours:.1}{per_chunk} | {:.2} × | {:.2} × | {target} |",
            self.name,
            self.about,
            self.ratio(),
            self.paired()
        )
    }

    /// Of the quietest turns: what a gateway adds to a direct request, p50 and p99.
    fn added(&self) -> Option<String> {
        let least = |which: Gateway| {
            let of = &self.latency[which as usize];
            Some((of.iter().map(|l| l.0).min()?, of.iter().map(|l| l.1).min()?))
        };
        let direct = least(Gateway::Direct)?;
        let added = |which| {
            let (p50, p99) = least(which)?;
            Some((p50.saturating_sub(direct.0), p99.saturating_sub(direct.1)))
        };
        let (nginx, ours) = (added(Gateway::Nginx)?, added(Gateway::Slipswitch)?);
        Some(format!(
            "Added latency at one connection, p50 / p99: nginx {} / {} µs, slipswitch {} / {} µs (direct {} / {} µs).",
            nginx.0, nginx.1, ours.0, ours.1, direct.0, direct.1
        ))
    }
}

impl Figures {
    pub fn table(&self) -> String {
        let mut out = String::new();
        if !self.rows.is_empty() {
            out.push_str(
                "| | scenario | nginx, CPU µs | slipswitch, CPU µs | best / best | median of pairs | target |\n",
            );
            out.push_str("|---|---|---:|---:|---:|---:|---|\n");
        }
        for row in &self.rows {
            let _ = writeln!(out, "{}", row.line());
        }
        for added in self.rows.iter().filter_map(Row::added) {
            let _ = writeln!(out, "\n{added}");
        }
        for m in &self.memory {
            let each = m.holding.saturating_sub(m.before) as f64 / m.streams as f64;
            let _ = writeln!(
                out,
                "\nMemory of {}: {:.1} MiB fresh, {:.1} MiB after a few requests, {:.1} MiB with {} idle streams ({each:.1} kB a stream).",
                m.name,
                m.fresh as f64 / 1024.0,
                m.before as f64 / 1024.0,
                m.holding as f64 / 1024.0,
                m.streams
            );
        }
        let _ = writeln!(out, "\nBinary: {:.1} MB.", self.size as f64 / 1e6);
        out
    }
}

/// Append to the document, with the date and the commit.
pub fn record(file: &Path, remark: &str, built: bool, repeats: usize, table: &str) -> Result<()> {
    let said = |program: &str, args: &[&str]| -> Result<String> {
        let out = Command::new(program).args(args).current_dir(crate::sh::root()).output()?;
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let date = said("date", &["-u", "+%Y-%m-%d"])?;
    // Of a binary that was handed in, nobody knows the commit.
    let commit = if built { said("git", &["describe", "--always", "--dirty"])? } else { "a given binary".to_owned() };
    let cores = said("nproc", &[])?;
    let mut text = std::fs::read_to_string(file).with_context(|| format!("cannot be read: {}", file.display()))?;
    let _ = write!(text, "\n### {date}, {commit}: {remark}\n\n{cores} vCPU, best of {repeats}.\n\n{table}");
    std::fs::write(file, text).with_context(|| format!("cannot be written: {}", file.display()))
}
