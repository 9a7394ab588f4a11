//! Adam with coupled L2 or decoupled weight decay, on kernels only.
//!
//! Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>; `AdamW`: Loshchilov and Hutter 2019,
//! <https://arxiv.org/abs/1711.05101>. At step `t`, with gradient `g` and learning rate `r`:
//!
//! ```text
//! adam, kernels:   g = g + decay p
//! adamw, kernels:  p = p (1 - r decay)
//! m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g²
//! p = p - r m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
//! ```
//! Scalars are computed in f64, tensors in f32. Epsilon stands where `PyTorch` has it; Keras adds
//! it to the uncorrected root.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use chipmill_schemas::config::{OptimizerConfig, OptimizerKind};

use super::Gradients;
use crate::model::weights::{HostTensor, WeightsError, read, write};
use crate::model::{NamePath, is_kernel};

/// An optimiser's state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OptimizerError {
    /// The file is not what [`Adam::to_safetensors`] writes.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// The file lacks a part.
    #[error("the optimiser's state has no `{key}`")]
    Missing {
        /// Name of the tensor.
        key: String,
    },
}

/// The optimiser with its state.
#[derive(Debug, Clone)]
pub struct Adam {
    config: OptimizerConfig,
    steps: u64,
    moments: BTreeMap<String, Moments>,
}

/// Running means of one parameter's gradient and its square, flattened.
#[derive(Debug, Clone)]
struct Moments {
    first: Tensor<1>,
    second: Tensor<1>,
}

/// The scalars of one step.
#[derive(Debug, Clone, Copy)]
struct StepScalars {
    beta1: f64,
    beta2: f64,
    /// `r / (1 - beta1^t)`.
    rate: f64,
    /// `1 / sqrt(1 - beta2^t)`.
    root_scale: f64,
    epsilon: f64,
    /// Added to a kernel's gradient, times the kernel.
    coupled: f64,
    /// Factor on a kernel.
    shrink: f64,
}

impl StepScalars {
    fn new(config: &OptimizerConfig, step: u64, learning_rate: f64) -> Self {
        let (beta1, beta2) = (f64::from(config.beta1), f64::from(config.beta2));
        let decay = f64::from(config.weight_decay);
        let (coupled, shrink) = match config.kind {
            OptimizerKind::Adam => (decay, 1.0),
            OptimizerKind::Adamw => (0.0, 1.0 - learning_rate * decay),
        };
        let t = step as f64;
        Self {
            beta1,
            beta2,
            rate: learning_rate / (1.0 - libm::pow(beta1, t)),
            root_scale: 1.0 / (1.0 - libm::pow(beta2, t)).sqrt(),
            epsilon: f64::from(config.epsilon),
            coupled,
            shrink,
        }
    }

    /// The parameter and its moments after the step, all flattened.
    fn apply(
        &self,
        param: Tensor<1>,
        gradient: Tensor<1>,
        moments: Option<Moments>,
        decays: Decay,
    ) -> (Tensor<1>, Moments) {
        let kernel = decays == Decay::Kernel;
        let gradient = if kernel && self.coupled != 0.0 {
            gradient + param.clone().mul_scalar(self.coupled)
        } else {
            gradient
        };
        let squares = gradient.clone().square().mul_scalar(1.0 - self.beta2);
        let gradient = gradient.mul_scalar(1.0 - self.beta1);
        let (first, second) = match moments {
            Some(Moments { first, second }) => (
                first.mul_scalar(self.beta1) + gradient,
                second.mul_scalar(self.beta2) + squares,
            ),
            None => (gradient, squares),
        };
        let root = second
            .clone()
            .sqrt()
            .mul_scalar(self.root_scale)
            .add_scalar(self.epsilon);
        let change = first.clone().mul_scalar(self.rate) / root;
        let param = if kernel && self.shrink != 1.0 {
            param.mul_scalar(self.shrink)
        } else {
            param
        };
        (param - change, Moments { first, second })
    }
}

