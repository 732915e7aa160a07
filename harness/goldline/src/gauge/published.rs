//! Published worked examples: what others came to with their data, this comes to.

use std::collections::BTreeMap;

use super::{Anova, Crossed, Rating, average_and_range};
use crate::record::Limits;

/// AIAG, *Measurement Systems Analysis*, 4th edition, figure III-B 15: appraisers A, B and C, each with three trials of ten
/// parts. Minitab ships it as `Gageaiag`.
const AIAG: [[[f64; 10]; 3]; 3] = [
    [
        [0.29, -0.56, 1.34, 0.47, -0.80, 0.02, 0.59, -0.31, 2.26, -1.36],
        [0.41, -0.68, 1.17, 0.50, -0.92, -0.11, 0.75, -0.20, 1.99, -1.25],
        [0.64, -0.58, 1.27, 0.64, -0.84, -0.21, 0.66, -0.17, 2.01, -1.31],
    ],
    [
        [0.08, -0.47, 1.19, 0.01, -0.56, -0.20, 0.47, -0.63, 1.80, -1.68],
        [0.25, -1.22, 0.94, 1.03, -1.20, 0.22, 0.55, 0.08, 2.12, -1.62],
        [0.07, -0.68, 1.34, 0.20, -1.28, 0.06, 0.83, -0.34, 2.19, -1.50],
    ],
    [
        [0.04, -1.38, 0.88, 0.14, -1.46, -0.29, 0.02, -0.46, 1.77, -1.49],
        [-0.11, -1.13, 1.09, 0.20, -1.07, -0.67, 0.01, -0.56, 1.45, -1.77],
        [-0.15, -0.96, 0.67, 0.11, -1.45, -0.49, 0.21, -0.49, 1.87, -2.16],
    ],
];

/// Gaskets, after ASQC/AIAG 1990, as SAS/QC has them in its guide to measurement systems analysis, example A.3: George,
/// Jane and Robert, each with two trials of ten parts.
const GASKETS: [[[f64; 10]; 2]; 3] = [
    [
        [0.65, 1.00, 0.85, 0.85, 0.55, 1.00, 0.95, 0.85, 1.00, 0.60],
        [0.60, 1.00, 0.80, 0.95, 0.45, 1.00, 0.95, 0.80, 1.00, 0.70],
    ],
    [
        [0.55, 1.05, 0.80, 0.80, 0.40, 1.00, 0.95, 0.75, 1.00, 0.55],
        [0.55, 0.95, 0.75, 0.75, 0.40, 1.05, 0.90, 0.70, 0.95, 0.50],
    ],
    [
        [0.50, 1.05, 0.80, 0.80, 0.45, 1.00, 0.95, 0.80, 1.05, 0.85],
        [0.55, 1.00, 0.80, 0.80, 0.50, 1.05, 0.95, 0.80, 1.05, 0.80],
    ],
];

/// The example of the R package gageRR: two operators, each with two trials of two parts.
const TWO_BY_TWO: [[[f64; 2]; 2]; 2] =
    [[[0.0172, 0.0155], [0.0177, 0.0159]], [[0.0174, 0.0152], [0.0181, 0.0176]]];

fn crossed<const PARTS: usize, const TRIALS: usize>(data: &[[[f64; PARTS]; TRIALS]]) -> Crossed {
    let mut cells = BTreeMap::<_, Vec<f64>>::new();
    for (appraiser, trials) in data.iter().enumerate() {
        for trial in trials {
            for (part, value) in trial.iter().enumerate() {
                let cell = (format!("part {part:02}"), format!("appraiser {appraiser}"));
                cells.entry(cell).or_default().push(*value);
            }
        }
    }
    Crossed::of(&cells, "appraisers").expect("a published design is crossed")
}

#[track_caller]
fn assert_near(what: &str, found: Option<f64>, published: f64, within: f64) {
    let found = found.unwrap_or(f64::NAN);
    assert!((found - published).abs() <= within, "{what}: {found}, published {published}");
}

const NO_LIMITS: Limits = Limits { lower: None, upper: None };

/// The manual's completed report. It is filled in by hand: means and factors are rounded to four digits.
#[test]
fn average_and_range_of_aiag() {
    let found = average_and_range(&crossed(&AIAG), NO_LIMITS).expect("in the tables");
    assert_near("EV", Some(found.ev), 0.201_88, 1e-4);
    assert_near("AV", found.av, 0.229_63, 1e-4);
    assert_near("GRR", Some(found.grr), 0.305_75, 1e-4);
    assert_near("PV", found.pv, 1.104_56, 2e-4);
    assert_near("TV", found.tv, 1.146_10, 2e-4);
    assert_near("%GRR", found.grr_of_tv_percent, 26.68, 1e-2);
    assert_eq!((found.ndc, found.rating_of_tv), (Some(5), Some(Rating::Conditional)));
}

