//! Operations on the values of a view, `[band, y, x]` of normalised `f32`.
//!
//! Each operation draws from its own [`OpKey`], so that what it draws can be told
//! without doing it, and one operation's draws do not depend on another's.

pub(super) mod band_drop;
pub(super) mod blur;
mod clip;
mod drop_color;
mod hsv;
pub(super) mod jitter;
mod noise;

pub(crate) use blur::BlurBuffers;

use chipmill_schemas::augment::{Chance, Clip, GaussianBlur, GaussianNoise, Jitter};

use crate::rng::OpKey;

/// An operation that changes values where they are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Photometric {
    Jitter(Jitter),
    GaussianBlur(GaussianBlur),
    GaussianNoise(GaussianNoise),
    DropColor(Chance),
    BandDrop(Chance),
    Clip(Clip),
}

impl Photometric {
    /// Applies the operation to the view in `data`, bands of `side` x `side` values.
    pub(crate) fn apply(
        &self,
        data: &mut [f32],
        side: usize,
        key: OpKey,
        buffers: &mut BlurBuffers,
    ) {
        let pixels = side * side;
        match self {
            Self::Jitter(jitter) => jitter::apply(jitter, data, pixels, key),
            Self::GaussianBlur(blur) => blur::apply(blur, data, side, key, buffers),
            Self::GaussianNoise(noise) => noise::apply(noise, data, key),
            Self::DropColor(Chance { p }) => drop_color::apply(*p, data, pixels, key),
            Self::BandDrop(Chance { p }) => band_drop::apply(*p, data, pixels, key),
            Self::Clip(clip) => clip::apply(data, [clip.min, clip.max]),
        }
    }

    /// What is drawn for a view of so many bands, for people.
    pub(crate) fn describe(&self, bands: usize, key: OpKey) -> String {
        let done = |done: bool| if done { "yes" } else { "no" }.to_owned();
        match self {
            Self::Jitter(jitter) => jitter::describe(jitter, bands, key),
            Self::GaussianBlur(blur) => match blur::sigma(blur, key) {
                Some(sigma) => format!("sigma {sigma:.2} px"),
                None => done(false),
            },
            Self::GaussianNoise(noise) => match noise::is_done(noise, key) {
                true => format!("std {}", noise.std),
                false => done(false),
            },
            Self::DropColor(Chance { p }) => done(key.stream(0).chance(*p)),
            Self::BandDrop(Chance { p }) => {
                let dropped = (0..bands).filter(|&band| band_drop::drops(*p, band, key));
                let names: Vec<String> = dropped.map(|band| band.to_string()).collect();
                if names.is_empty() {
                    return "none".to_owned();
                }
                format!("bands {}", names.join(" "))
            }
            Self::Clip(clip) => format!("{} to {}", clip.min, clip.max),
        }
    }
}

/// `x` within `low..=high`, without a special case for NaN.
#[inline(always)]
fn clamp(x: f32, [low, high]: [f32; 2]) -> f32 {
    let x = if x > low { x } else { low };
    if x < high { x } else { high }
}

/// Bands are worked through in stretches of so many pixels where all bands are needed at once, so that
/// the stretch of every band stays in cache.
const STRETCH: usize = 256;
