//! Features without an encoder: what the digital numbers alone tell.

use std::sync::atomic::{AtomicBool, Ordering};

use chipmill_schemas::band::{Band, Resolution};
use chipmill_store::{PatchPixels, ReadError, StoreReader};
use rayon::prelude::*;

/// Figures a band: mean, standard deviation, 5th, 50th and 95th percentile.
const FIGURES: usize = 5;

/// Patches that are read together: from afar with few requests.
const PAGE: usize = 32;

/// Features of one patch.
pub const BAND_STATISTICS: usize = Band::ALL.len() * FIGURES;

/// Mean, standard deviation and 5th, 50th and 95th percentile of every band's native pixels.
///
/// Returns `None` when `stop` was set before the end.
///
/// # Shapes
/// `[row, 60]`, row-major, bands by wavelength; unit: the raw digital number.
///
/// # Errors
/// [`ReadError`] naming the patch that cannot be read.
pub fn band_statistics(
    store: &StoreReader,
    rows: &[u32],
    stop: &AtomicBool,
) -> Result<Option<Vec<f32>>, ReadError> {
    let mut out = vec![0.0; rows.len() * BAND_STATISTICS];
    let page = |pixels: &mut PatchPixels, (out, rows): (&mut [f32], &[u32])| {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let fetched = store.fetch(rows, &Resolution::ALL);
        for (out, &row) in out.chunks_exact_mut(BAND_STATISTICS).zip(rows) {
            store.read_fetched(fetched.as_ref(), row, &Resolution::ALL, pixels)?;
            for (out, band) in out.chunks_exact_mut(FIGURES).zip(Band::ALL) {
                out.copy_from_slice(&figures(pixels.band_slice(band)));
            }
        }
        Ok(())
    };
    out.par_chunks_mut(BAND_STATISTICS * PAGE)
        .zip(rows.par_chunks(PAGE))
        .try_for_each_init(PatchPixels::zeroed, page)?;
    Ok((!stop.load(Ordering::Relaxed)).then_some(out))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "16-bit values have room in f32"
)]
fn figures(pixels: &[u16]) -> [f32; FIGURES] {
    let n = pixels.len() as f64;
    let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / n;
    let square = |&p: &u16| (f64::from(p) - mean).powi(2);
    let std = (pixels.iter().map(square).sum::<f64>() / n).sqrt();
    let mut sorted = pixels.to_vec();
    sorted.sort_unstable();
    let percentile = |p| percentile(&sorted, p);
    [
        mean,
        std,
        percentile(0.05),
        percentile(0.5),
        percentile(0.95),
    ]
    .map(|x| x as f32)
}

/// Linear interpolation between order statistics; `sorted` is not empty.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position inside the slice"
)]
fn percentile(sorted: &[u16], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let low = at.floor() as usize;
    let (a, b) = (sorted[low], sorted[(low + 1).min(sorted.len() - 1)]);
    f64::from(a) + (at - at.floor()) * (f64::from(b) - f64::from(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_definition() {
        let pixels: Vec<u16> = (0..=100).rev().collect();
        let [mean, std, p5, p50, p95] = figures(&pixels);
        assert_eq!((mean, p5, p50, p95), (50.0, 5.0, 50.0, 95.0));
        assert!((std - 29.154_76).abs() < 1e-4, "{std}");
        assert_eq!(figures(&[0, 10])[2], 0.5);
        assert_eq!(figures(&[7; 9]), [7.0, 0.0, 7.0, 7.0, 7.0]);
    }
}
