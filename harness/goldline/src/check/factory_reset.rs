//! A factory reset leaves no credential in the flash, erased NVS entries included.

use super::{Finding, Observations};
use crate::record::{Code, Limits, Measurement};

pub(super) fn judge(seen: &Observations) -> Finding {
    let Some(leftovers) = &seen.leftovers else { return Finding::not_run() };
    let mut finding = Finding::ran();
    if !leftovers.found.is_empty() {
        finding.fail(
            Code::FactoryResetLeftover,
            format!(
                "after the factory reset, the flash still holds {}",
                leftovers.found.join(", ")
            ),
        );
    }
    let nothing = Limits { lower: None, upper: Some(0.0) };
    let something = Limits { lower: Some(1.0), upper: None };
    finding.measure(
        Code::FactoryResetLeftover,
        [
            Measurement::number("leftovers", Some(leftovers.found.len() as f64), "", nothing),
            Measurement::number("searched", Some(leftovers.searched as f64), "bytes", something),
        ],
    );
    finding
}
