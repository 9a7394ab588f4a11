//! Monitors of full-rank, low-rank and collapsed projections.

use burn::tensor::{Tensor, TensorData};
use chipmill_train::monitors::{embedding, rank_me};

use crate::shared::{assert_close, device, json, tensors};

#[test]
fn monitors_agree_with_the_reference() {
    let (Some(reference), Some(arrays)) = (json("eval.json"), tensors("monitors.safetensors"))
    else {
        return;
    };
    let device = device();
    for case in reference["monitors"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let expected = |key: &str| case[key].as_f64().unwrap();
        let rows = |view: &str| -> (Vec<usize>, Vec<f32>) {
            let (shape, values) = &arrays[&format!("{name}.{view}")];
            (shape.clone(), values.iter().map(|&v| v as f32).collect())
        };
        let tensor =
            |(shape, values)| Tensor::<2>::from_data(TensorData::new(values, shape), &device);
        let seen = embedding(tensor(rows("z1")), tensor(rows("z2"))).unwrap();
        let found = [seen.alignment, seen.uniformity, seen.embedding_std];
        let wanted = [
            expected("align_a2"),
            expected("uniform_t2_pairs"),
            expected("std_of_l2_normalized"),
        ];
        assert_close(name, &found, &wanted, 2e-6);

        let (shape, z1) = rows("z1");
        let rank = rank_me(&z1, shape[1]);
        assert_close(
            name,
            &[rank],
            &[expected("rankme_raw")],
            1e-6 * expected("rankme_raw"),
        );
    }
}
