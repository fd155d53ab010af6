//! One vector, in whichever form it came. Digits and bytes are kept as they are until somebody needs another form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use slip_ir::Raw;

/// Longer vectors than any model makes.
pub const MAX_DIMENSIONS: usize = 65_536;

#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// A JSON array of numbers, as the provider wrote it.
    Numbers(Raw),
    /// Little-endian 32-bit floats in base64.
    Floats(String),
    /// Signed bytes in base64.
    Bytes(String),
}

impl Vector {
    /// Of a member that is an array or a string; `bytes` says what a string holds.
    pub fn of(raw: &RawValue, bytes: bool) -> Option<Vector> {
        let text = raw.get();
        if text.starts_with('[') {
            return Raw::parse(text).map(Vector::Numbers);
        }
        let text: String = serde_json::from_str(text).ok()?;
        Some(if bytes { Vector::Bytes(text) } else { Vector::Floats(text) })
    }

    /// As a JSON array.
    pub fn numbers(&self) -> Option<Raw> {
        match self {
            Vector::Numbers(raw) => Some(raw.clone()),
            Vector::Floats(text) => {
                let bytes = STANDARD.decode(text).ok()?;
                let (floats, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() || floats.len() > MAX_DIMENSIONS {
                    return None;
                }
                let floats: Vec<f32> = floats.iter().map(|b| f32::from_le_bytes(*b)).collect();
                floats.iter().all(|f| f.is_finite()).then(|| Raw::of(&floats)).flatten()
            }
            Vector::Bytes(text) => {
                let bytes = STANDARD.decode(text).ok()?;
                let numbers: Vec<i8> = bytes.iter().map(|b| b.cast_signed()).collect();
                Raw::of(&numbers)
            }
        }
    }

    /// As base64 of little-endian 32-bit floats.
    pub fn base64(&self) -> Option<String> {
        let encode =
            |floats: Vec<f32>| STANDARD.encode(floats.iter().flat_map(|f| f.to_le_bytes()).collect::<Vec<u8>>());
        match self {
            Vector::Floats(text) => Some(text.clone()),
            Vector::Numbers(raw) => {
                let floats: Vec<f32> = serde_json::from_str(raw.as_str()).ok()?;
                (floats.len() <= MAX_DIMENSIONS).then(|| encode(floats))
            }
            Vector::Bytes(text) => {
                let bytes = STANDARD.decode(text).ok()?;
                Some(encode(bytes.iter().map(|b| f32::from(b.cast_signed())).collect()))
            }
        }
    }
}
