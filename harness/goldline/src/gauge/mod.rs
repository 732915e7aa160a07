//! How good a test measures: what the same units came to, run after run, and how far their values lie apart.
//!
//! Arithmetic only: records in, a [`Study`] out. Must not know where the records come from, nor who reads it.
//!
//! The terms and formulas are those of AIAG, *Measurement Systems Analysis*, 4th edition (2010): EV (equipment
//! variation: repeatability), AV (appraiser variation: reproducibility), GRR, PV (part variation), TV (total variation)
//! and ndc. All of them are standard deviations, in the measurement's unit. A part is a unit under test; an appraiser is
//! a nest of the jig, or an operator.
//!
//! | files | what they hold |
//! | --- | --- |
//! | `trial` → `study` | runs, and what is said of them together |
//! | `agreement` | whether a unit came to one verdict |
//! | `spread` | mean, standard deviation, range; Cg, and a spread's share of the tolerance |
//! | `crossed` | the values of a design in which every appraiser measured every unit equally often |
//! | `anova`, `average_range`, `range_factors` | the two methods |
//! | `variation` | what both come to: GRR, TV, percents, ndc, and the word for it |

mod agreement;
mod anova;
mod average_range;
mod crossed;
mod range_factors;
mod spread;
mod study;
mod trial;
mod variation;

pub use agreement::UnitVerdicts;
pub use anova::{Anova, POOLED_ABOVE, Source};
pub use average_range::average_and_range;
pub use crossed::{Crossed, NotCrossed};
pub use spread::{Spread, cg, percent_of_tolerance};
pub use study::{Cell, GaugeStudy, Kind, MeasurementStudy, SCHEMA, Study};
pub use trial::{Appraisers, LeftOut, Trial};
pub use variation::{Rating, Variation};

#[cfg(test)]
mod published;
