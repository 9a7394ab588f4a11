//! Burnt areas (334): scars with ragged edges, of uneven severity, with islands that the fire spared.

use super::ground::{Ground, Surface};
use super::noise::{AREA, Field, Grain, smoothstep};
use super::random::Stream;
use super::spectra::Material;

/// Paints a burn scar over part of the patch; what lay there shows through where the fire was weak.
pub(super) fn paint(ground: &mut Ground, stream: &mut Stream) {
    let grain = Grain::new(stream.range(32.0, 60.0), 6)
        .rough(stream.range(0.55, 0.72))
        .stretched(stream.range(1.0, 2.0));
    let front = Field::random(stream, grain);
    let edge = front.quantile(1.0 - stream.range(0.18, 0.55));
    let spared = Field::random(stream, Grain::new(9.0, 3).rough(0.7));
    let spared_edge = spared.quantile(1.0 - stream.range(0.05, 0.25));
    let ash = Field::random(stream, Grain::new(22.0, 5).rough(0.6));
    // An old scar is paler and greener than a fresh one.
    let (paleness, regrowth) = (stream.range(0.0, 0.7), stream.range(0.0, 0.35));
    for index in 0..AREA {
        let depth = front.at(index) - edge;
        if depth <= 0.0 {
            continue;
        }
        ground.classify(index, 334);
        let severity = smoothstep(0.0, 0.18, depth);
        if spared.at(index) > spared_edge || severity < 0.35 {
            continue;
        }
        let paler = paleness + 0.25 * ash.at(index);
        let second = if ash.at(index) > 0.9 - regrowth * 2.0 {
            Material::Shrub
        } else {
            Material::Ash
        };
        let share = if second == Material::Shrub {
            0.4
        } else {
            paler
        };
        let surface = Surface::of(Material::Char).with(second, share);
        ground.set(index, surface.shaded(1.0 + 0.06 * ash.at(index)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::random::Purpose;

    #[test]
    fn a_scar_covers_the_drawn_share_and_is_mostly_char() {
        for key in 0..20 {
            let mut ground = Ground::new();
            paint(&mut ground, &mut Stream::new(1, key, Purpose::Land));
            let scar: Vec<_> = (0..AREA).filter(|&i| ground.codes()[i] == 334).collect();
            assert!((AREA / 7..AREA * 2 / 3).contains(&scar.len()));
            let charred = |i: &&usize| ground.surfaces()[**i].first == Material::Char;
            assert!(scar.iter().filter(charred).count() * 2 > scar.len());
        }
    }
}
