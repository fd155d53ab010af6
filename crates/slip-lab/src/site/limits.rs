//! Requests and tokens per minute, as providers count them: a bucket that fills all the time.

/// How much of a minute's allowance can be spent at once.
const BURST_S: f64 = 10.0;

#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Per minute.
    pub requests: f64,
    pub tokens: f64,
    pub tells: Tells,
}

/// What a provider says about its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    Nothing,
    /// On a 429, when to come back.
    RetryAfter,
    /// That, and with every answer what is left.
    Headers,
}

/// The headers of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Headroom {
    pub requests: u64,
    pub tokens: u64,
    pub requests_limit: u64,
    pub tokens_limit: u64,
    /// Until all of it is there again.
    pub requests_reset_ms: u64,
    pub tokens_reset_ms: u64,
}

#[derive(Debug)]
pub struct Bucket {
    limit: Limit,
    requests: f64,
    tokens: f64,
    filled_ms: u64,
}

impl Bucket {
    pub fn new(limit: Limit) -> Bucket {
        let (requests, tokens) = caps(&limit);
        Bucket { limit, requests, tokens, filled_ms: 0 }
    }

    /// Takes what a request needs, or says no and, where the provider tells, how long until it is there. The answer is counted too
    /// but asked for by nobody: how long it will be is not known yet.
    pub fn take(&mut self, now_ms: u64, prompt: u64, output: u64) -> Result<(), Option<u64>> {
        self.fill(now_ms);
        // A request larger than the bucket passes when the bucket is full.
        let needs = (prompt as f64).min(caps(&self.limit).1);
        if self.requests >= 1.0 && self.tokens >= needs {
            self.requests -= 1.0;
            self.tokens -= needs + output as f64;
            return Ok(());
        }
        let wait = |lacks: f64, per_minute: f64| (lacks.max(0.0) / per_minute * 60_000.0).ceil() as u64;
        let ms = wait(1.0 - self.requests, self.limit.requests).max(wait(needs - self.tokens, self.limit.tokens));
        // Headers of this name are in whole seconds.
        Err((self.limit.tells != Tells::Nothing).then(|| ms.div_ceil(1000).max(1) * 1000))
    }

    pub fn headroom(&mut self, now_ms: u64) -> Option<Headroom> {
        self.fill(now_ms);
        let (requests, tokens) = caps(&self.limit);
        let reset = |lacks: f64, per_minute: f64| (lacks / per_minute * 60_000.0) as u64;
        (self.limit.tells == Tells::Headers).then_some(Headroom {
            requests: self.requests as u64,
            tokens: self.tokens.max(0.0) as u64,
            requests_limit: requests as u64,
            tokens_limit: tokens as u64,
            requests_reset_ms: reset(requests - self.requests, self.limit.requests),
            tokens_reset_ms: reset(tokens - self.tokens, self.limit.tokens),
        })
    }

    fn fill(&mut self, now_ms: u64) {
        let minutes = now_ms.saturating_sub(self.filled_ms) as f64 / 60_000.0;
        let (requests, tokens) = caps(&self.limit);
        self.requests = (self.requests + minutes * self.limit.requests).min(requests);
        self.tokens = (self.tokens + minutes * self.limit.tokens).min(tokens);
        self.filled_ms = now_ms;
    }
}

fn caps(limit: &Limit) -> (f64, f64) {
    ((limit.requests * BURST_S / 60.0).max(1.0), (limit.tokens * BURST_S / 60.0).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_requests_passes_in_a_minute_and_no_more() {
        for tells in [Tells::Nothing, Tells::RetryAfter] {
            let mut bucket = Bucket::new(Limit { requests: 60.0, tokens: 1e9, tells });
            let passed = (0..120_000u64).step_by(100).filter(|now| bucket.take(*now, 10, 5).is_ok()).count();
            assert!((128..=131).contains(&passed), "ten at once, then one a second: {passed}");
            let says = bucket.take(120_000, 10, 0).err().flatten();
            assert_eq!(says.is_some(), tells == Tells::RetryAfter);
        }
    }

    #[test]
    fn tokens_count_too_and_the_headers_say_what_is_left() {
        let mut bucket = Bucket::new(Limit { requests: 600.0, tokens: 60_000.0, tells: Tells::Headers });
        assert!(bucket.take(0, 8_000, 1_000).is_ok());
        assert_eq!(bucket.take(0, 9_000, 0), Err(Some(8_000)));
        let left = bucket.headroom(0).unwrap();
        assert_eq!((left.requests, left.tokens, left.tokens_limit, left.tokens_reset_ms), (99, 1_000, 10_000, 9_000));
        assert!(bucket.take(8_000, 9_000, 500).is_ok());
        assert!(bucket.take(20_000, 1_000_000, 0).is_ok(), "larger than the bucket passes when it is full");
    }
}
