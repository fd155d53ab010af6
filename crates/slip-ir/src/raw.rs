//! A piece of JSON kept exactly as it arrived.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;

/// One complete JSON value, byte for byte as its author wrote it. Schemas, tool arguments and unknown members travel in this
/// form so that key order, number spelling and escapes survive.
#[derive(Clone)]
pub struct Raw(Box<RawValue>);

impl Raw {
    /// `None` when `text` is not one complete JSON value.
    pub fn parse(text: impl Into<String>) -> Option<Raw> {
        RawValue::from_string(text.into()).ok().map(Raw)
    }

    pub fn of<T: Serialize + ?Sized>(value: &T) -> Option<Raw> {
        serde_json::value::to_raw_value(value).ok().map(Raw)
    }

    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    pub fn value(&self) -> serde_json::Value {
        serde_json::from_str(self.0.get()).unwrap_or(serde_json::Value::Null)
    }

    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }
}

impl PartialEq for Raw {
    /// Equal when the values are equal, whatever the spacing.
    fn eq(&self, other: &Raw) -> bool {
        self.as_str() == other.as_str() || self.value() == other.value()
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Raw, D::Error> {
        Box::<RawValue>::deserialize(d).map(Raw)
    }
}
