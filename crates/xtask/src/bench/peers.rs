//! Who is measured: nothing (direct), nginx as a plain proxy, and slipswitch as its users run it.

use super::bodies::{Bodies, PLAIN, SILENT, TRANSLATED};
use super::rig::{GATEWAY_CORE, OTHER_CORE, Pinned, Target};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gateway {
    Direct,
    Nginx,
    Slipswitch,
}

/// Canned providers: OpenAI's dialect, Anthropic's, and one whose streams fall silent.
pub struct Upstreams {
    plain: SocketAddr,
    anthropic: SocketAddr,
    silent: SocketAddr,
    _running: Vec<Pinned>,
}

impl Upstreams {
    pub fn start(ends: &Path) -> Result<Upstreams> {
        let mut running = Vec::new();
        let mut start = |args: &[&str]| -> Result<SocketAddr> {
            let args = [&["upstream"], args].concat();
            let mut one = Pinned::start(OTHER_CORE, ends, &args, &[], Stdio::inherit())?;
            let line = one.first_line()?;
            running.push(one);
            let address = line.trim_start_matches("http://").trim_end_matches("/v1");
            address.parse().with_context(|| format!("not an address: {address}"))
        };
        Ok(Upstreams {
            plain: start(&[])?,
            anthropic: start(&["--dialect=anthropic"])?,
            silent: start(&["--idle"])?,
            _running: running,
        })
    }
}

pub struct Peer {
    addr: SocketAddr,
    silent: SocketAddr,
    path: &'static str,
    key: String,
    process: Option<Pinned>,
    data: PathBuf,
}

/// An API key of the right length. It opens nothing but this run's gateway.
const KEY: &str = "bench-0123456789-0123456789-0123456789-0123456789-0123456789-01234567";

impl Peer {
    pub fn direct(upstreams: &Upstreams) -> Peer {
        Peer {
            addr: upstreams.plain,
            silent: upstreams.silent,
            path: "/v1/chat/completions",
            key: KEY.to_owned(),
            process: None,
            data: PathBuf::new(),
        }
    }

    pub fn nginx(dir: &Path, upstreams: &Upstreams) -> Result<Peer> {
        std::fs::create_dir_all(dir)?;
        let (addr, silent) = (free()?, free()?);
        let conf = dir.join("nginx.conf");
        std::fs::write(&conf, nginx_conf(dir, &[(addr, upstreams.plain), (silent, upstreams.silent)]))?;
        let args = ["-p", &dir.display().to_string(), "-c", &conf.display().to_string(), "-g", "daemon off;"];
        let log = File::create(dir.join("log"))?;
        let process = Pinned::start(GATEWAY_CORE, Path::new("nginx"), &args, &[], log.into())?;
        for _ in 0..100 {
            if TcpStream::connect(silent).is_ok() {
                let key = KEY.to_owned();
                let path = "/v1/chat/completions";
                return Ok(Peer { addr, silent, path, key, process: Some(process), data: dir.to_owned() });
            }
            sleep(Duration::from_millis(50));
        }
        bail!("nginx does not answer; see {}", dir.display())
    }

    pub fn slipswitch(binary: &Path, dir: &Path, upstreams: &Upstreams) -> Result<Peer> {
        std::fs::create_dir_all(dir)?;
        let conf = dir.join("bench.toml");
        std::fs::write(&conf, slipswitch_conf(dir, upstreams))?;
        let log = File::create(dir.join("log"))?;
        let args = ["serve", "-c", &conf.display().to_string(), "--json"];
        let env = [("SLIPSWITCH_KEY", KEY), ("HOME", &dir.display().to_string())];
        let mut process = Pinned::start(GATEWAY_CORE, binary, &args, &env, log.into())?;
        let line = process.first_line().with_context(|| format!("see {}", dir.display()))?;
        let ready: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        let api = ready["api"].as_str().unwrap_or_default();
        let addr = api.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let addr: SocketAddr = addr.parse().with_context(|| format!("not an address: {api}"))?;
        Ok(Peer {
            addr,
            silent: addr,
            path: "/api/v1/chat/completions",
            key: KEY.to_owned(),
            process: Some(process),
            data: dir.join("data"),
        })
    }

