//! How large a picture shall be: OpenAI says it in pixels, OpenRouter and the chat models in a shape and a tier.

use super::Task;
use crate::Malformed;

/// The shapes that models know, the nearest of which is taken for any other.
const SHAPES: [(u32, u32); 10] = [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];

/// A tier beside pixels would say two things at once.
pub(super) fn check(task: &Task) -> Result<(), Malformed> {
    let Some((wide, high)) = task.size.as_deref().and_then(pixels) else { return Ok(()) };
    if task.resolution.is_some() {
        return Err(Malformed::new("resolution", "is said by the size in pixels already"));
    }
    match task.aspect_ratio.as_deref().and_then(ratio) {
        Some((w, h)) if (f64::from(wide) / f64::from(high) / (w / h) - 1.0).abs() > 0.02 => {
            Err(Malformed::new("aspect_ratio", "is not that of the size in pixels"))
        }
        _ => Ok(()),
    }
}

/// `1024x1536`
pub(super) fn pixels(size: &str) -> Option<(u32, u32)> {
    let (wide, high) = size.split_once(['x', 'X'])?;
    let side = |text: &str| text.parse::<u32>().ok().filter(|n| (1..=65_536).contains(n));
    Some((side(wide)?, side(high)?))
}

/// `16:9`, `9:19.5`
fn ratio(text: &str) -> Option<(f64, f64)> {
    let (wide, high) = text.split_once(':')?;
    let side = |text: &str| text.parse::<f64>().ok().filter(|n| (0.1..=100.0).contains(n));
    Some((side(wide)?, side(high)?))
}

/// The shape asked for, as `w:h`.
pub(super) fn shape(task: &Task) -> Option<String> {
    if let Some(told) = task.aspect_ratio.as_deref().filter(|told| *told != "auto") {
        return Some(told.to_owned());
    }
    let (wide, high) = pixels(task.size.as_deref()?)?;
    let target = f64::from(wide) / f64::from(high);
    // How far apart two shapes are is the same from either side.
    let far = |(w, h): (u32, u32)| (f64::from(w) / f64::from(h) / target).ln().abs();
    let nearest = SHAPES.into_iter().min_by(|a, b| far(*a).total_cmp(&far(*b)))?;
    Some(format!("{}:{}", nearest.0, nearest.1))
}

/// The tier asked for: `1K`, `2K`, `4K`.
pub(super) fn tier(task: &Task) -> Option<String> {
    if let Some(told) = &task.resolution {
        return Some(told.clone());
    }
    let size = task.size.as_deref()?;
    match pixels(size) {
        None if size != "auto" => Some(size.to_owned()),
        None => None,
        Some((wide, high)) => Some(
            match wide.max(high) {
                0..=1792 => "1K",
                1793..=3072 => "2K",
                _ => "4K",
            }
            .to_owned(),
        ),
    }
}

/// The size in OpenAI's words: one of three shapes.
pub(super) fn openai(task: &Task) -> Option<String> {
    if let Some(size) = task.size.as_deref().filter(|size| *size == "auto" || pixels(size).is_some()) {
        return Some(size.to_owned());
    }
    let (wide, high) = ratio(task.aspect_ratio.as_deref()?)?;
    let size = match wide / high {
        r if r > 1.1 => "1536x1024",
        r if r < 0.9 => "1024x1536",
        _ => "1024x1024",
    };
    Some(size.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_shapes_and_tiers_are_told_by_each_other() {
        // size, aspect_ratio, resolution; shape, tier, pixels
        let rows = [
            (Some("1024x1024"), None, None, Some("1:1"), Some("1K"), Some("1024x1024")),
            (Some("1792x1024"), None, None, Some("16:9"), Some("1K"), Some("1792x1024")),
            (Some("2048x3072"), None, None, Some("2:3"), Some("2K"), Some("2048x3072")),
            (Some("2K"), Some("9:16"), None, Some("9:16"), Some("2K"), Some("1024x1536")),
            (Some("auto"), None, None, None, None, Some("auto")),
            (None, Some("21:9"), Some("4K"), Some("21:9"), Some("4K"), Some("1536x1024")),
            (None, Some("auto"), None, None, None, None),
            (None, None, None, None, None, None),
        ];
        for (size, aspect, resolution, as_shape, as_tier, as_pixels) in rows {
            let told = |text: Option<&str>| text.map(str::to_owned);
            let task =
                Task { size: told(size), aspect_ratio: told(aspect), resolution: told(resolution), ..Task::default() };
            assert_eq!(
                (shape(&task).as_deref(), tier(&task).as_deref(), openai(&task).as_deref()),
                (as_shape, as_tier, as_pixels),
                "{task:?}"
            );
        }
    }
}
