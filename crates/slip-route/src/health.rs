//! How one endpoint through one instance has been doing: written after every attempt, read by every decision.
//!
//! Pure: no clock, no dice, no lock. Every method takes `now_ms` (milliseconds since 1970, or of a simulation) and is a handful of
//! relaxed atomics, so that two writers at once may lose one sample of an average, which an average can bear, and never block a
//! reader. What is counted (in flight, totals) is exact. Bounded: about a kilobyte, and 26 more once there is traffic.

mod average;
mod breaker;
mod budget;
mod fade;
mod frozen;
mod headroom;
mod odds;
mod pace;
mod silence;
mod sketch;
#[cfg(test)]
mod tests;
mod totals;
mod uptime;

use crate::view::Vital;
use average::Average;
pub use breaker::{Breaker, Verdict};
use budget::Budget;
pub use frozen::Frozen;
use headroom::Headroom;
pub use headroom::{Allowance, Left, Mark};
use odds::Odds;
use pace::Pace;
use silence::Silence;
use sketch::{Sketch, Sums};
use slip_ir::{Fault, FaultKind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
pub use totals::{Class, Totals};
pub use uptime::{Uptime, Window};

/// After this long a reply with tool calls counts for a third of itself.
const CALLS_MS: u64 = 30 * 60_000;

/// What an attempt that answered was like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answered {
    /// From the attempt's beginning to its first content, in microseconds; `None` for a reply that came whole.
    pub first_us: Option<u64>,
    /// Its first content was told to [`Health::spoke`] when it came.
    pub heard: bool,
    /// To its end, in microseconds.
    pub total_us: u64,
    /// All prompt tokens, and those of them that the provider read from its cache.
    pub prompt: u64,
    pub cached: u64,
    pub output: u64,
    /// What it cost, in nano-USD.
    pub cost: u64,
    /// It broke off after its first content.
    pub broke: bool,
}

/// What is believed of the unknown: that an attempt gets an answer, and that an answer comes to its end.
const ANSWERS: f64 = 0.995;
const ENDS_WELL: f64 = 0.999;

/// Somebody who waits for a first content: since when, and beside how many others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    began_ms: u64,
    ahead: u32,
}

/// Numbers with percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Milliseconds to the first content.
    FirstContent,
    /// Output tokens per second, from end to end.
    Throughput,
    /// Milliseconds from beginning to end.
    Total,
}

/// How far percentiles look back: decisions go by the short one, people are shown the long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    FiveMinutes,
    HalfHour,
}

/// Where values lie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Percentiles {
    pub count: u64,
    pub p1: f64,
    pub p10: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
}

impl Percentiles {
    /// The figure of which so large a share of the samples is not above it; the nearest that is kept.
    pub fn at(&self, share: f64) -> f64 {
        let kept = [
            (0.01, self.p1),
            (0.1, self.p10),
            (0.25, self.p25),
            (0.5, self.p50),
            (0.75, self.p75),
            (0.9, self.p90),
            (0.95, self.p95),
            (0.99, self.p99),
        ];
        let nearest = kept.into_iter().min_by(|(a, _), (b, _)| (a - share).abs().total_cmp(&(b - share).abs()));
        nearest.map_or(self.p50, |(_, figure)| figure)
    }
}

/// Output tokens of a reply from which its speed can be told: of a stream, and of one that came whole.
const SPOKEN: u64 = 8;
const WRITTEN: u64 = 64;

/// What is kept only of those who have traffic.
#[derive(Default)]
struct Past {
    first: Sketch,
    rate: Sketch,
    total: Sketch,
    uptime: Uptime,
}

/// See the head of this file. What a decision reads comes first, in as few lines of the processor's cache as it fits in.
#[derive(Default)]
#[repr(C, align(64))]
pub struct Health {
    breaker: Breaker,
    odds: Odds,
    /// Of answers that began.
    whole: Odds,
    silence: Silence,
    /// Of replies with tool calls: how likely a caller can use them. Rarer than replies, and remembered longer.
    calls: Odds<CALLS_MS>,
    /// Milliseconds to the first content: what is usual, and what it lately rose to.
    first: Average,
    peak: Average,
    /// Others under way when those began of whom that tells.
    ahead: Average,
    /// Output tokens per second.
    rate: Average,
    /// Output tokens of a reply.
    output: Average,
    /// Prompt tokens read from the provider's cache, in thousandths.
    cached: Average,
    in_flight: AtomicU32,
    headroom: Headroom,
    pace: Pace,
    budget: Budget,
    totals: Totals,
    past: OnceLock<Box<Past>>,
}

