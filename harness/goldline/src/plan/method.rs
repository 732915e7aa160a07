//! The steps of each provisioning method: pure functions from a profile to what is done.
//!
//! A method has two halves. What comes before the evidence is flashed with the unit at rest; what comes
//! after it happens while the unit runs. Must not know how a step is done.

use super::{
    Content, Dialogue, Purpose, Region, Scope, Step, finish, qc,
    regions::{factory_region, immutable_regions, nvs_region},
};
use crate::profile::{Caller, CheckId, ConsoleSpec, DialogueName, Method, Part, Profile};

/// Everything that is done within a scope, in order.
pub(super) fn steps(profile: &Profile, scope: Scope) -> Vec<Step> {
    let mut steps = vec![Step::Identify];
    match scope {
        Scope::Run => {
            steps.extend(provisioning(profile, scope));
            steps.extend(qc::trial(profile, scope));
            if profile.is_tested_then_finished() {
                steps.extend(finish::steps(profile, scope));
                steps.extend(record_in_registry(profile));
            }
        }
        Scope::Provision => {
            steps.extend(provisioning(profile, scope));
            if !profile.method.flashes_nvs() {
                steps.push(qc::after_boot(profile, scope));
            }
            steps.extend(profile.is_tested_then_finished().then_some(Step::Hold));
        }
        Scope::Check if profile.is_tested_then_finished() => {
            steps.extend(qc::evidence(profile, scope));
            steps.push(Step::Hold);
        }
        Scope::Check => {
            steps.extend(qc::evidence(profile, scope));
            steps.extend(qc::trial(profile, scope));
        }
        Scope::Reprovision(part) => {
            steps.extend(reprovisioning(profile, part));
            steps.extend(qc::trial(profile, scope));
        }
        Scope::FactoryReset => steps.extend(factory_reset(profile)),
    }
    steps
}

fn record_in_registry(profile: &Profile) -> Option<Step> {
    profile.registry.clone().map(|registry| Step::RecordInRegistry(Box::new(registry)))
}

fn request_credentials(profile: &Profile) -> Option<Step> {
    profile.provisioning_api.clone().map(|api| Step::RequestCredentials(Box::new(api)))
}

fn register(profile: &Profile) -> Option<Step> {
    profile.ca.clone().map(|ca| Step::Register(Box::new(ca)))
}

fn provisioning(profile: &Profile, scope: Scope) -> Vec<Step> {
    let (mut steps, afterwards) = match profile.method {
        Method::FactoryImage => (factory_image(profile, scope), Vec::new()),
        Method::CaRegistration => (ca_registration(profile, scope), over_console(profile)),
        Method::Console => (console(profile, scope), over_console(profile)),
        Method::Portal => (without_values(profile, scope), over_portal(profile)),
        Method::FactoryFirmware => (factory_firmware(profile, scope), Vec::new()),
    };
    steps.extend(qc::evidence(profile, scope));
    steps.extend(afterwards);
    // Of a unit that is tested with other values, once it has its own.
    let tested_first = scope == Scope::Run && profile.is_tested_then_finished();
    steps.extend(record_in_registry(profile).filter(|_| !tested_first));
    steps
}

/// Everything is flashed, the unit's own data last.
fn factory_image(profile: &Profile, scope: Scope) -> Vec<Step> {
    let mut regions = immutable_regions(profile);
    regions.push(nvs_region(profile));
    flashed(profile, scope, regions)
}

/// The certificate is had and verified before anything is written.
fn ca_registration(profile: &Profile, scope: Scope) -> Vec<Step> {
    let mut steps = Vec::from_iter(register(profile));
    steps.extend(factory_image(profile, scope));
    steps
}

/// The same where the console takes the certificate.
fn console(profile: &Profile, scope: Scope) -> Vec<Step> {
    let called_by_bench = profile.ca.as_ref().is_some_and(|ca| ca.called_by == Caller::Bench);
    let mut steps = Vec::from_iter(register(profile).filter(|_| called_by_bench));
    steps.extend(without_values(profile, scope));
    steps
}

