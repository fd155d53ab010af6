//! The body of a request that changes something: one JSON object, in which every member is known, and said of what kind it must be.

use super::shown;
use crate::flow::read;
use http::HeaderMap;
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Map, Value};
use slip_ir::{Fault, FaultKind, Nano};

/// No such body is longer.
const LONGEST: u64 = 1 << 20;
/// Characters of a name, and entries of a list.
const NAME: usize = 200;
const LIST: usize = 256;
/// Bytes of a [`Fields::line`].
const LINE: usize = 4096;

/// A limit beyond this many dollars is a mistake, and would not be exact as a double.
const DEAREST: f64 = 9_000_000.0;

pub struct Fields(Map<String, Value>);

/// A member of the body: said, said to be nothing, or not said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said<T> {
    Unsaid,
    Nothing,
    This(T),
}

impl<T> Said<T> {
    /// What is there afterwards if this was there before.
    pub fn or(self, before: Option<T>) -> Option<T> {
        match self {
            Said::Unsaid => before,
            Said::Nothing => None,
            Said::This(this) => Some(this),
        }
    }

    /// What was said, if anything.
    pub fn value(self) -> Option<T> {
        self.or(None)
    }

    fn map<U>(self, to: impl FnOnce(T) -> Result<U, Fault>) -> Result<Said<U>, Fault> {
        Ok(match self {
            Said::Unsaid => Said::Unsaid,
            Said::Nothing => Said::Nothing,
            Said::This(this) => Said::This(to(this)?),
        })
    }
}

pub fn bad(param: &str, says: impl Into<String>) -> Fault {
    Fault::caller(FaultKind::BadRequest, says.into()).at(param)
}

impl Fields {
    /// Read it all, and refuse what is not one of `known`. An empty body is an empty object.
    pub async fn read(headers: &HeaderMap, body: Incoming, known: &[&str]) -> Result<Fields, Fault> {
        Fields::of(&read::bytes(headers, body, LONGEST).await?, known)
    }

