//! Training steps on made-up views: what the trainer does with a batch, without a loader, a checkpoint
//! or a monitor. For measuring, and for doing the same work elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use chipmill_schemas::config::{EncoderKind, PretrainConfig, Stem};
use chipmill_store::write_object;
use serde::Serialize;

use crate::device::parse_device;
use crate::error::{TrainError, io_error, readback};
use crate::init::Draws;
use crate::kernels;
use crate::loss::contrastive;
use crate::model::ContrastiveModel;
use crate::model::weights::{self, HostTensor};
use crate::optim::{Gradients, Optimizer};
use crate::pretrain::initial_model;
use crate::schedule::Schedule;

/// A model in training and one batch, which every step sees again.
#[derive(Debug)]
pub struct Workload {
    config: PretrainConfig,
    device: Device,
    views: [Tensor<4>; 2],
    model: ContrastiveModel,
    optimizer: Optimizer,
    steps: u64,
}

impl Workload {
    /// The model of a configuration's seed, and two views of `loader.batch_size` images of standard
    /// normal values, on a device.
    ///
    /// # Errors
    /// [`TrainError`]: a configuration or a device that cannot be used.
    pub fn new(config: &PretrainConfig, device: &str) -> Result<Self, TrainError> {
        config.validate()?;
        let device = parse_device(device)?.autodiff();
        let shape = view_shape(config);
        let view = |number: u64| {
            let draws = Draws::new(config.seed, &format!("workload.view{number}"));
            let values = draws.normals(shape.iter().product(), 1.0);
            Tensor::from_data(TensorData::new(values, shape), &device)
        };
        Ok(Self {
            views: [view(0), view(1)],
            model: initial_model(config, &device),
            optimizer: Optimizer::new(config.optimizer),
            config: config.clone(),
            device,
            steps: 0,
        })
    }

    /// Forward passes of both views, loss, backward pass, update. Reads the loss back, so that the work
    /// is done when it returns.
    ///
    /// # Errors
    /// [`TrainError`] when there is no loss of such a batch, or the device fails.
    pub fn step(&mut self) -> Result<f32, TrainError> {
        let views = self.views.clone();
        let [first, second] = views.map(|view| self.model.forward(view).projections);
        let loss = contrastive(first, second, &self.config.loss)?;
        let gradients = Gradients::of(&loss, &self.model);
        self.steps += 1;
        let rate = Schedule::of(&self.config).learning_rate(self.steps);
        let model = self.model.clone();
        self.model = self.optimizer.step(model, gradients, rate);
        loss.try_into_scalar().map_err(readback("the loss"))
    }

    /// Number of trained values.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.model.parameters()
    }

    /// Bytes that the device's allocator has reserved, where it tells.
    #[must_use]
    pub fn device_bytes(&self) -> Option<u64> {
        self.device
            .memory_pool_usage()
            .map(|usage| usage.bytes_reserved)
    }

    /// Writes `model.safetensors` and `views.safetensors` (`view0`, `view1`: f32 `[image, band, y, x]`)
    /// into a folder, for another program to do the same steps with.
    ///
    /// # Errors
    /// [`TrainError`] when the device cannot be read or a file cannot be written.
    pub fn dump(&self, folder: &Path) -> Result<(), TrainError> {
        let mut tensors = BTreeMap::new();
        for (number, view) in self.views.iter().enumerate() {
            let values = view.try_to_vec_as().map_err(readback("the views"))?;
            let shape = view_shape(&self.config).to_vec();
            tensors.insert(format!("view{number}"), HostTensor { shape, values });
        }
        for (name, bytes) in [
            ("model.safetensors", weights::to_safetensors(&self.model)?),
            ("views.safetensors", weights::write(&tensors, None)?),
        ] {
            let path = folder.join(name);
            write_object(&path, &bytes).map_err(io_error("write", &path))?;
        }
        Ok(())
    }
}

fn view_shape(config: &PretrainConfig) -> [usize; 4] {
    let side = config.view.side as usize;
    let bands = config.view.bands.bands().len();
    [config.loader.batch_size as usize, bands, side, side]
}

/// Bounds the threads of all tensor work in this process; once, before any of it.
///
/// # Errors
/// A sentence, when they are running already.
pub fn use_threads(count: usize) -> Result<(), String> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count);
    pool.build_global().map_err(|e| e.to_string())
}

/// A layer of an encoder, with the shape that it works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerShape {
    /// `conv`, `batch_norm`, `relu` or `max_pool`.
    pub kind: &'static str,
    /// Channels that go in.
    pub input: usize,
    /// Channels that come out.
    pub output: usize,
    /// Side of the kernel; 0 where there is none.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Side of the map that goes in.
    pub side: usize,
    /// How many the encoder has.
    pub count: usize,
}

