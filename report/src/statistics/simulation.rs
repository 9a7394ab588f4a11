//! What the intervals cover and how often the whole procedure is wrong, by simulation with fixed keys.
//! Tolerances are four standard deviations of the binomial.

use chipmill_schemas::comparison::Interval;

use super::random::Random;
use super::student::normal_quantile;
use super::{bootstrap, holm, sign_flip, student};

fn normal(random: &mut Random) -> f64 {
    // The middle of one of 2^53 equal parts.
    let part = (random.next_u64() >> 11) as f64 + 0.5;
    normal_quantile(part / 2f64.powi(53))
}

fn normals(count: usize, random: &mut Random) -> Vec<f64> {
    (0..count).map(|_| normal(random)).collect()
}

fn share(rounds: u32, mut happens: impl FnMut() -> bool) -> f64 {
    let count = (0..rounds).filter(|_| happens()).count();
    count as f64 / f64::from(rounds)
}

fn deviations(p: f64, rounds: u32) -> f64 {
    4.0 * (p * (1.0 - p) / f64::from(rounds)).sqrt()
}

fn covers(interval: Interval, truth: f64) -> bool {
    interval.low <= truth && truth <= interval.high
}

#[test]
fn the_t_interval_covers_as_often_as_it_says() {
    let mut random = Random::named(1, "t");
    for seeds in [3, 8] {
        let rounds = 20_000;
        let covered = share(rounds, || {
            covers(
                student::interval(&normals(seeds, &mut random), 0.95).unwrap(),
                0.0,
            )
        });
        assert!(
            (covered - 0.95).abs() < deviations(0.95, rounds),
            "{seeds}: {covered}"
        );
    }
}

#[test]
fn the_bca_interval_covers_less_than_it_says_with_few_seeds_and_nearly_that_with_many() {
    let mut random = Random::named(2, "bca");
    let mut coverage = |seeds, rounds| {
        share(rounds, || {
            let values = normals(seeds, &mut random);
            let interval = bootstrap::bca_interval(&values, 0.95, 1_000, &mut random).unwrap();
            covers(interval, 0.0)
        })
    };
    let (few, many) = (coverage(8, 4_000), coverage(60, 1_500));
    assert!((0.87..0.93).contains(&few), "{few}");
    assert!((many - 0.943).abs() < deviations(0.943, 1_500), "{many}");
}

/// Four arms that do not differ, eight seeds, four comparisons that share arms: at least one verdict.
#[test]
fn without_differences_a_family_has_a_verdict_at_most_as_often_as_alpha() {
    let mut random = Random::named(3, "null");
    let rounds = 6_000;
    let wrong = share(rounds, || {
        let arms: Vec<Vec<f64>> = (0..4).map(|_| normals(8, &mut random)).collect();
        let p = [(1, 0), (2, 0), (2, 3), (3, 0)].map(|(a, b): (usize, usize)| {
            let differences: Vec<f64> = arms[a].iter().zip(&arms[b]).map(|(x, y)| x - y).collect();
            sign_flip::p_value(&differences, 0, &mut Random::new(0)).0
        });
        holm::holm(&p).iter().any(|p| *p <= 0.05)
    });
    assert!(wrong < 0.05 + deviations(0.05, rounds), "{wrong}");
    assert!(wrong > 0.01, "{wrong}: never deciding is not being right");
}

#[test]
fn one_sign_flip_test_is_wrong_as_often_as_its_level() {
    // 12 of 256 assignments is the largest level up to 0.05 that eight seeds have.
    let mut random = Random::named(4, "level");
    let rounds = 20_000;
    let level = 12.0 / 256.0;
    let wrong = share(rounds, || {
        sign_flip::p_value(&normals(8, &mut random), 0, &mut Random::new(0)).0 <= 0.05
    });
    assert!((wrong - level).abs() < deviations(level, rounds), "{wrong}");
}

#[test]
fn the_power_note_says_what_a_t_test_finds() {
    let mut random = Random::named(5, "power");
    let shift = super::power::resolvable(8, 0.05, 0.8).unwrap();
    let rounds = 10_000;
    let found = share(rounds, || {
        let values: Vec<f64> = normals(8, &mut random).iter().map(|v| v + shift).collect();
        !covers(student::interval(&values, 0.95).unwrap(), 0.0)
    });
    assert!((found - 0.8).abs() < deviations(0.8, rounds), "{found}");
}
