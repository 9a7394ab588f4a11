//! Losses that the device still holds: read back together, rarely, and none of them unseen.
//!
//! Reading a value waits for the device. Steps therefore only note their loss; at a log point all
//! are read in one transfer, so that a non-finite loss is named with its own step and patches.

use burn::tensor::Tensor;

use crate::error::{TrainError, readback};

/// Read back at the latest after so many steps.
const AT_MOST: usize = 256;

/// The steps since the last reading.
#[derive(Debug, Default)]
pub(super) struct PendingLosses {
    losses: Vec<Tensor<1>>,
    steps: Vec<(u64, Vec<u32>)>,
}

/// A loss that is not a number, or infinite.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NonFinite {
    pub(super) step: u64,
    pub(super) loss: f32,
    pub(super) patches: Vec<u32>,
}

impl PendingLosses {
    /// Notes the loss of a step and the rows of its batch.
    ///
    /// # Shapes
    /// `loss`: `[1]`, without a gradient.
    pub(super) fn note(&mut self, step: u64, patches: Vec<u32>, loss: Tensor<1>) {
        self.losses.push(loss);
        self.steps.push((step, patches));
    }

    /// Whether they must be read now.
    pub(super) fn is_full(&self) -> bool {
        self.losses.len() >= AT_MOST
    }

    /// Reads all; gives the last, or the first that is not finite.
    pub(super) fn read(&mut self) -> Result<Result<Option<f32>, NonFinite>, TrainError> {
        if self.losses.is_empty() {
            return Ok(Ok(None));
        }
        let losses = std::mem::take(&mut self.losses);
        let steps = std::mem::take(&mut self.steps);
        let values: Vec<f32> = Tensor::cat(losses, 0)
            .try_into_vec_as()
            .map_err(readback("the loss"))?;
        let bad = values.iter().zip(steps).find(|(loss, _)| !loss.is_finite());
        Ok(match bad {
            Some((&loss, (step, patches))) => Err(NonFinite {
                step,
                loss,
                patches,
            }),
            None => Ok(values.last().copied()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(values: &[f32]) -> PendingLosses {
        let device = crate::parse_device("cpu").unwrap();
        let mut pending = PendingLosses::default();
        for (step, &value) in (1u64..).zip(values) {
            pending.note(
                step,
                vec![10 * u32::try_from(step).unwrap()],
                Tensor::from_floats([value], &device),
            );
        }
        pending
    }

    #[test]
    fn the_last_loss_is_given_and_nothing_is_read_twice() {
        let mut pending = noted(&[3.0, 2.0, 1.5]);
        assert_eq!(pending.read().unwrap(), Ok(Some(1.5)));
        assert_eq!(pending.read().unwrap(), Ok(None));
    }

    #[test]
    fn the_first_loss_that_is_not_finite_is_named_with_its_rows() {
        let bad = noted(&[3.0, f32::INFINITY, f32::NAN, 1.0])
            .read()
            .unwrap()
            .unwrap_err();
        assert_eq!((bad.step, bad.patches), (2, vec![20]));
    }
}
