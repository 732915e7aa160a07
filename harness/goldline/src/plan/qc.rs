//! The steps that gather evidence: what every method has in common.
//!
//! Evidence is taken before the first boot, while the flash is as the bench left it, and once more
//! after the firmware ran.

use super::{Content, Moment, Region, Step, partition_region};
use crate::profile::Profile;

/// Size of the partition table with its MD5, as ESP-IDF reserves it.
const TABLE_SIZE: u32 = 0x1000;

/// Regions that no firmware may change.
pub(super) fn immutable_regions(profile: &Profile) -> Vec<Region> {
    let bootloader = profile.chip.bootloader_offset();
    let table = profile.flash.table_offset();
    let mut regions = vec![
        Region {
            name: "bootloader".to_owned(),
            offset: bootloader,
            capacity: table - bootloader,
            content: Content::Bootloader,
        },
        Region {
            name: "partition_table".to_owned(),
            offset: table,
            capacity: TABLE_SIZE,
            content: Content::PartitionTable,
        },
    ];
    let app = profile.flash.partition(&profile.images.app_partition);
    regions.extend(app.map(|partition| partition_region(partition, Content::App)));
    regions
}

/// The partition that carries the unit's own data.
pub(super) fn nvs_region(profile: &Profile) -> Region {
    let partition = profile
        .flash
        .partition(&profile.nvs.partition)
        .expect("a valid profile names an NVS partition of its own table");
    partition_region(partition, Content::Nvs)
}

/// Read-back before the first boot, and its judgement.
pub(super) fn evidence(profile: &Profile) -> Vec<Step> {
    vec![collect(profile, Moment::BeforeBoot), Step::Gate]
}

/// The unit runs, joins, connects and answers; then what it left in flash is read.
pub(super) fn trial(profile: &Profile) -> Vec<Step> {
    let mut steps = vec![Step::Boot, Step::AwaitJoin, Step::AwaitBroker];
    steps.extend(profile.mqtt.command.clone().map(Step::Command));
    steps.push(collect(profile, Moment::AfterBoot));
    steps
}

fn collect(profile: &Profile, moment: Moment) -> Step {
    Step::CollectEvidence { moment, digests: immutable_regions(profile), nvs: nvs_region(profile) }
}
