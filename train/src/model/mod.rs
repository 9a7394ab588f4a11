//! Encoders, the projection head, and their weights by name.
//!
//! Parameter names are torchvision's below `encoder.` (`encoder.layer1.0.conv1.weight`), those of
//! the head below `projection.`.

mod builder;
mod classifier;
mod encoder;
mod named;
mod projection;
mod resnet;
mod small;
#[cfg(test)]
mod tests;
pub mod weights;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use chipmill_schemas::config::{EncoderConfig, ProjectionConfig};

use builder::Builder;
pub(crate) use classifier::Classifier;
pub use encoder::Encoder;
use encoder::{map_side, spatial_mean};
pub(crate) use named::{NamePath, is_kernel};
pub use projection::Projection;
pub use resnet::Resnet;
pub use small::Small;

/// An encoder and its projection head.
///
/// Batch-norm statistics are those of one call: the two views are passed in two calls, as in the
/// notes. In training a model lives on an autodiff device; `valid()` gives its inference form, with
/// current running statistics. A clone shares its running statistics with the original: use
/// `valid()` for a snapshot.
#[derive(Module, Debug)]
pub struct ContrastiveModel {
    /// Views to features.
    pub encoder: Encoder,
    /// Features to projections.
    pub projection: Projection,
}

/// What a model says of one view of a batch.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// `h`, `[sample, feature]`.
    pub features: Tensor<2>,
    /// `z`, `[sample, dimension]`, not normalised.
    pub projections: Tensor<2>,
}

impl ContrastiveModel {
    /// A model with initial weights from a seed; `bands` and `side` are those of a view. Only a head that
    /// flattens is bound to the side.
    ///
    /// The same seed gives the same weights on every device. For training, pass an autodiff device.
    #[must_use]
    pub fn new(
        encoder: &EncoderConfig,
        projection: &ProjectionConfig,
        bands: usize,
        side: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        let build = Builder::new(seed, device);
        let side = map_side(encoder, side);
        let encoder = Encoder::new(&build.below("encoder"), encoder, bands);
        let head = build.below("projection");
        let projection = Projection::new(&head, projection, encoder.features(), side);
        Self {
            encoder,
            projection,
        }
    }

    /// Number of trained values; running statistics do not count.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let mut count = Count {
            path: NamePath::default(),
            values: 0,
        };
        self.visit(&mut count);
        count.values
    }

    /// Features and projections of one view.
    ///
    /// # Shapes
    /// `view`: `[sample, band, y, x]`, f32.
    pub fn forward(&self, view: Tensor<4>) -> Embedding {
        let map = self.encoder.last_map(view);
        let features = spatial_mean(map.clone());
        let projections = self.projection.forward(map, features.clone());
        Embedding {
            features,
            projections,
        }
    }
}

struct Count {
    path: NamePath,
    values: usize,
}

impl ModuleVisitor for Count {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.path.is_running_statistic() {
            self.values += param.lazy_shape().num_elements();
        }
    }
}