/// Bootloader, partition table and application alone.
fn without_values(profile: &Profile, scope: Scope) -> Vec<Step> {
    flashed(profile, scope, immutable_regions(profile))
}

/// The regions, and nothing else in the flash.
fn flashed(profile: &Profile, scope: Scope, regions: Vec<Region>) -> Vec<Step> {
    let mut steps: Vec<Step> = regions.iter().cloned().map(Step::Write).collect();
    steps.push(qc::rest(profile, scope, regions));
    steps
}

/// Where a factory reset is checked, it is done on the provisioned unit, which is then provisioned
/// once more: the unit leaves as it must, and both ways were seen.
fn over_console(profile: &Profile) -> Vec<Step> {
    let Some(console) = profile.console.as_ref().filter(|console| !console.provision.is_empty())
    else {
        return Vec::new();
    };
    let provision = [
        Step::Boot(Purpose::Provisioning),
        Step::Dialogue(Dialogue::of(console, DialogueName::Provision)),
    ];
    let mut steps = provision.to_vec();
    if profile.checks.iter().any(|check| check.id == CheckId::FactoryReset) {
        steps.extend(reset_dialogue(console, profile));
        steps.extend(provision);
    }
    steps
}

fn reset_dialogue(console: &ConsoleSpec, profile: &Profile) -> [Step; 2] {
    [
        Step::Dialogue(Dialogue::of(console, DialogueName::FactoryReset)),
        Step::SearchLeftovers(nvs_region(profile)),
    ]
}

/// The id is read from the log where the profile says how; the credentials are asked for by it.
fn over_portal(profile: &Profile) -> Vec<Step> {
    let mut steps = vec![Step::Boot(Purpose::Provisioning)];
    steps.extend(qc::read_device_id(profile));
    steps.extend(request_credentials(profile));
    steps.extend(profile.portal.clone().map(|portal| Step::SubmitPortal(Box::new(portal))));
    steps
}

/// The provisioning firmware lies where the final one goes, writes NVS, and is written over.
fn factory_firmware(profile: &Profile, scope: Scope) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(request_credentials(profile));
    let (app, mut first): (Vec<_>, Vec<_>) =
        immutable_regions(profile).into_iter().partition(|region| region.content == Content::App);
    first.push(factory_region(profile));
    steps.extend(flashed(profile, scope, first));
    steps.push(Step::Boot(Purpose::Provisioning));
    steps.extend(profile.factory.clone().map(Step::AwaitFactoryFirmware));
    steps.push(Step::EnterLoader);
    steps.extend(app.into_iter().map(Step::Write));
    steps
}

/// One part of the values is given anew, the way that the product has for it.
fn reprovisioning(profile: &Profile, part: Part) -> Vec<Step> {
    let (region, scope) = (nvs_region(profile), Scope::Reprovision(part));
    let mut steps = vec![Step::ReadNvs(region.clone())];
    if profile.method.flashes_nvs() {
        let registers = profile.ca.as_ref().is_some_and(|ca| ca.called_by == Caller::Bench);
        steps.extend(register(profile).filter(|_| part == Part::Certificate && registers));
        steps.push(Step::RewriteNvs(part, region));
        steps.extend(qc::evidence(profile, scope));
    } else {
        steps.push(Step::Boot(Purpose::Provisioning));
        let dialogue = |console| Step::Dialogue(Dialogue::of(console, DialogueName::Wifi));
        steps.extend(profile.console.as_ref().map(dialogue));
        steps.push(Step::EnterLoader);
        steps.extend(qc::evidence(profile, scope));
    }
    steps.extend(record_in_registry(profile));
    steps
}

/// What the unit has is read before: it may be none of what this station would give it.
fn factory_reset(profile: &Profile) -> Vec<Step> {
    let mut steps = vec![Step::ReadNvs(nvs_region(profile)), Step::Boot(Purpose::Provisioning)];
    let console = profile.console.as_ref();
    steps.extend(console.into_iter().flat_map(|console| reset_dialogue(console, profile)));
    steps
}
