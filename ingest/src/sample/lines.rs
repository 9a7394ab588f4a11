//! Rivers and roads: winding bands across a patch.

use super::ground::{Ground, Surface};
use super::noise::{AREA, Field, Frame, Grain, position, smoothstep};
use super::random::Stream;
use super::spectra::Material;

/// A band along a winding line through the patch; distances from its axis, in pixels.
struct Course {
    frame: Frame,
    bends: [(f32, f32, f32); 3],
    wander: Field,
}

impl Course {
    fn new(stream: &mut Stream, winding: f32) -> Self {
        let angle = stream.range(0.0, std::f32::consts::TAU);
        let (x, y) = (stream.range(-45.0, 45.0), stream.range(-45.0, 45.0));
        let bend = |stream: &mut Stream, length: f32| {
            let wave = std::f32::consts::TAU / (length * stream.range(0.7, 1.4));
            (
                winding * stream.range(0.2, 1.0) * length / 12.0,
                wave,
                stream.range(0.0, 6.3),
            )
        };
        Self {
            frame: Frame::at(x, y, angle),
            bends: [bend(stream, 110.0), bend(stream, 50.0), bend(stream, 24.0)],
            wander: Field::random(stream, Grain::new(30.0, 2)),
        }
    }

    fn distance(&self, index: usize) -> f32 {
        let (u, v) = self.frame.local(position(index));
        let axis: f32 = self.bends.iter().map(|b| b.0 * (u * b.1 + b.2).sin()).sum();
        (v - axis + 0.3 * self.wander.at(index)).abs()
    }
}

/// A river 40 to 120 m wide, with trees on its banks.
pub(super) fn river(ground: &mut Ground, stream: &mut Stream) {
    let winding = stream.range(0.3, 1.6);
    let course = Course::new(stream, winding);
    let (half, bank) = (stream.range(2.0, 6.0), stream.range(0.5, 3.0));
    let silt = stream.unit();
    for index in 0..AREA {
        let distance = course.distance(index);
        ground.cover(
            index,
            Material::Broadleaf,
            1.0 - smoothstep(half + bank, half + bank + 1.0, distance),
        );
        if distance < half {
            ground.classify(index, 511);
            ground.set(
                index,
                Surface::of(Material::Water).with(Material::TurbidWater, silt),
            );
        } else {
            ground.cover(
                index,
                Material::Water,
                1.0 - smoothstep(half, half + 1.0, distance),
            );
        }
    }
}

/// A road or a track, too narrow to be a class of its own.
pub(super) fn road(ground: &mut Ground, stream: &mut Stream) {
    let winding = stream.range(0.0, 1.0);
    let course = Course::new(stream, winding);
    let half = stream.range(0.3, 0.9);
    let surface = if stream.chance(0.6) {
        Material::Asphalt
    } else {
        Material::PaleSoil
    };
    for index in 0..AREA {
        let cover = 1.0 - smoothstep(half - 0.4, half + 0.7, course.distance(index));
        if !ground.is_water(index) {
            ground.cover(index, surface, 0.9 * cover);
        }
    }
}
