//! Counter-based random numbers: a draw depends on (seed, item, purpose, position in the stream) and
//! on nothing else, so that any number of threads gives the same bytes.

/// What a stream of random numbers is for. Streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Which acquisitions are used.
    Acquisitions,
    /// Where the patches of an acquisition lie.
    Positions,
    /// Which patches show which of the four sparse classes.
    Themes,
    /// Light and air of an acquisition.
    Sky,
    /// The matching Sentinel-1 scene.
    Radar,
    /// Land cover of a patch.
    Land,
    /// Spectra of a patch's materials.
    Palette,
    /// Snow or clouds over a patch.
    Weather,
    /// Sensor noise of a patch.
    Noise,
    /// Speckle of a patch's radar image.
    Speckle,
}

/// A stream of random numbers (splitmix64: a counter through a 64-bit finaliser).
#[derive(Debug, Clone)]
pub(super) struct Stream {
    key: u64,
    counter: u64,
}

/// The finaliser of splitmix64: a bijection of `u64` whose output bits look independent.
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// One random number of two keys.
pub(super) const fn hash(key: u64, value: u64) -> u64 {
    mix(key ^ mix(value.wrapping_add(0x9E37_79B9_7F4A_7C15)))
}

/// A random integer as a number in `[0, 1)`.
pub(super) fn unit_of(bits: u64) -> f32 {
    // 24 bits: all of an f32's mantissa, so that 1 is never reached.
    (bits >> 40) as f32 / 16_777_216.0
}

impl Stream {
    /// The stream of one item for one purpose.
    pub(super) fn new(seed: u64, item: u64, purpose: Purpose) -> Self {
        let key = hash(hash(mix(seed), item), purpose as u64);
        Self { key, counter: 0 }
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.counter += 1;
        mix(self
            .key
            .wrapping_add(self.counter.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f32 {
        unit_of(self.bits())
    }

    /// Uniform in `[low, high)`.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..n` (0 for `n` = 0). The bias of the reduction is below `n / 2^64`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        let wide = u128::from(self.bits()) * n as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// Mean 0, standard deviation 1, within ±3.5: the sum of four uniform numbers, which is near
    /// enough to normal for light and noise and needs a single draw.
    pub(super) fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|k| bits >> (16 * k) & 0xFFFF).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.732_050_8
    }

    /// One of some values, in proportion to their weights.
    pub(super) fn weighted<T: Copy>(&mut self, values: &[(T, f32)]) -> Option<T> {
        let total: f32 = values.iter().map(|v| v.1).sum();
        let mut rest = self.range(0.0, total);
        for &(value, weight) in values {
            if rest < weight {
                return Some(value);
            }
            rest -= weight;
        }
        values.last().map(|v| v.0)
    }

    /// Puts the values in a random order.
    pub(super) fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            let other = self.below(last + 1);
            values.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_each_key_and_on_nothing_else() {
        let first = |seed, item, purpose| Stream::new(seed, item, purpose).bits();
        let one = first(1, 2, Purpose::Land);
        assert_eq!(one, first(1, 2, Purpose::Land));
        assert_ne!(one, first(2, 2, Purpose::Land));
        assert_ne!(one, first(1, 3, Purpose::Land));
        assert_ne!(one, first(1, 2, Purpose::Noise));
    }

    #[test]
    fn draws_have_the_promised_moments_and_ranges() {
        let mut stream = Stream::new(7, 0, Purpose::Noise);
        let n = 20_000;
        let draws: Vec<f32> = (0..n).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f32>() / n as f32;
        let variance = draws.iter().map(|d| d * d).sum::<f32>() / n as f32 - mean * mean;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05);
        assert!((0..1000).all(|_| stream.below(7) < 7 && stream.unit() < 1.0));
        assert_eq!(stream.below(0), 0);
    }

    #[test]
    fn weights_are_kept_and_a_shuffle_keeps_the_values() {
        let mut stream = Stream::new(3, 0, Purpose::Land);
        let hits = (0..4000)
            .filter(|_| stream.weighted(&[('a', 1.0), ('b', 3.0)]) == Some('b'))
            .count();
        assert!((2850..3150).contains(&hits), "{hits}");
        let mut values: Vec<u32> = (0..50).collect();
        stream.shuffle(&mut values);
        assert_ne!(values, (0..50).collect::<Vec<_>>());
        values.sort_unstable();
        assert_eq!(values, (0..50).collect::<Vec<_>>());
    }
}
