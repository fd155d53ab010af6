//! A validating JSON scanner that finds spans instead of building values.
