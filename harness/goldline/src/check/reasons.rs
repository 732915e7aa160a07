//! With which codes a check can fail a unit, and a step can end its run: for who prepares for it.
//!
//! What a run says of a unit does not come from here; the tests compare the two.

use crate::{
    plan::{Moment, Step},
    profile::{CheckId, Profile},
    record::Code,
};

/// What ends a run when the unit does not start.
const STARTS: &[Code] =
    &[Code::BootSilent, Code::BootImageRefused, Code::BootLoop, Code::BootUnexpectedReset];

/// What ends a run at a line of the console.
const TYPED: &[Code] = &[
    Code::ConsoleSilent,
    Code::ConsoleUnexpected,
    Code::ConsoleRefused,
    Code::FirmwareConfiguration,
];

/// The codes of a FAIL by that check of a product; none of one that judges the station only.
pub fn reasons(check: CheckId, profile: &Profile) -> Vec<Code> {
    let salted = profile.provisioning_api.as_ref().is_some_and(|api| api.password.is_some());
    let mut codes = of_check(check);
    codes.retain(|code| *code != Code::MqttSaltRetired || salted);
    let console = profile.console.iter().flat_map(|console| &console.status);
    let measures = console.filter_map(|line| line.measure.as_ref()).next().is_some();
    if check == CheckId::ConsoleStatus && !measures {
        codes.retain(|code| *code != Code::MeasuredOutOfLimits);
    }
    codes
}

fn of_check(check: CheckId) -> Vec<Code> {
    match check {
        CheckId::FlashIntegrity => vec![
            Code::ChipMismatch,
            Code::ChipMacInvalid,
            Code::FlashBlank,
            Code::RegionDiffers,
            Code::NotErased,
            Code::WriteFailed,
            Code::WrongSlot,
        ],
        CheckId::NvsReadback => vec![
            Code::NvsDamaged,
            Code::NvsOfAnotherUnit,
            Code::NvsKeyMissing,
            Code::NvsValueDiffers,
            Code::NvsUnexpected,
            Code::NvsForeignCredentials,
            Code::NvsLeftoverSecret,
        ],
        CheckId::DeviceId => vec![Code::DeviceIdMissing, Code::DeviceIdDiffers],
        CheckId::FactoryReset => vec![Code::FactoryResetLeftover],
        CheckId::RegistryRecord => Vec::new(),
        CheckId::Start => STARTS.to_vec(),
        CheckId::WifiJoin => joining(&[
            Code::WifiWrongPassword,
            Code::WifiNotFound,
            Code::WifiNotJoined,
            Code::WifiOutOfLimits,
        ]),
        CheckId::NetworkJoin => joining(&[Code::NetworkNotJoined, Code::NetworkOutOfLimits]),
        CheckId::TimeSync => vec![Code::TimeNotSynchronized],
        CheckId::RemoteConfig => vec![Code::ConfigNotFetched],
        CheckId::CaRegistration => vec![Code::CaNotRegistered, Code::CaCertificateExpired],
        CheckId::MqttConnect => vec![
            Code::MqttBadCredentials,
            Code::MqttSaltRetired,
            Code::MqttServerUntrusted,
            Code::MqttNotConnected,
            Code::MqttIdentityDiffers,
            Code::MqttSubscriptionMissing,
            Code::MqttSubscriptionUnexpected,
            Code::MqttCommandUnanswered,
            Code::MqttOutOfLimits,
            Code::FirmwareConfiguration,
        ],
        CheckId::TestAlert => vec![Code::AlertMissing, Code::AlertNotConfirmed],
        CheckId::ConsoleStatus => {
            [&[Code::ConsoleNotProvisioned, Code::MeasuredOutOfLimits], TYPED].concat()
        }
        CheckId::InterfaceOff => vec![Code::InterfaceStillOn],
        CheckId::Command => vec![Code::MeasuredOutOfLimits],
        CheckId::ServerTrust => vec![Code::TrustsAnyone, Code::TrustNotTried],
        CheckId::OtaUpdate => {
            vec![Code::OtaAcceptedBadImage, Code::OtaFailed, Code::OtaNotRolledBack]
        }
        CheckId::SecretHygiene => vec![Code::SecretInLog],
        CheckId::SecurityState => vec![Code::SecurityNotBurnt, Code::SecurityBurnt],
    }
}

/// Where a unit that does not start is noticed, if nothing before asked it for anything.
fn joining(own: &[Code]) -> Vec<Code> {
    [own, STARTS, &[Code::FirmwareConfiguration]].concat()
}

/// The codes of a FAIL that ends the run at that step, before any check.
pub fn reasons_to_stop(step: &Step) -> Vec<Code> {
    match step {
        Step::Identify | Step::EnterLoader => vec![Code::ChipMismatch],
        Step::Write(_)
        | Step::EraseRest(_)
        | Step::RewriteNvs(..)
        | Step::EraseTested(_)
        | Step::WriteFinal(_) => vec![Code::WriteFailed],
        Step::CollectEvidence { moment: Moment::Final, .. } => vec![
            Code::RegionDiffers,
            Code::NotErased,
            Code::NvsDamaged,
            Code::NvsValueDiffers,
            Code::NvsKeyMissing,
            Code::NvsUnexpected,
        ],
        Step::Boot(_) | Step::AwaitApplication => STARTS.to_vec(),
        Step::Dialogue(_) => [TYPED, STARTS].concat(),
        Step::SubmitPortal(_) => vec![Code::PortalUnreachable, Code::PortalRefused],
        Step::AwaitFactoryFirmware(_) => {
            vec![Code::FactoryFirmwareSilent, Code::FirmwareConfiguration]
        }
        Step::Register(_)
        | Step::RequestCredentials(_)
        | Step::ReadNvs(_)
        | Step::ReadFuses(_)
        | Step::CollectEvidence { .. }
        | Step::Gate
        | Step::ReadDeviceId(_)
        | Step::SearchLeftovers(_)
        | Step::RecordInRegistry(_)
        | Step::Try
        | Step::AwaitJoin
        | Step::AwaitTime
        | Step::AwaitConfiguration(_)
        | Step::AwaitCaCall(_)
        | Step::AwaitBroker
        | Step::Command(_)
        | Step::Alert(_)
        | Step::SeekPortal(_)
        | Step::OfferStranger
        | Step::Measure(_)
        | Step::StayUp(_)
        | Step::Update(_)
        | Step::JudgeTest
        | Step::Hold => Vec::new(),
    }
}
