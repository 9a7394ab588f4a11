//! Philox 4x32 with ten rounds (Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as
//! 1, 2, 3", SC 2011): a bijection of 128-bit counters for each 64-bit key.

use crate::simd::LANES;

pub(crate) const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
pub(crate) const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// Rounds of every number but those of pixels.
pub(crate) const ROUNDS: usize = 10;

/// Four random words of one counter under one key.
#[must_use]
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        counter = round(counter, key);
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[inline(always)]
fn round(c: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (high0, low0) = multiply(MULTIPLIERS[0], c[0]);
    let (high1, low1) = multiply(MULTIPLIERS[1], c[2]);
    [high1 ^ c[1] ^ key[0], low1, high0 ^ c[3] ^ key[1], low0]
}

#[inline(always)]
fn multiply(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, (product & 0xFFFF_FFFF) as u32)
}

/// The words of sixteen consecutive counters, `first` and those after it in its word 0 (which wraps),
/// after so many rounds: word `w` of counter `l` is at `[w][l]`.
///
/// With ten rounds the same values as [`philox`], in a loop over lanes that becomes vector code: every
/// word is kept in the low half of a `u64`, where the products are, and what is above it does not matter.
#[inline(always)]
pub(crate) fn philox_rounds<const ROUNDS: usize>(
    first: [u32; 4],
    key: [u32; 2],
) -> [[u32; LANES]; 4] {
    let mut words = [[0; LANES]; 4];
    let [out0, out1, out2, out3] = &mut words;
    for (l, offset) in (0..LANES).zip(0_u32..) {
        let mut key = key;
        let mut c = first.map(u64::from);
        c[0] = u64::from(first[0].wrapping_add(offset));
        for _ in 0..ROUNDS {
            let product0 = (c[0] & LOW) * u64::from(MULTIPLIERS[0]);
            let product1 = (c[2] & LOW) * u64::from(MULTIPLIERS[1]);
            c = [
                (product1 >> 32) ^ c[1] ^ u64::from(key[0]),
                product1,
                (product0 >> 32) ^ c[3] ^ u64::from(key[1]),
                product0,
            ];
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let [w0, w1, w2, w3] = c.map(|word| (word & LOW) as u32);
        (out0[l], out1[l], out2[l], out3[l]) = (w0, w1, w2, w3);
    }
    words
}

const LOW: u64 = 0xFFFF_FFFF;

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors that the authors publish for philox4x32 with 10 rounds.
    #[test]
    fn the_published_known_answers_are_reproduced() {
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn lanes_give_the_words_of_consecutive_counters() {
        let (first, key) = ([u32::MAX - 4, 7, 8, 9], [10, 11]);
        let words = philox_rounds::<ROUNDS>(first, key);
        for (l, offset) in (0..LANES).zip(0_u32..) {
            let counter = [first[0].wrapping_add(offset), 7, 8, 9];
            assert_eq!(words.map(|w| w[l]), philox(counter, key));
        }
    }
}