    pub fn of(bytes: &[u8], known: &[&str]) -> Result<Fields, Fault> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Fields(Map::new()));
        }
        let object: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|e| Fault::caller(FaultKind::BadRequest, format!("the body must be one JSON object: {e}")))?;
        match object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(stray) => {
                let near = known
                    .iter()
                    .max_by(|a, b| strsim::jaro_winkler(stray, a).total_cmp(&strsim::jaro_winkler(stray, b)));
                let near = near.filter(|near| strsim::jaro_winkler(stray, near) > 0.85);
                let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                let says = format!("`{}` is not known here{hint} (known: {})", shown(stray), known.join(", "));
                Err(bad(stray, says))
            }
            None => Ok(Fields(object)),
        }
    }

    fn said(&self, name: &str) -> Said<&Value> {
        match self.0.get(name) {
            None => Said::Unsaid,
            Some(Value::Null) => Said::Nothing,
            Some(value) => Said::This(value),
        }
    }

    /// As it stands, for whoever knows better what it must be; `None` also where it is null.
    pub fn raw(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// An object inside of it, all of whose members must be known too.
    pub fn within(name: &str, value: &Value, known: &[&str]) -> Result<Fields, Fault> {
        if !value.is_object() {
            return Err(bad(name, format!("`{name}` must be an object of: {}", known.join(", "))));
        }
        Fields::of(value.to_string().as_bytes(), known)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn text(&self, name: &str) -> Result<Said<String>, Fault> {
        self.said(name).map(|value| {
            let text = value.as_str().map(str::trim).filter(|text| !text.is_empty() && text.chars().count() <= NAME);
            let fit = text.filter(|text| !text.chars().any(char::is_control));
            let says =
                || format!("`{name}` must be a text of 1 to {NAME} characters, none of them a control character");
            fit.map(str::to_owned).ok_or_else(|| bad(name, says()))
        })
    }

    /// A text that is read by somebody else: as it stands, and not without end.
    pub fn line(&self, name: &str) -> Result<Option<String>, Fault> {
        let line = self.said(name).map(|value| {
            let fit = value.as_str().filter(|text| !text.is_empty() && text.len() <= LINE);
            fit.map(str::to_owned)
                .ok_or_else(|| bad(name, format!("`{name}` must be a text of 1 to {LINE} characters")))
        })?;
        Ok(line.value())
    }

    /// One of these words.
    pub fn word<T>(&self, name: &str, words: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Said<T>, Fault> {
        self.said(name).map(|value| {
            value.as_str().and_then(parse).ok_or_else(|| bad(name, format!("`{name}` must be one of {words}, or null")))
        })
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        let flag = |value: &Value| value.as_bool().ok_or_else(|| bad(name, format!("`{name}` must be true or false")));
        Ok(self.said(name).map(flag)?.value())
    }

    pub fn count(&self, name: &str, most: u64) -> Result<Said<u64>, Fault> {
        self.said(name).map(|value| {
            let count = value.as_u64().filter(|count| (1..=most).contains(count));
            count.ok_or_else(|| bad(name, format!("`{name}` must be a whole number from 1 to {most}, or null")))
        })
    }

    pub fn is_zero(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_u64) == Some(0)
    }

    /// Dollars, exact to the billionth.
    pub fn usd(&self, name: &str) -> Result<Said<Nano>, Fault> {
        self.said(name).map(|value| {
            let says = |why: &str| bad(name, format!("`{name}` must be an amount in dollars {why}"));
            let number = value.as_f64().filter(|n| n.is_finite() && (0.0..=DEAREST).contains(n));
            if number.is_none() {
                return Err(says("from 0 to 9000000, or null"));
            }
            // As it was written: a double need not be exact.
            Nano::usd(&value.to_string()).map_err(|_| says("with at most nine digits after the point"))
        })
    }

    /// A moment in UTC, as Unix milliseconds.
    pub fn moment(&self, name: &str) -> Result<Said<i64>, Fault> {
        self.said(name).map(|value| {
            let text = value.as_str().filter(|text| text.ends_with('Z') || text.ends_with("+00:00"));
            let moment = text.and_then(|text| text.parse::<Timestamp>().ok());
            moment.map(Timestamp::as_millisecond).ok_or_else(|| {
                bad(name, format!("`{name}` must be a moment in UTC such as 2027-12-31T23:59:59Z, or null"))
            })
        })
    }

    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let texts = self.said(name).map(|value| {
            let items = value.as_array().filter(|items| items.len() <= LIST);
            let texts: Option<Vec<String>> = items.and_then(|items| {
                let fit = |text: &&str| !text.is_empty() && text.chars().count() <= NAME;
                items.iter().map(|item| item.as_str().filter(fit).map(str::to_owned)).collect()
            });
            let says = || format!("`{name}` must be a list of at most {LIST} texts of 1 to {NAME} characters, or null");
            texts.ok_or_else(|| bad(name, says()))
        })?;
        Ok(match texts {
            Said::Unsaid => None,
            Said::Nothing => Some(Vec::new()),
            Said::This(texts) => Some(texts),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KNOWN: [&str; 4] = ["name", "limit", "expires_at", "models"];

    #[test]
    fn strays_are_named_with_what_was_probably_meant() {
        let says = |text: &str| Fields::of(text.as_bytes(), &KNOWN).err().map(|fault| fault.says.to_string());
        assert_eq!(says(r#"{"name":"a"}"#), None);
        assert_eq!(says(""), None);
        assert!(says(r#"{"limits":1}"#).is_some_and(|says| says.contains("did you mean `limit`?")));
        assert!(says(r#"{"mac":1}"#).is_some_and(|says| says.starts_with("`mac` is not known here (known: name")));
        assert!(says("[]").is_some_and(|says| says.contains("one JSON object")));
    }

    #[test]
    fn dollars_are_read_as_they_are_written() {
        let rows = [
            (json!(0.01), Ok(Said::This(Nano(10_000_000)))),
            (json!(100), Ok(Said::This(Nano(100_000_000_000)))),
            (json!(1e-9), Ok(Said::This(Nano(1)))),
            (json!(0), Ok(Said::This(Nano(0)))),
            (json!(null), Ok(Said::Nothing)),
            (json!(-1), Err(())),
            (json!(1e-10), Err(())),
            (json!(1e300), Err(())),
            (json!("5"), Err(())),
            (json!(true), Err(())),
        ];
        for (value, want) in rows {
            let fields = Fields::of(json!({ "limit": value }).to_string().as_bytes(), &KNOWN).expect("known");
            assert_eq!(fields.usd("limit").map_err(|_| ()), want, "{value}");
        }
    }

    #[test]
    fn moments_are_utc() {
        let rows = [
            ("2027-12-31T23:59:59Z", true),
            ("2027-12-31T23:59:59.5Z", true),
            ("2027-12-31T23:59:59+00:00", true),
            ("2027-12-31T23:59:59+02:00", false),
            ("2027-12-31T23:59:59", false),
            ("tomorrow", false),
        ];
        for (text, good) in rows {
            let fields = Fields::of(json!({ "expires_at": text }).to_string().as_bytes(), &KNOWN).expect("known");
            assert_eq!(fields.moment("expires_at").is_ok(), good, "{text}");
        }
    }
}
