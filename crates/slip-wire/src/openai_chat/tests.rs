//! What this dialect promises.
