//! Random fields over a patch: sums of smooth lattice noise, the shapes of everything natural.

use super::random::Stream;

/// Side of a patch in pixels of 10 m.
pub(super) const SIDE: usize = 120;

/// Pixels of a patch at 10 m.
pub(super) const AREA: usize = SIDE * SIDE;

/// Half the diagonal, in pixels: no pixel lies farther from the patch's centre.
const REACH: f32 = 86.5;

/// Features smaller than this are left out: they would be mere noise of the pixels, in pixels.
const FINEST: f32 = 1.5;

/// Centre of pixel `index` relative to the patch's centre, in pixels; x to the east, y to the south.
pub(super) fn position(index: usize) -> (f32, f32) {
    let half = SIDE as f32 / 2.0;
    let (x, y) = (index % SIDE, index / SIDE);
    (x as f32 + 0.5 - half, y as f32 + 0.5 - half)
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Largest integer not above `x`, for numbers of a size that occurs here.
#[expect(
    clippy::cast_possible_truncation,
    reason = "arguments are pixel coordinates, far within i32"
)]
pub(super) fn floor(x: f32) -> i32 {
    let towards_zero = x as i32;
    towards_zero - i32::from(x < towards_zero as f32)
}

/// A coordinate frame: a centre and a direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    x: f32,
    y: f32,
    cos: f32,
    sin: f32,
}

impl Frame {
    /// A frame at a point, turned by `angle` (radians).
    pub(super) fn at(x: f32, y: f32, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self { x, y, cos, sin }
    }

    /// A frame at the patch's centre in any direction.
    pub(super) fn any(stream: &mut Stream) -> Self {
        Self::at(0.0, 0.0, stream.range(0.0, std::f32::consts::TAU))
    }

    /// A point in this frame.
    pub(super) fn local(self, (x, y): (f32, f32)) -> (f32, f32) {
        let (dx, dy) = (x - self.x, y - self.y);
        (dx * self.cos + dy * self.sin, dy * self.cos - dx * self.sin)
    }
}

/// How a field varies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grain {
    /// Size of the largest features, in pixels.
    pub(super) scale: f32,
    /// Sizes summed up, each half of the one before.
    pub(super) octaves: u32,
    /// Amplitude of each size relative to the one before.
    pub(super) roughness: f32,
    /// Length over width of the features.
    pub(super) stretch: f32,
    /// Whether valleys are folded up into sharp ridges.
    pub(super) ridged: bool,
}

impl Grain {
    /// Roundish features.
    pub(super) const fn new(scale: f32, octaves: u32) -> Self {
        Self {
            scale,
            octaves,
            roughness: 0.55,
            stretch: 1.0,
            ridged: false,
        }
    }

    /// With another ratio of amplitudes.
    pub(super) const fn rough(self, roughness: f32) -> Self {
        Self { roughness, ..self }
    }

    /// With features drawn out in one direction.
    pub(super) const fn stretched(self, stretch: f32) -> Self {
        Self { stretch, ..self }
    }

    /// With sharp ridges.
    pub(super) const fn ridged(self) -> Self {
        Self {
            ridged: true,
            ..self
        }
    }
}

/// One number a pixel.
#[derive(Debug, Clone)]
pub(super) struct Field(Vec<f32>);

