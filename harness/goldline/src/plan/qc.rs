//! The steps that gather evidence: what every method has in common.
//!
//! Evidence is taken before the first boot, while the flash is as the bench left it, and once more
//! after the firmware ran.

use super::{
    Coverage, Dialogue, InstallersAlert, Moment, Purpose, Region, Rest, Scope, Step,
    regions::nvs_region,
};
use crate::profile::{Caller, CheckId, CheckSpec, DialogueName, Method, Profile};

/// Read-back before the first boot, and its judgement.
pub(super) fn evidence(profile: &Profile, scope: Scope) -> Vec<Step> {
    let mut steps = vec![collect(profile, scope, Moment::BeforeBoot)];
    steps.extend(read_fuses(profile, scope, Moment::BeforeBoot));
    steps.push(Step::Gate);
    steps
}

/// The flash around what was written, in the stretches that the read-back before the first boot asks about.
pub(super) fn rest(profile: &Profile, scope: Scope, written: Vec<Region>) -> Step {
    let stretches = Coverage::of(profile, scope, Moment::BeforeBoot).stretches();
    Step::EraseRest(Rest { written, stretches })
}

/// What the firmware left in flash.
pub(super) fn after_boot(profile: &Profile, scope: Scope) -> Step {
    collect(profile, scope, Moment::AfterBoot)
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
    steps.extend(profile.wifi.is_some().then_some(Step::AwaitJoin));
    steps.extend(profile.time.is_some().then_some(Step::AwaitTime));
    steps.extend(api.map(|api| Step::AwaitConfiguration(Box::new(api))));
    steps.extend(caller.map(|ca| Step::AwaitCaCall(Box::new(ca))));
    steps.extend(profile.mqtt.is_some().then_some(Step::AwaitBroker));
    steps.extend(profile.command().cloned().map(Step::Command));
    let console = profile.console.as_ref();
    let alert = profile.alert.clone().zip(console).map(|(alert, console)| {
        let (line_end, retype) = (console.line_end, console.retype);
        Step::Alert(Box::new(InstallersAlert { alert, line_end, retype }))
    });
    let status = console.map(|console| Step::Dialogue(Dialogue::of(console, DialogueName::Status)));
    let update = profile.ota.clone().map(|ota| Step::Update(Box::new(ota)));
    let asks_off = console.filter(|console| !console.off.is_empty());
    let off = asks_off.map(|console| Step::Dialogue(Dialogue::of(console, DialogueName::Off)));
    let gone = profile.interface_off.as_ref().is_some_and(|off| off.portal);
    // It is looked for once the unit is at its broker.
    let seek = profile.portal.clone().filter(|_| gone && profile.mqtt.is_some());
    let seek = seek.map(|portal| Step::SeekPortal(Box::new(portal)));
    let steady = Step::StayUp(profile.deadlines.steady);
    steps.extend(checked(CheckId::Start).then_some(steady));
    // While nothing else is asked of the unit, and before it is led astray.
    if scope.includes(CheckId::Command, profile) {
        steps.extend(profile.own_tests().cloned().map(Step::Measure));
    }
    for (id, step) in [
        (CheckId::TestAlert, alert),
        (CheckId::ConsoleStatus, status),
        (CheckId::InterfaceOff, off),
        (CheckId::InterfaceOff, seek),
        (CheckId::ServerTrust, profile.mqtt.as_ref().map(|_| Step::OfferStranger)),
        (CheckId::OtaUpdate, update),
    ] {
        steps.extend(step.filter(|_| checked(id)));
    }
    steps.push(after_boot(profile, scope));
    // What joined must be what is shipped: a firmware can burn fuses too.
    steps.extend(read_fuses(profile, scope, Moment::AfterBoot));
    steps
}

/// Where they are judged.
fn read_fuses(profile: &Profile, scope: Scope, moment: Moment) -> Option<Step> {
    let asks = |check: &CheckSpec| check.id == CheckId::SecurityState;
    let judged = scope != Scope::Provision && scope.includes(CheckId::SecurityState, profile);
    let wanted = judged && profile.checks.iter().any(asks);
    wanted.then_some(Step::ReadFuses(moment))
}

/// Where the profile says how the unit prints it.
pub(super) fn read_device_id(profile: &Profile) -> Option<Step> {
    let console = profile.console.as_ref()?;
    console.device_id.clone().map(Step::ReadDeviceId)
}

pub(super) fn collect(profile: &Profile, scope: Scope, moment: Moment) -> Step {
    let coverage = Coverage::of(profile, scope, moment);
    Step::CollectEvidence { moment, coverage, nvs: nvs_region(profile) }
}
