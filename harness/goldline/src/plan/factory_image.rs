//! Provisioning by a factory NVS image: everything is flashed, the unit's own data last.

use super::{
    Step,
    qc::{immutable_regions, nvs_region},
};
use crate::profile::Profile;

/// Erase, then bootloader, partition table, application, and the unit's NVS image.
pub(super) fn steps(profile: &Profile) -> Vec<Step> {
    let mut steps = vec![Step::Erase];
    steps.extend(immutable_regions(profile).into_iter().map(Step::Write));
    steps.push(Step::Write(nvs_region(profile)));
    steps
}
