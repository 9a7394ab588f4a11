//! Every operation of every path against plain code, bit by bit.

use half::{bf16, f16};
use proptest::prelude::*;

use super::{LANES, Line, Line16, Pick, Row, Simd, SimdError, SimdPath, kernel};

/// The paths of this processor.
fn paths() -> Vec<Simd> {
    let usable = SimdPath::ALL
        .into_iter()
        .filter(|path| path.check().is_ok());
    usable.map(|path| Simd::new(path).unwrap()).collect()
}

kernel! {
    /// What every operation on floats makes of three vectors.
    fn floats(lanes, a: &Row<f32>, b: &Row<f32>, c: &Row<f32>) -> Vec<Row<f32>> {
        let [x, y, z] = [lanes.load(a), lanes.load(b), lanes.load(c)];
        let results = [
            lanes.add(x, y),
            lanes.sub(x, y),
            lanes.mul(x, y),
            lanes.div(x, y),
            lanes.mul_add(x, y, z),
            lanes.sqrt(x),
            lanes.min(x, y),
            lanes.max(x, y),
            lanes.if_le(x, y, z, x),
            lanes.splat(a[3]),
        ];
        let mut rows = Vec::new();
        for result in results {
            let mut row = [0.0; LANES];
            lanes.store(result, &mut row);
            rows.push(row);
        }
        rows
    }
}

kernel! {
    /// What every operation on words makes of two vectors; signed integers as bits of floats.
    fn words(lanes, a: &Row<u32>, b: &Row<u32>) -> Vec<Row<f32>> {
        let [x, y] = [lanes.load_u(a), lanes.load_u(b)];
        let results = [
            lanes.add_u(x, y),
            lanes.sub_u(x, y),
            lanes.and(x, y),
            lanes.xor(x, y),
            lanes.shift_left::<7>(x),
            lanes.shift_right::<9>(x),
            lanes.rotate_left::<11>(x),
            lanes.splat_u(a[5]),
            lanes.bits(lanes.round_i32(x)),
        ];
        let mut rows = Vec::new();
        for result in results {
            let mut row = [0.0; LANES];
            lanes.store(lanes.as_floats(result), &mut row);
            rows.push(row);
        }
        rows
    }
}

kernel! {
    /// Halves of both kinds, stored and streamed.
    fn halves(lanes, a: &Row<f32>) -> [[Row<u16>; 3]; 2] {
        let v = lanes.load(a);
        let mut out = [[[0; LANES]; 3]; 2];
        for (kind, half) in [lanes.to_f16(v), lanes.to_bf16(v)].into_iter().enumerate() {
            lanes.store_half(half, &mut out[kind][0]);
            let mut line = Line([0; 64]);
            lanes.stream_half([half, half], &mut line);
            lanes.fence();
            let [first, second]: [Row<u16>; 2] = bytemuck::cast(line.0);
            out[kind][1] = first;
            out[kind][2] = second;
        }
        out
    }
}

kernel! {
    fn widened(lanes, a: &Row<u16>) -> (Row<f32>, Row<f32>) {
        let mut row = [0.0; LANES];
        lanes.store(lanes.widen(a), &mut row);
        let mut line = Line([0; 64]);
        lanes.stream(lanes.widen(a), &mut line);
        lanes.fence();
        (row, bytemuck::cast(line.0))
    }
}

kernel! {
    fn turned(lanes, words: &[u16], stride: usize) -> (Vec<u16>, Vec<f32>) {
        let floats: Vec<f32> = words.iter().map(|&word| word.into()).collect();
        let (mut turned, mut turned_floats) = (vec![0; words.len()], vec![0.0; words.len()]);
        lanes.turn_words(words, &mut turned, stride);
        lanes.turn_floats(&floats, &mut turned_floats, stride);
        (turned, turned_floats)
    }
}

kernel! {
    /// Sums of four taps and of three, and the third tap by itself.
    fn picked(lanes, line: &Line16, pick: &Pick, weights: &[Row<f32>; 4]) -> [Row<f32>; 3] {
        let mut loaded = [lanes.splat(0.0); 4];
        for (to, from) in loaded.iter_mut().zip(weights) {
            *to = lanes.load(from);
        }
        let mut out = [[0.0; LANES]; 3];
        let (starts, index) = (pick.starts, lanes.pick_index(pick));
        let three = [loaded[0], loaded[1], loaded[2]];
        lanes.store(lanes.close_sum(line, starts, index, &loaded), &mut out[0]);
        lanes.store(lanes.close_sum(line, starts, index, &three), &mut out[1]);
        lanes.store(lanes.gather(line, pick, 2), &mut out[2]);
        out
    }
}

