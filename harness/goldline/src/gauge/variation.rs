//! What a study of either method comes to.

use schemars::JsonSchema;
use serde::Serialize;

use super::spread::percent_of_tolerance;
use crate::record::Limits;

/// Standard deviations of a study, in the measurement's unit, and what they are of the whole.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Variation {
    /// Equipment variation: repeatability.
    pub ev: f64,
    /// Appraiser variation: reproducibility; none of one appraiser.
    pub av: Option<f64>,
    /// Variation of appraiser by part; none where it was pooled, and where the method does not know it.
    pub interaction: Option<f64>,
    /// √(EV² + AV² + INT²).
    pub grr: f64,
    /// Part variation; none of one unit.
    pub pv: Option<f64>,
    /// Total variation: √(GRR² + PV²).
    pub tv: Option<f64>,
    /// 100 · GRR / TV.
    pub grr_of_tv_percent: Option<f64>,
    /// The word for it.
    pub rating_of_tv: Option<Rating>,
    /// 100 · 6 GRR / (upper − lower), or 100 · 3 GRR / |limit − mean| of one limit.
    pub grr_of_tolerance_percent: Option<f64>,
    /// The word for it.
    pub rating_of_tolerance: Option<Rating>,
    /// Number of distinct categories: 1.41 · PV / GRR, without its fraction; 5 or more are asked for.
    pub ndc: Option<u32>,
}

impl Variation {
    /// From its parts; `mean` and `limits` are the measurement's.
    pub(super) fn new(
        (ev, av, interaction, pv): (f64, Option<f64>, Option<f64>, Option<f64>),
        mean: f64,
        limits: Limits,
    ) -> Self {
        let grr = ev.hypot(av.unwrap_or(0.0)).hypot(interaction.unwrap_or(0.0));
        let tv = pv.map(|pv| grr.hypot(pv));
        let grr_of_tv_percent = tv.filter(|&tv| tv > 0.0).map(|tv| 100.0 * grr / tv);
        let grr_of_tolerance_percent = percent_of_tolerance(grr, mean, limits);
        let ndc = pv.filter(|_| grr > 0.0).map(|pv| (1.41 * pv / grr) as u32);
        Self {
            ev,
            av,
            interaction,
            grr,
            pv,
            tv,
            grr_of_tv_percent,
            rating_of_tv: grr_of_tv_percent.map(Rating::of),
            grr_of_tolerance_percent,
            rating_of_tolerance: grr_of_tolerance_percent.map(Rating::of),
            ndc,
        }
    }
}

/// AIAG's words for a percentage of GRR.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rating {
    /// Under 10 %.
    Acceptable,
    /// From 10 to 30 %: it depends on what the measurement is for, and on what a better one costs.
    Conditional,
    /// Over 30 %.
    NotAcceptable,
}

impl Rating {
    /// Of a percentage.
    pub fn of(percent: f64) -> Self {
        match percent {
            _ if percent < 10.0 => Self::Acceptable,
            _ if percent <= 30.0 => Self::Conditional,
            _ => Self::NotAcceptable,
        }
    }

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acceptable => "acceptable",
            Self::Conditional => "conditional",
            Self::NotAcceptable => "not acceptable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_and_thirty_percent_are_conditional() {
        let words = [0.0, 9.99, 10.0, 30.0, 30.01].map(|percent| Rating::of(percent).as_str());
        let expected = ["acceptable", "acceptable", "conditional", "conditional", "not acceptable"];
        assert_eq!(words, expected);
    }

    #[test]
    fn without_units_to_compare_there_is_no_total() {
        let limits = Limits { lower: Some(0.0), upper: Some(100.0) };
        let one_unit = Variation::new((3.0, Some(4.0), None, None), 50.0, limits);
        assert_eq!((one_unit.grr, one_unit.tv, one_unit.ndc), (5.0, None, None));
        assert_eq!(one_unit.grr_of_tolerance_percent, Some(30.0));
        assert_eq!(one_unit.rating_of_tolerance, Some(Rating::Conditional));
    }
}