    pub fn target(&self, body: PathBuf, connections: usize, stream: bool) -> Target {
        Target { addr: self.addr, path: self.path, key: self.key.clone(), body, connections, stream }
    }

    pub fn silent(&self, bodies: &Bodies, streams: usize) -> Target {
        Target { addr: self.silent, ..self.target(bodies.silent(), streams, true) }
    }

    pub fn cpu_ns(&self) -> Result<u64> {
        self.process.as_ref().map_or(Ok(0), Pinned::cpu_ns)
    }

    pub fn rss_kb(&self) -> Result<u64> {
        self.process.as_ref().map_or(Ok(0), Pinned::rss_kb)
    }

    pub fn wait_until_quiet(&self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), Pinned::wait_until_quiet)
    }

    /// End it as an operator would, and count the records it left.
    pub fn stop_and_count(mut self) -> Result<u64> {
        if let Some(process) = &mut self.process {
            process.terminate()?;
        }
        let found = std::fs::read_dir(&self.data)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|e| e == "db" || e == "sqlite" || e == "sqlite3"))
            .with_context(|| format!("no database in {}", self.data.display()))?;
        let counted = Command::new("sqlite3").arg(found).arg("SELECT count(*) FROM generations").output()?;
        let text = String::from_utf8_lossy(&counted.stdout).trim().to_owned();
        text.parse().with_context(|| format!("not a count: {text}{}", String::from_utf8_lossy(&counted.stderr)))
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Its best: one worker, connections kept to both sides, nothing buffered to disk, nothing logged.
fn nginx_conf(dir: &Path, pairs: &[(SocketAddr, SocketAddr)]) -> String {
    let dir = dir.display();
    let mut http = String::new();
    for (n, (listen, upstream)) in pairs.iter().enumerate() {
        http.push_str(&format!(
            "  upstream u{n} {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}\n\
             \x20 server {{ listen {listen} backlog=1024; location / {{ proxy_pass http://u{n}; }} }}\n"
        ));
    }
    format!(
        "worker_processes 1;\nworker_rlimit_nofile 16384;\npid {dir}/pid;\nerror_log {dir}/error.log;\n\
         events {{ worker_connections 8192; }}\nhttp {{\n  access_log off;\n  tcp_nodelay on;\n  \
         keepalive_requests 1000000000;\n  client_max_body_size 16m;\n  client_body_buffer_size 1m;\n  \
         proxy_http_version 1.1;\n  proxy_set_header Connection \"\";\n  proxy_buffering off;\n  \
         proxy_read_timeout 600s;\n  client_body_temp_path {dir}/body;\n  proxy_temp_path {dir}/proxy;\n  \
         fastcgi_temp_path {dir}/fastcgi;\n  uwsgi_temp_path {dir}/uwsgi;\n  scgi_temp_path {dir}/scgi;\n{http}}}\n"
    )
}

/// A key check, routing, prices, records on disk and metrics: everything on, as users have it.
fn slipswitch_conf(dir: &Path, upstreams: &Upstreams) -> String {
    let mut conf = format!("listen = \"127.0.0.1:0\"\nprobe = false\ndata_dir = \"{}/data\"\n", dir.display());
    for (slug, dialect, address, model) in [
        ("canned", "openai-chat", upstreams.plain, PLAIN),
        ("canned-anthropic", "anthropic", upstreams.anthropic, TRANSLATED),
        ("silent", "openai-chat", upstreams.silent, SILENT),
    ] {
        conf.push_str(&format!(
            "\n[providers.{slug}]\ndialect = \"{dialect}\"\nbase_urls = [\"http://{address}/v1\"]\nkey = \"{KEY}\"\n\
             allow_private = true\nmodels = [{{ id = \"{model}\", upstream = \"canned\", context = 200000, \
             price = {{ input = \"0.15\", output = \"0.60\" }} }}]\n"
        ));
    }
    conf
}