kernel! {
    /// Sums of 1 to 4 words as they are stored.
    fn from_words(lanes, words: &[u16], pick: &Pick, weights: &[Row<f32>; 4]) -> [Row<f32>; 4] {
        let mut w = [lanes.splat(0.0); 4];
        for (to, from) in w.iter_mut().zip(weights) {
            *to = lanes.load(from);
        }
        let index = lanes.word_index(pick);
        let words = &words[pick.starts.sixteen..];
        let mut out = [[0.0; LANES]; 4];
        lanes.store(lanes.word_sum(words, index, &[w[0]]), &mut out[0]);
        lanes.store(lanes.word_sum(words, index, &[w[0], w[1]]), &mut out[1]);
        lanes.store(lanes.word_sum(words, index, &[w[0], w[1], w[2]]), &mut out[2]);
        lanes.store(lanes.word_sum(words, index, &w), &mut out[3]);
        out
    }
}

kernel! {
    /// The same of several rows of words, to rows of memory.
    fn from_rows(
        lanes,
        words: (&[u16], usize),
        rows: usize,
        pick: &Pick,
        weights: &[Row<f32>; 3],
        out: (&mut [f32], usize),
    ) {
        let mut w = [lanes.splat(0.0); 3];
        for (to, from) in w.iter_mut().zip(weights) {
            *to = lanes.load(from);
        }
        let words = (&words.0[pick.starts.sixteen..], words.1);
        lanes.word_sums(words, rows, lanes.word_index(pick), &w, out);
    }
}

kernel! {
    /// Sums with 1, 4 and 7 weights, from a place on.
    fn around(lanes, values: &[f32], place: usize, weights: &[f32; 7]) -> [Row<f32>; 3] {
        let mut w = [lanes.splat(0.0); 7];
        for (to, from) in w.iter_mut().zip(weights) {
            *to = lanes.splat(*from);
        }
        let mut out = [[0.0; LANES]; 3];
        lanes.store(lanes.outwards(values, place, &[w[0]]), &mut out[0]);
        lanes.store(lanes.outwards(values, place, &[w[0], w[1], w[2], w[3]]), &mut out[1]);
        lanes.store(lanes.outwards(values, place, &w), &mut out[2]);
        out
    }
}

kernel! {
    /// Sums outwards from the middle of three vectors, from registers and from memory, and that vector's lanes in
    /// another order.
    fn shifted(lanes, values: &[f32; 48], weights: &[f32; 7], order: &Row<u32>) -> [Row<f32>; 3] {
        let mut w = [lanes.splat(0.0); 7];
        for (to, from) in w.iter_mut().zip(weights) {
            *to = lanes.splat(*from);
        }
        let mut vectors = [lanes.splat(0.0); 3];
        for (v, row) in vectors.iter_mut().zip(values.as_chunks().0) {
            *v = lanes.load(row);
        }
        let mut out = [[0.0; LANES]; 3];
        let [before, here, _] = vectors;
        lanes.store(lanes.outwards_of(vectors, &w), &mut out[0]);
        if let Some(window) = values[LANES..].first_chunk() {
            lanes.store(lanes.outwards_from([before, here], window, &w), &mut out[1]);
        }
        lanes.store(lanes.pick(here, lanes.load_u(order)), &mut out[2]);
        out
    }
}

kernel! {
    fn joined(lanes, a: &Row<f32>, b: &Row<f32>) -> [Row<f32>; 2] {
        let mut out = [[0.0; LANES]; 2];
        lanes.store(lanes.join(lanes.load(a), lanes.load(b)), &mut out[0]);
        lanes.store(lanes.between(lanes.load(a), lanes.load(b)), &mut out[1]);
        out
    }
}

fn bits(rows: &[Row<f32>]) -> Vec<u32> {
    // Which NaN an operation gives is the one thing that IEEE 754 leaves open.
    let bits = |v: &f32| if v.is_nan() { u32::MAX } else { v.to_bits() };
    rows.as_flattened().iter().map(bits).collect()
}

fn row(words: [u32; LANES]) -> Row<f32> {
    words.map(f32::from_bits)
}