impl Health {
    /// An attempt begins. `tokens` is what its prompt is thought to have. Every `begin` is followed by exactly one of
    /// [`Health::answered`], [`Health::failed`] and [`Health::left`].
    pub fn begin(&self, now_ms: u64, tokens: u64) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.headroom.spend(now_ms, tokens);
        self.pace.spend(now_ms);
        self.breaker.probe(now_ms);
    }

    /// Somebody waits for the first content of an attempt that has begun: of a stream, for a whole reply is silent till its end. Every
    /// `waits` is followed by exactly one of [`Health::spoke`] and [`Health::unheard`].
    pub fn waits(&self, now_ms: u64) -> Waiting {
        self.silence.begin(now_ms);
        Waiting { began_ms: now_ms, ahead: self.in_flight.load(Ordering::Relaxed).saturating_sub(1) }
    }

    /// Its first content.
    pub fn spoke(&self, now_ms: u64, waiting: Waiting) {
        let Waiting { began_ms, ahead } = waiting;
        self.silence.end(began_ms);
        self.passed(now_ms, began_ms);
        // Known now and not when the reply ends, which may be a minute later.
        let ms = now_ms.saturating_sub(began_ms) as f64;
        self.ahead.add(now_ms, f64::from(ahead));
        self.first.add(now_ms, ms);
        self.peak.rise(now_ms, ms);
    }

    /// There will be none.
    pub fn unheard(&self, waiting: Waiting) {
        self.silence.end(waiting.began_ms);
    }

    /// Whether a retry may be sent here: retries are a fifth of the requests, and a few more.
    pub fn may_retry(&self, now_ms: u64) -> bool {
        self.budget.withdraw(now_ms)
    }

    /// A first attempt, which earns others the right to retry.
    pub fn first_try(&self, now_ms: u64) {
        self.budget.deposit(now_ms);
    }

    /// A reply went to the caller, to its end or broken off.
    pub fn answered(&self, now_ms: u64, reply: &Answered) {
        self.ended();
        let past = self.past();
        let ms = |us: u64| us as f64 / 1000.0;
        let first = reply.first_us.map(ms);
        if let Some(first) = first {
            if !reply.heard {
                self.first.add(now_ms, first);
                self.peak.rise(now_ms, first);
            }
            past.first.add(now_ms, first);
        }
        if !reply.broke {
            past.total.add(now_ms, ms(reply.total_us));
            // Of a reply that came whole nobody knows when it began; a short one says more of that than of speed.
            let before = first.or_else(|| self.first.get(now_ms)).unwrap_or(0.0);
            let (speaking_ms, least) = (ms(reply.total_us) - before, if first.is_some() { SPOKEN } else { WRITTEN });
            if reply.output >= least && speaking_ms > 1.0 {
                self.rate.add(now_ms, reply.output as f64 / speaking_ms * 1000.0);
            }
            if reply.output >= SPOKEN && reply.total_us > 1000 {
                past.rate.add(now_ms, reply.output as f64 / ms(reply.total_us) * 1000.0);
            }
            if reply.output > 0 {
                self.output.add(now_ms, reply.output as f64);
            }
        }
        if reply.prompt > 0 {
            self.cached.add(now_ms, reply.cached.min(reply.prompt) as f64 / reply.prompt as f64 * 1000.0);
        }
        self.totals.answered(reply);
        self.odds.add(now_ms, true);
        self.whole.add(now_ms, !reply.broke);
        past.uptime.add(now_ms, !reply.broke);
        let began_ms = now_ms.saturating_sub(reply.total_us / 1000);
        if reply.first_us.is_none() {
            self.passed(now_ms, began_ms);
        }
        if reply.broke { self.breaker.failed(now_ms) } else { self.breaker.ended_well(began_ms) }
    }

    /// A reply that called tools was looked at: whether one of the calls was of no use. It is known only after the reply went out.
    pub fn called(&self, now_ms: u64, bad: bool) {
        self.totals.called(bad);
        self.calls.add(now_ms, !bad);
    }

    /// An attempt failed before its first content. Only what the endpoint is to blame for counts against it.
    pub fn failed(&self, now_ms: u64, fault: &Fault) {
        self.ended();
        // The model is not there, whoever asks.
        if fault.status == Some(404) || matches!(fault.kind, FaultKind::UnknownModel | FaultKind::NotFound) {
            self.totals.failed(Class::NoModel);
            return self.breaker.gone(now_ms);
        }
        self.totals.failed(Class::of(fault.kind));
        match fault.kind {
            FaultKind::RateLimited => {
                self.breaker.limited(now_ms, fault.retry_after);
                if self.headroom.left(now_ms) == (None, None) {
                    self.pace.slow(now_ms);
                }
            }
            FaultKind::Upstream | FaultKind::UpstreamTimeout | FaultKind::Overloaded => {
                if fault.kind == FaultKind::Overloaded
                    && let Some(after) = fault.retry_after
                {
                    self.breaker.rest(now_ms, after);
                }
                self.odds.add(now_ms, false);
                self.past().uptime.add(now_ms, false);
                self.breaker.failed(now_ms);
            }
            _ => self.breaker.unproven(),
        }
    }

    /// The caller went away, or nothing was sent after all.
    pub fn left(&self) {
        self.ended();
        self.breaker.unproven();
    }

    /// Somebody else was quicker: after so long it had said nothing. Its first content would have taken longer than that, which is
    /// worth knowing where it is longer than usual; or else whoever is always outrun would seem as quick as it ever was.
    pub fn silent(&self, now_ms: u64, passed: std::time::Duration) {
        let ms = passed.as_secs_f64() * 1000.0;
        if self.first.get(now_ms).is_none_or(|usual| ms > usual) {
            self.first.add(now_ms, ms);
            self.peak.rise(now_ms, ms);
            self.past().first.add(now_ms, ms);
        }
    }

    /// Which of the attempts that have begun was the last: for [`Health::allowed_to`].
    pub fn mark(&self) -> Mark {
        self.headroom.mark()
    }

    /// What the provider said of its rate limits to an attempt that began at this mark.
    pub fn allowed_to(&self, now_ms: u64, allowance: &Allowance, mark: Mark) {
        self.headroom.hear_of(now_ms, allowance, mark);
    }

    /// What the provider said of its rate limits.
    pub fn allowed(&self, now_ms: u64, allowance: &Allowance) {
        self.headroom.hear(now_ms, allowance);
    }

    /// What is left of the provider's rate limits, requests and tokens; `None` where nobody said.
    pub fn headroom(&self, now_ms: u64) -> (Option<u32>, Option<u32>) {
        self.headroom.left(now_ms)
    }

    /// From when they may have room for a request with so many prompt tokens; `None` is now.
    pub fn opens(&self, now_ms: u64, tokens: u64) -> Option<u64> {
        self.headroom.opens(now_ms, tokens)
    }

    /// A probe of its own found it dead or alive.
    pub fn probed(&self, now_ms: u64, alive: bool) {
        if alive { self.breaker.revive(now_ms) } else { self.breaker.gone(now_ms) }
    }

    /// What a decision at this moment may know.
    pub fn vital(&self, now_ms: u64) -> Vital {
        let mut vital = Vital::default();
        self.read(now_ms, &mut vital);
        vital
    }

    /// The same, written to where it will stay.
    pub fn read(&self, now_ms: u64, into: &mut Vital) {
        let verdict = self.breaker.verdict(now_ms);
        let (requests_left, tokens_left) = self.headroom.left(now_ms);
        let requests_left = if self.pace.is_spent(now_ms) { Some(0) } else { requests_left };
        let rounded = |value: Option<f64>| value.map(|value| value.max(1.0) as u32);
        let whole = |average: &Average| rounded(average.get(now_ms));
        let first = self.first.get(now_ms);
        let [odds, ends_well] = self.odds.both(&self.whole, now_ms, [ANSWERS, ENDS_WELL]);
        *into = Vital {
            cooldown_until_ms: verdict.until_ms,
            failing: verdict.failed_lately,
            half_open: verdict.half_open,
            probing: verdict.probing,
            warmth: verdict.warmth,
            odds,
            whole: ends_well,
            call_odds: self.calls.get(now_ms, ANSWERS),
            ttft_ms: rounded(first),
            peak_ms: rounded(self.peak.sunk(now_ms, first)),
            tokens_per_second: whole(&self.rate),
            output_tokens: whole(&self.output),
            cached_permille: self.cached.get(now_ms).map_or(0, |share| share.clamp(0.0, 1000.0) as u16),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            ahead: self.ahead.get(now_ms).map(|others| others as f32),
            silent_ms: self.silence.mean_ms(now_ms),
            requests_left,
            tokens_left,
        };
    }

    /// Of the last five minutes; `None` when nothing was measured.
    pub fn percentiles(&self, metric: Metric, now_ms: u64) -> Option<Percentiles> {
        Health::together([self], metric, Span::FiveMinutes, now_ms)
    }

    /// Of several, as if they were one.
    pub fn together<'a>(
        all: impl IntoIterator<Item = &'a Health>,
        metric: Metric,
        span: Span,
        now_ms: u64,
    ) -> Option<Percentiles> {
        let mut sums = Sums::default();
        for past in all.into_iter().filter_map(|health| health.past.get()) {
            let sketch = match metric {
                Metric::FirstContent => &past.first,
                Metric::Throughput => &past.rate,
                Metric::Total => &past.total,
            };
            sketch.pour(span, now_ms, &mut sums);
        }
        sums.read()
    }

    /// Successes and failures in a window; rate limits and callers' own errors are neither.
    pub fn uptime(&self, window: Window, now_ms: u64) -> (u64, u64) {
        self.past.get().map_or((0, 0), |past| past.uptime.read(window, now_ms))
    }

    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Who has passed its trial is what it was before: its failures are over, and were paid for with the rest.
    fn passed(&self, now_ms: u64, began_ms: u64) {
        if self.breaker.passed(now_ms, began_ms) {
            self.odds.forget();
        }
    }

    fn past(&self) -> &Past {
        self.past.get_or_init(Box::default)
    }

    fn ended(&self) {
        let one_less = |n: u32| Some(n.saturating_sub(1));
        let _ = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
    }
}
