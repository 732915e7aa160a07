//! The device id in the serial log against the one of the unit's MAC.
//!
//! One shipped firmware drops the leading zero of each byte; that is said by its name.

use super::{Finding, Observations};
use crate::record::{Code, Measurement};

pub(super) fn judge(seen: &Observations) -> Finding {
    let Some(id) = &seen.device_id else { return Finding::not_run() };
    let mut finding = Finding::ran();
    match id.found.as_deref() {
        None => finding.fail(
            Code::DeviceIdMissing,
            format!("the unit printed no device id in {} ms", id.waited_ms),
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