/// Whether weight decay applies to a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decay {
    Kernel,
    Exempt,
}

impl Adam {
    /// A fresh optimiser.
    #[must_use]
    pub const fn new(config: OptimizerConfig) -> Self {
        Self {
            config,
            steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// Steps done.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Updates the parameters that have a gradient. The model must live on an autodiff device.
    #[must_use]
    pub fn step<M: Module>(&mut self, model: M, gradients: Gradients, learning_rate: f64) -> M {
        self.steps += 1;
        let scalars = StepScalars::new(&self.config, self.steps, learning_rate);
        let moments = &mut self.moments;
        model.map(&mut Updater {
            path: NamePath::default(),
            scalars,
            gradients,
            moments,
        })
    }

    /// The whole state to the last bit.
    ///
    /// # Errors
    /// [`OptimizerError`] when the device cannot be read.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, OptimizerError> {
        let mut tensors = BTreeMap::new();
        for (name, moments) in &self.moments {
            tensors.insert(format!("{name}{FIRST}"), host(name, &moments.first)?);
            tensors.insert(format!("{name}{SECOND}"), host(name, &moments.second)?);
        }
        let steps = (STEPS.to_owned(), self.steps.to_string());
        Ok(write(&tensors, Some(steps))?)
    }

    /// The optimiser as it was saved; moments are put on `device`, the model's.
    ///
    /// # Errors
    /// [`OptimizerError`] naming what is missing or wrong.
    pub fn from_safetensors(
        config: OptimizerConfig,
        bytes: &[u8],
        device: &Device,
    ) -> Result<Self, OptimizerError> {
        let device = device.clone().without_autodiff();
        let (mut tensors, metadata) = read(bytes)?;
        let steps = metadata.get(STEPS).and_then(|text| text.parse().ok());
        let missing = |key: &str| OptimizerError::Missing {
            key: key.to_owned(),
        };
        let steps = steps.ok_or_else(|| missing(STEPS))?;
        let names: Vec<String> = tensors
            .keys()
            .filter_map(|k| Some(k.strip_suffix(FIRST)?.to_owned()))
            .collect();
        let mut take = |key: String| match tensors.remove(&key) {
            Some(tensor) => Ok(on_device(tensor, &device)),
            None => Err(missing(&key)),
        };
        let mut moments = BTreeMap::new();
        for name in names {
            let first = take(format!("{name}{FIRST}"))?;
            let second = take(format!("{name}{SECOND}"))?;
            moments.insert(name, Moments { first, second });
        }
        Ok(Self {
            config,
            steps,
            moments,
        })
    }
}

const STEPS: &str = "steps";
const FIRST: &str = ".first_moment";
const SECOND: &str = ".second_moment";

fn host(name: &str, tensor: &Tensor<1>) -> Result<HostTensor, WeightsError> {
    let values = tensor.try_to_vec_as::<f32>();
    let values = values.map_err(|e| WeightsError::Device {
        key: name.to_owned(),
        message: e.to_string(),
    })?;
    Ok(HostTensor {
        shape: vec![values.len()],
        values,
    })
}

fn on_device(tensor: HostTensor, device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(tensor.values, tensor.shape), device)
}

struct Updater<'a> {
    path: NamePath,
    scalars: StepScalars,
    gradients: Gradients,
    moments: &'a mut BTreeMap<String, Moments>,
}

impl ModuleMapper for Updater<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let Some(gradient) = self.gradients.by_name.remove(&name) else {
            return param;
        };
        let moments = self.moments.remove(&name);
        let decay = if is_kernel(D) {
            Decay::Kernel
        } else {
            Decay::Exempt
        };
        param.map(|old| {
            let shape = old.dims();
            let flat = old
                .without_autodiff()
                .reshape([shape.iter().product::<usize>()]);
            let (new, moments) = self.scalars.apply(flat, gradient, moments, decay);
            self.moments.insert(name, moments);
            new.reshape(shape).autodiff().require_grad()
        })
    }
}
