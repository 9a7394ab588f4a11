//! The ground of one patch at 10 m: what lies at each pixel and which land-cover class it belongs to.

use chipmill_schemas::label::{CLC_43, LabelSet};

use super::noise::AREA;
use super::spectra::Material;

/// Least share of a patch's area for a class to be one of its labels.
const LABEL_SHARE: f32 = 0.03;

/// What a pixel is made of: two materials, and how bright its light and slope make it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surface {
    pub(super) first: Material,
    pub(super) second: Material,
    /// Share of `second`, 0..=1.
    pub(super) share: f32,
    /// Factor on the reflectance.
    pub(super) shade: f32,
}

impl Surface {
    /// One material in plain light.
    pub(super) const fn of(material: Material) -> Self {
        Self {
            first: material,
            second: material,
            share: 0.0,
            shade: 1.0,
        }
    }

    /// With a share of another material.
    pub(super) fn with(self, second: Material, share: f32) -> Self {
        Self {
            second,
            share: share.clamp(0.0, 1.0),
            ..self
        }
    }

    /// Brighter or darker.
    pub(super) fn shaded(self, factor: f32) -> Self {
        Self {
            shade: self.shade * factor.clamp(0.2, 2.0),
            ..self
        }
    }

    /// The material that covers more of the pixel.
    fn main(self) -> Material {
        if self.share > 0.5 {
            self.second
        } else {
            self.first
        }
    }

    /// Covered to the share `cover` by a material, as the edge of a road is.
    fn covered(self, material: Material, cover: f32) -> Self {
        let below = self.main();
        Self {
            first: below,
            second: material,
            share: cover.clamp(0.0, 1.0),
            shade: self.shade + (1.0 - self.shade) * cover.clamp(0.0, 1.0),
        }
    }
}

/// All pixels of a patch.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    surfaces: Vec<Surface>,
    codes: Vec<u16>,
}

impl Ground {
    /// Bare grass of no class; every pixel is painted over.
    pub(super) fn new() -> Self {
        Self {
            surfaces: vec![Surface::of(Material::Grass); AREA],
            codes: vec![231; AREA],
        }
    }

    /// Replaces what lies at a pixel.
    pub(super) fn set(&mut self, index: usize, surface: Surface) {
        self.surfaces[index] = surface;
    }

    /// Covers a share of a pixel with a material.
    pub(super) fn cover(&mut self, index: usize, material: Material, share: f32) {
        if share > 0.0 {
            self.surfaces[index] = self.surfaces[index].covered(material, share);
        }
    }

    /// Makes a pixel brighter or darker.
    pub(super) fn shade(&mut self, index: usize, factor: f32) {
        self.surfaces[index] = self.surfaces[index].shaded(factor);
    }

    /// Assigns a pixel to a land-cover class, by its CLC code.
    pub(super) fn classify(&mut self, index: usize, code: u16) {
        self.codes[index] = code;
    }

    /// Whether a pixel is open water.
    pub(super) fn is_water(&self, index: usize) -> bool {
        self.codes[index] >= 511
    }

    /// The surfaces, row by row.
    pub(super) fn surfaces(&self) -> &[Surface] {
        &self.surfaces
    }

    /// The CLC codes, row by row.
    pub(super) fn codes(&self) -> &[u16] {
        &self.codes
    }

    /// The classes that cover at least three per cent of the patch.
    pub(super) fn labels(&self) -> LabelSet {
        let share = |code: u16| {
            let pixels = self.codes.iter().filter(|&&c| c == code).count();
            pixels as f32 / AREA as f32
        };
        let classes = CLC_43.iter().enumerate();
        classes
            .filter(|(_, class)| share(class.code) >= LABEL_SHARE)
            .map(|(index, _)| index)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_classes_with_enough_area() {
        let mut ground = Ground::new();
        (0..500).for_each(|i| ground.classify(i, 312));
        (500..700).for_each(|i| ground.classify(i, 511));
        let names: Vec<_> = ground.labels().iter().map(|i| CLC_43[i].name).collect();
        assert_eq!(names, ["Pastures", "Coniferous forest"]);
    }

    #[test]
    fn a_cover_hides_what_lies_below_in_proportion() {
        let mut ground = Ground::new();
        ground.shade(0, 0.5);
        ground.cover(0, Material::Asphalt, 0.75);
        let surface = ground.surfaces()[0];
        assert_eq!(
            (surface.first, surface.second),
            (Material::Grass, Material::Asphalt)
        );
        assert!((surface.shade - 0.875).abs() < 1e-6 && surface.share == 0.75);
    }
}
