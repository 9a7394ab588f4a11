//! The backward passes, for Burn's graph of gradients.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::convolution::Convolution;
use super::flex::CpuKernels;
use super::norm;
use super::pool::{Indices, Pool};

type Tracked = FloatTensor<Autodiff<Flex>>;

impl<C: CheckpointStrategy> CpuKernels for Autodiff<Flex, C> {
    fn convolve(x: Tracked, weight: Tracked, stride: usize, padding: usize) -> Tracked {
        let shapes = Convolution::of(x.primitive(), weight.primitive(), stride, padding);
        let nodes = [x.node(), weight.node()];
        match Convolve.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = (
                    shapes,
                    [prepared.checkpoint(&x), prepared.checkpoint(&weight)],
                );
                prepared.finish(state, shapes.forward(x.primitive(), weight.primitive()))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(shapes.forward(x.primitive(), weight.primitive()))
            }
        }
    }

    fn normalise(
        x: Tracked,
        gamma: Tracked,
        beta: Tracked,
        epsilon: f64,
    ) -> (Tracked, Tracked, Tracked) {
        let nodes = [x.node(), gamma.node(), beta.node()];
        let (y, mean, variance) =
            norm::forward(x.primitive(), gamma.primitive(), beta.primitive(), epsilon);
        let y = match Normalise.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let inputs = [prepared.checkpoint(&x), prepared.checkpoint(&gamma)];
                prepared.finish((inputs, [mean.clone(), variance.clone()], epsilon), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        (y, Tracked::new(mean), Tracked::new(variance))
    }

    fn pool_max(x: Tracked, side: usize, stride: usize, padding: usize) -> Tracked {
        let pool = Pool::of(x.primitive(), side, stride, padding);
        let (y, indices) = pool.forward(x.primitive());
        match PoolMax.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((pool, indices), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}

#[derive(Debug)]
struct Convolve;

impl Backward<Flex, 2> for Convolve {
    type State = (Convolution, [NodeId; 2]);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let output = grads.consume::<Flex>(&ops.node);
        let (shapes, inputs) = ops.state;
        let [x, weight] = inputs.map(|id| checkpointer.retrieve_node_output::<FlexTensor>(id));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = shapes.backward(&x, &weight, &output, wanted);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some((node, gradient)) = node.zip(gradient) {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct Normalise;

impl Backward<Flex, 3> for Normalise {
    /// Input and gamma; mean and variance; epsilon.
    type State = ([NodeId; 2], [FlexTensor; 2], f64);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let output = grads.consume::<Flex>(&ops.node);
        let (inputs, moments, epsilon) = ops.state;
        let [x, gamma] = inputs.map(|id| checkpointer.retrieve_node_output::<FlexTensor>(id));
        let gradients = norm::backward(&x, &gamma, moments.each_ref(), epsilon, &output);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct PoolMax;

impl Backward<Flex, 1> for PoolMax {
    type State = (Pool, Indices);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let output = grads.consume::<Flex>(&ops.node);
        let (pool, indices) = ops.state;
        if let [Some(node)] = ops.parents {
            grads.register::<Flex>(node.id, pool.backward(&output, &indices));
        }
    }
}
