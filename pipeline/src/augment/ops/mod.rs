//! Operations on the values of a view, `[band, y, x]` of normalised `f32`.
//!
//! Each operation draws from its own [`OpKey`], so that what it draws can be told
//! without doing it, and one operation's draws do not depend on another's.

pub(super) mod band_drop;
pub(super) mod blur;
pub(super) mod hsv;
pub(super) mod jitter;
pub(super) mod noise;
pub(super) mod pointwise;

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
