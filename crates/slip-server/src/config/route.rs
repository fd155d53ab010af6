//! The rules for what holds in one place only: how long to wait there, and when to ask somebody else beside.

use super::check::Checker;
use super::checked::{After, Hedge, Patience};
use super::raw;
use super::tree::Path;
use super::words;
use std::time::Duration;

/// The percentiles that can be named.
const PERCENTILES: [(&str, f64); 5] = [("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];
/// Where nothing else is said.
const USUAL: Hedge = Hedge { after: After::Percentile(0.95), share: 20_000, unasked: true };

impl Checker<'_> {
    /// A time to wait.
    pub(super) fn wait(&mut self, path: &Path, text: Option<&str>) -> Option<Duration> {
        self.read(path, text, |text| match words::duration(text)? {
            Duration::ZERO => Err(format!("a time to wait is longer than nothing: {text:?}")),
            some => Ok(some),
        })
    }

    /// The `timeouts` of a provider or a model.
    pub(super) fn patience(&mut self, table: &Path, raw: Option<&raw::Patience>) -> Patience {
        let Some(raw) = raw else { return Patience::default() };
        let at = table.key("timeouts");
        Patience {
            connect: self.wait(&at.key("connect"), raw.connect.as_deref()),
            first_content: self.wait(&at.key("first_content"), raw.first_content.as_deref()),
            idle: self.wait(&at.key("idle"), raw.idle.as_deref()),
            total: self.wait(&at.key("total"), raw.total.as_deref()),
        }
    }

    pub(super) fn hedge(&mut self, table: &Path, raw: Option<&raw::Hedge>) -> Option<Hedge> {
        match raw? {
            raw::Hedge::Flag(on) => on.then_some(USUAL),
            raw::Hedge::Table(said) => {
                let after = table.key("hedge").key("after");
                let after = self.read(&after, said.after.as_deref(), |text| {
                    if let Some((_, share)) = PERCENTILES.iter().find(|(name, _)| *name == text) {
                        return Ok(After::Percentile(*share));
                    }
                    match words::duration(text) {
                        Ok(Duration::ZERO) => Err(format!("a time to wait is longer than nothing: {text:?}")),
                        Ok(time) => Ok(After::Fixed(time)),
                        Err(_) => {
                            let names = PERCENTILES.map(|(name, _)| name).join(", ");
                            Err(format!("neither one of {names} nor a duration such as 500ms or 5s: {text:?}"))
                        }
                    }
                });
                let share = said.max_share.map_or(USUAL.share, |share| (share * 1e6).round() as u32);
                let unasked = said.unasked.unwrap_or(USUAL.unasked);
                Some(Hedge { after: after.unwrap_or(USUAL.after), share, unasked })
            }
        }
    }
}
