//! Newton's method with conjugate gradients.
//!
//! The objective is convex; its Hessian is used through products alone. Near the solution the steps
//! are whole Newton steps, so that the end is reached to rounding. (Nocedal and Wright 2006,
//! algorithm 7.1, with the Hessian's diagonal as preconditioner.)

use ndarray::{Array2, Zip};

use super::objective::{Objective, Point};

/// The largest gradient entry that counts as zero, for each unit of the gradient at the start.
const RELATIVE_TOLERANCE: f64 = 1e-12;
/// The same, absolutely: the weights are then exact to as much, as the penalty's curvature is 1.
const TOLERANCE: f64 = 1e-9;
/// Weights that are less exact than this are told of; hardly penalised ones on data that can be separated
/// come close to it.
const WORTH_TELLING: f64 = 1e-6;
const NEWTON_STEPS: usize = 200;
const GRADIENT_STEPS: usize = 1_000;

pub(super) struct Solution {
    pub(super) parameters: Array2<f64>,
    /// Largest gradient entry.
    pub(super) gradient: f64,
    pub(super) iterations: usize,
}

/// The minimum, from parameters zero.
pub(super) fn minimise(objective: &Objective) -> Solution {
    let mut point = objective.at(objective.start());
    let start = largest(&point.gradient);
    let tolerance = TOLERANCE.max(RELATIVE_TOLERANCE * start);
    let mut iterations = 0;
    while largest(&point.gradient) > tolerance && iterations < NEWTON_STEPS {
        let direction = newton_direction(objective, &point);
        let Some(next) = advance(objective, &point, &direction) else {
            break;
        };
        point = next;
        iterations += 1;
    }
    let gradient = largest(&point.gradient);
    if gradient > WORTH_TELLING {
        tracing::warn!(
            gradient,
            iterations,
            "logistic regression stopped short of its minimum"
        );
    }
    Solution {
        parameters: point.parameters,
        gradient,
        iterations,
    }
}

/// Solves `H d = -g` until the residual has fallen enough for the convergence to be superlinear.
fn newton_direction(objective: &Objective, point: &Point) -> Array2<f64> {
    let scale = objective
        .diagonal(point)
        .mapv(|d| 1.0 / d.max(f64::MIN_POSITIVE));
    let mut direction = Array2::zeros(point.gradient.dim());
    let mut residual = -&point.gradient;
    let mut scaled = &residual * &scale;
    let mut search = scaled.clone();
    let mut product = dot(&residual, &scaled);
    let norm = dot(&residual, &residual).sqrt();
    let target = norm * 0.1_f64.min(norm.sqrt());
    for _ in 0..GRADIENT_STEPS {
        let curved = objective.curvature(point, &search);
        let curvature = dot(&search, &curved);
        if curvature <= 0.0 || product <= 0.0 {
            break;
        }
        let step = product / curvature;
        direction.scaled_add(step, &search);
        residual.scaled_add(-step, &curved);
        if dot(&residual, &residual).sqrt() <= target {
            break;
        }
        scaled = &residual * &scale;
        let next = dot(&residual, &scaled);
        search *= next / product;
        search += &scaled;
        product = next;
    }
    direction
}

/// The first of the steps 1, 1/2, 1/4 ... that lowers the value enough; `None` when none does.
fn advance(objective: &Objective, from: &Point, direction: &Array2<f64>) -> Option<Point> {
    let slope = dot(&from.gradient, direction);
    // Close to the minimum the value changes by less than its rounding.
    let rounding = 4.0 * f64::EPSILON * from.value.abs();
    let mut step = 1.0;
    for _ in 0..40 {
        let next = objective.at(&from.parameters + &(direction * step));
        let enough = next.value <= from.value + 1e-4 * step * slope;
        let level = (next.value - from.value).abs() <= rounding
            && largest(&next.gradient) < largest(&from.gradient);
        if enough || level {
            return Some(next);
        }
        step *= 0.5;
    }
    None
}

fn dot(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    Zip::from(a).and(b).fold(0.0, |sum, a, b| sum + a * b)
}

fn largest(gradient: &Array2<f64>) -> f64 {
    gradient.fold(0.0, |largest, g| g.abs().max(largest))
}
