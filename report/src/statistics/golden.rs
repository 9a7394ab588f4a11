//! Values of `SciPy` 1.17.1 and statsmodels 0.15.0.

use super::random::Random;
use super::{bootstrap, holm, mean, power, sign_flip, std, student};
use chipmill_schemas::comparison::SignFlip;

const DIFFERENCES: [f64; 8] = [0.021, 0.008, -0.004, 0.017, 0.030, 0.012, 0.001, 0.019];

fn close(found: f64, expected: f64, tolerance: f64) {
    let distance = (found - expected).abs();
    assert!(
        distance <= tolerance * expected.abs().max(1e-3),
        "{found}, expected {expected}"
    );
}

#[test]
fn quantiles_of_t_agree_with_scipy() {
    for (probability, degrees, expected) in [
        (0.975, 7.0, 2.364_624_251_592_784),
        (0.995, 7.0, 3.499_483_297_350_492_4),
        (0.975, 1.0, 12.706_204_736_174_694),
        (0.9, 30.0, 1.310_415_025_391_395_5),
        (0.993_75, 7.0, 3.335_294_939_817_082_6),
        (0.975, 2.5, 3.574_654_842_003_682),
    ] {
        close(
            student::t_quantile(probability, degrees).unwrap(),
            expected,
            1e-9,
        );
    }
    assert_eq!(student::t_quantile(0.975, 0.0), None);
    assert_eq!(student::t_quantile(1.0, 3.0), None);
}

#[test]
fn the_t_interval_agrees_with_scipy() {
    let interval = student::interval(&DIFFERENCES, 0.95).unwrap();
    close(interval.low, 0.003_711_940_323_098_085, 1e-9);
    close(interval.high, 0.022_288_059_676_901_915, 1e-9);
    let simultaneous = student::interval(&DIFFERENCES, 1.0 - 0.05 / 4.0).unwrap();
    close(simultaneous.low, -0.000_100_778_451_469_966_6, 1e-9);
    close(simultaneous.high, 0.026_100_778_451_469_97, 1e-9);
    assert_eq!(student::interval(&[1.0], 0.95), None);
}

#[test]
fn the_exact_sign_flip_p_agrees_with_scipy() {
    let p = |d: &[f64]| sign_flip::p_value(d, 100, &mut Random::new(0));
    assert_eq!(p(&DIFFERENCES), (0.023_437_5, SignFlip::Exact));
    assert_eq!(
        p(&[0.021, -0.008, -0.004, 0.017, 0.0, 0.012, 0.001]).0,
        0.25
    );
    assert_eq!(p(&[1.0; 8]).0, 2.0 / 256.0);
    assert_eq!(p(&[0.0; 4]).0, 1.0);
}

#[test]
fn the_resampled_sign_flip_p_lies_near_the_exact_one() {
    // Sixteen differences exactly; the same and one of 0, which changes nothing, by resampling.
    let few: Vec<f64> = (0..16).map(|i| f64::from((i * 7) % 16) - 5.0).collect();
    let many = [&few[..], &[0.0]].concat();
    let (exact, _) = sign_flip::p_value(&few, 0, &mut Random::new(0));
    let (drawn, method) = sign_flip::p_value(&many, 20_000, &mut Random::named(0, "a-b"));
    assert_eq!(method, SignFlip::Resampled);
    let deviation = (exact * (1.0 - exact) / 20_000.0).sqrt();
    assert!((exact - drawn).abs() < 4.0 * deviation, "{exact} {drawn}");
    let (least, _) = sign_flip::p_value(&[1.0; 40], 999, &mut Random::new(1));
    assert_eq!(least, 1e-3);
}