impl Field {
    /// A random field with mean 0 and standard deviation 1.
    pub(super) fn random(stream: &mut Stream, grain: Grain) -> Self {
        // Smooth octaves need not be computed at every pixel.
        let (mut quarter, mut half, mut full) =
            (Grid::<4>::new(), Grid::<2>::new(), Grid::<1>::new());
        let (mut scale, mut amplitude) = (grain.scale, 1.0);
        let heading = stream.range(0.0, std::f32::consts::TAU);
        for octave in 0..grain.octaves {
            if octave > 0 && scale < FINEST {
                break;
            }
            // A turn of each octave of its own hides the lattice.
            let turn = if grain.stretch > 1.0 {
                stream.range(-0.2, 0.2)
            } else {
                stream.range(0.0, std::f32::consts::TAU)
            };
            let lattice = Lattice {
                frame: Frame::at(0.0, 0.0, heading + turn),
                ..Lattice::new(stream, scale, grain.stretch)
            };
            match scale {
                12.0.. => quarter.add(&lattice, amplitude, grain.ridged),
                4.0.. => half.add(&lattice, amplitude, grain.ridged),
                _ => full.add(&lattice, amplitude, grain.ridged),
            }
            scale /= 2.0;
            amplitude *= grain.roughness;
        }
        let mut values = vec![0.0; AREA];
        quarter.enlarge_onto(&mut values);
        half.enlarge_onto(&mut values);
        full.enlarge_onto(&mut values);
        Self(values).standardised()
    }

    /// The value at a pixel.
    pub(super) fn at(&self, index: usize) -> f32 {
        self.0[index]
    }

    /// The value that a share `q` of the pixels lies below.
    pub(super) fn quantile(&self, q: f32) -> f32 {
        let mut values = self.0.clone();
        let at = floor(q.clamp(0.0, 1.0) * (AREA - 1) as f32);
        let at = usize::try_from(at).unwrap_or(0);
        *values.select_nth_unstable_by(at, f32::total_cmp).1
    }

    /// Slope along a direction, by differences of neighbours.
    pub(super) fn slope(&self, index: usize, (dx, dy): (f32, f32)) -> f32 {
        let (x, y) = (index % SIDE, index / SIDE);
        let row = y * SIDE;
        let east = self.0[row + (x + 1).min(SIDE - 1)] - self.0[row + x.saturating_sub(1)];
        let south =
            self.0[(y + 1).min(SIDE - 1) * SIDE + x] - self.0[y.saturating_sub(1) * SIDE + x];
        east * dx + south * dy
    }

    fn standardised(mut self) -> Self {
        let n = self.0.len() as f32;
        let mean = self.0.iter().sum::<f32>() / n;
        let square = self.0.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
        let scale = 1.0 / square.sqrt().max(1e-6);
        for value in &mut self.0 {
            *value = (*value - mean) * scale;
        }
        self
    }
}

/// Values at every `STEP`-th pixel of the patch, and one beyond in each direction; empty while nothing
/// was added.
struct Grid<const STEP: usize>(Vec<f32>);

impl<const STEP: usize> Grid<STEP> {
    const WIDTH: usize = SIDE / STEP + 1;

    const fn new() -> Self {
        Self(Vec::new())
    }

    fn add(&mut self, lattice: &Lattice, amplitude: f32, ridged: bool) {
        self.0.resize(Self::WIDTH * Self::WIDTH, 0.0);
        let half = SIDE as f32 / 2.0;
        for (row, values) in self.0.chunks_exact_mut(Self::WIDTH).enumerate() {
            let y = (row * STEP) as f32 + 0.5 - half;
            for (column, value) in values.iter_mut().enumerate() {
                let x = (column * STEP) as f32 + 0.5 - half;
                let noise = lattice.value(x, y);
                *value += amplitude * if ridged { 0.5 - noise.abs() } else { noise };
            }
        }
    }

    /// Adds the grid to the values of all pixels, interpolated in between.
    fn enlarge_onto(&self, values: &mut [f32]) {
        if self.0.is_empty() {
            return;
        }
        for (y, row) in values.chunks_exact_mut(SIDE).enumerate() {
            let top = &self.0[y / STEP * Self::WIDTH..][..Self::WIDTH];
            let bottom = &self.0[(y / STEP + 1) * Self::WIDTH..][..Self::WIDTH];
            let down = (y % STEP) as f32 / STEP as f32;
            for (column, cell) in row.chunks_exact_mut(STEP).enumerate() {
                let left = top[column] + (bottom[column] - top[column]) * down;
                let right = top[column + 1] + (bottom[column + 1] - top[column + 1]) * down;
                for (x, value) in cell.iter_mut().enumerate() {
                    *value += left + (right - left) * (x as f32 / STEP as f32);
                }
            }
        }
    }
}

