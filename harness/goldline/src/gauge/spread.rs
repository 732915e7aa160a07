//! How far repeated values lie apart, and how much of a tolerance that takes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::record::Limits;

/// Repeated values of one thing, in the measurement's unit.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Spread {
    /// How many values.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of a sample (n − 1 below the line); none of fewer than two values.
    pub s: Option<f64>,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// `max` − `min`.
    pub range: f64,
}

impl Spread {
    /// Of values; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let (min, max) = (smallest(values), largest(values));
        // Equal values have no spread, whatever is lost in their sum.
        let mean = if min == max { min } else { mean(values) };
        let s = (n > 1).then(|| (squares(values, mean) / (n - 1) as f64).sqrt());
        Some(Self { n, mean, s, min, max, range: max - min })
    }

    /// The standard deviation within several groups of values together: √(Σ(nᵢ−1)sᵢ² / Σ(nᵢ−1)); `None` where no
    /// group has two.
    pub fn pooled(groups: &[Self]) -> Option<f64> {
        let known = groups.iter().filter_map(|group| Some(((group.n - 1) as f64, group.s?)));
        let (weight, sum) =
            known.fold((0.0, 0.0), |(weight, sum), (free, s)| (weight + free, sum + free * s * s));
        (weight > 0.0).then(|| (sum / weight).sqrt())
    }
}

/// What the range of measurement takes of the tolerance, in percent: 100 · 6σ / (upper − lower). Of one limit only, the
/// half on its side: 100 · 3σ / |limit − mean|. `None` where there is no limit, no room between the limits, or the mean
/// lies at or beyond the only one.
pub fn percent_of_tolerance(sigma: f64, mean: f64, limits: Limits) -> Option<f64> {
    let (spread, room) = match (limits.lower, limits.upper) {
        (Some(lower), Some(upper)) => (6.0 * sigma, upper - lower),
        (Some(lower), None) => (3.0 * sigma, mean - lower),
        (None, Some(upper)) => (3.0 * sigma, upper - mean),
        (None, None) => return None,
    };
    (room > 0.0).then(|| 100.0 * spread / room)
}

/// The potential of a gauge by repeated measurement of one unit (a type-1 study): Cg = 0.2 · (upper − lower) / 6s; from
/// 1.33 on it is called capable. Cgk needs a reference value, which a unit under test has not. `None` without two limits
/// or without spread.
pub fn cg(s: f64, limits: Limits) -> Option<f64> {
    let width = limits.upper? - limits.lower?;
    (s > 0.0 && width > 0.0).then(|| 0.2 * width / (6.0 * s))
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sum of squared distances from a value.
pub(super) fn squares(values: &[f64], from: f64) -> f64 {
    values.iter().map(|value| (value - from).powi(2)).sum()
}

pub(super) fn range(values: &[f64]) -> f64 {
    largest(values) - smallest(values)
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Limits = Limits { lower: Some(-75.0), upper: Some(-15.0) };

    #[test]
    fn a_sample_has_its_mean_and_its_standard_deviation() {
        let spread = Spread::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).expect("values");
        assert_eq!(
            (spread.n, spread.mean, spread.min, spread.max, spread.range),
            (8, 5.0, 2.0, 9.0, 7.0)
        );
        // √(32 / 7)
        assert!((spread.s.expect("eight values") - 2.138_089_935).abs() < 1e-9, "{spread:?}");
    }

    #[test]
    fn one_value_has_no_standard_deviation_and_none_has_nothing() {
        assert_eq!(Spread::of(&[3.5]).expect("a value").s, None);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn equal_values_have_a_spread_of_exactly_zero() {
        let spread = Spread::of(&[0.1; 7]).expect("values");
        assert_eq!((spread.mean, spread.s, spread.range), (0.1, Some(0.0), 0.0));
    }

    #[test]
    fn groups_are_pooled_by_their_degrees_of_freedom() {
        let groups = [&[1.0, 3.0][..], &[10.0, 10.0, 10.0], &[5.0]]
            .map(|values| Spread::of(values).expect("values"));
        // (1 · 2 + 2 · 0) / 3
        let pooled = Spread::pooled(&groups).expect("two groups of several");
        assert!((pooled - (2.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{pooled}");
        assert_eq!(Spread::pooled(&groups[2..]), None);
    }

    #[test]
    fn six_sigma_is_held_against_both_limits_and_three_against_one() {
        assert_eq!(percent_of_tolerance(1.0, -45.0, BOTH), Some(10.0));
        let upper = Limits { lower: None, upper: Some(60.0) };
        assert_eq!(percent_of_tolerance(1.0, 30.0, upper), Some(10.0));
        let lower = Limits { lower: Some(20.0), upper: None };
        assert_eq!(percent_of_tolerance(1.0, 30.0, lower), Some(30.0));
    }

    #[test]
    fn without_room_there_is_no_percentage() {
        let exact = Limits { lower: Some(6.0), upper: Some(6.0) };
        assert_eq!(percent_of_tolerance(1.0, 6.0, exact), None);
        assert_eq!(
            percent_of_tolerance(1.0, 70.0, Limits { lower: None, upper: Some(60.0) }),
            None
        );
        assert_eq!(percent_of_tolerance(1.0, 70.0, Limits::default()), None);
        assert_eq!((cg(0.0, BOTH), cg(1.0, exact)), (None, None));
    }

    #[test]
    fn cg_is_a_fifth_of_the_tolerance_over_six_standard_deviations() {
        assert_eq!(cg(1.0, BOTH), Some(2.0));
        assert_eq!(cg(1.0, Limits { lower: None, ..BOTH }), None);
    }
}
