//! Relief lit by the sun: open slopes, and bare rock with its ridges.

use super::ground::{Ground, Surface};
use super::noise::{AREA, Field, Grain, smoothstep};
use super::random::Stream;
use super::spectra::Material;

/// Where the light comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sun {
    /// Horizontal direction towards the sun; x to the east, y to the south.
    direction: (f32, f32),
    /// How strongly slopes are lit and shaded: large when the sun is low.
    contrast: f32,
}

impl Sun {
    /// From the azimuth (radians, clockwise from north) and the height above the horizon (radians).
    pub(super) fn new(azimuth: f32, height: f32) -> Self {
        Self {
            direction: (azimuth.sin(), -azimuth.cos()),
            contrast: 1.0 / height.tan().max(0.3),
        }
    }

    /// Factor on the light that falls on a slope of `relief`.
    fn light(self, relief: &Field, index: usize, strength: f32) -> f32 {
        // A slope that rises away from the sun faces it.
        let facing = -relief.slope(index, self.direction);
        (1.0 + strength * self.contrast * facing).clamp(0.35, 1.8)
    }
}

/// Paints rough open slopes of two materials.
pub(super) fn slopes(
    ground: &mut Ground,
    stream: &mut Stream,
    pixels: &[usize],
    (main, other): (Material, Material),
    sun: Sun,
) {
    let scale = stream.range(25.0, 60.0);
    let relief = Field::random(stream, Grain::new(scale, 4));
    let spots = Field::random(stream, Grain::new(12.0, 4).rough(0.65));
    let strength = stream.range(0.15, 0.4);
    let share = stream.range(0.15, 0.5);
    for &index in pixels {
        let of_other = share + 0.22 * spots.at(index);
        let light = sun.light(&relief, index, strength);
        ground.set(index, Surface::of(main).with(other, of_other).shaded(light));
    }
}

/// Paints bare rock (332) over part of the patch: sharp ridges, gullies and scree, with what grows in
/// between.
pub(super) fn bare_rock(ground: &mut Ground, stream: &mut Stream, sun: Sun) {
    let extent_grain = Grain::new(stream.range(45.0, 80.0), 5).rough(0.5);
    let extent = Field::random(stream, extent_grain);
    let edge = extent.quantile(1.0 - stream.range(0.2, 0.65));
    let ridge_grain = Grain::new(stream.range(22.0, 45.0), 5)
        .rough(0.6)
        .stretched(stream.range(1.0, 2.2))
        .ridged();
    let relief = Field::random(stream, ridge_grain);
    let growth = Field::random(stream, Grain::new(14.0, 4));
    let rock = rock(stream);
    let strength = stream.range(0.2, 0.5);
    let green_share = stream.range(0.05, 0.5);
    // Plants hold on in the hollows.
    let green_cut = growth.quantile(1.0 - green_share);
    for index in 0..AREA {
        let inside = smoothstep(edge - 0.08, edge + 0.08, extent.at(index));
        if inside <= 0.0 {
            continue;
        }
        if inside > 0.5 {
            ground.classify(index, 332);
        }
        let green = smoothstep(
            green_cut,
            green_cut + 0.5,
            growth.at(index) - 0.3 * relief.at(index),
        );
        let surface = if green > 0.5 {
            rock.with(Material::Shrub, green)
        } else {
            rock.with(rock.second, rock.share + 0.2 * relief.at(index))
        };
        if inside > 0.5 {
            ground.set(index, surface.shaded(sun.light(&relief, index, strength)));
        } else {
            ground.cover(index, rock.first, inside);
        }
    }
}

/// A kind of rock, from dark to pale.
fn rock(stream: &mut Stream) -> Surface {
    let paleness = stream.unit();
    Surface::of(Material::DarkRock).with(Material::PaleRock, paleness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::random::Purpose;

    #[test]
    fn slopes_towards_the_sun_are_bright_and_those_away_from_it_dark() {
        let mut stream = Stream::new(1, 1, Purpose::Land);
        let relief = Field::random(&mut stream, Grain::new(40.0, 2));
        let (east, west) = (
            Sun::new(std::f32::consts::FRAC_PI_2, 0.7),
            Sun::new(-std::f32::consts::FRAC_PI_2, 0.7),
        );
        let index = (0..AREA)
            .find(|&i| relief.slope(i, (1.0, 0.0)) < -0.1)
            .unwrap();
        assert!(east.light(&relief, index, 0.5) > 1.0);
        assert!(west.light(&relief, index, 0.5) < 1.0);
    }

    #[test]
    fn bare_rock_covers_a_good_part_of_the_patch() {
        for key in 0..20 {
            let mut ground = Ground::new();
            let mut stream = Stream::new(1, key, Purpose::Land);
            bare_rock(&mut ground, &mut stream, Sun::new(2.5, 0.7));
            let pixels = ground.codes().iter().filter(|&&c| c == 332).count();
            assert!((AREA / 6..AREA * 4 / 5).contains(&pixels), "{pixels}");
        }
    }
}
