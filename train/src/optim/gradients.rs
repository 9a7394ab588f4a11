//! Gradients of a model's parameters.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::model::NamePath;

/// Gradients by parameter name, each flattened, on the device, outside autodiff.
#[derive(Debug, Clone, Default)]
pub struct Gradients {
    pub(super) by_name: BTreeMap<String, Tensor<1>>,
}

impl Gradients {
    /// Runs the backward pass of a loss and takes out the gradients of a model's parameters.
    ///
    /// One loss takes one backward pass: sum losses first.
    ///
    /// # Panics
    /// When the loss does not depend on a tensor that requires gradients.
    #[must_use]
    pub fn of<M: Module>(loss: &Tensor<1>, model: &M) -> Self {
        let mut collector = Collector {
            path: NamePath::default(),
            tape: loss.backward(),
            gradients: Self::default(),
        };
        model.visit(&mut collector);
        collector.gradients
    }

    /// Gradient of one parameter, flattened.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.by_name.get(name)
    }

    /// Scales all gradients by `min(1, largest / (|g| + 1e-6))`, where `|g|` is the norm of all of them
    /// together: `PyTorch`'s `clip_grad_norm_`. Gradients within the bound keep their bits; the norm stays
    /// on the device. One gradient that is not finite makes all of them so.
    #[must_use]
    pub fn clipped(self, largest: f64) -> Self {
        let square = |gradient: &Tensor<1>| gradient.clone().square().sum();
        let squares: Vec<_> = self.by_name.values().map(square).collect();
        if squares.is_empty() {
            return self;
        }
        let norm = Tensor::cat(squares, 0).sum().sqrt();
        let factor = norm.add_scalar(1e-6).recip().mul_scalar(largest);
        let factor = factor.clamp_max(1.0);
        let scaled = |(name, gradient): (String, Tensor<1>)| (name, gradient * factor.clone());
        Self {
            by_name: self.by_name.into_iter().map(scaled).collect(),
        }
    }

    /// The same on another device, which is without autodiff.
    #[must_use]
    pub fn to_device(self, device: &Device) -> Self {
        let moved = |(name, gradient): (String, Tensor<1>)| (name, gradient.to_device(device));
        Self {
            by_name: self.by_name.into_iter().map(moved).collect(),
        }
    }

    /// Adds the gradients of another part of the same loss.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (name, gradient) in other.by_name {
            let sum = match self.by_name.remove(&name) {
                Some(own) => own + gradient,
                None => gradient,
            };
            self.by_name.insert(name, sum);
        }
        self
    }

    /// Names in order with their gradients.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.by_name
            .iter()
            .map(|(name, gradient)| (name.as_str(), gradient))
    }
}

struct Collector {
    path: NamePath,
    tape: burn::tensor::Gradients,
    gradients: Gradients,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Running statistics are visited as well; they require no gradient.
        if let Some(gradient) = param.val().grad_remove(&mut self.tape) {
            let count = gradient.shape().num_elements();
            self.gradients
                .by_name
                .insert(self.path.name(), gradient.reshape([count]));
        }
    }
}
