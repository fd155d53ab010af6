//! Placeholder.
pub struct Flights;
