//! The regions of the flash that a plan writes.

use super::{Content, Region, partition_region};
use crate::profile::{NvsKeyScheme, Profile};

/// Size of the partition table with its MD5, as ESP-IDF reserves it.
const TABLE_SIZE: u32 = 0x1000;

/// Regions that are the same for every unit: no firmware may change them, but for the data of a build's own,
/// which is the firmware's once it ran.
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
    if let Some(NvsKeyScheme::Partition { name }) =
        profile.nvs.encryption.as_ref().map(|encryption| &encryption.scheme)
    {
        let keys = profile.flash.partition(name);
        regions.extend(keys.map(|partition| partition_region(partition, Content::NvsKeys)));
    }
    let others = profile.images.others.iter().enumerate();
    regions.extend(others.filter_map(|(index, other)| {
        let partition = profile.flash.partition(&other.partition)?;
        Some(partition_region(partition, Content::Other(index)))
    }));
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

/// Where the firmware that writes the unit's values lies for a while: in the application's place.
pub(super) fn factory_region(profile: &Profile) -> Region {
    let app = profile
        .flash
        .partition(&profile.images.app_partition)
        .expect("a valid profile names an app partition of its own table");
    partition_region(app, Content::FactoryApp)
}