proptest! {
    #[test]
    fn floats_have_the_same_bits_on_every_path(a: [u32; 16], b: [u32; 16], c: [u32; 16]) {
        let [a, b, c] = [row(a), row(b), row(c)];
        let expected = bits(&floats(paths()[0], &a, &b, &c));
        for path in paths() {
            prop_assert_eq!(bits(&floats(path, &a, &b, &c)), expected.clone());
        }
    }

    #[test]
    fn words_have_the_same_bits_on_every_path(a: [u32; 16], b: [u32; 16]) {
        let expected = words(paths()[0], &a, &b).map_bits();
        for path in paths() {
            prop_assert_eq!(words(path, &a, &b).map_bits(), expected.clone());
        }
    }

    #[test]
    fn halves_are_those_of_the_conversion_of_one_value(a: [u32; 16], exponent in 100_u32..145) {
        // Once any bits at all, once near the range of f16.
        let near = a.map(|a| (a & 0x807F_FFFF) | (exponent << 23));
        for a in [row(a), row(near)] {
            let expected = [
                a.map(|v| f16::from_f32(v).to_bits()),
                a.map(|v| bf16::from_f32(v).to_bits()),
            ];
            for path in paths() {
                prop_assert_eq!(halves(path, &a), expected.map(|e| [e; 3]));
            }
        }
    }

    #[test]
    fn integers_are_widened_exactly(a: Row<u16>) {
        let expected = a.map(f32::from);
        for path in paths() {
            prop_assert_eq!(widened(path, &a), (expected, expected));
        }
    }

    #[test]
    fn blocks_are_turned_and_nothing_beside_them(a in any::<u16>(), stride in 16..40_usize) {
        let word = |i: u16| i.wrapping_mul(a);
        let words: Vec<u16> = (1..).take(16 * stride).map(word).collect();
        let mut expected = vec![0; words.len()];
        for (r, c) in (0..8).flat_map(|r| (0..16).map(move |c| (r, c))) {
            expected[r * stride + c] = words[c * stride + r];
        }
        let floats: Vec<f32> = expected.iter().map(|&word| word.into()).collect();
        for path in paths() {
            prop_assert_eq!(turned(path, &words, stride), (expected.clone(), floats.clone()));
        }
    }

    #[test]
    fn picks_are_those_of_plain_indices(starts in prop::array::uniform16(0_u32..8), down: bool) {
        let mut start: Row<u32> = std::array::from_fn(|l| starts[..=l].iter().sum::<u32>() / 8);
        if down {
            start.reverse();
        }
        let line: Line16 = std::array::from_fn(|i| (i as f32).sqrt());
        let weights = [0.1, 0.7, -0.3, 0.5].map(|w| [w; LANES]);
        let pick = Pick::new(&start);
        prop_assert!(pick.close);
        let at = |l: usize, k: usize| line[start[l] as usize + k];
        let sum = |l: usize, width: usize| {
            (1..width).fold(at(l, 0) * 0.1, |s, k| at(l, k).mul_add(weights[k][0], s))
        };
        let expected: [Row<f32>; 3] = [
            std::array::from_fn(|l| sum(l, 4)),
            std::array::from_fn(|l| sum(l, 3)),
            std::array::from_fn(|l| at(l, 2)),
        ];
        for path in paths() {
            prop_assert_eq!(picked(path, &line, &pick, &weights), expected);
        }
    }

    #[test]
    fn sums_of_words_are_those_of_plain_indices_up_to_the_last_word(
        starts in prop::array::uniform16(0_u32..9),
        down: bool,
        words in prop::array::uniform32(any::<u16>()),
        beyond in 0_usize..16,
    ) {
        let mut start: Row<u32> = std::array::from_fn(|l| starts[..=l].iter().sum::<u32>() / 9);
        if down {
            start.reverse();
        }
        let most = start.iter().max().copied().unwrap_or(0) as usize;
        // As few words as there may be at a raster's end, up to all that one load takes.
        let words = &words[..(most + 4 + beyond).min(32)];
        let weights = [0.1, 0.7, -0.3, 0.5].map(|w| [w; LANES]);
        let pick = Pick::new(&start);
        let at = |l: usize, k: usize| f32::from(words[start[l] as usize + k]);
        let sum = |l: usize, width: usize| {
            (1..width).fold(at(l, 0) * 0.1, |s, k| at(l, k).mul_add(weights[k][0], s))
        };
        let expected = [1, 2, 3, 4].map(|width| std::array::from_fn(|l| sum(l, width)));
        for path in paths() {
            prop_assert_eq!(from_words(path, words, &pick, &weights), expected);
        }
    }

    #[test]
    fn sums_of_rows_of_words_are_those_of_plain_indices_and_nothing_between_rows_is_touched(
        starts in prop::array::uniform16(0_u32..9),
        words in prop::collection::vec(any::<u16>(), 240),
        native in 18_usize..60,
        stride in 16_usize..40,
    ) {
        let start: Row<u32> = std::array::from_fn(|l| starts[..=l].iter().sum::<u32>() / 9);
        let most = start.iter().max().copied().unwrap_or(0) as usize;
        // As many rows as there are: the last ends with the words.
        let rows = (words.len() - most - 3) / native + 1;
        let words = &words[..(rows - 1) * native + most + 3];
        let weights = [0.1, 0.7, -0.3];
        let at = |r: usize, l: usize, k: usize| f32::from(words[r * native + start[l] as usize + k]);
        let mut expected = vec![7.0; (rows - 1) * stride + LANES];
        for r in 0..rows {
            for l in 0..LANES {
                let first = at(r, l, 0) * weights[0];
                expected[r * stride + l] =
                    (1..3).fold(first, |s, k| at(r, l, k).mul_add(weights[k], s));
            }
        }
        let (pick, weights) = (Pick::new(&start), weights.map(|w| [w; LANES]));
        for path in paths() {
            let mut out = vec![7.0; expected.len()];
            from_rows(path, (words, native), rows, &pick, &weights, (&mut out, stride));
            prop_assert_eq!(&out, &expected);
        }
    }

    #[test]
    fn sums_outwards_are_those_of_plain_indices_wherever_they_end(
        values in prop::collection::vec(-1.0_f32..1.0, 28..60),
        place in 6_usize..40,
    ) {
        prop_assume!(place + LANES + 6 <= values.len());
        let weights = [0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01];
        let sum = |l: usize, count: usize| {
            let here = place + l;
            let pair = |k: usize| values[here - k] + values[here + k];
            (1..count).fold(values[here] * 0.4, |s, k| pair(k).mul_add(weights[k], s))
        };
        let expected = [1, 4, 7].map(|count| std::array::from_fn(|l| sum(l, count)));
        for path in paths() {
            prop_assert_eq!(around(path, &values, place, &weights), expected);
        }
    }

    #[test]
    fn sums_outwards_are_the_same_from_registers_and_lanes_are_picked_by_their_indices(
        values in prop::collection::vec(-1.0_f32..1.0, 48),
        order in prop::collection::vec(0_u32..16, 16),
    ) {
        let values: [f32; 48] = values.try_into().unwrap();
        let order: [u32; LANES] = order.try_into().unwrap();
        let weights = [0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01];
        let sum = |l: usize| {
            let pair = |k: usize| values[LANES + l - k] + values[LANES + l + k];
            (1..7).fold(values[LANES + l] * 0.4, |s, k| pair(k).mul_add(weights[k], s))
        };
        let sums = std::array::from_fn(sum);
        let picked = order.map(|lane| values[LANES + lane as usize]);
        for path in paths() {
            prop_assert_eq!(shifted(path, &values, &weights, &order), [sums, sums, picked]);
        }
    }

    #[test]
    fn halves_are_joined(a: [u32; 16], b: [u32; 16]) {
        let expected: [Row<u32>; 2] = [
            std::array::from_fn(|l| if l < 8 { a[l] } else { b[l - 8] }),
            std::array::from_fn(|l| if l < 8 { a[l + 8] } else { b[l - 8] }),
        ];
        for path in paths() {
            let found = joined(path, &row(a), &row(b));
            prop_assert_eq!(found.map(|row| row.map(f32::to_bits)), expected);
        }
    }
}

