//! The device id in the serial log against the one of the unit's MAC.
//!
//! One shipped firmware drops the leading zero of each byte; that is said by its name.

use super::{Finding, Observations};
use crate::record::{Code, Measurement};

pub(super) fn judge(seen: &Observations) -> Finding {
    let Some(id) = &seen.device_id else { return Finding::not_run() };
    let mut finding = Finding::ran();
    match id.found.as_deref() {
        None => finding.fail_for_absence(
            Code::DeviceIdMissing,
            format!("the unit printed no device id in {} ms", id.waited_ms),
            seen,
        ),
        Some(found) if found == id.expected => {}
        Some(found) if found == id.dropped_zeros => finding.fail(
            Code::DeviceIdDiffers,
            format!(
                "the unit calls itself {found}, expected is {}: its firmware drops the leading zero of each byte of the MAC",
                id.expected
            ),
        ),
        Some(found) => finding.fail(
            Code::DeviceIdDiffers,
            format!("the unit calls itself {found}, expected is {}", id.expected),
        ),
    }
    finding.measure(
        Code::DeviceIdDiffers,
        [Measurement::word("device_id", id.found.as_deref(), &id.expected)],
    );
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::DeviceIdObservation, record::Outcome};

    #[test]
    fn an_id_that_may_have_been_lost_is_not_missing() {
        let mut seen = Observations {
            device_id: Some(DeviceIdObservation::default()),
            ..Observations::default()
        };
        let blame = |seen: &Observations| {
            judge(seen).blame.map(|(outcome, diagnosis)| (outcome, diagnosis.code))
        };
        assert_eq!(blame(&seen), Some((Outcome::Fail, Code::DeviceIdMissing)));
        seen.lines_lost = 1;
        assert_eq!(blame(&seen), Some((Outcome::Error, Code::ConsoleFull)));
    }
}
