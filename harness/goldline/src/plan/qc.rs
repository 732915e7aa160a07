//! The steps that gather evidence: what every method has in common.
//!
//! Evidence is taken before the first boot, while the flash is as the bench left it, and once more
//! after the firmware ran.

use super::{
    Content, Dialogue, InstallersAlert, Moment, Purpose, Region, Scope, Step, partition_region,
};
use crate::profile::{Caller, CheckId, DialogueName, Method, NvsKeyScheme, Profile};

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
    if let Some(NvsKeyScheme::Partition { name }) =
        profile.nvs.encryption.as_ref().map(|encryption| &encryption.scheme)
    {
        let keys = profile.flash.partition(name);
        regions.extend(keys.map(|partition| partition_region(partition, Content::NvsKeys)));
    }
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

/// Read-back before the first boot, and its judgement.
pub(super) fn evidence(profile: &Profile) -> Vec<Step> {
    vec![collect(profile, Moment::BeforeBoot), Step::Gate]
}

/// What the firmware left in flash.
pub(super) fn after_boot(profile: &Profile) -> Step {
    collect(profile, Moment::AfterBoot)
}

/// The unit runs, joins, connects and answers; then what it left in flash is read.
pub(super) fn trial(profile: &Profile, scope: Scope) -> Vec<Step> {
    let checked =
        |id| profile.checks.iter().any(|check| check.id == id && scope.includes(id, profile));
    let caller = profile.ca.clone().filter(|ca| ca.called_by == Caller::Unit);
    let api = profile.provisioning_api.clone().filter(|_| profile.config_server.is_some());
    // The portal's method has read it already, to ask for credentials by it.
    let has_read_id = scope.provisions() && profile.method == Method::Portal;
    let reads_id = checked(CheckId::DeviceId) && !has_read_id;
    let mut steps = vec![Step::Boot(Purpose::Trial)];
    steps.extend(read_device_id(profile).filter(|_| reads_id));
    steps.push(Step::AwaitJoin);
    steps.extend(profile.time.is_some().then_some(Step::AwaitTime));
    steps.extend(api.map(|api| Step::AwaitConfiguration(Box::new(api))));
    steps.extend(caller.map(|ca| Step::AwaitCaCall(Box::new(ca))));
    steps.push(Step::AwaitBroker);
    steps.extend(profile.mqtt.command.clone().map(Step::Command));
    let console = profile.console.as_ref();
    let alert = profile.alert.clone().zip(console).map(|(alert, console)| {
        Step::Alert(Box::new(InstallersAlert { alert, line_end: console.line_end }))
    });
    let status = console.map(|console| Step::Dialogue(Dialogue::of(console, DialogueName::Status)));
    let update = profile.ota.clone().map(|ota| Step::Update(Box::new(ota)));
    for (id, step) in [
        (CheckId::TestAlert, alert),
        (CheckId::ConsoleStatus, status),
        (CheckId::ServerTrust, Some(Step::OfferStranger)),
        (CheckId::OtaUpdate, update),
    ] {
        steps.extend(step.filter(|_| checked(id)));
    }
    steps.push(after_boot(profile));
    steps
}

/// Where the profile says how the unit prints it.
pub(super) fn read_device_id(profile: &Profile) -> Option<Step> {
    let console = profile.console.as_ref()?;
    console.device_id.clone().map(Step::ReadDeviceId)
}

fn collect(profile: &Profile, moment: Moment) -> Step {
    Step::CollectEvidence { moment, digests: immutable_regions(profile), nvs: nvs_region(profile) }
}
