//! The geometric operations of a view, folded into one resampling per axis.

use chipmill_schemas::augment::{Filter, ZoomScale};

use super::crop::{self, Window};
use super::orientation::Orientation;
use super::resample::Axis;
use crate::rng::OpKey;

/// An operation that moves pixels and leaves values alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Geometric {
    FlipLeftRight(f32),
    FlipUpDown(f32),
    Rot90,
    Zoom(ZoomScale),
}

/// Operations in order, each with its number in the configuration. At most one of them is a zoom.
pub(crate) type GeometricRun = Vec<(u32, Geometric)>;

/// What a run of geometric operations does to one view: lay the image, cut the window, resize it to
/// the view's side, lay the result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) before: Orientation,
    pub(crate) window: Window,
    pub(crate) filter: Filter,
    pub(crate) after: Orientation,
}

impl Frame {
    /// Draws the run for one view. `key` makes the key of an operation's number; without a zoom the
    /// whole image of `side` x `side` pixels is resized with `filter`.
    pub(crate) fn draw(
        run: &[(u32, Geometric)],
        key: impl Fn(u32) -> OpKey,
        side: u32,
        filter: Filter,
    ) -> Self {
        let mut frame = Self {
            before: Orientation::default(),
            window: Window::whole(side),
            filter,
            after: Orientation::default(),
        };
        let mut zoomed = false;
        for (number, op) in run {
            let key = key(*number);
            if let Geometric::Zoom(zoom) = op {
                frame.window = crop::draw(zoom, key, side);
                frame.filter = zoom.filter;
                zoomed = true;
                continue;
            }
            let at = if zoomed {
                &mut frame.after
            } else {
                &mut frame.before
            };
            *at = op.lay(*at, key);
        }
        frame
    }

    /// The same as two independent axes: whether the image's rows become columns, and how the
    /// result's rows and columns are made.
    pub(crate) fn axes(&self) -> (bool, Axis, Axis) {
        let rows = |reversed_out| Axis {
            start: self.window.top,
            length: self.window.height,
            reversed_in: self.before.flip_y,
            reversed_out,
            filter: self.filter,
        };
        let columns = |reversed_out| Axis {
            start: self.window.left,
            length: self.window.width,
            reversed_in: self.before.flip_x,
            reversed_out,
            filter: self.filter,
        };
        let (y, x) = if self.after.transposed {
            (columns(self.after.flip_y), rows(self.after.flip_x))
        } else {
            (rows(self.after.flip_y), columns(self.after.flip_x))
        };
        (self.before.transposed != self.after.transposed, y, x)
    }
}

impl Geometric {
    /// The orientation after this operation; a zoom changes none.
    fn lay(&self, at: Orientation, key: OpKey) -> Orientation {
        match self {
            Self::FlipLeftRight(p) if key.stream(0).chance(*p) => at.flipped_left_right(),
            Self::FlipUpDown(p) if key.stream(0).chance(*p) => at.flipped_up_down(),
            Self::Rot90 => (0..quarter_turns(key)).fold(at, |at, _| at.turned()),
            _ => at,
        }
    }

    /// What was drawn, for people.
    pub(crate) fn describe(&self, key: OpKey, side: u32) -> String {
        match self {
            Self::FlipLeftRight(p) | Self::FlipUpDown(p) => {
                let done = key.stream(0).chance(*p);
                if done { "yes" } else { "no" }.to_owned()
            }
            Self::Rot90 => format!("{} degrees", 90 * quarter_turns(key)),
            Self::Zoom(zoom) => {
                let w = crop::draw(zoom, key, side);
                format!("{} x {} px at ({}, {})", w.width, w.height, w.left, w.top)
            }
        }
    }
}

fn quarter_turns(key: OpKey) -> u32 {
    key.stream(0).below(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{chi_square_p, op_keys};

    #[test]
    fn turns_are_equally_likely_and_flips_as_likely_as_asked() {
        let mut turns = [0_u64; 4];
        let mut flips = [0_u64; 2];
        for key in op_keys(20_000) {
            turns[quarter_turns(key) as usize] += 1;
            let flip = Geometric::FlipUpDown(0.3).lay(Orientation::default(), key);
            flips[usize::from(flip.flip_y)] += 1;
            assert!(!flip.flip_x && !flip.transposed);
        }
        assert!(chi_square_p(&turns, &[0.25; 4]) > 1e-3, "{turns:?}");
        assert!(chi_square_p(&flips, &[0.7, 0.3]) > 1e-3, "{flips:?}");
    }

    #[test]
    fn operations_of_one_view_do_not_depend_on_one_another() {
        // Two flips with different numbers agree half of the time.
        let run = |number| [(number, Geometric::FlipLeftRight(0.5))];
        let flipped = |key: crate::ViewKey, number| {
            let key = |n| OpKey::new(key, n);
            Frame::draw(&run(number), key, 120, Filter::Bilinear)
                .before
                .flip_x
        };
        let keys = (0..10_000).map(|patch| crate::ViewKey {
            seed: 4,
            epoch: 1,
            patch,
            view: 0,
        });
        let agree = keys
            .filter(|&key| flipped(key, 0) == flipped(key, 1))
            .count();
        assert!((4_800..5_200).contains(&agree), "{agree}");
    }
}
