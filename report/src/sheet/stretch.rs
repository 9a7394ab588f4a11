//! From band values to bytes that a screen shows.

/// The values that become 0 and 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Becomes 0, with everything below.
    pub low: f32,
    /// Becomes 255, with everything above.
    pub high: f32,
}

impl Limits {
    /// The 2nd and the 98th percentile of some values, linearly interpolated between neighbours;
    /// values that are not finite are left out. `None` when no value is left.
    #[must_use]
    pub fn of<T: Copy + Into<f32>>(values: &[T]) -> Option<Self> {
        let mut finite: Vec<f32> = values
            .iter()
            .map(|&v| v.into())
            .filter(|v: &f32| v.is_finite())
            .collect();
        if finite.is_empty() {
            return None;
        }
        finite.sort_unstable_by(f32::total_cmp);
        let low = percentile(&finite, 2);
        let high = percentile(&finite, 98);
        Some(Self { low, high })
    }

    /// The byte of a value. Equal limits give mid-grey; a value that is not finite gives 0.
    #[must_use]
    pub fn byte(&self, value: f32) -> u8 {
        if !value.is_finite() {
            return 0;
        }
        let width = self.high - self.low;
        let share = if width > 0.0 {
            (value - self.low) / width
        } else {
            0.5
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..=255 and rounded"
        )]
        let byte = (share.clamp(0.0, 1.0) * 255.0).round() as u8;
        byte
    }
}

/// `sorted` is not empty and `percent` is 0..=100.
fn percentile(sorted: &[f32], percent: usize) -> f32 {
    let place = (sorted.len() - 1) * percent;
    let (below, hundredths) = (place / 100, place % 100);
    let low = sorted[below];
    match sorted.get(below + 1) {
        Some(high) if hundredths > 0 => low + (high - low) * (hundredths as f32 / 100.0),
        _ => low,
    }
}

/// Three bands as one picture.
///
/// # Shapes
/// `red`, `green`, `blue`: `[y, x]`, equally long, any unit that the limits share (for true colour:
/// B04, B03, B02). Gives u8 `[y, x, channel]`; a shorter band ends the picture.
#[must_use]
pub fn true_colour<T: Copy + Into<f32>>(
    [red, green, blue]: [&[T]; 3],
    limits: [Limits; 3],
) -> Vec<u8> {
    let pixels = red.iter().zip(green).zip(blue);
    pixels
        .flat_map(|((&r, &g), &b)| {
            [
                limits[0].byte(r.into()),
                limits[1].byte(g.into()),
                limits[2].byte(b.into()),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numpys_percentiles() {
        // numpy.percentile(numpy.arange(11.0) ** 2, [2, 98])
        let values: Vec<f32> = (0..11u8).map(|i| f32::from(i).powi(2)).collect();
        let limits = Limits::of(&values).unwrap();
        assert!((limits.low - 0.2).abs() < 1e-6 && (limits.high - 96.2).abs() < 1e-5);
        let odd = [f32::NAN, 5.0, f32::INFINITY];
        assert_eq!(
            Limits::of(&odd),
            Some(Limits {
                low: 5.0,
                high: 5.0
            })
        );
        assert_eq!(Limits::of::<u16>(&[]), None);
    }

    #[test]
    fn bytes_follow_the_limits() {
        let limits = Limits {
            low: 100.0,
            high: 200.0,
        };
        let bytes = [50.0, 100.0, 150.0, 200.0, 999.0, f32::NAN].map(|v| limits.byte(v));
        assert_eq!(bytes, [0, 0, 128, 255, 255, 0]);
        let flat = Limits {
            low: 7.0,
            high: 7.0,
        };
        assert_eq!(flat.byte(7.0), 128);
    }

    #[test]
    fn channels_are_interleaved() {
        let limits = Limits {
            low: 0.0,
            high: 255.0,
        };
        let bands: [&[u16]; 3] = [&[1, 2], &[10, 20], &[100, 200]];
        assert_eq!(true_colour(bands, [limits; 3]), [1, 10, 100, 2, 20, 200]);
    }
}
