//! Weights of a model as a safetensors file with `PyTorch`'s names and layouts.
//!
//! Holds every parameter and the running statistics of batch norm, all f32. (Burn's running
//! variance is the biased one; `PyTorch`'s is not: they differ by a factor `n / (n - 1)`, `n` =
//! samples x pixels.)

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::named::NamePath;

/// Weights cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not a safetensors file, or cut short.
    #[error("not a whole safetensors file: {0}")]
    Malformed(String),
    /// The model has parameters that the file lacks.
    #[error("the file has no {keys}, which the model has")]
    Missing {
        /// Their names.
        keys: String,
    },
    /// The file has tensors that the model lacks.
    #[error("the file has {keys}, which the model lacks")]
    Unexpected {
        /// Their names.
        keys: String,
    },
    /// The file's tensor does not fit.
    #[error("`{key}` is {found}, expected {expected}")]
    Mismatch {
        /// Name of the parameter.
        key: String,
        /// Type and shape in the file.
        found: String,
        /// Type and shape in the model.
        expected: String,
    },
    /// The device failed while its memory was read.
    #[error("`{key}` cannot be read from the device: {message}")]
    Device {
        /// Name of the parameter.
        key: String,
        /// Why not.
        message: String,
    },
}

/// A tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl HostTensor {
    /// Rows and columns of a matrix exchanged, in memory too: a strided matrix may take another
    /// path through a matrix product and give other last bits.
    fn transposed(self) -> Self {
        let [rows, columns] = self.shape[..] else {
            return self;
        };
        let at = |i: usize| self.values[(i % rows) * columns + i / rows];
        Self {
            shape: vec![columns, rows],
            values: (0..rows * columns).map(at).collect(),
        }
    }
}

/// Writes a model's weights; the bytes depend on the weights alone.
///
/// # Errors
/// [`WeightsError::Device`] when the device cannot be read.
pub fn to_safetensors<M: Module>(model: &M) -> Result<Vec<u8>, WeightsError> {
    // The last update of the running statistics is pending in a model in training; `valid` takes it
    // in, a plain visit does not.
    let model = model.valid();
    let mut reader = Reader {
        path: NamePath::default(),
        tensors: BTreeMap::new(),
        error: None,
    };
    model.visit(&mut reader);
    match reader.error {
        Some(error) => Err(error),
        None => write(&reader.tensors, None),
    }
}

/// Puts weights into a model of the same architecture, on the model's device.
///
/// # Errors
/// [`WeightsError`] naming the first tensor that is missing, unknown or of another shape.
pub fn from_safetensors<M: Module>(model: M, bytes: &[u8]) -> Result<M, WeightsError> {
    put(model, read(bytes)?.0)
}

/// The same with tensors that are read already.
#[expect(clippy::needless_pass_by_value, reason = "the result takes its place")]
pub(crate) fn put<M: Module>(
    model: M,
    tensors: BTreeMap<String, HostTensor>,
) -> Result<M, WeightsError> {
    let mut writer = Writer {
        path: NamePath::default(),
        tensors,
        missing: Vec::new(),
        error: None,
    };
    // Running statistics are shared between clones and may have an update pending; `valid` gives
    // fresh ones.
    let trains = model.devices().iter().any(Device::is_autodiff);
    let model = model.valid().map(&mut writer);
    if let Some(error) = writer.error {
        return Err(error);
    }
    if !writer.missing.is_empty() {
        return Err(WeightsError::Missing {
            keys: quoted(&writer.missing),
        });
    }
    if writer.tensors.is_empty() {
        return Ok(if trains { model.train() } else { model });
    }
    let keys: Vec<String> = writer.tensors.into_keys().collect();
    Err(WeightsError::Unexpected {
        keys: quoted(&keys),
    })
}

