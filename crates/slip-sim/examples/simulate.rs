//! One simulated provider in the foreground, for trying a client by hand: `cargo run -p slip-sim --example simulate -- gemini`.
//!
//! Arguments: the dialect (openai-chat, anthropic, gemini), then optionally the address and a fault (`stall:5`).

use anyhow::Context as _;
use slip_ir::Dialect;
use slip_sim::{Fault, Sim, SimConfig};
use std::time::Duration;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let dialect = args.next().unwrap_or_else(|| Dialect::OpenAiChat.name().to_owned());
    let dialect = Dialect::parse(&dialect).with_context(|| format!("not a dialect: {dialect}"))?;
    let listen = args.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let fault = args.next().map(|mode| Fault::parse(&mode)).transpose()?;
    let config = SimConfig {
        dialect,
        fault,
        listen: listen.parse().with_context(|| format!("not an address: {listen}"))?,
        ttft: Duration::from_millis(50),
        tokens_per_second: 100.0,
        ..SimConfig::default()
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let sim = Sim::start(config).await?;
        println!("{}", sim.base_url());
        std::future::pending().await
    })
}