trait MapBits {
    fn map_bits(&self) -> Vec<u32>;
}

impl MapBits for Vec<Row<f32>> {
    fn map_bits(&self) -> Vec<u32> {
        self.as_flattened().iter().map(|v| v.to_bits()).collect()
    }
}

#[test]
fn the_special_values_convert_to_halves_as_one_by_one() {
    let specials = [
        0.0,
        -0.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        65_504.0,
        65_519.9,
        65_520.0,
        6.0e-8,
        2.98e-8,
        f32::MIN_POSITIVE,
        1.0e-45,
        1.000_488_3,
        1.001_464_8,
        f32::MAX,
        -1.0,
    ];
    let expected = [
        specials.map(|v| f16::from_f32(v).to_bits()),
        specials.map(|v| bf16::from_f32(v).to_bits()),
    ];
    for path in paths() {
        assert_eq!(halves(path, &specials), expected.map(|e| [e; 3]));
    }
}

#[test]
fn paths_are_named_and_what_a_processor_lacks_is_told() {
    for path in SimdPath::ALL {
        assert_eq!(path.name().parse(), Ok(path));
    }
    assert_eq!("auto".parse(), Ok(SimdPath::best()));
    assert!(SimdPath::best().check().is_ok() && SimdPath::Scalar.check().is_ok());
    let unknown = "sse9".parse::<SimdPath>().unwrap_err().to_string();
    assert_eq!(
        unknown,
        "no SIMD path is named `sse9`; there are auto, avx512, avx2 and scalar"
    );
    let lacking = SimdError::Unavailable {
        path: SimdPath::Avx512,
        missing: vec!["AVX-512 F", "AVX-512 VL"],
    };
    let text = lacking.to_string();
    assert!(
        text.starts_with(
            "the SIMD path `avx512` needs AVX-512 F, AVX-512 VL, which this processor"
        ),
        "{text}"
    );
}
