use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use chipmill_schemas::config::{EncoderConfig, EncoderKind, HeadInput, ProjectionConfig, Stem};

use super::ContrastiveModel;
use super::weights::{HostTensor, WeightsError, from_safetensors, read, to_safetensors, write};
use crate::init::Draws;

const HEAD: ProjectionConfig = ProjectionConfig {
    input: HeadInput::Mean,
    hidden: 12,
    output: 5,
};

fn device() -> Device {
    crate::parse_device("cpu").unwrap()
}

fn model(
    kind: EncoderKind,
    width: u32,
    stem: Stem,
    seed: u64,
    device: &Device,
) -> ContrastiveModel {
    ContrastiveModel::new(
        &EncoderConfig { kind, width, stem },
        &HEAD,
        3,
        8,
        seed,
        device,
    )
}

fn small(seed: u64) -> ContrastiveModel {
    model(
        EncoderKind::Small,
        4,
        Stem::Standard,
        seed,
        &device().autodiff(),
    )
}

/// Three bands of `side` pixels.
fn view(samples: usize, side: usize, device: &Device) -> Tensor<4> {
    let values = Draws::new(9, "view").normals(samples * 3 * side * side, 1.0);
    Tensor::from_data(TensorData::new(values, [samples, 3, side, side]), device)
}

fn tensors<M: Module>(model: &M) -> BTreeMap<String, HostTensor> {
    read(&to_safetensors(model).unwrap()).unwrap().0
}

#[test]
fn every_encoder_gives_features_and_projections_of_its_width() {
    let cases = [
        (EncoderKind::Small, 16),
        (EncoderKind::Resnet18, 32),
        (EncoderKind::Resnet34, 32),
        (EncoderKind::Resnet50, 128),
    ];
    let device = device();
    for (kind, features) in cases {
        for stem in [Stem::Standard, Stem::SmallImage] {
            for side in [8, 17, 32] {
                let model = model(kind, 4, stem, 0, &device).valid();
                assert_eq!(model.encoder.features(), features);
                let seen = model.forward(view(2, side, &device));
                assert_eq!(
                    seen.features.dims(),
                    [2, features],
                    "{kind:?} {stem:?} {side}"
                );
                assert_eq!(seen.projections.dims(), [2, 5]);
            }
        }
    }
}

#[test]
fn a_head_that_flattens_takes_the_whole_map_of_every_encoder() {
    let device = device();
    let head = ProjectionConfig {
        input: HeadInput::Flatten,
        ..HEAD
    };
    for kind in [
        EncoderKind::Small,
        EncoderKind::Resnet18,
        EncoderKind::Resnet50,
    ] {
        for stem in [Stem::Standard, Stem::SmallImage] {
            for side in [8, 17, 33] {
                let encoder = EncoderConfig {
                    kind,
                    width: 4,
                    stem,
                };
                let model = ContrastiveModel::new(&encoder, &head, 3, side, 0, &device).valid();
                let seen = model.forward(view(2, side, &device));
                assert_eq!(seen.projections.dims(), [2, 5], "{kind:?} {stem:?} {side}");
                // Features stay the spatial mean, which a probe uses.
                let features = model.encoder.forward(view(2, side, &device));
                assert_eq!(seen.features.into_data(), features.into_data());
            }
        }
    }
}

/// With the same weight for every pixel of a feature, the flattened map is the mean times its pixels.
#[test]
fn a_flattened_map_is_read_feature_by_feature_and_row_by_row() {
    let device = device();
    let encoder = EncoderConfig {
        kind: EncoderKind::Small,
        width: 2,
        stem: Stem::Standard,
    };
    let of = |input| {
        let head = ProjectionConfig { input, ..HEAD };
        ContrastiveModel::new(&encoder, &head, 3, 32, 0, &device)
    };
    let mean = of(HeadInput::Mean);
    let mut file = tensors(&mean);
    let kernel = file.get_mut("projection.fc1.weight").unwrap();
    let (pixels, features) = (16, 8);
    let spread = kernel
        .values
        .iter()
        .flat_map(|&w| vec![w / pixels as f32; pixels]);
    *kernel = HostTensor {
        values: spread.collect(),
        shape: vec![12, features * pixels],
    };
    let flat = from_safetensors(of(HeadInput::Flatten), &write(&file, None).unwrap()).unwrap();
    let x = view(3, 32, &device);
    let projections = |model: &ContrastiveModel| model.valid().forward(x.clone()).projections;
    let off = (projections(&mean) - projections(&flat)).abs().max();
    assert!(off.into_scalar::<f32>() < 1e-5);
}

