//! A signal that was heard several times: its median, how many times that was, and how far apart they were.
//!
//! One sample of a signal is off by several dB. What the way between unit and antenna loses in a nest is added, so that
//! units of all nests are judged by the same limits.

use super::{Finding, NestPath, Observations, limits};
use crate::{
    profile::CheckSpec,
    record::{Code, Measurement},
};

/// A signal, by the names of its measurements.
pub(super) struct Signal {
    /// dBm.
    pub(super) name: &'static str,
    /// How many.
    pub(super) samples: &'static str,
    /// From the weakest to the strongest, dB.
    pub(super) spread: &'static str,
}

/// What the unit's radio hears of the access point, by its log.
pub(super) const OF_UNIT: Signal =
    Signal { name: "rssi", samples: "rssi_samples", spread: "rssi_spread" };
/// What the access point hears of the unit.
pub(super) const OF_ACCESS_POINT: Signal =
    Signal { name: "ap_rssi", samples: "ap_rssi_samples", spread: "ap_rssi_spread" };

impl Signal {
    /// Whether it is one of this signal's measurements.
    pub(super) fn has(&self, measurement: &str) -> bool {
        [self.name, self.samples, self.spread].contains(&measurement)
    }

    /// Whether any of them is limited.
    pub(super) fn is_limited(&self, spec: &CheckSpec) -> bool {
        spec.limits.keys().any(|name| self.has(name))
    }

    /// Measures what was heard, in dBm; what was not is missed only where somebody asks for it.
    pub(super) fn measure(
        &self,
        spec: &CheckSpec,
        heard_dbm: &[i8],
        path: Option<&NestPath>,
        finding: &mut Finding,
    ) {
        if heard_dbm.is_empty() && !self.is_limited(spec) {
            return;
        }
        let loss_db = path.map_or(0.0, |path| path.loss_db);
        let median = median(heard_dbm).map(|median| median + loss_db);
        let signal = Measurement::number(self.name, median, "dBm", limits(spec, self.name));
        finding.measure(Code::WifiOutOfLimits, [signal]);
        let extremes = heard_dbm.iter().min().zip(heard_dbm.iter().max());
        let Some((&weakest, &strongest)) = extremes else { return };
        let asked_for =
            [self.samples, self.spread].iter().any(|name| spec.limits.contains_key(*name));
        if heard_dbm.len() > 1 || asked_for {
            let samples = heard_dbm.len() as f64;
            let spread = f64::from(strongest) - f64::from(weakest);
            finding.measure(
                Code::WifiOutOfLimits,
                [
                    Measurement::number(
                        self.samples,
                        Some(samples),
                        "",
                        limits(spec, self.samples),
                    ),
                    Measurement::number(self.spread, Some(spread), "dB", limits(spec, self.spread)),
                ],
            );
        }
    }
}

/// What is added to every signal of a unit in this nest, for people.
pub(super) fn note_path(seen: &Observations, finding: &mut Finding) {
    if let Some(NestPath { nest, loss_db, calibration }) = &seen.path {
        finding.evidence.push(format!(
            "the path loss of the nest {nest}, {loss_db} dB ({calibration}), is added to each signal"
        ));
    }
}

fn median(heard: &[i8]) -> Option<f64> {
    let mut sorted: Vec<f64> = heard.iter().copied().map(f64::from).collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[], None)]
    #[case(&[-60], Some(-60.0))]
    #[case(&[-60, -90, -61], Some(-61.0))]
    #[case(&[-60, -63], Some(-61.5))]
    #[case(&[-128, 127, -60, -62], Some(-61.0))]
    fn one_sample_far_off_moves_no_median(#[case] heard: &[i8], #[case] expected: Option<f64>) {
        assert_eq!(median(heard), expected);
    }
}
