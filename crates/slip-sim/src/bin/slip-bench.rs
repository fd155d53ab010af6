//! The two ends of a benchmark as processes of their own, so that each can be pinned to a core: `slip-bench upstream` answers with
//! canned replies, `slip-bench load` asks and prints what it saw as one JSON line.

use anyhow::{Context as _, bail};
use clap::{Args, Parser};
use slip_ir::Dialect;
use slip_sim::load::{self, LoadPlan, Until};
use slip_sim::{Canned, CannedConfig};
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(name = "slip-bench", about = "Canned upstream and load generator")]
enum Cli {
    /// Serve canned replies until killed. Prints the base URL when ready.
    Upstream(Upstream),
    /// Send requests and print the report as one JSON line.
    Load(Load),
    /// Begin streams and keep them open, unread, until standard input closes. Prints a line when all have begun.
    Hold(Target),
}

#[derive(Args)]
struct Upstream {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[arg(long, default_value = "openai-chat")]
    dialect: String,
    /// Bytes of a plain reply.
    #[arg(long, default_value_t = 1024)]
    body_bytes: usize,
    /// Content chunks of a stream.
    #[arg(long, default_value_t = 200)]
    chunks: usize,
    /// Pause between two chunks, in milliseconds.
    #[arg(long, default_value_t = 0)]
    delay: u64,
    /// Fall silent after the first chunk.
    #[arg(long)]
    idle: bool,
}

#[derive(Args)]
struct Target {
    #[arg(long)]
    addr: SocketAddr,
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    #[arg(long)]
    key: Option<String>,
    /// File with the request's body.
    #[arg(long)]
    body: PathBuf,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// The replies are streams.
    #[arg(long)]
    stream: bool,
}

#[derive(Args)]
struct Load {
    #[command(flatten)]
    target: Target,
    /// Stop after this many milliseconds...
    #[arg(long, default_value_t = 1000)]
    ms: u64,
    /// ... or, when given, after so many requests.
    #[arg(long)]
    requests: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        match cli {
            Cli::Upstream(args) => upstream(args).await,
            Cli::Load(args) => {
                let until = match args.requests {
                    Some(n) => Until::Requests(n),
                    None => Until::Elapsed(Duration::from_millis(args.ms)),
                };
                let report = load::run(plan(args.target, until)?).await?;
                println!("{}", serde_json::to_string(&report)?);
                Ok(())
            }
            Cli::Hold(target) => {
                let held = load::hold(&plan(target, Until::Requests(0))?).await?;
                println!("{{\"streams\":{}}}", held.len());
                let _ = std::io::stdin().read(&mut [0]);
                Ok(())
            }
        }
    })
}

async fn upstream(args: Upstream) -> anyhow::Result<()> {
    let Some(dialect) = Dialect::parse(&args.dialect) else { bail!("not a dialect: {}", args.dialect) };
    let canned = Canned::start(CannedConfig {
        listen: args.listen,
        dialect,
        body_bytes: args.body_bytes,
        chunks: args.chunks,
        delay: Duration::from_millis(args.delay),
        idle: args.idle,
    })
    .await?;
    println!("{}", canned.base_url());
    std::future::pending().await
}

fn plan(target: Target, until: Until) -> anyhow::Result<LoadPlan> {
    let body =
        std::fs::read(&target.body).with_context(|| format!("the body cannot be read: {}", target.body.display()))?;
    Ok(LoadPlan {
        addr: target.addr,
        path: target.path,
        headers: target.key.map(|key| ("authorization".to_owned(), format!("Bearer {key}"))).into_iter().collect(),
        body: body.into(),
        connections: target.connections,
        until,
        stream: target.stream,
    })
}