#[test]
fn resnets_have_torchvisions_keys_and_numbers_of_parameters() {
    // Without the classifier: 11,689,512 - 513,000 and so on.
    let cases = [
        (EncoderKind::Resnet18, 11_176_512, 100),
        (EncoderKind::Resnet34, 21_284_672, 180),
        (EncoderKind::Resnet50, 23_508_032, 265),
    ];
    for (kind, parameters, keys) in cases {
        let model = model(kind, 64, Stem::Standard, 0, &device());
        let found = tensors(&model.encoder);
        let trained = found.iter().filter(|(key, _)| !key.contains("running_"));
        assert_eq!(
            trained.map(|(_, t)| t.values.len()).sum::<usize>(),
            parameters
        );
        assert_eq!(found.len(), keys, "{kind:?}");
        for key in [
            "conv1.weight",
            "bn1.running_var",
            "layer1.0.conv1.weight",
            "layer2.0.downsample.0.weight",
            "layer2.0.downsample.1.bias",
            "layer4.1.bn2.running_mean",
        ] {
            assert!(found.contains_key(key), "{kind:?}: no {key}");
        }
        let head = tensors(&model.projection);
        assert_eq!(model.parameters(), parameters + trained_values(&head));
    }
}

fn trained_values(tensors: &BTreeMap<String, HostTensor>) -> usize {
    let trained = tensors.iter().filter(|(key, _)| !key.contains("running_"));
    trained.map(|(_, t)| t.values.len()).sum()
}

#[test]
fn dense_kernels_are_written_as_pytorch_stores_them() {
    let model = small(0);
    let found = tensors(&model);
    let kernel = &found["projection.fc1.weight"];
    assert_eq!(kernel.shape, [12, 16]);
    let ours: Vec<f32> = model
        .projection
        .fc1
        .weight
        .val()
        .into_data()
        .iter::<f32>()
        .collect();
    assert_eq!(kernel.values[16 + 3], ours[3 * 12 + 1]);
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let (a, b) = (
        to_safetensors(&small(3)).unwrap(),
        to_safetensors(&small(4)).unwrap(),
    );
    assert_eq!(a, to_safetensors(&small(3)).unwrap());
    assert_ne!(a, b);
}

#[test]
fn initial_weights_have_the_stated_distributions() {
    let model = model(EncoderKind::Resnet18, 32, Stem::Standard, 1, &device());
    let found = tensors(&model);
    let square_mean = |key: &str| {
        let values = &found[key].values;
        values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64
    };
    let he = 2.0 / (64.0 * 9.0);
    assert!((square_mean("encoder.layer2.0.conv1.weight") / he - 1.0).abs() < 0.05);
    let limit = (6.0_f32 / (256.0 + 12.0)).sqrt();
    let dense = &found["projection.fc1.weight"].values;
    assert!(dense.iter().all(|v| v.abs() < limit) && dense.iter().any(|v| v.abs() > 0.95 * limit));
    assert!(
        found["projection.fc1.bias"]
            .values
            .iter()
            .all(|&v| v == 0.0)
    );
    assert!(found["encoder.bn1.weight"].values.iter().all(|&v| v == 1.0));
}

