//! What was asked and answered, of keys that ask for it to be kept.

/// Of one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub generation: String,
    /// Unix milliseconds. From then on it is not told, and removed soon.
    pub until_ms: i64,
    /// Compressed.
    pub body: Vec<u8>,
}