/// Random numbers on a lattice, interpolated smoothly between the nodes.
struct Lattice {
    nodes: Vec<f32>,
    width: usize,
    per_x: f32,
    per_y: f32,
    origin: (f32, f32),
    frame: Frame,
}

impl Lattice {
    fn new(stream: &mut Stream, scale: f32, stretch: f32) -> Self {
        let (per_x, per_y) = (1.0 / (scale * stretch), 1.0 / scale);
        let nodes_across = |per: f32| {
            let cells = floor(2.0 * REACH * per);
            usize::try_from(cells).unwrap_or(0) + 4
        };
        let (width, height) = (nodes_across(per_x), nodes_across(per_y));
        let origin = (
            REACH * per_x + stream.range(0.5, 1.5),
            REACH * per_y + stream.range(0.5, 1.5),
        );
        let nodes = (0..width * height).map(|_| stream.range(-1.0, 1.0));
        Self {
            nodes: nodes.collect(),
            width,
            per_x,
            per_y,
            origin,
            frame: Frame::at(0.0, 0.0, 0.0),
        }
    }

    /// The value at a point of the patch.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "coordinates are positive and below the lattice's size, by its construction"
    )]
    fn value(&self, x: f32, y: f32) -> f32 {
        let (u, v) = self.frame.local((x, y));
        let (x, y) = (
            u * self.per_x + self.origin.0,
            v * self.per_y + self.origin.1,
        );
        let (column, row) = (x as u32 as usize, y as u32 as usize);
        let (fx, fy) = (x - column as f32, y - row as f32);
        let (sx, sy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
        let top = &self.nodes[row * self.width + column..][..self.width + 2];
        let (a, b, c, d) = (top[0], top[1], top[self.width], top[self.width + 1]);
        let (above, below) = (a + (b - a) * sx, c + (d - c) * sx);
        above + (below - above) * sy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::random::Purpose;

    fn stream() -> Stream {
        Stream::new(5, 0, Purpose::Land)
    }

    #[test]
    fn fields_are_standardised_for_every_grain() {
        for grain in [
            Grain::new(60.0, 6),
            Grain::new(1.5, 1),
            Grain::new(30.0, 4).ridged(),
            Grain::new(12.0, 3).stretched(5.0).rough(0.8),
        ] {
            let field = Field::random(&mut stream(), grain);
            let mean = field.0.iter().sum::<f32>() / AREA as f32;
            let square = field.0.iter().map(|v| v * v).sum::<f32>() / AREA as f32;
            assert!(
                mean.abs() < 1e-2 && (square - 1.0).abs() < 1e-2,
                "{grain:?}"
            );
        }
    }

    #[test]
    fn a_quantile_cuts_off_its_share() {
        let field = Field::random(&mut stream(), Grain::new(40.0, 4));
        let cut = field.quantile(0.7);
        let above = (0..AREA).filter(|&i| field.at(i) > cut).count() as f32;
        assert!((above / AREA as f32 - 0.3).abs() < 0.01);
    }

    #[test]
    fn large_grain_is_smoother_than_small() {
        let roughness = |scale| {
            let field = Field::random(&mut stream(), Grain::new(scale, 1));
            (1..AREA)
                .map(|i| (field.at(i) - field.at(i - 1)).abs())
                .sum::<f32>()
        };
        assert!(roughness(40.0) < roughness(4.0));
    }

    #[test]
    fn frames_turn_and_shift() {
        let frame = Frame::at(1.0, 2.0, std::f32::consts::FRAC_PI_2);
        let (u, v) = frame.local((1.0, 5.0));
        assert!((u - 3.0).abs() < 1e-5 && v.abs() < 1e-5);
    }
}
