//! The ANOVA method: two-way, random effects, with or without the interaction of appraiser by part.

use schemars::JsonSchema;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, FisherSnedecor};

use super::{
    crossed::Crossed,
    spread::{mean, squares},
    variation::Variation,
};
use crate::record::Limits;

/// The interaction is pooled with the repeatability when its p is above this. AIAG advises a high level, so that an
/// interaction is not taken for none too soon; 0.25 is what earlier releases of Minitab pooled above. At 0.05, that of
/// today's, fewer interactions would stay.
pub const POOLED_ABOVE: f64 = 0.25;

/// A study by analysis of variance.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Anova {
    /// Between units.
    pub part: Source,
    /// Between appraisers.
    pub appraiser: Source,
    /// Appraiser by part.
    pub interaction: Source,
    /// Within cells.
    pub repeatability: Source,
    /// Whether the interaction was pooled with the repeatability, as its p is above 0.25, or as the design has none.
    pub pooled: bool,
    /// What it comes to.
    pub variation: Variation,
}

/// A line of the table.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Source {
    /// Degrees of freedom.
    pub df: usize,
    /// Sum of squares.
    pub ss: f64,
    /// Mean square; none without a degree of freedom.
    pub ms: Option<f64>,
    /// Its mean square over the one below it in the model: the interaction's, or where that was pooled, the
    /// repeatability's.
    pub f: Option<f64>,
    /// How likely an F as large is by chance.
    pub p: Option<f64>,
}

impl Source {
    fn new(ss: f64, df: usize) -> Self {
        Self { df, ss, ms: (df > 0).then(|| ss / df as f64), f: None, p: None }
    }

    fn pooled_with(self, other: Self) -> Self {
        Self::new(self.ss + other.ss, self.df + other.df)
    }

    fn against(self, error: Self) -> Self {
        let f = self.ms.zip(error.ms).filter(|(_, error)| *error > 0.0).map(|(ms, e)| ms / e);
        let chance =
            |f: f64| Some(FisherSnedecor::new(self.df as f64, error.df as f64).ok()?.sf(f));
        Self { f, p: f.and_then(chance), ..self }
    }
}

impl Anova {
    /// With n parts, k appraisers and r trials, and the interaction in the model: EV² = MS(repeatability),
    /// INT² = (MS(interaction) − EV²)/r, AV² = (MS(appraiser) − MS(interaction))/nr,
    /// PV² = (MS(part) − MS(interaction))/kr. Where it is pooled, EV² is the pooled mean square and stands in its place.
    /// What comes out below 0 is 0. With one part or one appraiser it is a one-way analysis.
    pub fn of(crossed: &Crossed, limits: Limits) -> Self {
        let (n, k, r) = (crossed.parts().len(), crossed.appraisers().len(), crossed.trials());
        let all = crossed.all();
        let grand = mean(&all);
        let (part_means, appraiser_means) = (crossed.part_means(), crossed.appraiser_means());
        let part = squares(&part_means, grand) * (k * r) as f64;
        let appraiser = squares(&appraiser_means, grand) * (n * r) as f64;
        let within: f64 = crossed.cells().iter().map(|cell| squares(cell, mean(cell))).sum();
        let expected = part_means
            .iter()
            .flat_map(|part| appraiser_means.iter().map(move |appraiser| part + appraiser - grand));
        let beyond = crossed.cells().iter().zip(expected).map(|(cell, it)| mean(cell) - it);
        let rest = beyond.map(|beyond| beyond * beyond).sum::<f64>() * r as f64;

        let repeatability = Source::new(within, n * k * (r - 1));
        let interaction = Source::new(rest, (n - 1) * (k - 1)).against(repeatability);
        let pooled = match (interaction.ms, interaction.p) {
            (None, _) => true,
            (Some(_), Some(p)) => p > POOLED_ABOVE,
            // Nothing within the cells: what differs at all differs beyond it.
            (Some(ms), None) => ms == 0.0,
        };
        let error = if pooled { repeatability.pooled_with(interaction) } else { interaction };
        let ev2 = if pooled { error.ms } else { repeatability.ms }.unwrap_or(0.0);
        let below = error.ms.unwrap_or(0.0);
        let component = |source: Source, times: usize| {
            source.ms.map(|ms| ((ms - below) / times as f64).max(0.0).sqrt())
        };
        let (part, appraiser) = (Source::new(part, n - 1), Source::new(appraiser, k - 1));
        let of_interaction = interaction.ms.filter(|_| !pooled);
        let of_interaction = of_interaction.map(|ms| ((ms - ev2) / r as f64).max(0.0).sqrt());
        let components =
            (ev2.sqrt(), component(appraiser, n * r), of_interaction, component(part, k * r));
        Self {
            part: part.against(error),
            appraiser: appraiser.against(error),
            interaction,
            repeatability,
            pooled,
            variation: Variation::new(components, grand, limits),
        }
    }
}
