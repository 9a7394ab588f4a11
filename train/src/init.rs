//! Initial weights from a seed: the same on every device and platform.
//!
//! Element `i` of the parameter `name` is a pure function of `(seed, name, i)`: Philox of the
//! counter `i` under a key made of seed and name. Burn's generators are not used, for their state
//! is global to a device. Logarithm and cosine come from `libm`, so that no platform's own library
//! changes a bit.
//!
//! - Convolutions: He normal, fan out: `N(0, 2 / (k² channels_out))`, as torchvision's `ResNets`
//!   (He et al. 2015, <https://arxiv.org/abs/1502.01852>).
//! - Dense kernels: Glorot uniform, `U(±sqrt(6 / (in + out)))`; biases zero: as Keras, the library
//!   of the notes.
//! - Batch norm: scale one, shift zero.

use chipmill_pipeline::philox;

/// The random numbers of one parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws {
    key: [u32; 2],
}

impl Draws {
    /// The numbers that belong to a name under a seed.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(name.as_bytes());
        let digest = hasher.finalize();
        let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
        Self {
            key: [
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            ],
        }
    }

    /// Random bits number `i`: half a block of Philox.
    pub(crate) fn bits(self, i: u64) -> u64 {
        let block = i / 2;
        let counter = [(block & 0xFFFF_FFFF) as u32, (block >> 32) as u32, 0, 0];
        let [a, b, c, d] = philox(counter, self.key);
        let [high, low] = if i.is_multiple_of(2) { [a, b] } else { [c, d] };
        u64::from(high) << 32 | u64::from(low)
    }

    /// Uniform in the open interval (0, 1): 52 bits and a half.
    pub(crate) fn uniform(self, i: u64) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 52) as f64;
        ((self.bits(i) >> 12) as f64 + 0.5) * STEP
    }

    /// Standard normal (Box and Muller), from uniform numbers `2 i` and `2 i + 1`.
    pub(crate) fn normal(self, i: u64) -> f64 {
        let radius = (-2.0 * libm::log(self.uniform(2 * i))).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform(2 * i + 1))
    }

    /// The first `count` normal numbers, times `deviation`.
    pub(crate) fn normals(self, count: usize, deviation: f64) -> Vec<f32> {
        (0u64..)
            .take(count)
            .map(|i| rounded(self.normal(i) * deviation))
            .collect()
    }

    /// The first `count` uniform numbers in `±limit`.
    pub(crate) fn uniforms(self, count: usize, limit: f64) -> Vec<f32> {
        (0u64..)
            .take(count)
            .map(|i| rounded((2.0 * self.uniform(i) - 1.0) * limit))
            .collect()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "weights are f32; rounding is meant"
)]
const fn rounded(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_name_give_the_same_numbers_and_others_differ() {
        let a = Draws::new(1, "conv1.weight").normals(8, 1.0);
        assert_eq!(a, Draws::new(1, "conv1.weight").normals(8, 1.0));
        assert_ne!(a, Draws::new(2, "conv1.weight").normals(8, 1.0));
        assert_ne!(a, Draws::new(1, "conv2.weight").normals(8, 1.0));
    }

    #[test]
    fn a_number_does_not_depend_on_how_many_are_drawn() {
        let draws = Draws::new(7, "x");
        assert_eq!(draws.normals(3, 2.0)[..], draws.normals(100, 2.0)[..3]);
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let n = 200_000;
        let draws = Draws::new(3, "moments");
        let values: Vec<f64> = (0..n).map(|i| draws.normal(i)).collect();
        let moment = |k: i32| values.iter().map(|v| v.powi(k)).sum::<f64>() / n as f64;
        assert!(moment(1).abs() < 0.01 && (moment(2) - 1.0).abs() < 0.02);
        assert!(moment(3).abs() < 0.05 && (moment(4) - 3.0).abs() < 0.1);
    }

    #[test]
    fn uniform_numbers_fill_the_open_interval() {
        let draws = Draws::new(3, "uniform");
        let values: Vec<f64> = (0..100_000).map(|i| draws.uniform(i)).collect();
        assert!(values.iter().all(|&v| v > 0.0 && v < 1.0));
        assert!((values.iter().sum::<f64>() / 1e5 - 0.5).abs() < 0.005);
    }
}
