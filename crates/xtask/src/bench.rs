//! The benchmark beside nginx.

use anyhow::Result;

#[derive(clap::Args)]
pub struct Args {}

pub fn bench(_args: &Args) -> Result<()> {
    Ok(())
}