/// The layers of a `ResNet-18` by shape; of other encoders nothing.
#[must_use]
pub fn layers(config: &PretrainConfig) -> Vec<LayerShape> {
    let encoder = config.encoder;
    if encoder.kind != EncoderKind::Resnet18 || encoder.stem != Stem::Standard {
        return Vec::new();
    }
    let width = encoder.width as usize;
    let bands = config.view.bands.bands().len();
    let layer = |kind, [input, output]: [usize; 2], kernel, stride, side, count| LayerShape {
        kind,
        input,
        output,
        kernel,
        stride,
        side,
        count,
    };
    let mut side = (config.view.side as usize).div_ceil(2);
    let mut all = vec![
        layer("conv", [bands, width], 7, 2, config.view.side as usize, 1),
        layer("batch_norm", [width; 2], 0, 1, side, 1),
        layer("relu", [width; 2], 0, 1, side, 1),
        layer("max_pool", [width; 2], 3, 2, side, 1),
    ];
    side = side.div_ceil(2);
    for stage in 0..4 {
        let channels = width << stage;
        let first = stage == 0;
        if !first {
            all.push(layer("conv", [channels / 2, channels], 3, 2, side, 1));
            all.push(layer("conv", [channels / 2, channels], 1, 2, side, 1));
            side = side.div_ceil(2);
        }
        let (convolutions, norms) = if first { (4, 4) } else { (3, 5) };
        all.push(layer("conv", [channels; 2], 3, 1, side, convolutions));
        all.push(layer("batch_norm", [channels; 2], 0, 1, side, norms));
        all.push(layer("relu", [channels; 2], 0, 1, side, 4));
    }
    all
}

/// One layer at work on a batch of its own.
#[derive(Debug)]
pub struct LayerWork {
    module: LayerModule,
    input: Tensor<4>,
}

#[derive(Debug)]
enum LayerModule {
    Conv(Conv2d),
    BatchNorm(BatchNorm),
    MaxPool(MaxPool2d),
    Relu,
}

impl LayerWork {
    /// # Errors
    /// [`TrainError::Device`].
    pub fn new(shape: &LayerShape, images: usize, device: &str) -> Result<Self, TrainError> {
        let device = parse_device(device)?.autodiff();
        let padding = shape.kernel / 2;
        let padding = PaddingConfig2d::Explicit(padding, padding, padding, padding);
        let (kernel, stride) = ([shape.kernel; 2], [shape.stride; 2]);
        let module = match shape.kind {
            "conv" => LayerModule::Conv(
                Conv2dConfig::new([shape.input, shape.output], kernel)
                    .with_stride(stride)
                    .with_padding(padding)
                    .with_bias(false)
                    .init(&device),
            ),
            "batch_norm" => LayerModule::BatchNorm(BatchNormConfig::new(shape.input).init(&device)),
            "max_pool" => LayerModule::MaxPool(
                MaxPool2dConfig::new(kernel)
                    .with_strides(stride)
                    .with_padding(padding)
                    .init(),
            ),
            _ => LayerModule::Relu,
        };
        let dims = [images, shape.input, shape.side, shape.side];
        let values = Draws::new(0, "layer").normals(dims.iter().product(), 1.0);
        let input = Tensor::from_data(TensorData::new(values, dims), &device);
        Ok(Self { module, input })
    }

    /// Forward and backward, with the gradient of the input.
    ///
    /// # Errors
    /// [`TrainError::Readback`] when the device fails.
    pub fn run(&self) -> Result<(), TrainError> {
        let input = self.input.clone().require_grad();
        let output = match &self.module {
            LayerModule::Conv(layer) => kernels::conv2d(layer, input.clone()),
            LayerModule::BatchNorm(layer) => kernels::batch_norm(layer, input.clone()),
            LayerModule::MaxPool(layer) => kernels::max_pool(layer, input.clone()),
            LayerModule::Relu => relu(input.clone()),
        };
        let tape = output.backward();
        let gradient = input.grad(&tape);
        let device = self.input.device();
        let done = device.sync().map_err(readback("a layer's gradient"));
        drop(gradient);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> PretrainConfig {
        let text = "seed = 3\n[view]\nside = 32\n[loader]\nbatch_size = 3\n\
                    [encoder]\nkind = \"small\"\nwidth = 4\n[projection]\nhidden = 8\noutput = 4";
        chipmill_schemas::config::resolve(Some(("test", text)), &[]).unwrap()
    }

    #[test]
    fn steps_learn_and_are_the_same_again() {
        let mut losses = Vec::new();
        for _ in 0..2 {
            let mut work = Workload::new(&config(), "cpu").unwrap();
            losses.push((0..5).map(|_| work.step().unwrap()).collect::<Vec<f32>>());
        }
        assert_eq!(losses[0], losses[1]);
        assert!(losses[0][4] < losses[0][0], "{losses:?}");
    }

    #[test]
    fn what_is_dumped_is_what_the_steps_begin_with() {
        let folder = tempfile::tempdir().unwrap();
        let work = Workload::new(&config(), "cpu").unwrap();
        work.dump(folder.path()).unwrap();
        let bytes = std::fs::read(folder.path().join("views.safetensors")).unwrap();
        let (views, _) = weights::read(&bytes).unwrap();
        assert_eq!(views["view1"].shape, [3, 12, 32, 32]);
        assert_ne!(views["view0"].values, views["view1"].values);
        let bytes = std::fs::read(folder.path().join("model.safetensors")).unwrap();
        assert!(
            weights::read(&bytes)
                .unwrap()
                .0
                .contains_key("projection.fc1.weight")
        );
    }

    #[test]
    fn the_layers_of_a_resnet_18_are_as_many_as_it_has_and_all_run() {
        let mut config = config();
        config.encoder = chipmill_schemas::config::EncoderConfig {
            width: 4,
            ..Default::default()
        };
        let layers = layers(&config);
        let count = |kind: &str| {
            let of_kind = layers.iter().filter(|l| l.kind == kind);
            of_kind.map(|l| l.count).sum::<usize>()
        };
        assert_eq!(
            (count("conv"), count("batch_norm"), count("relu")),
            (20, 20, 17)
        );
        for layer in &layers {
            LayerWork::new(layer, 2, "cpu").unwrap().run().unwrap();
        }
    }
}
