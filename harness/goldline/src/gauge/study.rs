//! What runs say together.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    agreement::UnitVerdicts,
    anova::Anova,
    average_range::average_and_range,
    crossed::Crossed,
    spread::{Spread, cg, percent_of_tolerance},
    trial::{Appraisers, LeftOut, Measured, Trial},
    variation::Variation,
};
use crate::record::{Limits, Record};

/// The version of the form; raised when a reader of an older study would misread a new one.
pub const SCHEMA: u32 = 1;

/// Runs of units, and what they tell of the test.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Study {
    /// [`SCHEMA`] at the time of writing.
    pub schema: u32,
    /// Version of Goldline.
    pub goldline: String,
    /// Name of the profile.
    pub profile: String,
    /// What takes the appraiser's part.
    pub appraisers: Appraisers,
    /// How many runs count.
    pub runs: usize,
    /// Those that do not, by the reason.
    pub left_out: BTreeMap<String, usize>,
    /// Whether every unit came to the same verdict each time.
    pub agrees: bool,
    /// What each unit came to; those that disagree first.
    pub units: Vec<UnitVerdicts>,
    /// What was measured.
    pub measurements: Vec<MeasurementStudy>,
}

/// One measurement of all runs.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct MeasurementStudy {
    /// The check, such as `wifi_join`.
    pub check: String,
    /// What was measured, such as `rssi`.
    pub name: String,
    /// Its unit, such as `dBm`; empty for a count or a word.
    pub unit: String,
    /// Smallest good value.
    pub lower: Option<f64>,
    /// Largest good value.
    pub upper: Option<f64>,
    /// What sort of values these are: only those of a scale have a spread to speak of.
    pub kind: Kind,
    /// What was said instead of a number, and how often; empty for numbers.
    pub words: BTreeMap<String, usize>,
    /// The units whose values differ from run to run, where they are counts or words and should not.
    pub unsteady: Vec<String>,
    /// Each unit by each appraiser; empty for words.
    pub cells: Vec<Cell>,
    /// Repeatability of all cells together: their pooled standard deviation.
    pub repeatability: Option<f64>,
    /// Gauge R&R of the crossed design, where there is one.
    pub gauge: Option<GaugeStudy>,
    /// Why there is none.
    pub no_gauge: Option<String>,
}

/// What sort of values a measurement has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Numbers of a scale, which differ from run to run.
    Variable,
    /// Numbers of a scale, every unit's the same each time: finer than that nobody can say.
    WithoutSpread,
    /// Whole numbers without a unit: they are counted, and either right or wrong.
    Count,
    /// Words, `true` and `false`.
    Word,
}

/// The values of one unit by one appraiser.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Cell {
    /// Base MAC of the unit.
    pub part: String,
    /// The nest that it lay in, or who ran it.
    pub appraiser: String,
    /// The values, in the measurement's unit.
    #[serde(flatten)]
    pub spread: Spread,
    /// Potential: 0.2 · tolerance / 6s, where there are two limits.
    pub cg: Option<f64>,
    /// The precision-to-tolerance ratio: 6s in percent of the tolerance, or 3s of its half where there is one limit.
    pub p_t_percent: Option<f64>,
}

/// Gauge R&R by both methods.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct GaugeStudy {
    /// The units that every appraiser measured at least twice.
    pub parts: Vec<String>,
    /// Nests or operators.
    pub appraisers: Vec<String>,
    /// How often each measured each.
    pub trials: usize,
    /// By analysis of variance: what counts.
    pub anova: Anova,
    /// By averages and ranges; none where the tables of that method end.
    pub average_range: Option<Variation>,
}

impl Study {
    /// Of the runs of one profile, the oldest first. With a digest, those count that the profile had this text in.
    pub fn of(
        profile: &str,
        digest: Option<&str>,
        records: &[Record],
        appraisers: Appraisers,
    ) -> Self {
        let (mut trials, mut left_out) = (Vec::new(), BTreeMap::new());
        for record in records {
            let text = record.provenance.profile_digest.as_deref();
            let trial = match digest {
                Some(_) if digest != text => Err(LeftOut::OtherProfile),
                _ => Trial::of(record, appraisers),
            };
            match trial {
                Ok(trial) => trials.push(trial),
                Err(why) => *left_out.entry(why.to_string()).or_default() += 1,
            }
        }
        let units = UnitVerdicts::of(&trials);
        Self {
            schema: SCHEMA,
            goldline: env!("CARGO_PKG_VERSION").to_owned(),
            profile: profile.to_owned(),
            appraisers,
            runs: trials.len(),
            left_out,
            agrees: units.iter().all(|unit| unit.agrees),
            units,
            measurements: measurements(&trials, appraisers),
        }
    }

    /// Whether any unit has two runs: without, nothing was repeated.
    pub fn repeats(&self) -> bool {
        self.units.iter().any(|unit| unit.came_to.values().sum::<usize>() > 1)
    }

