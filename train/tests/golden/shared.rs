//! The folder of reference numbers.

use std::collections::HashMap;
use std::path::PathBuf;

use burn::tensor::Device;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;

/// The folder, or a line saying that the test is skipped.
pub(crate) fn golden() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let shared = std::env::var_os("CHIPMILL_SHARED").map_or_else(|| beside.into(), PathBuf::from);
    let folder = shared.join("golden");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: needs ../shared (golden)");
    None
}

/// The device that the tests run on, for training.
pub(crate) fn device() -> Device {
    let name = std::env::var("CHIPMILL_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    chipmill_train::parse_device(&name).unwrap().autodiff()
}

pub(crate) fn json(name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(golden()?.join(name)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// Arrays by name: shape and values.
pub(crate) type Arrays = HashMap<String, (Vec<usize>, Vec<f64>)>;

/// The arrays of a file, as f64.
pub(crate) fn tensors(name: &str) -> Option<Arrays> {
    let bytes = std::fs::read(golden()?.join(name)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F64 => wide(data, f64::from_le_bytes),
            Dtype::I64 => wide(data, |b| i64::from_le_bytes(b) as f64),
            Dtype::F32 => data
                .chunks_exact(4)
                .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
                .collect(),
            Dtype::U8 => data.iter().map(|&b| f64::from(b)).collect(),
            other => panic!("{name}: {other:?}"),
        };
        (name, (view.shape().to_vec(), values))
    };
    Some(file.tensors().into_iter().map(tensor).collect())
}

fn wide(data: &[u8], read: impl Fn([u8; 8]) -> f64) -> Vec<f64> {
    data.chunks_exact(8)
        .map(|b| read(b.try_into().unwrap()))
        .collect()
}

/// Reads an array of numbers of any depth, in order.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= tolerance,
            "{what}[{i}]: {f}, expected {e} within {tolerance:e}"
        );
    }
}
