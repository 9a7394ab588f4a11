//! Parameter names, as `PyTorch` has them.

/// The name of the parameter that a traversal is at.
///
/// Burn names the variants of enums and calls the parameters of batch norm gamma and beta; in
/// `PyTorch`'s names there are no variants, and they are weight and bias.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamePath {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
struct Segment {
    name: String,
    container: String,
}

impl NamePath {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.segments.push(Segment {
            name: name.to_owned(),
            container: container.to_owned(),
        });
    }

    pub(crate) fn exit(&mut self) {
        self.segments.pop();
    }

    /// Such as `encoder.layer1.0.bn1.weight`.
    pub(crate) fn name(&self) -> String {
        let named = self
            .segments
            .iter()
            .filter(|s| !s.container.starts_with("Enum:"));
        let names: Vec<&str> = named.map(Segment::name).collect();
        names.join(".")
    }

    /// Whether it is the kernel of a dense layer, which `PyTorch` stores transposed.
    pub(crate) fn is_dense_kernel(&self) -> bool {
        let last = self.segments.last();
        last.is_some_and(|s| s.container == "Struct:Linear" && s.name == "weight")
    }

    /// Whether it is a running statistic of batch norm, which is not trained.
    pub(crate) fn is_running_statistic(&self) -> bool {
        let last = self.segments.last();
        last.is_some_and(|s| s.container == "Struct:BatchNorm" && s.name.starts_with("running_"))
    }
}

impl Segment {
    fn name(&self) -> &str {
        match (self.container.as_str(), self.name.as_str()) {
            ("Struct:BatchNorm", "gamma") => "weight",
            ("Struct:BatchNorm", "beta") => "bias",
            (_, name) => name,
        }
    }
}

/// Whether weight decay applies to a parameter of this rank: kernels of convolutions (4) and dense
/// layers (2), not biases and batch-norm parameters (1).
pub(crate) const fn is_kernel(rank: usize) -> bool {
    rank > 1
}
