//! Histograms as a compact file, so that finalizing reads no pixels again.
//!
//! Zstandard frame over LEB128 integers: for each set its patches, and if there are any, for each
//! band the number of values that occur, then per value its distance to the one before and its
//! count.

use super::{BANDS, Count, Counts, Histograms, SETS, Set, VALUES};

const MAGIC: &[u8] = b"chipmill histograms 1\n";
const LEVEL: i32 = 1;
/// Most bytes that all sets can need: every value present, ten bytes a number.
const CAP: usize = SETS * (BANDS * (VALUES + 1) * 20 + 10);

pub(crate) fn to_bytes<N: Count>(histograms: &Histograms<N>) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    for set in &histograms.sets {
        push(&mut plain, set.patches);
        if set.patches > 0 {
            set.bands.iter().for_each(|b| push_band(&mut plain, &b.0));
        }
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(zstd::bulk::compress(&plain, LEVEL)?);
    Ok(bytes)
}

fn push_band<N: Count>(plain: &mut Vec<u8>, counts: &[N]) {
    let occurring = || (0u64..).zip(counts).filter(|(_, c)| **c != N::default());
    push(plain, occurring().count() as u64);
    let mut before = 0;
    for (value, &count) in occurring() {
        push(plain, value - before);
        push(plain, count.into());
        before = value;
    }
}

/// The error is a reason in words.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Histograms, String> {
    let packed = bytes
        .strip_prefix(MAGIC)
        .ok_or("is no file of histograms")?;
    let plain = zstd::bulk::decompress(packed, CAP).map_err(|e| e.to_string())?;
    let mut rest = plain.as_slice();
    let mut histograms = Histograms::default();
    for set in &mut histograms.sets {
        pull_set(&mut rest, set).ok_or("its counts are cut short or out of range")?;
    }
    if rest.is_empty() {
        Ok(histograms)
    } else {
        Err("has bytes beyond its end".to_owned())
    }
}

fn pull_set(rest: &mut &[u8], set: &mut Set<u64>) -> Option<()> {
    set.patches = pull(rest)?;
    if set.patches == 0 {
        return Some(());
    }
    set.bands
        .iter_mut()
        .try_for_each(|band| pull_band(rest, band))
}

fn pull_band(rest: &mut &[u8], band: &mut Counts<u64>) -> Option<()> {
    let mut value = 0u64;
    for entry in 0..pull(rest)? {
        let distance = pull(rest)?;
        value = value.checked_add(distance)?;
        let (at, count) = (u16::try_from(value).ok()?, pull(rest)?);
        // Nobody writes a value that does not occur, or one twice.
        if count == 0 || (entry > 0 && distance == 0) {
            return None;
        }
        band.reach(at);
        band.0[usize::from(at)] = count;
    }
    Some(())
}

pub(super) fn push(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

pub(super) fn pull(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_that_do_not_occur_and_values_given_twice_are_refused() {
        let file = |band: &[u8]| {
            // One patch, that band, eleven empty ones, and three sets without patches.
            let plain = [&[1], band, &[0; BANDS - 1], &[0; SETS - 1]].concat();
            [MAGIC, &zstd::bulk::compress(&plain, 1).unwrap()].concat()
        };
        assert!(from_bytes(&file(&[2, 5, 7, 1, 9])).is_ok());
        for wrong in [&[1, 5, 0][..], &[2, 5, 7, 0, 9]] {
            assert!(from_bytes(&file(wrong)).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn integers_round_trip(number in any::<u64>()) {
            let mut bytes = Vec::new();
            push(&mut bytes, number);
            prop_assert_eq!(pull(&mut bytes.as_slice()), Some(number));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(zstd::bulk::compress(&noise, 1).unwrap());
            let _ = from_bytes(&bytes);
            let _ = from_bytes(&noise);
        }
    }
}