#[test]
fn saved_running_statistics_are_current() {
    let device = device().autodiff();
    let model = small(0);
    let x = view(4, 8, &device);
    let before = model.encoder.forward(x.clone());
    drop(before);
    // One training pass: 0.9 x start + 0.1 x batch, of the first layer's output.
    let super::Encoder::Small(encoder) = &model.encoder else {
        panic!()
    };
    let first = encoder
        .conv1
        .forward(x)
        .without_autodiff()
        .swap_dims(0, 1)
        .flatten::<2>(1, 3);
    let mean: Vec<f32> = first.mean_dim(1).into_data().iter::<f32>().collect();
    let saved = &tensors(&model)["encoder.bn1.running_mean"].values;
    for (saved, mean) in saved.iter().zip(mean) {
        assert!((saved - 0.1 * mean).abs() < 1e-6, "{saved} {mean}");
    }
    // And in inference they are used, and left alone.
    let x = view(4, 8, &self::device());
    let valid = model.valid();
    let outputs: Vec<TensorData> = (0..2)
        .map(|_| valid.encoder.forward(x.clone()).into_data())
        .collect();
    assert_eq!(outputs[0], outputs[1]);
    let half = valid.encoder.forward(x.slice_dim(0, 0..1)).into_data();
    let all: Vec<f32> = outputs[0].iter::<f32>().collect();
    let half: Vec<f32> = half.iter::<f32>().collect();
    assert!(
        half.iter().zip(&all).all(|(a, b)| (a - b).abs() < 1e-5),
        "a sample has neighbours"
    );
}

#[test]
fn weights_read_back_to_the_bit_and_the_original_is_left_alone() {
    let device = device().autodiff();
    let original = small(1);
    let _ = original.forward(view(4, 8, &device));
    let bytes = to_safetensors(&original).unwrap();
    let other = small(2);
    let other_bytes = to_safetensors(&other).unwrap();
    let loaded = from_safetensors(other.clone(), &bytes).unwrap();
    assert_eq!(to_safetensors(&loaded).unwrap(), bytes);
    assert_eq!(to_safetensors(&other).unwrap(), other_bytes);
    // It still trains: the same batch gives the same projections and the same running statistics.
    let projections = |m: &ContrastiveModel| {
        let seen = m.forward(view(4, 8, &device)).projections;
        assert!(seen.is_tracked());
        seen.into_data()
    };
    assert_eq!(projections(&loaded), projections(&original));
    assert_eq!(
        to_safetensors(&loaded).unwrap(),
        to_safetensors(&original).unwrap()
    );
}

#[test]
fn weights_of_another_model_are_refused_by_name() {
    let model = small(1);
    let mut file = tensors(&model);
    let load = |file: &BTreeMap<String, HostTensor>| {
        from_safetensors(small(1), &write(file, None).unwrap()).unwrap_err()
    };
    let kernel = file.remove("encoder.conv2.weight").unwrap();
    assert!(
        matches!(load(&file), WeightsError::Missing { keys } if keys == "`encoder.conv2.weight`")
    );
    file.insert(
        "encoder.conv2.weight".to_owned(),
        HostTensor {
            shape: vec![1],
            values: vec![0.0],
        },
    );
    let error = load(&file).to_string();
    assert!(
        error.contains("`encoder.conv2.weight` is [1], expected [8, 4, 3, 3]"),
        "{error}"
    );
    file.insert("encoder.conv2.weight".to_owned(), kernel);
    file.insert(
        "fc.weight".to_owned(),
        HostTensor {
            shape: vec![1],
            values: vec![0.0],
        },
    );
    assert!(load(&file).to_string().contains("`fc.weight`"));
    let whole = to_safetensors(&model).unwrap();
    for cut in [0, 7, 100, whole.len() - 1] {
        let error = from_safetensors(small(1), &whole[..cut]).unwrap_err();
        assert!(
            matches!(error, WeightsError::Malformed(_)),
            "{cut}: {error}"
        );
    }
}

#[test]
fn batch_norm_statistics_are_those_of_one_view() {
    let device = device().autodiff();
    let model = small(0);
    let (x, y) = (
        view(4, 8, &device),
        view(4, 8, &device).mul_scalar(3.0).add_scalar(1.0),
    );
    let alone = model.forward(x.clone()).projections.into_data();
    let _ = model.forward(y);
    assert_eq!(model.forward(x).projections.into_data(), alone);
}
