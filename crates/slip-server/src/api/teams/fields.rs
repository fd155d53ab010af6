//! The members of a body, each read as what it must be. One that nobody knows is refused by its name: what is not said here cannot
//! be set.

use super::bad;
use crate::api::shown;
use serde_json::{Map, Value};
use slip_ir::{Fault, FaultKind, Nano};
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// Entries of a list, and characters of one of them.
const MAX_NAMES: usize = 256;
const MAX_NAME: usize = 256;

pub struct Fields(Map<String, Value>);

/// What was said of a member: nothing, `null`, or something.
type Said<T> = Option<Option<T>>;

impl Fields {
    pub fn read(body: &[u8], known: &[&str]) -> Result<Fields, Fault> {
        let wrong = |says: String| Fault::caller(FaultKind::BadRequest, format!("Invalid request parameters: {says}"));
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(e) => return Err(wrong(format!("the request body is not JSON: {e}"))),
        };
        let Value::Object(members) = value else { return Err(wrong("the request body must be an object".to_owned())) };
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(bad(&shown(name), format!("is not known here: {} are", known.join(", "))));
        }
        Ok(Fields(members))
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn said(&self, name: &str) -> Said<&Value> {
        self.0.get(name).map(|value| if value.is_null() { None } else { Some(value) })
    }

    /// A member that must be there.
    pub fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| bad(name, "is required"))
    }

    /// Not for what may be null.
    fn never_null<T>(&self, name: &str, said: Said<T>) -> Result<Option<T>, Fault> {
        match said {
            Some(None) => Err(bad(name, "must not be null")),
            said => Ok(said.flatten()),
        }
    }

    pub fn maybe_text(&self, name: &str, most: usize) -> Result<Said<String>, Fault> {
        let read = |value: &Value| {
            let text = value.as_str().ok_or_else(|| bad(name, format!("must be a string, not {}", kind(value))))?;
            match text.chars().count() {
                n if n > most => Err(bad(name, format!("must have at most {most} characters, not {n}"))),
                _ if text.contains('\0') => Err(bad(name, "must not hold a NUL")),
                _ => Ok(text.to_owned()),
            }
        };
        self.said(name).map(|said| said.map(read).transpose()).transpose()
    }

    /// Not empty.
    pub fn text(&self, name: &str, most: usize) -> Result<Option<String>, Fault> {
        let text = self.never_null(name, self.maybe_text(name, most)?)?;
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return Err(bad(name, "must not be empty"));
        }
        Ok(text)
    }

    pub fn maybe_flag(&self, name: &str) -> Result<Said<bool>, Fault> {
        let read = |value: &Value| {
            value.as_bool().ok_or_else(|| bad(name, format!("must be true or false, not {}", kind(value))))
        };
        self.said(name).map(|said| said.map(read).transpose()).transpose()
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        self.never_null(name, self.maybe_flag(name)?)
    }

    /// Not empty, and repeated in no message.
    pub fn secret(&self, name: &str, most: usize) -> Result<Option<Zeroizing<String>>, Fault> {
        let read = |value: &Value| match value.as_str().map(str::trim) {
            None => Err(bad(name, "must be a string")),
            Some("") => Err(bad(name, "must not be empty")),
            Some(text) if text.len() > most => Err(bad(name, format!("must have at most {most} characters"))),
            Some(text) => Ok(Zeroizing::new(text.to_owned())),
        };
        self.never_null(name, self.said(name).map(|said| said.map(read).transpose()).transpose()?)
    }

    pub fn maybe_whole(&self, name: &str, range: RangeInclusive<i64>) -> Result<Said<i64>, Fault> {
        let read = |value: &Value| {
            let (least, most) = (range.start(), range.end());
            let whole = value.as_i64().filter(|number| range.contains(number));
            whole
                .ok_or_else(|| bad(name, format!("must be a whole number from {least} to {most}, not {}", kind(value))))
        };
        self.said(name).map(|said| said.map(read).transpose()).transpose()
    }

    pub fn whole(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Fault> {
        self.never_null(name, self.maybe_whole(name, range)?)
    }

    /// One of a closed list.
    pub fn maybe_word(&self, name: &str, all: &[&'static str]) -> Result<Said<&'static str>, Fault> {
        self.said(name).map(|said| said.map(|value| word(name, value, all)).transpose()).transpose()
    }

    /// Dollars, more than none.
    pub fn maybe_usd(&self, name: &str) -> Result<Said<Nano>, Fault> {
        let read = |value: &Value| {
            let number = value.as_number().map(ToString::to_string);
            let amount = number.and_then(|text| Nano::usd(&text).ok()).filter(|amount| amount.0 > 0);
            let says = "must be a number of dollars greater than 0, in whole billionths";
            amount.ok_or_else(|| bad(name, format!("{says}, not {}", kind(value))))
        };
        self.said(name).map(|said| said.map(read).transpose()).transpose()
    }

    pub fn usd(&self, name: &str) -> Result<Option<Nano>, Fault> {
        self.never_null(name, self.maybe_usd(name)?)
    }

    pub fn share(&self, name: &str, least: f64) -> Result<Option<f64>, Fault> {
        let read = |value: &Value| {
            let share = value.as_f64().filter(|share| (least..=1.0).contains(share));
            share.ok_or_else(|| bad(name, format!("must be a number from {least} to 1, not {}", kind(value))))
        };
        let said = self.said(name).map(|said| said.map(read).transpose()).transpose()?;
        self.never_null(name, said)
    }

    pub fn maybe_numbers(&self, name: &str) -> Result<Said<Vec<i64>>, Fault> {
        self.maybe_list(name, |at, value| {
            value.as_i64().ok_or_else(|| bad(at, format!("must be a whole number, not {}", kind(value))))
        })
    }

    /// Names of models or providers; an empty list would say neither all nor none.
    pub fn maybe_names(&self, name: &str) -> Result<Said<Vec<String>>, Fault> {
        let names = self.maybe_list(name, |at, value| name_of(at, value).map(str::to_owned))?;
        match names {
            Some(Some(list)) if list.is_empty() => Err(bad(name, "must have an entry; null stands for no restriction")),
            names => Ok(names),
        }
    }

    /// Ids of others, at least one, each once.
    pub fn ids(&self, name: &str, most: usize) -> Result<Vec<String>, Fault> {
        let said = self.maybe_list(name, |at, value| name_of(at, value).map(str::to_owned))?;
        let mut ids = self.required(name, self.never_null(name, said)?)?;
        if ids.is_empty() || ids.len() > most {
            return Err(bad(name, format!("must have 1 to {most} entries, not {}", ids.len())));
        }
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        Ok(ids)
    }

    /// A list of whatever `read` makes of an entry, told where it stands.
    pub fn maybe_list<T>(
        &self,
        name: &str,
        read: impl Fn(&str, &Value) -> Result<T, Fault>,
    ) -> Result<Said<Vec<T>>, Fault> {
        let list = |value: &Value| {
            let list = value.as_array().ok_or_else(|| bad(name, format!("must be an array, not {}", kind(value))))?;
            if list.len() > MAX_NAMES {
                return Err(bad(name, format!("must have at most {MAX_NAMES} entries, not {}", list.len())));
            }
            list.iter().enumerate().map(|(at, value)| read(&format!("{name}[{at}]"), value)).collect()
        };
        self.said(name).map(|said| said.map(list).transpose()).transpose()
    }

    /// The same read from an entry of a list.
    pub fn of_entry(at: &str, value: &Value, known: &[&str]) -> Result<Fields, Fault> {
        let members = value.as_object().ok_or_else(|| bad(at, format!("must be an object, not {}", kind(value))))?;
        if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(bad(&format!("{at}.{}", shown(name)), format!("is not known here: {} are", known.join(", "))));
        }
        Ok(Fields(members.clone()))
    }
}

fn word(at: &str, value: &Value, all: &[&'static str]) -> Result<&'static str, Fault> {
    let found = value.as_str().and_then(|said| all.iter().find(|word| **word == said));
    found.copied().ok_or_else(|| bad(at, format!("must be one of {}, not {}", all.join(", "), kind(value))))
}

fn name_of<'a>(at: &str, value: &'a Value) -> Result<&'a str, Fault> {
    let text = value.as_str().ok_or_else(|| bad(at, format!("must be a string, not {}", kind(value))))?;
    if text.trim().is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
        return Err(bad(at, format!("must have 1 to {MAX_NAME} visible characters")));
    }
    Ok(text)
}

/// A caller's value as an error may repeat it.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() <= 40 => format!("{:?}", shown(text)),
        Value::String(_) => "a long string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
