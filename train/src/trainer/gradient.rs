//! The gradient of a batch's loss: in one piece, or a part of the batch at a time.
//!
//! A contrastive loss compares all patches of a batch, so it cannot be summed over parts, and a larger batch
//! is another loss. Memory, however, goes into the encoder's layers, not into projections. So (Gao et al.
//! 2021, "`GradCache`", <https://arxiv.org/abs/2101.06983>):
//!
//! 1. every part is encoded, and its projections alone are kept;
//! 2. the loss of all projections is differentiated with respect to them: `s = dL/dz`;
//! 3. every part is encoded again, and `sum(z s)`, whose gradient is the part's share of `dL/dw`, is
//!    differentiated with respect to the weights.
//!
//! It is the gradient of the whole loss, not an approximation, with one difference: batch norm takes its
//! statistics from one view of one *part*. Both passes see the same statistics; the running ones learn from
//! the second alone, part by part.
//!
//! Parts may lie on several devices: projections are gathered on the first, and shares of the gradient added
//! up there. Running statistics then learn from the first device's parts alone, as in `PyTorch`'s
//! `DistributedDataParallel`; no loss depends on them.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::loss::LossError;
use crate::model::ContrastiveModel;
use crate::optim::Gradients;

/// The two views of a batch have each its own forward pass.
const VIEWS: [usize; 2] = [0, 1];

/// What gives projections.
pub(super) trait Project: Module {
    /// `[sample, band, y, x]` to `[sample, dimension]`.
    fn project(&self, view: Tensor<4>) -> Tensor<2>;
}

impl Project for ContrastiveModel {
    fn project(&self, view: Tensor<4>) -> Tensor<2> {
        self.forward(view).projections
    }
}

/// A batch's loss and its gradient.
#[derive(Debug)]
pub(super) struct Computed {
    /// `[1]`, outside autodiff.
    pub(super) loss: Tensor<1>,
    /// `[sample, dimension]` of each view, outside autodiff.
    pub(super) projections: [Tensor<2>; 2],
    pub(super) gradients: Gradients,
}

/// In one piece.
pub(super) fn whole<M: Project>(
    model: &M,
    views: [Tensor<4>; 2],
    loss: impl FnOnce(Tensor<2>, Tensor<2>) -> Result<Tensor<1>, LossError>,
) -> Result<Computed, LossError> {
    let [first, second] = views.map(|view| model.project(view));
    let loss = loss(first.clone(), second.clone())?;
    Ok(Computed {
        gradients: Gradients::of(&loss, model),
        loss: loss.without_autodiff(),
        projections: [first, second].map(Tensor::without_autodiff),
    })
}

/// A part of the batch at one of its views, to be put on the device of one of the replicas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) part: usize,
    pub(super) view: usize,
    pub(super) replica: usize,
}

/// A part at a time, on as many devices as there are replicas: one part on each, then the next ones.
///
/// Work is only queued until all devices have theirs. Shares are added up on the first device, in the order
/// of parts, so that the number of devices changes no bit.
///
/// # Shapes
/// `upload`: `[sample, band, y, x]`, all parts with equally many samples.
pub(super) fn by_parts<M: Project>(
    replicas: &[M],
    parts: usize,
    upload: impl Fn(Piece) -> Tensor<4>,
    loss: impl FnOnce(Tensor<2>, Tensor<2>) -> Result<Tensor<1>, LossError>,
) -> Result<Computed, LossError> {
    let piece = |part, view| Piece {
        part,
        view,
        replica: part % replicas.len(),
    };
    // Where every part has a device of its own, nothing need be encoded twice.
    let once = parts == replicas.len();
    let frozen: Vec<M> = if once {
        Vec::new()
    } else {
        // The same weights, with running statistics of its own, and no graph that keeps layers.
        let frozen = |model: &M| model.valid().train().no_grad();
        replicas.iter().map(frozen).collect()
    };
    let encoders = if once { replicas } else { &frozen[..] };
    let encode = |models: &[M], piece: Piece| models[piece.replica].project(upload(piece));
    let first = VIEWS.map(|view| -> Vec<Tensor<2>> {
        let part = |part| encode(encoders, piece(part, view));
        let kept = |z: Tensor<2>| if once { z } else { z.without_autodiff() };
        (0..parts).map(part).map(kept).collect()
    });
    let projections = first.each_ref().map(|parts| gathered(parts));
    let (loss, slopes) = slopes(&projections, loss)?;
    let mut gradients = Gradients::default();
    for round in (0..parts).step_by(replicas.len()) {
        let share = |part: usize| {
            let of_view = |view: usize| {
                let z = if once {
                    first[view][part].clone()
                } else {
                    encode(replicas, piece(part, view))
                };
                let rows = part * z.dims()[0]..(part + 1) * z.dims()[0];
                let slope = slopes[view].clone().slice_dim(0, rows);
                let slope = slope.to_device(&z.device().without_autodiff());
                let model = &replicas[piece(part, view).replica];
                Gradients::of(&(z * slope.autodiff()).sum(), model)
            };
            let [first, second] = VIEWS.map(of_view);
            first.plus(second)
        };
        let round = round..(round + replicas.len()).min(parts);
        let shares: Vec<Gradients> = round.map(share).collect();
        let device = projections[0].device();
        for share in shares {
            gradients = gradients.plus(share.to_device(&device));
        }
    }
    Ok(Computed {
        loss,
        projections,
        gradients,
    })
}

