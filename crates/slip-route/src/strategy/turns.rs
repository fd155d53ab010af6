//! Whose turn it is: a smooth weighted rota computed from a counter alone, so that no state is shared between requests.
//!
//! With weights `w` each member owns the moments `(2k + 1) / 2w` of a lap of `sum(w)` turns; the turns are those moments in order.
//! For weights 5, 1, 1 this gives a a a b c a a, as evenly as nginx's smooth round robin does.

/// Moments are compared as fractions of 2^-40 of a lap: finer than any two different moments of weights under 2^19.
const FINE: u32 = 40;

/// Whose `turn` it is, and how many turns they had before. `None` when nobody has a weight.
pub(crate) fn whose(weights: impl Iterator<Item = u32> + Clone, turn: u64) -> Option<(usize, u64)> {
    let (mut total, mut count, mut first, mut even) = (0u64, 0u64, None, true);
    for weight in weights.clone() {
        total += u64::from(weight);
        count += 1;
        even &= *first.get_or_insert(weight) == weight;
    }
    if total == 0 {
        return None;
    }
    if even {
        return Some(((turn % count) as usize, turn / count));
    }
    let (lap, at) = (turn / total, turn % total);
    // Turns of one member at or before a moment: floor(w · moment + ½).
    let before = |weight: u32, moment: u64| (u128::from(weight) * u128::from(moment) + (1 << (FINE - 1))) >> FINE;
    let all = |moment: u64| weights.clone().map(|w| before(w, moment)).sum::<u128>();
    // The first moment by which more than `at` turns have passed.
    let (mut low, mut high) = (0u64, 1u64 << FINE);
    while low + 1 < high {
        let middle = low.midpoint(high);
        if all(middle) > u128::from(at) { high = middle } else { low = middle }
    }
    // Several members may own that moment: they go in the order of the list.
    let mut skip = u128::from(at).saturating_sub(all(low));
    for (index, weight) in weights.enumerate() {
        let (had, has) = (before(weight, low), before(weight, high));
        if has > had {
            if skip < has - had {
                let nth = u64::try_from(had + skip).unwrap_or(u64::MAX);
                return Some((index, lap.saturating_mul(u64::from(weight)).saturating_add(nth)));
            }
            skip -= has - had;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::whose;
    use proptest::prelude::*;

    fn rota(weights: &[u32], turns: u64) -> Vec<usize> {
        (0..turns).map(|t| whose(weights.iter().copied(), t).unwrap().0).collect()
    }

    #[test]
    fn turns_are_spread_and_not_bunched() {
        assert_eq!(rota(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(rota(&[5, 1, 1], 7), [0, 0, 0, 1, 2, 0, 0]);
        assert_eq!(rota(&[2, 1], 6), [0, 1, 0, 0, 1, 0]);
        assert_eq!(rota(&[0, 2], 2), [1, 1]);
        assert_eq!(whose([0, 0].into_iter(), 3), None);
        assert_eq!(whose(std::iter::empty(), 3), None);
    }

    proptest! {
        #[test]
        fn a_lap_gives_everybody_exactly_their_weight(weights in proptest::collection::vec(0u32..9, 1..7), lap in 0u64..1000) {
            let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
            let mut had = vec![0u64; weights.len()];
            for turn in 0..total {
                let (index, nth) = whose(weights.iter().copied(), lap * total + turn).unwrap();
                prop_assert_eq!(nth, lap * u64::from(weights[index]) + had[index]);
                had[index] += 1;
            }
            prop_assert_eq!(had, weights.iter().map(|w| u64::from(*w)).collect::<Vec<_>>());
        }
    }
}
