//! Airports (124): long straight runways and taxiways across mown grass, an apron with halls.

use super::ground::{Ground, Surface};
use super::noise::{AREA, Field, Frame, Grain, position, smoothstep};
use super::random::Stream;
use super::spectra::Material;

/// A straight paved strip in a frame of its own.
struct Strip {
    frame: Frame,
    half_length: f32,
    half_width: f32,
    pavement: Material,
}

impl Strip {
    fn cover(&self, point: (f32, f32)) -> f32 {
        let (u, v) = self.frame.local(point);
        let within = |x: f32, half: f32| 1.0 - smoothstep(half - 0.5, half + 0.5, x.abs());
        within(u, self.half_length) * within(v, self.half_width)
    }
}

/// Paints an airfield across the patch.
pub(super) fn paint(ground: &mut Ground, stream: &mut Stream) {
    let angle = stream.range(0.0, std::f32::consts::TAU);
    let (x, y) = (stream.range(-16.0, 16.0), stream.range(-16.0, 16.0));
    let frame = Frame::at(x, y, angle);
    let (half_length, half_width) = (stream.range(46.0, 80.0), stream.range(16.0, 36.0));
    meadow(ground, stream, frame, (half_length, half_width));
    let to_patch = |u: f32, v: f32| {
        let (sin, cos) = angle.sin_cos();
        (x + u * cos - v * sin, y + u * sin + v * cos)
    };
    for strip in strips(stream, angle, to_patch, (half_length, half_width)) {
        for index in 0..AREA {
            let cover = strip.cover(position(index));
            if cover > 0.0 {
                ground.cover(index, strip.pavement, cover);
            }
            if cover > 0.5 {
                ground.classify(index, 124);
            }
        }
    }
}

/// The mown ground inside the fence.
fn meadow(ground: &mut Ground, stream: &mut Stream, frame: Frame, (length, width): (f32, f32)) {
    let tone = Field::random(stream, Grain::new(20.0, 4));
    let bareness = stream.range(0.0, 0.6);
    let mowing = stream.range(3.0, 7.0);
    for index in 0..AREA {
        let (u, v) = frame.local(position(index));
        if u.abs() > length || v.abs() > width {
            continue;
        }
        let stripe = 0.04 * (v * std::f32::consts::TAU / mowing).sin();
        let surface = Surface::of(Material::Grass)
            .with(Material::DryGrass, bareness + 0.15 * tone.at(index))
            .shaded(1.0 + 0.05 * tone.at(index) + stripe);
        ground.set(index, surface);
        ground.classify(index, 124);
    }
}

/// One or two runways, a taxiway with its connections, the apron and the halls.
fn strips(
    stream: &mut Stream,
    angle: f32,
    to_patch: impl Fn(f32, f32) -> (f32, f32),
    (half_length, half_width): (f32, f32),
) -> Vec<Strip> {
    let pavement = pavement(stream);
    let strip = |u: f32, v: f32, turn: f32, half_length: f32, half_width: f32, pavement| {
        let (x, y) = to_patch(u, v);
        Strip {
            frame: Frame::at(x, y, angle + turn),
            half_length,
            half_width,
            pavement,
        }
    };
    let side = if stream.chance(0.5) { 1.0 } else { -1.0 };
    let runway = -side * stream.range(0.1, 0.5) * half_width;
    let taxiway = runway + side * stream.range(8.0, 14.0);
    let runway_width = stream.range(2.5, 3.8);
    let across = std::f32::consts::FRAC_PI_2;
    let mut strips = vec![
        strip(0.0, runway, 0.0, half_length * 0.97, runway_width, pavement),
        strip(
            0.0,
            taxiway,
            0.0,
            half_length * stream.range(0.6, 0.95),
            1.2,
            pavement,
        ),
    ];
    for _ in 0..3 + stream.below(3) {
        let u = stream.range(-0.85, 0.85) * half_length;
        let (middle, reach) = (
            f32::midpoint(runway, taxiway),
            (taxiway - runway).abs() / 2.0,
        );
        let turn = across + stream.range(-0.4, 0.4);
        strips.push(strip(u, middle, turn, reach, 1.1, pavement));
    }
    if stream.chance(0.35) {
        let turn = stream.range(0.5, 1.4);
        let length = stream.range(35.0, 60.0);
        strips.push(strip(
            stream.range(-15.0, 15.0),
            runway,
            turn,
            length,
            runway_width,
            pavement,
        ));
    }
    if stream.chance(0.75) {
        let around = (taxiway, side, half_length);
        strips.extend(apron(stream, around, strip));
    }
    strips
}

/// The apron beside the taxiway and the halls behind it.
fn apron(
    stream: &mut Stream,
    (taxiway, side, half_length): (f32, f32, f32),
    strip: impl Fn(f32, f32, f32, f32, f32, Material) -> Strip,
) -> Vec<Strip> {
    let (middle, depth) = (
        stream.range(-0.5, 0.5) * half_length,
        stream.range(3.0, 7.0),
    );
    let (line, length) = (taxiway + side * depth, stream.range(6.0, 18.0));
    let mut strips = vec![strip(middle, line, 0.0, length, depth, Material::Concrete)];
    for _ in 0..1 + stream.below(4) {
        let u = middle + stream.range(-1.0, 1.0) * length;
        let v = line + side * (depth + stream.range(1.0, 4.0));
        let (length, width) = (stream.range(2.0, 5.0), stream.range(1.2, 2.6));
        strips.push(strip(u, v, 0.0, length, width, Material::MetalRoof));
    }
    strips
}

fn pavement(stream: &mut Stream) -> Material {
    if stream.chance(0.5) {
        Material::Asphalt
    } else {
        Material::Concrete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::random::Purpose;

    #[test]
    fn an_airfield_covers_a_good_part_and_has_pavement() {
        for key in 0..20 {
            let mut ground = Ground::new();
            paint(&mut ground, &mut Stream::new(1, key, Purpose::Land));
            let pixels = ground.codes().iter().filter(|&&c| c == 124).count();
            assert!(pixels > AREA / 8, "{pixels}");
            let paved = |m: Material| matches!(m, Material::Asphalt | Material::Concrete);
            let paved = ground.surfaces().iter().filter(|s| paved(s.second)).count();
            assert!(paved > 300, "{paved}");
        }
    }
}