/// All parts on the device of the first, outside autodiff.
fn gathered(parts: &[Tensor<2>]) -> Tensor<2> {
    let inner = |z: &Tensor<2>| z.clone().without_autodiff();
    let mut inner = parts.iter().map(inner);
    let Some(first) = inner.next() else {
        unreachable!("a batch has a part")
    };
    let device = first.device();
    let others = inner.map(|z| z.to_device(&device));
    Tensor::cat(std::iter::once(first).chain(others).collect(), 0)
}

/// The loss, and its gradient with respect to the projections of each view.
fn slopes(
    projections: &[Tensor<2>; 2],
    loss: impl FnOnce(Tensor<2>, Tensor<2>) -> Result<Tensor<1>, LossError>,
) -> Result<(Tensor<1>, [Tensor<2>; 2]), LossError> {
    let leaves = projections
        .each_ref()
        .map(|z| z.clone().autodiff().require_grad());
    let [first, second] = leaves.clone();
    let loss = loss(first, second)?;
    let tape = loss.backward();
    let slope = |leaf: Tensor<2>| {
        let none = || leaf.clone().without_autodiff().zeros_like();
        leaf.grad(&tape).unwrap_or_else(none)
    };
    Ok((loss.without_autodiff(), leaves.map(slope)))
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::tensor::activation::relu;
    use burn::tensor::{Device, TensorData};
    use chipmill_schemas::config::{EncoderConfig, EncoderKind, ProjectionConfig};

    use super::*;
    use crate::init::Draws;
    use crate::loss::dcl;
    use crate::model::weights::to_safetensors;

    const SAMPLES: usize = 12;

    fn device() -> Device {
        crate::parse_device("cpu").unwrap().autodiff()
    }

    fn view(number: usize, rows: std::ops::Range<usize>) -> Tensor<4> {
        let of = |row| Draws::new(row as u64, ["first", "second"][number]).normals(2 * 64, 1.0);
        let values: Vec<f32> = rows.clone().flat_map(of).collect();
        let shape = [rows.len(), 2, 8, 8];
        Tensor::from_data(TensorData::new(values, shape), &device())
    }

    fn loss(z1: Tensor<2>, z2: Tensor<2>) -> Result<Tensor<1>, LossError> {
        dcl(z1, z2, 0.3)
    }

    fn cached<M: Project>(model: &M, parts: usize) -> Computed {
        on_devices(std::slice::from_ref(model), parts)
    }

    fn on_devices<M: Project>(replicas: &[M], parts: usize) -> Computed {
        let size = SAMPLES / parts;
        let upload = |piece: Piece| view(piece.view, piece.part * size..(piece.part + 1) * size);
        by_parts(replicas, parts, upload, loss).unwrap()
    }

    fn direct<M: Project>(model: &M) -> Computed {
        whole(model, [0, 1].map(|v| view(v, 0..SAMPLES)), loss).unwrap()
    }

    fn values(tensor: &Tensor<1>) -> Vec<f32> {
        tensor.to_data().iter::<f32>().collect()
    }

    /// The largest difference of gradients over the largest gradient.
    fn off(found: &Computed, expected: &Computed) -> f32 {
        let (mut off, mut largest) = (0.0_f32, 0.0_f32);
        for (name, expected) in expected.gradients.iter() {
            let found = values(found.gradients.get(name).unwrap());
            for (f, e) in found.iter().zip(values(expected)) {
                (off, largest) = (off.max((f - e).abs()), largest.max(e.abs()));
            }
        }
        off / largest
    }

    /// An encoder without batch norm: a sample has no neighbours.
    #[derive(Module, Debug)]
    struct Plain {
        first: Conv2d,
        second: Conv2d,
    }

    impl Plain {
        fn new() -> Self {
            let conv = |channels: [usize; 2], seed| {
                let conv = Conv2dConfig::new(channels, [3, 3]).init(&device());
                let shape = conv.weight.val().dims();
                let values = Draws::new(seed, "conv").normals(shape.iter().product(), 0.3);
                let weight = Tensor::from_data(TensorData::new(values, shape), &device());
                Conv2d {
                    weight: burn::module::Param::from_tensor(weight),
                    bias: None,
                    ..conv
                }
            };
            Self {
                first: conv([2, 6], 1),
                second: conv([6, 5], 2),
            }
        }
    }

    impl Project for Plain {
        fn project(&self, view: Tensor<4>) -> Tensor<2> {
            let x = self.second.forward(relu(self.first.forward(view)));
            x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
        }
    }

    #[test]
    fn without_batch_norm_the_gradient_by_parts_is_that_of_the_whole_batch() {
        let model = Plain::new();
        let expected = direct(&model);
        for parts in [1, 2, 3, 6, 12] {
            let found = cached(&model, parts);
            assert_eq!(values(&found.loss), values(&expected.loss), "{parts} parts");
            let off = off(&found, &expected);
            assert!(off < 2e-6, "{parts} parts: {off}");
        }
    }

    fn model() -> ContrastiveModel {
        let encoder = EncoderConfig {
            kind: EncoderKind::Small,
            width: 4,
            ..EncoderConfig::default()
        };
        let head = ProjectionConfig {
            hidden: 16,
            output: 8,
            ..ProjectionConfig::default()
        };
        ContrastiveModel::new(&encoder, &head, 2, 8, 3, &device())
    }

    /// One graph for the whole batch, in which batch norm sees a part at a time all the same.
    fn direct_by_parts(model: &ContrastiveModel, parts: usize) -> Computed {
        let size = SAMPLES / parts;
        let [first, second] = [0, 1].map(|number| {
            let part = |part: usize| view(number, part * size..(part + 1) * size);
            let parts = (0..parts).map(|p| model.project(part(p)));
            Tensor::cat(parts.collect(), 0)
        });
        let loss = loss(first.clone(), second.clone()).unwrap();
        Computed {
            gradients: Gradients::of(&loss, model),
            loss: loss.without_autodiff(),
            projections: [first, second].map(Tensor::without_autodiff),
        }
    }

    #[test]
    fn with_batch_norm_it_is_that_of_statistics_from_each_part() {
        for parts in [2, 3, 6] {
            let (found, expected) = (cached(&model(), parts), direct_by_parts(&model(), parts));
            assert_eq!(values(&found.loss), values(&expected.loss), "{parts} parts");
            let off = off(&found, &expected);
            assert!(off < 2e-5, "{parts} parts: {off}");
        }
        // And another loss than with statistics from the whole batch.
        let (found, whole) = (cached(&model(), 3), direct(&model()));
        assert_ne!(values(&found.loss), values(&whole.loss));
    }

    #[test]
    fn one_part_gives_loss_projections_gradient_and_running_statistics_of_the_whole_batch() {
        let (one, all) = (model(), model());
        let (found, expected) = (cached(&one, 1), direct(&all));
        assert_eq!(values(&found.loss), values(&expected.loss));
        for (found, expected) in found.projections.iter().zip(&expected.projections) {
            assert_eq!(found.to_data(), expected.to_data());
        }
        assert!(off(&found, &expected) < 2e-6);
        assert_eq!(to_safetensors(&one).unwrap(), to_safetensors(&all).unwrap());
    }

    #[test]
    fn running_statistics_learn_once_from_each_view_of_each_part_in_order() {
        let (found, expected) = (model(), model());
        let _ = cached(&found, 3);
        for part in 0..3 {
            for number in VIEWS {
                let _ = expected.project(view(number, part * 4..(part + 1) * 4));
            }
        }
        let bytes = |model: &ContrastiveModel| to_safetensors(model).unwrap();
        assert_eq!(bytes(&found), bytes(&expected));
    }

    #[test]
    fn two_devices_give_loss_and_gradient_of_one_with_the_doubled_batch_to_the_bit() {
        for parts in [2, 3, 6] {
            let one = cached(&model(), parts);
            let two = on_devices(&[model(), model()], parts);
            assert_eq!(values(&two.loss), values(&one.loss), "{parts} parts");
            for (name, gradient) in one.gradients.iter() {
                let found = two.gradients.get(name).unwrap();
                assert_eq!(values(found), values(gradient), "{parts} parts, {name}");
            }
        }
    }
}
