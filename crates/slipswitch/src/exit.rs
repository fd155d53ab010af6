//! How a command ends: what the shell is told.

use std::fmt;
use std::process::ExitCode;

/// Exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Failure = 1,
    Usage = 2,
    NotFound = 3,
    /// Something needed is not there: the port, the data directory, another process's lock.
    Unavailable = 69,
    BadConfig = 78,
}

/// An ending with its reason. The message is complete: what, where, why, what to do next.
#[derive(Debug)]
pub struct Ending {
    pub code: Code,
    pub says: String,
}

impl Ending {
    pub fn new(code: Code, says: impl Into<String>) -> Ending {
        Ending { code, says: says.into() }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says)
    }
}

impl std::error::Error for Ending {}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(code as u8)
    }
}
