//! An optimiser with its state: which rule it follows is the configuration's choice.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use chipmill_schemas::config::{OptimizerConfig, OptimizerKind};

use super::Gradients;
use super::adam::AdamStep;
use super::lars::LarsStep;
use crate::model::weights::{HostTensor, WeightsError, read, write};
use crate::model::{NamePath, is_kernel};

/// An optimiser's state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OptimizerError {
    /// The file is not what [`Optimizer::to_safetensors`] writes.
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
pub struct Optimizer {
    config: OptimizerConfig,
    steps: u64,
    moments: BTreeMap<String, Moments>,
}

/// Running means of one parameter's gradient and, for Adam, its square, flattened.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    pub(super) first: Tensor<1>,
    pub(super) second: Option<Tensor<1>>,
}

/// What a parameter is to an optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The kernel of a convolution or a dense layer: weight decay, and LARS's own rate.
    Kernel,
    /// A bias, or a parameter of batch norm.
    Exempt,
}

/// The scalars of one step.
#[derive(Debug, Clone, Copy)]
enum Step {
    Adam(AdamStep),
    Lars(LarsStep),
}

impl Step {
    fn apply(
        &self,
        param: Tensor<1>,
        gradient: Tensor<1>,
        moments: Option<Moments>,
        role: Role,
    ) -> (Tensor<1>, Moments) {
        match self {
            Self::Adam(step) => step.apply(param, gradient, moments, role),
            Self::Lars(step) => step.apply(param, gradient, moments, role),
        }
    }
}

impl Optimizer {
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

    /// Updates the parameters that have a gradient, clipped first where the configuration says so. The
    /// model must live on an autodiff device.
    #[must_use]
    pub fn step<M: Module>(&mut self, model: M, gradients: Gradients, learning_rate: f64) -> M {
        self.steps += 1;
        let step = match self.config.kind {
            OptimizerKind::Adam | OptimizerKind::Adamw => {
                Step::Adam(AdamStep::new(&self.config, self.steps, learning_rate))
            }
            OptimizerKind::Lars => Step::Lars(LarsStep::new(&self.config, learning_rate)),
        };
        let gradients = match self.config.clip_norm {
            Some(norm) => gradients.clipped(f64::from(norm)),
            None => gradients,
        };
        model.map(&mut Updater {
            path: NamePath::default(),
            step,
            gradients,
            moments: &mut self.moments,
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
            if let Some(second) = &moments.second {
                tensors.insert(format!("{name}{SECOND}"), host(name, second)?);
            }
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
            let second = match config.kind {
                OptimizerKind::Adam | OptimizerKind::Adamw => {
                    Some(take(format!("{name}{SECOND}"))?)
                }
                OptimizerKind::Lars => None,
            };
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
    step: Step,
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
        let role = if is_kernel(D) {
            Role::Kernel
        } else {
            Role::Exempt
        };
        param.map(|old| {
            let shape = old.dims();
            let flat = old
                .without_autodiff()
                .reshape([shape.iter().product::<usize>()]);
            let (new, moments) = self.step.apply(flat, gradient, moments, role);
            self.moments.insert(name, moments);
            new.reshape(shape).autodiff().require_grad()
        })
    }
}
