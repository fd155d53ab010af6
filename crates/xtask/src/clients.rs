//! The real client libraries against a running gateway.

use anyhow::Result;

pub fn clients(_filter: Option<&str>) -> Result<()> {
    Ok(())
}
