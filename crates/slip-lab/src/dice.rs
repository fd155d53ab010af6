//! Chance in the shapes that traffic and providers have.

use fastrand::Rng;

/// Normal, mean 0 and deviation 1 (Box and Muller).
pub fn normal(dice: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - dice.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * dice.f64()).cos()
}

/// Log-normal by its median and the deviation of its logarithm.
pub fn log_normal(median: f64, sigma: f64, dice: &mut Rng) -> f64 {
    median * (sigma * normal(dice)).exp()
}

pub fn exponential(mean: f64, dice: &mut Rng) -> f64 {
    -mean * (1.0 - dice.f64()).ln()
}

/// A place in a list, as likely as its weight says; `None` when nothing weighs anything.
pub fn weighted(weights: &[f64], dice: &mut Rng) -> Option<usize> {
    let mut mark = dice.f64() * weights.iter().sum::<f64>();
    let drawn = weights.iter().position(|weight| {
        mark -= weight;
        mark < 0.0
    });
    drawn.or_else(|| weights.iter().rposition(|w| *w > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_have_the_means_they_should() {
        let mut dice = Rng::with_seed(1);
        let mean = |f: &mut dyn FnMut() -> f64| (0..200_000).map(|_| f()).sum::<f64>() / 200_000.0;
        assert!((mean(&mut || exponential(7.0, &mut dice)) - 7.0).abs() < 0.1);
        let want = 100.0 * (0.5f64 * 0.5 / 2.0).exp();
        assert!((mean(&mut || log_normal(100.0, 0.5, &mut dice)) - want).abs() < 1.0);
        assert!((mean(&mut || weighted(&[1.0, 0.0, 3.0], &mut dice).unwrap() as f64) - 1.5).abs() < 0.02);
        assert_eq!(weighted(&[0.0], &mut dice), None);
    }
}