/// The manual's ANOVA of the same data: the interaction is pooled. p is Minitab's of the same data, and the share of a
/// tolerance of 8 from its example.
#[test]
fn anova_of_aiag() {
    let limits = Limits { lower: Some(-4.0), upper: Some(4.0) };
    let found = Anova::of(&crossed(&AIAG), limits);
    let lines = [found.part, found.appraiser, found.interaction, found.repeatability];
    assert_eq!(lines.map(|line| line.df), [9, 2, 18, 60]);
    for (line, published) in lines.iter().zip([88.3619, 3.1673, 0.3590, 2.7589]) {
        assert_near("sum of squares", Some(line.ss), published, 5e-5);
    }
    assert_near("F of the interaction", found.interaction.f, 0.434, 5e-4);
    assert_near("p of the interaction", found.interaction.p, 0.974, 5e-4);
    assert!(found.pooled);
    let variation = found.variation;
    assert_near("EV", Some(variation.ev), 0.199_933, 1e-6);
    assert_near("AV", variation.av, 0.226_838, 1e-6);
    assert_eq!(variation.interaction, None);
    assert_near("GRR", Some(variation.grr), 0.302_373, 2e-6);
    assert_near("PV", variation.pv, 1.042_327, 1e-6);
    assert_near("TV", variation.tv, 1.085, 5e-4);
    assert_near("%GRR", variation.grr_of_tv_percent, 27.86, 5e-3);
    assert_near("%tolerance", variation.grr_of_tolerance_percent, 22.68, 5e-3);
    assert_eq!(variation.ndc, Some(4));
}

/// The interaction is significant and stays. Sums of squares and p were computed apart, with numpy and scipy.
#[test]
fn anova_of_gaskets_keeps_the_interaction() {
    let found = Anova::of(&crossed(&GASKETS), NO_LIMITS);
    let lines = [found.part, found.appraiser, found.interaction, found.repeatability];
    assert_eq!(lines.map(|line| line.df), [9, 2, 18, 30]);
    for (line, apart) in lines.iter().zip([2.058_708, 0.048, 0.103_667, 0.038_75]) {
        assert_near("sum of squares", Some(line.ss), apart, 1e-6);
    }
    assert_near("p of the interaction", found.interaction.p, 0.000_156, 1e-6);
    assert_near("F of the appraisers", found.appraiser.f, 4.167_2, 1e-4);
    assert!(!found.pooled);
    let variation = found.variation;
    assert_near("EV", Some(variation.ev), 0.035_940, 1e-6);
    assert_near("AV", variation.av, 0.030_200, 1e-6);
    assert_near("INT", variation.interaction, 0.047_263, 1e-6);
    assert_near("GRR", Some(variation.grr), 0.066_615, 1e-6);
    assert_near("PV", variation.pv, 0.192_781, 1e-6);
    assert_near("%GRR", variation.grr_of_tv_percent, 32.66, 5e-3);
    assert_eq!((variation.ndc, variation.rating_of_tv), (Some(4), Some(Rating::NotAcceptable)));
}

/// The package does not pool; its sums of squares are the same.
#[test]
fn sums_of_squares_of_gage_rr() {
    let found = Anova::of(&crossed(&TWO_BY_TWO), NO_LIMITS);
    let lines = [found.part, found.appraiser, found.interaction, found.repeatability];
    for (line, published) in lines.iter().zip([4.805e-6, 5e-7, 8e-8, 3.33e-6]) {
        assert_near("sum of squares", Some(line.ss), published, 1e-12);
    }
    assert_near("repeatability", found.repeatability.ms, 8.325e-7, 1e-12);
}

/// The sums of squares add up, and neither unit nor zero of the scale matters.
#[test]
fn a_study_does_not_depend_on_its_scale() {
    let shifted = AIAG.map(|trials| trials.map(|parts| parts.map(|value| 1000.0 + 10.0 * value)));
    let (plain, shifted) =
        (Anova::of(&crossed(&AIAG), NO_LIMITS), Anova::of(&crossed(&shifted), NO_LIMITS));
    let lines = [plain.part, plain.appraiser, plain.interaction, plain.repeatability];
    assert_near("total", Some(lines.iter().map(|line| line.ss).sum()), 94.647_112_2, 1e-6);
    let ten_times = shifted.variation.grr / plain.variation.grr;
    assert_near("GRR", Some(ten_times), 10.0, 1e-9);
    assert_near("p", shifted.interaction.p, plain.interaction.p.expect("a p"), 1e-9);
    assert_eq!(shifted.variation.ndc, plain.variation.ndc);
}

/// One appraiser: what a test without any is studied with.
#[test]
fn one_appraiser_is_a_one_way_analysis() {
    let found = Anova::of(&crossed(&AIAG[..1]), NO_LIMITS);
    assert_eq!((found.appraiser.df, found.interaction.df, found.repeatability.df), (0, 0, 20));
    assert_eq!((found.variation.av, found.variation.interaction), (None, None));
    assert!(found.pooled && found.variation.pv.is_some());
    assert_eq!(found.variation.grr, found.variation.ev);
    let by_range = average_and_range(&crossed(&AIAG[..1]), NO_LIMITS).expect("in the tables");
    assert_eq!(by_range.av, None);
    assert_near("EV of both methods", Some(by_range.ev), found.variation.ev, 0.02);
}

/// One unit that goes through all nests.
#[test]
fn one_part_has_no_part_variation() {
    let gaskets = GASKETS.map(|trials| trials.map(|parts| [parts[0]]));
    let found = Anova::of(&crossed(&gaskets), NO_LIMITS);
    assert_eq!((found.part.df, found.interaction.df, found.repeatability.df), (0, 0, 3));
    assert_eq!((found.variation.pv, found.variation.tv, found.variation.ndc), (None, None, None));
    assert!(found.variation.av.is_some());
}

/// Nothing differs within a cell, but between appraisers in one part only.
#[test]
fn an_interaction_without_any_spread_is_kept() {
    let data = [[[1.0, 5.0]; 2], [[1.0, 6.0]; 2]];
    let found = Anova::of(&crossed(&data), NO_LIMITS);
    assert_eq!((found.repeatability.ss, found.interaction.p, found.pooled), (0.0, None, false));
    assert!(found.variation.interaction.is_some_and(|interaction| interaction > 0.0));
}
