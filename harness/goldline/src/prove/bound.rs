//! What so many units say of all those that could have been drawn.

use statrs::distribution::{Beta, ContinuousCDF};

/// How sure a bound is.
pub const CONFIDENCE: f64 = 0.95;

/// The one-sided exact bound of Clopper and Pearson: with [`CONFIDENCE`], at most this share of all passes, when
/// `passed` of `drawn` did. `None` when none was drawn.
///
/// Source: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
/// Biometrika 26 (1934).
///
/// # Panics
/// When more passed than were drawn.
pub fn upper_bound(passed: usize, drawn: usize) -> Option<f64> {
    assert!(passed <= drawn, "{passed} of {drawn} passed");
    match (passed, drawn) {
        (_, 0) => None,
        (passed, drawn) if passed == drawn => Some(1.0),
        (passed, drawn) => {
            let beta = Beta::new(passed as f64 + 1.0, (drawn - passed) as f64);
            Some(beta.expect("both shapes are at least one").inverse_cdf(CONFIDENCE))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(passed: usize, drawn: usize, expected: f64) {
        let bound = upper_bound(passed, drawn).expect("some were drawn");
        assert!((bound - expected).abs() < 5e-5, "{passed} of {drawn}: {bound}, not {expected}");
    }

    #[test]
    fn none_of_many_is_the_rule_of_three() {
        // 1 - 0.05^(1/n)
        near(0, 1, 0.95);
        near(0, 59, 0.049_51);
        near(0, 300, 0.009_936);
    }

    #[test]
    fn a_bound_is_where_the_binomial_leaves_five_percent() {
        for (passed, drawn) in [(1, 20), (3, 300), (17, 40), (29, 30)] {
            let bound = upper_bound(passed, drawn).expect("some were drawn");
            let mut term = (1.0 - bound).powi(i32::try_from(drawn).expect("it is small"));
            let mut below = term;
            for i in 0..passed {
                term *= (drawn - i) as f64 / (i + 1) as f64 * bound / (1.0 - bound);
                below += term;
            }
            assert!((below - 0.05).abs() < 1e-6, "{passed} of {drawn}: {below}");
        }
        near(5, 5, 1.0);
        assert_eq!(upper_bound(0, 0), None);
    }
}
