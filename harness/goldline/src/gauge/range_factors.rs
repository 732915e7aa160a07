//! From mean ranges to standard deviations.
//!
//! d₂ and d₃ are mean and standard deviation of the range of m values of a standard normal distribution (Harter, *Tables
//! of range and studentized range*, 1960; computed once more for this table). For few ranges g, d₂* = √(d₂² + d₃²/g) takes
//! the place of d₂, as in AIAG's appendix C.

use std::f64::consts::FRAC_2_SQRT_PI;

/// d₂ and d₃ for 2, 3, … values.
const FACTORS: [(f64, f64); 19] = [
    (FRAC_2_SQRT_PI, 0.852_5),
    (1.692_57, 0.888_4),
    (2.058_75, 0.879_8),
    (2.325_93, 0.864_1),
    (2.534_41, 0.848_0),
    (2.704_36, 0.833_2),
    (2.847_20, 0.819_8),
    (2.970_03, 0.807_8),
    (3.077_51, 0.797_1),
    (3.172_87, 0.787_3),
    (3.258_46, 0.778_5),
    (3.335_98, 0.770_4),
    (3.406_76, 0.763_0),
    (3.471_83, 0.756_2),
    (3.531_98, 0.749_9),
    (3.587_88, 0.744_1),
    (3.640_06, 0.738_6),
    (3.688_96, 0.733_5),
    (3.734_95, 0.728_7),
];

/// Beyond so many ranges d₂* is taken as d₂.
const MANY: usize = 15;

/// AIAG's K = 1/d₂*: for the mean of `ranges` ranges, each of `values` values. K₁ is that of the trials, over the cells;
/// K₂ and K₃ are of the one range of the appraisers' and the parts' means. `None` for fewer than 2 values and for more
/// than 20, which the table has not.
pub(super) fn k(values: usize, ranges: usize) -> Option<f64> {
    let (d2, d3) = *FACTORS.get(values.checked_sub(2)?)?;
    let square = if ranges > MANY { d2 * d2 } else { d2 * d2 + d3 * d3 / ranges as f64 };
    Some(1.0 / square.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As they stand on AIAG's form, "Gage Repeatability and Reproducibility Report".
    #[test]
    #[expect(clippy::approx_constant, reason = "the published digits")]
    fn the_factors_are_those_of_the_published_form() {
        let k1 = [(2, 0.8862), (3, 0.5908)];
        let k2 = [(2, 0.7071), (3, 0.5231)];
        let k3 = [
            (2, 0.7071),
            (3, 0.5231),
            (4, 0.4467),
            (5, 0.4030),
            (6, 0.3742),
            (7, 0.3534),
            (8, 0.3375),
            (9, 0.3249),
            (10, 0.3146),
        ];
        let ours = |values, ranges| k(values, ranges).expect("in the table");
        for (values, published) in k1 {
            assert!((ours(values, 30) - published).abs() < 6e-5, "K1 of {values}");
        }
        for (values, published) in k2.into_iter().chain(k3) {
            assert!((ours(values, 1) - published).abs() < 6e-5, "of {values}: {}", ours(values, 1));
        }
    }

    #[test]
    fn a_mean_of_few_ranges_has_a_factor_of_its_own() {
        // d2* of 3 values: 1.91154 of one range, 1.74989 of four, 1.69257 of many.
        assert!((1.0 / k(3, 4).expect("in the table") - 1.749_89).abs() < 1e-4);
        assert_eq!(k(3, 16), k(3, 1000));
    }

    #[test]
    fn what_the_table_has_not_is_not_guessed() {
        assert_eq!([k(0, 1), k(1, 1), k(21, 1)], [None; 3]);
        assert!(k(20, 1).is_some());
    }
}