/// Names for an error: the first of many.
fn quoted(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`"));
    let text = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// Named tensors to safetensors bytes, with one entry of metadata at most: the library writes
/// several in an order that changes from run to run.
pub(crate) fn write(
    tensors: &BTreeMap<String, HostTensor>,
    metadata: Option<(String, String)>,
) -> Result<Vec<u8>, WeightsError> {
    let malformed = |e: safetensors::SafeTensorError| WeightsError::Malformed(e.to_string());
    let bytes: Vec<(&String, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(k, t)| {
            (
                k,
                &t.shape[..],
                t.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            )
        })
        .collect();
    let views: Result<Vec<_>, _> = bytes
        .iter()
        .map(|(k, s, b)| {
            Ok((
                *k,
                TensorView::new(Dtype::F32, s.to_vec(), b).map_err(malformed)?,
            ))
        })
        .collect();
    safetensors::serialize(views?, metadata.map(|entry| HashMap::from([entry]))).map_err(malformed)
}

/// Named f32 tensors and the metadata.
pub(crate) type Contents = (BTreeMap<String, HostTensor>, HashMap<String, String>);

/// Names of the tensors in safetensors bytes.
pub(crate) fn names(bytes: &[u8]) -> Result<Vec<String>, WeightsError> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|e| WeightsError::Malformed(e.to_string()))?;
    Ok(file.names().into_iter().map(str::to_owned).collect())
}

/// Reads safetensors bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<Contents, WeightsError> {
    read_where(bytes, |_| true)
}

/// Reads the tensors of some names.
pub(crate) fn read_where(
    bytes: &[u8],
    wanted: impl Fn(&str) -> bool,
) -> Result<Contents, WeightsError> {
    let malformed = |e: safetensors::SafeTensorError| WeightsError::Malformed(e.to_string());
    let file = SafeTensors::deserialize(bytes).map_err(malformed)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(malformed)?;
    let tensor = |(key, view): (String, TensorView<'_>)| {
        if view.dtype() != Dtype::F32 {
            let found = format!("{:?} {:?}", view.dtype(), view.shape());
            return Err(WeightsError::Mismatch {
                key,
                found,
                expected: "F32".to_owned(),
            });
        }
        let values = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Ok((
            key,
            HostTensor {
                shape: view.shape().to_vec(),
                values: values.collect(),
            },
        ))
    };
    let tensors = file
        .tensors()
        .into_iter()
        .filter(|(key, _)| wanted(key))
        .map(tensor)
        .collect::<Result<_, _>>()?;
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}

struct Reader {
    path: NamePath,
    tensors: BTreeMap<String, HostTensor>,
    error: Option<WeightsError>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let (key, shape) = (self.path.name(), tensor.dims().to_vec());
        match tensor.try_into_vec_as::<f32>() {
            Ok(values) => {
                let host = HostTensor { shape, values };
                let host = if self.path.is_dense_kernel() {
                    host.transposed()
                } else {
                    host
                };
                self.tensors.insert(key, host);
            }
            Err(error) => {
                self.error.get_or_insert(WeightsError::Device {
                    key,
                    message: error.to_string(),
                });
            }
        }
    }
}

struct Writer {
    path: NamePath,
    tensors: BTreeMap<String, HostTensor>,
    /// Names that the model has and the file lacks.
    missing: Vec<String>,
    error: Option<WeightsError>,
}

impl Writer {
    /// The tensor that belongs here, in Burn's layout; the old one where there is none.
    fn take<const D: usize>(&mut self, old: &Tensor<D>) -> Result<Tensor<D>, WeightsError> {
        let key = self.path.name();
        let Some(found) = self.tensors.remove(&key) else {
            self.missing.push(key);
            return Ok(old.clone());
        };
        let found = if self.path.is_dense_kernel() {
            found.transposed()
        } else {
            found
        };
        if found.shape != old.dims() {
            let (found, expected) = (format!("{:?}", found.shape), format!("{:?}", old.dims()));
            return Err(WeightsError::Mismatch {
                key,
                found,
                expected,
            });
        }
        let data = TensorData::new(found.values, found.shape);
        Ok(Tensor::from_data(data, &old.device()))
    }
}

impl ModuleMapper for Writer {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| match self.take(&old) {
            Ok(new) => new,
            Err(error) => {
                self.error.get_or_insert(error);
                old
            }
        })
    }
}
