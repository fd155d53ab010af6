//! What could not be carried from one dialect into another. A loss is a value, not a log line.

use std::borrow::Cow;
use std::fmt;

/// `what` is the caller's own name for it (`top_k`, `messages[3].image_url.detail`); `why` one short clause.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loss {
    pub what: Cow<'static, str>,
    pub why: Cow<'static, str>,
}

impl Loss {
    pub fn new(what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Loss {
        Loss { what: what.into(), why: why.into() }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}
