//! The average and range method, as on AIAG's form.

use super::{
    crossed::Crossed,
    range_factors::k,
    spread::{mean, range},
    variation::Variation,
};
use crate::record::Limits;

/// With n parts and r trials: EV = R̄·K₁, AV = √((X̄diff·K₂)² − EV²/nr), PV = Rp·K₃, where R̄ is the mean range of the
/// cells, X̄diff the range of the appraisers' means, and Rp that of the parts' means. Below the root, what is less than 0
/// is 0. It knows no interaction. `None` where the table of factors ends: more than 20 trials, appraisers or parts.
pub fn average_and_range(crossed: &Crossed, limits: Limits) -> Option<Variation> {
    let (n, r) = (crossed.parts().len(), crossed.trials());
    let ranges: Vec<f64> = crossed.cells().iter().map(|cell| range(cell)).collect();
    let ev = mean(&ranges) * k(r, ranges.len())?;
    let av = match crossed.appraiser_means().as_slice() {
        [_] => None,
        means => {
            let spread = range(means) * k(means.len(), 1)?;
            Some((spread.powi(2) - ev.powi(2) / (n * r) as f64).max(0.0).sqrt())
        }
    };
    let pv = match crossed.part_means().as_slice() {
        [_] => None,
        means => Some(range(means) * k(means.len(), 1)?),
    };
    Some(Variation::new((ev, av, None, pv), mean(&crossed.all()), limits))
}
