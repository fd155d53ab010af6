//! How much is left of what was known: `e^(−age / memory)`, the forgetting of every estimate here, without a call into the
//! mathematics library. A decision over hundreds of endpoints asks it a thousand times.

/// Beyond so many halvings nothing is left.
const NOTHING: f64 = 60.0;

/// Added to a number between 0 and 2^51 and taken away again, it leaves the nearest whole one; in between that stands in the low bits.
const ROUND: f64 = (3u64 << 51) as f64;

/// Between 0 and 1, right to five millionths.
#[inline]
pub(super) fn fade(age_ms: u64, memory_ms: f64) -> f64 {
    let age_ms = u32::try_from(age_ms).unwrap_or(u32::MAX);
    let halvings = f64::from(age_ms) * (std::f64::consts::LOG2_E / memory_ms);
    // Not a number and the infinite are nothing too.
    if !(0.0..NOTHING).contains(&halvings) {
        return 0.0;
    }
    // The nearest whole power of two is an exponent; what is left, within ±½, a short series.
    let whole = halvings + ROUND;
    let x = (whole - ROUND - halvings) * std::f64::consts::LN_2;
    let square = x * x;
    let rest = (1.0 + x) + square * ((0.5 + x * (1.0 / 6.0)) + square * (1.0 / 24.0 + x * (1.0 / 120.0)));
    rest * f64::from_bits((1023 - (whole.to_bits() & 0xFF)) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_exponential_to_five_millionths_and_never_rises() {
        let mut last = 1.0;
        for age in (0..1_000_000).step_by(37) {
            for memory in [10_000.0, 30_000.0, 1_800_000.0] {
                let (is, want) = (fade(age, memory), (-(age as f64) / memory).exp());
                assert!((is - want).abs() <= 5e-6 * want + 1e-12, "{age} of {memory}: {is} for {want}");
            }
            assert!(fade(age, 10_000.0) <= last);
            last = fade(age, 10_000.0);
        }
        assert_eq!((fade(0, 10_000.0), fade(u64::MAX, 10_000.0), fade(5, 0.0), fade(0, 0.0)), (1.0, 0.0, 0.0, 0.0));
    }
}
