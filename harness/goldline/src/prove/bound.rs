//! What so many units say of all those that could have been drawn.

use statrs::distribution::{Beta, ContinuousCDF, DiscreteCDF, Hypergeometric};

/// How sure a bound is.
pub const CONFIDENCE: f64 = 0.95;
/// The method of [`upper_bound`].
pub const OF_DRAWN: &str = "Clopper-Pearson, one-sided";
/// The method of [`upper_bound_of`].
pub const OF_COUNTED: &str = "exact hypergeometric, one-sided";

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

/// The one-sided exact bound of those that can be counted, of which a part was taken without putting any back: with
/// [`CONFIDENCE`], at most this share of all `there_are` passes, when `passed` of the `ran` did. `None` when none ran.
///
/// It is the largest share with which so few would pass in more than one of twenty such draws.
/// Source: Wright, "Exact confidence bounds when sampling from small finite universes", Lecture Notes in Statistics 66
/// (1991).
///
/// # Panics
/// When more passed than ran, or more ran than there are.
pub fn upper_bound_of(there_are: usize, passed: usize, ran: usize) -> Option<f64> {
    assert!(passed <= ran && ran <= there_are, "{passed} of {ran} of {there_are} passed");
    if ran == 0 {
        return None;
    }
    let wide = |number: usize| number as u64;
    // As many passed as did, at least, and of the others none or each.
    let (mut bad, mut too_many) = (passed, there_are - (ran - passed) + 1);
    while too_many - bad > 1 {
        let middle = bad.midpoint(too_many);
        let draws = Hypergeometric::new(wide(there_are), wide(middle), wide(ran));
        let so_few = draws.expect("no part is larger than the whole").cdf(wide(passed));
        if so_few > 1.0 - CONFIDENCE {
            bad = middle;
        } else {
            too_many = middle;
        }
    }
    Some(bad as f64 / there_are as f64)
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
            // In logarithms: a power of 300 of what is near 1 is no number any more.
            let mut choices = 0.0;
            let mut below = 0.0;
            for i in 0..=passed {
                let (passing, others) = (i as f64, (drawn - i) as f64);
                below += (choices + passing * bound.ln() + others * (1.0 - bound).ln()).exp();
                choices += (others / (passing + 1.0)).ln();
            }
            assert!((below - 0.05).abs() < 1e-6, "{passed} of {drawn}: {below}");
        }
        near(5, 5, 1.0);
        assert_eq!(upper_bound(0, 0), None);
    }

    /// How many of all ways to draw `ran` of `there_are` find at most `passed` of `bad`, as a share: by counting.
    fn so_few(there_are: u32, bad: u32, passed: u32, ran: u32) -> f64 {
        let draws: Vec<u32> =
            (0..1_u32 << there_are).filter(|draw| draw.count_ones() == ran).collect();
        let bad = (1 << bad) - 1_u32;
        let few = draws.iter().filter(|draw| (*draw & bad).count_ones() <= passed);
        few.count() as f64 / draws.len() as f64
    }

    #[test]
    fn of_those_that_can_be_counted_every_draw_is_looked_at() {
        const ALL: u32 = 12;
        for (passed, ran) in [(0, 1), (0, 5), (1, 5), (2, 9), (0, 11), (5, 6), (0, 12), (3, 12)] {
            let bound = upper_bound_of(ALL as usize, passed as usize, ran as usize);
            let worst = (passed..=ALL - (ran - passed))
                .filter(|bad| so_few(ALL, *bad, passed, ran) > 0.05)
                .max();
            let worst = worst.expect("what was found is likely enough");
            assert_eq!(bound, Some(f64::from(worst) / f64::from(ALL)), "{passed} of {ran}");
        }
        assert_eq!(upper_bound_of(12, 0, 0), None);
    }

    #[test]
    fn where_all_ran_nothing_is_left_to_bound() {
        assert_eq!(upper_bound_of(1000, 7, 1000), Some(0.007));
        assert_eq!(upper_bound_of(301, 0, 300), Some(0.0), "the one left is one draw of 301");
    }

    #[test]
    fn a_part_of_many_is_bounded_nearly_as_a_draw_without_end() {
        let of_many = upper_bound_of(1_000_000, 0, 300).expect("some ran");
        let without_end = upper_bound(0, 300).expect("some were drawn");
        assert!((of_many - without_end).abs() < 1e-5, "{of_many}, not {without_end}");
    }
}
