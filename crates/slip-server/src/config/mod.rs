//! placeholder
mod checked;
pub use checked::*;
