//! Philox of eight counters in registers of AVX2.

use std::arch::x86_64::*;

use crate::rng::{PHILOX_MULTIPLIERS, PHILOX_WEYL};

/// Even counters, and odd ones: of each word those of four counters, a word in the low half of 64 bits. What is above
/// it does not matter.
type Counters = [[__m256i; 4]; 2];

/// Rounds of [`begun`].
const BEGUN: usize = 3;

/// The words of the eight counters from `first` + `offset` on.
#[inline(always)]
pub(super) fn eight<const ROUNDS: usize>(
    first: [u32; 4],
    offset: i64,
    key: [u32; 2],
) -> [__m256i; 4] {
    let mut c = begun(first, offset, key);
    vector!({
        let (m0, m1) = (wide(PHILOX_MULTIPLIERS[0]), wide(PHILOX_MULTIPLIERS[1]));
        // Written out: left as a loop, its state goes through memory.
        macro_rules! rounds {
            ($($number:literal)+) => {
                $(if $number < ROUNDS {
                    let [k0, k1] = key_of(key, $number);
                    for c in &mut c {
                        let product0 = _mm256_mul_epu32(c[0], m0);
                        let product1 = _mm256_mul_epu32(c[2], m1);
                        *c = [
                            _mm256_xor_si256(_mm256_xor_si256(c[1], wide(k0)), upper1(product1)),
                            product1,
                            _mm256_xor_si256(_mm256_xor_si256(c[3], wide(k1)), upper0(product0)),
                            product0,
                        ];
                    }
                })+
            };
        }
        rounds!(3 4 5 6 7 8 9);
        const {
            assert!(
                ROUNDS >= BEGUN && ROUNDS <= 10,
                "other rounds than are written out"
            );
        };
        // Low halves of the odd counters go to the odd lanes.
        let merge = |w: usize| {
            let odd = _mm256_shuffle_epi32::<0b10_10_00_00>(c[1][w]);
            _mm256_blend_epi32::<0b1010_1010>(c[0][w], odd)
        };
        [merge(0), merge(1), merge(2), merge(3)]
    })
}

/// After three rounds. Of a word that is the same in all counters so is the product: in the first two rounds one of
/// two, and a word in the third.
#[inline(always)]
fn begun(first: [u32; 4], offset: i64, key: [u32; 2]) -> Counters {
    let [m0, m1] = PHILOX_MULTIPLIERS;
    let keys = [key_of(key, 0), key_of(key, 1), key_of(key, 2)];
    let (high, low) = product(first[2], m1);
    let (word0, word1) = (high ^ first[1] ^ keys[0][0], low);
    let (high, word3) = product(word0, m0);
    vector!({
        let (m0, m1) = (wide(m0), wide(m1));
        let start = _mm256_add_epi64(wide(first[0]), _mm256_set1_epi64x(offset));
        let even = _mm256_add_epi64(start, _mm256_setr_epi64x(0, 2, 4, 6));
        let odd = _mm256_add_epi64(start, _mm256_setr_epi64x(1, 3, 5, 7));
        let mut counters = [[even; 4], [odd; 4]];
        for c in &mut counters {
            let product0 = _mm256_mul_epu32(c[0], m0);
            let second = _mm256_xor_si256(upper0(product0), wide(first[3] ^ keys[0][1]));
            let product1 = _mm256_mul_epu32(second, m1);
            let zeroth = _mm256_xor_si256(upper1(product1), wide(word1 ^ keys[1][0]));
            let second = _mm256_xor_si256(product0, wide(high ^ keys[1][1]));
            let products = [_mm256_mul_epu32(zeroth, m0), _mm256_mul_epu32(second, m1)];
            let zeroth = _mm256_xor_si256(product1, wide(keys[2][0]));
            *c = [
                _mm256_xor_si256(zeroth, upper1(products[1])),
                products[1],
                _mm256_xor_si256(upper0(products[0]), wide(word3 ^ keys[2][1])),
                products[0],
            ];
        }
        counters
    })
}

/// The key of a round.
#[inline(always)]
const fn key_of(key: [u32; 2], round: u32) -> [u32; 2] {
    let [w0, w1] = PHILOX_WEYL;
    [
        key[0].wrapping_add(w0.wrapping_mul(round)),
        key[1].wrapping_add(w1.wrapping_mul(round)),
    ]
}

/// The upper and the lower half of a product.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn product(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

#[inline(always)]
fn wide(x: u32) -> __m256i {
    vector!(_mm256_set1_epi64x(i64::from(x)))
}

/// The upper half of a product, where the lower was.
#[inline(always)]
fn upper0(product: __m256i) -> __m256i {
    vector!(_mm256_srli_epi64::<32>(product))
}

/// The same by a shuffle, which runs on other ports than the shift.
#[inline(always)]
fn upper1(product: __m256i) -> __m256i {
    vector!(_mm256_shuffle_epi32::<0b11_11_01_01>(product))
}