/// On numbers that floats hold exactly: `SciPy` compares without tolerance, so that elsewhere it takes
/// rounding for order among resamples that are level.
#[test]
fn the_bca_interval_agrees_with_scipy() {
    for (values, level, low, high) in [
        ([1.0, 2.0, 4.0, 8.0, 16.0], 0.95, 2.6, 12.8),
        ([1.0, 2.0, 4.0, 8.0, 16.0], 0.8, 3.6, 10.4),
        ([0.25, 1.125, 2.875, 4.25, 9.75], 0.95, 1.4, 7.55),
        ([0.25, 1.125, 2.875, 4.25, 9.75], 0.8, 2.025, 6.175),
    ] {
        let interval = bootstrap::bca_of(&values, level, every_resample(&values)).unwrap();
        close(interval.low, low, 1e-9);
        close(interval.high, high, 1e-9);
    }
}

/// Means of all `5^5` resamples.
fn every_resample(values: &[f64; 5]) -> Vec<f64> {
    let of = |mut number: usize| {
        let mut sum = 0.0;
        for _ in 0..5 {
            sum += values[number % 5];
            number /= 5;
        }
        sum / 5.0
    };
    (0..3125).map(of).collect()
}

#[test]
fn the_bootstrap_is_a_function_of_values_and_key() {
    let interval = |key| bootstrap::bca_interval(&DIFFERENCES, 0.95, 2_000, &mut Random::new(key));
    assert_eq!(interval(1), interval(1));
    assert_ne!(interval(1), interval(2));
    let same = bootstrap::bca_interval(&[0.25; 8], 0.95, 1_000, &mut Random::new(0)).unwrap();
    assert_eq!((same.low, same.high), (0.25, 0.25));
    assert_eq!(
        bootstrap::bca_interval(&[0.25], 0.95, 1_000, &mut Random::new(0)),
        None
    );
}

#[test]
fn holms_correction_agrees_with_statsmodels() {
    let p = [0.007_812_5, 0.04, 0.03, 0.2, 0.5, 0.03];
    let expected = [0.046_875, 0.15, 0.15, 0.4, 0.5, 0.15];
    for (found, expected) in holm::holm(&p).into_iter().zip(expected) {
        close(found, expected, 1e-12);
    }
    assert!(holm::holm(&[]).is_empty());
}

#[test]
fn the_noncentral_t_agrees_with_scipy() {
    for (t, degrees, shift, expected) in [
        (2.3646, 7.0, 2.8, 0.327_784_089_611_608_15),
        (2.3646, 7.0, 0.5, 0.936_256_115_221_082_1),
        (12.7062, 1.0, 5.0, 0.694_839_793_255_580_8),
        (4.302_653, 2.0, 3.0, 0.612_610_684_021_599_5),
        (2.0, 60.0, 2.5, 0.308_484_719_310_890_66),
        (0.0, 4.0, 1.0, 0.158_655_253_931_457_07),
    ] {
        close(power::noncentral_t_cdf(t, degrees, shift), expected, 2e-6);
    }
    let tail = power::noncentral_t_cdf(-2.3646, 7.0, 2.8);
    assert!((tail - 4.294e-6).abs() < 1e-9, "{tail}");
}

#[test]
fn what_the_seeds_resolve_agrees_with_scipy() {
    for (seeds, alpha, expected) in [
        (8, 0.05, 1.156_034_677_994_925),
        (8, 0.0125, 1.531_493_257_919_058_5),
        (5, 0.05, 1.681_996_965_955_563_9),
        (3, 0.05, 3.264_043_549_699_572),
        (30, 0.05, 0.529_235_615_113_000_4),
    ] {
        close(
            power::resolvable(seeds, alpha, 0.8).unwrap(),
            expected,
            1e-5,
        );
    }
    let seeds = [1.0, 0.5, 0.2, 2.4].map(|ratio| power::seeds_for(ratio, 0.05, 0.8, 1_000));
    assert_eq!(seeds, [10, 34, 199, 4].map(Some));
    assert_eq!(power::seeds_for(0.01, 0.05, 0.8, 1_000), None);
    assert_eq!(power::resolvable(1, 0.05, 0.8), None);
}

#[test]
fn mean_and_deviation_need_enough_values() {
    assert_eq!((mean(&[]), std(&[1.0])), (None, None));
    assert_eq!(
        (mean(&[1.0, 3.0]), std(&[1.0, 3.0])),
        (Some(2.0), Some(2f64.sqrt()))
    );
}
