//! Gradients of a model's parameters.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

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