    /// The largest share of a tolerance that a measurement takes, in percent, and which; `None` where none is known.
    pub fn worst(&self) -> Option<(&MeasurementStudy, f64)> {
        let known = |study| Some((study, MeasurementStudy::percent_of_tolerance(study)?));
        self.measurements.iter().filter_map(known).max_by(|(_, a), (_, b)| a.total_cmp(b))
    }
}

/// In the order of the checks' names.
fn measurements(trials: &[Trial], appraisers: Appraisers) -> Vec<MeasurementStudy> {
    let mut names: Vec<&(String, String)> =
        trials.iter().flat_map(|trial| trial.measured.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter_map(|name| MeasurementStudy::of(name, trials, appraisers)).collect()
}

impl MeasurementStudy {
    /// `None` of what was never set.
    fn of(name: &(String, String), trials: &[Trial], appraisers: Appraisers) -> Option<Self> {
        let set = trials.iter().filter_map(|trial| {
            let measured = trial.measured.get(name)?;
            (!measured.value.is_null()).then_some((trial, measured))
        });
        let set: Vec<_> = set.collect();
        // Of the newest run: a check's limits do not change within a text of a profile.
        let (_, newest) = set.last()?;
        let Limits { lower, upper } = newest.limits;
        let mut study = Self {
            check: name.0.clone(),
            name: name.1.clone(),
            unit: newest.unit.clone(),
            lower,
            upper,
            kind: Kind::Word,
            words: BTreeMap::new(),
            unsteady: Vec::new(),
            cells: Vec::new(),
            repeatability: None,
            gauge: None,
            no_gauge: None,
        };
        let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
        for (trial, measured) in &set {
            match measured.value.as_f64() {
                Some(value) => {
                    let cell = (trial.unit.clone(), trial.appraiser.clone());
                    values.entry(cell).or_default().push(value);
                }
                None => *study.words.entry(word(&measured.value)).or_default() += 1,
            }
        }
        study.take(&values, appraisers);
        if matches!(study.kind, Kind::Count | Kind::Word) {
            study.unsteady = unsteady(&set);
        }
        Some(study)
    }

    fn take(&mut self, values: &BTreeMap<(String, String), Vec<f64>>, appraisers: Appraisers) {
        if values.is_empty() {
            return;
        }
        self.cells = values.iter().filter_map(|(cell, values)| self.cell(cell, values)).collect();
        let spreads: Vec<Spread> = self.cells.iter().map(|cell| cell.spread).collect();
        self.repeatability = Spread::pooled(&spreads);
        let counts = self.unit.is_empty() && values.values().flatten().all(|v| v.fract() == 0.0);
        self.kind = match self.repeatability {
            _ if counts => Kind::Count,
            Some(ev) if ev > 0.0 => Kind::Variable,
            _ => Kind::WithoutSpread,
        };
        if self.kind != Kind::Variable {
            return;
        }
        match Crossed::of(values, appraisers.word()) {
            Ok(crossed) => self.gauge = Some(GaugeStudy::of(&crossed, self.limits())),
            Err(why) => self.no_gauge = Some(why.to_string()),
        }
    }

    fn cell(&self, (part, appraiser): &(String, String), values: &[f64]) -> Option<Cell> {
        let spread = Spread::of(values)?;
        let of_tolerance = |s| percent_of_tolerance(s, spread.mean, self.limits());
        Some(Cell {
            part: part.clone(),
            appraiser: appraiser.clone(),
            spread,
            cg: spread.s.and_then(|s| cg(s, self.limits())),
            p_t_percent: spread.s.and_then(of_tolerance),
        })
    }

    /// What a good value is.
    pub fn limits(&self) -> Limits {
        Limits { lower: self.lower, upper: self.upper }
    }

    /// What of the tolerance its GRR takes; where nothing is crossed, the repeatability of the worst cell, which is part of
    /// it. `None` without limits, and of what has no scale.
    pub fn percent_of_tolerance(&self) -> Option<f64> {
        match (&self.gauge, self.kind) {
            (Some(gauge), _) => gauge.anova.variation.grr_of_tolerance_percent,
            (None, Kind::Variable | Kind::WithoutSpread) => {
                self.cells.iter().filter_map(|cell| cell.p_t_percent).max_by(f64::total_cmp)
            }
            (None, Kind::Count | Kind::Word) => None,
        }
    }
}

impl GaugeStudy {
    fn of(crossed: &Crossed, limits: Limits) -> Self {
        Self {
            parts: crossed.parts().to_vec(),
            appraisers: crossed.appraisers().to_vec(),
            trials: crossed.trials(),
            anova: Anova::of(crossed, limits),
            average_range: average_and_range(crossed, limits),
        }
    }
}

fn unsteady(set: &[(&Trial, &Measured)]) -> Vec<String> {
    let mut values: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
    for (trial, measured) in set {
        values.entry(&trial.unit).or_default().insert(word(&measured.value));
    }
    let several = values.into_iter().filter(|(_, values)| values.len() > 1);
    several.map(|(unit, _)| unit.clone()).collect()
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
