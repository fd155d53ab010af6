//! What is added to a log's own troubles: `--outage lab=5m..10m`, `--limit lab=60`.

use crate::exit::{Code, Ending};
use slip_lab::past::Added;
use slip_route::Endpoint;

/// As it was said, and to whom it happens.
pub struct Troubles(Vec<(String, Added)>);

impl Troubles {
    pub fn read(outages: &[String], limits: &[String]) -> Result<Troubles, Ending> {
        let mut all = Vec::new();
        for text in outages {
            let (name, span) = halves(text, "--outage", "NAME=FROM..TO")?;
            let (from, to) = span.split_once("..").ok_or_else(|| bad("--outage", text, "NAME=FROM..TO"))?;
            let time = |part: &str| {
                let part = if part == "0" { "0s" } else { part };
                slip_server::config::duration(part)
                    .map_err(|why| Ending::new(Code::BadConfig, format!("error: --outage {text}: {why}")))
            };
            let (from, to) = (time(from)?.as_millis() as u64, time(to)?.as_millis() as u64);
            if from >= to {
                return Err(bad("--outage", text, "NAME=FROM..TO, the later time last"));
            }
            all.push((name.to_owned(), Added { outages: vec![(from, to)], limit: None }));
        }
        for text in limits {
            let (name, number) = halves(text, "--limit", "NAME=REQUESTS A MINUTE")?;
            let limit = number.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
            let limit = Some(limit.ok_or_else(|| bad("--limit", text, "NAME=REQUESTS A MINUTE"))?);
            all.push((name.to_owned(), Added { outages: Vec::new(), limit }));
        }
        Ok(Troubles(all))
    }

    /// Somebody nobody knows has no troubles: it is a slip of the pen.
    pub fn known(&self, endpoints: &[std::sync::Arc<Endpoint>]) -> Result<(), Ending> {
        match self.0.iter().find(|(name, _)| !endpoints.iter().any(|one| is(one, name))) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Ending::new(Code::NotFound, format!("error: no endpoint or provider is called {name}")))
            }
        }
    }

    pub fn of(&self, endpoint: &Endpoint) -> Added {
        let mut sum = Added::default();
        for (_, added) in self.0.iter().filter(|(name, _)| is(endpoint, name)) {
            sum.outages.extend(&added.outages);
            sum.limit = added.limit.or(sum.limit);
        }
        sum
    }
}

fn is(endpoint: &Endpoint, name: &str) -> bool {
    *endpoint.tag == *name || *endpoint.provider == *name
}

fn halves<'t>(text: &'t str, option: &str, form: &str) -> Result<(&'t str, &'t str), Ending> {
    text.rsplit_once('=').ok_or_else(|| bad(option, text, form))
}

fn bad(option: &str, text: &str, form: &str) -> Ending {
    Ending::new(Code::BadConfig, format!("error: {option} {text}: expected {form}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_wrong_is_refused() {
        let read = |outage: &str, limit: &str| Troubles::read(&[outage.to_owned()], &[limit.to_owned()]).is_ok();
        assert!(read("lab=0..90s", "lab/one=60"));
        for (outage, limit) in
            [("lab", "a=1"), ("lab=5m", "a=1"), ("lab=5m..1m", "a=1"), ("lab=x..y", "a=1"), ("a=0..1s", "a=0")]
        {
            assert!(!read(outage, limit), "{outage} {limit}");
        }
    }
}
