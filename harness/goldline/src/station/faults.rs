//! What is made wrong on purpose: of the unit, of the testbed, and nothing that would change nothing.

use goldline_simulator::Fault;

use super::request::Request;
use crate::{
    profile::{BadImage, Ca, Caller, CheckId, DialogueName, Method, NvsKeyScheme, Profile},
    record::Simulation,
    testbed::{fault::TestbedFault, network::NetworkKind},
};

/// The faults of an order, by whose they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) unit: Vec<Fault>,
    pub(super) testbed: Vec<TestbedFault>,
    seed: u64,
}

/// A fault cannot be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum FaultsError {
    #[error("unknown fault \"{name}\"")]
    Unknown { name: String },
    #[error("--fault {fault}: the profile {profile} has no {service}")]
    NoService { fault: TestbedFault, profile: String, service: &'static str },
    #[error("--fault {fault}: the network {network} has no radio")]
    NoRadio { fault: String, network: NetworkKind },
    #[error("--fault {fault}: the profile {profile} cannot show it: it has no {lacks}")]
    NotShown { fault: &'static str, profile: String, lacks: &'static str },
    #[error("--fault {fault}: it is the simulator's, and an emulated unit runs its own firmware")]
    OfSimulator { fault: &'static str },
    #[error("--fault {fault}: {option} names a {service} that is not the testbed's")]
    OthersService { fault: TestbedFault, option: &'static str, service: &'static str },
}

impl FaultsError {
    /// What to do about it.
    pub fn action(&self) -> String {
        match self {
            Self::Unknown { .. } => "goldline simulator faults lists them all".to_owned(),
            Self::NoService { .. } | Self::NotShown { .. } => {
                "choose a profile whose units use it: goldline profile explain NAME".to_owned()
            }
            Self::NoRadio { .. } => format!("choose --network {}", NetworkKind::Air),
            Self::OfSimulator { .. } => {
                "choose a fault of the testbed (ap, broker, ca, …), or --device simulator:"
                    .to_owned()
            }
            Self::OthersService { option, .. } => format!("leave out {option}, or --fault"),
        }
    }
}

impl Faults {
    /// Those of one unit alone.
    pub(super) fn of_unit(unit: Vec<Fault>, seed: u64) -> Self {
        Self { unit, testbed: Vec::new(), seed }
    }

    /// Without a seed it is 0.
    pub(super) fn parse(names: &[String], seed: Option<u64>) -> Result<Self, FaultsError> {
        let mut faults = Self { seed: seed.unwrap_or(0), ..Self::default() };
        for name in names {
            if let Some(fault) = Fault::ALL.iter().find(|fault| fault.name() == name) {
                faults.unit.push(*fault);
            } else if let Ok(fault) = name.parse() {
                faults.testbed.push(fault);
            } else {
                return Err(FaultsError::Unknown { name: name.clone() });
            }
        }
        Ok(faults)
    }

    /// The seed of the unit in this place of the order: no two have their faults in the same place.
    pub(super) fn seed_of(&self, index: usize) -> u64 {
        self.seed.wrapping_add(index as u64)
    }

    /// Names of those that are wrong with a unit.
    pub(super) fn of_units(&self) -> impl Iterator<Item = String> {
        self.unit.iter().map(|fault| fault.name().to_owned())
    }

    /// What the record of the unit in this place says of it.
    pub(super) fn simulation(&self, index: usize) -> Option<Simulation> {
        let unit = self.of_units();
        let testbed = self.testbed.iter().map(ToString::to_string);
        let faults: Vec<String> = unit.chain(testbed).collect();
        (!faults.is_empty()).then(|| Simulation { faults, seed: self.seed_of(index) })
    }

    /// A fault of a service that the testbed does not run would change nothing, and seem harmless.
    pub(super) fn refuse_faults_of_nothing(
        &self,
        request: &Request,
        profile: &Profile,
        network: NetworkKind,
    ) -> Result<(), FaultsError> {
        if !network.proves().radio {
            self.refuse_faults_of_a_radio(network)?;
        }
        for fault in &self.unit {
            if let Some((lacks, false)) = shown_by(*fault, profile) {
                let (fault, profile) = (fault.name(), profile.name.clone());
                return Err(FaultsError::NotShown { fault, profile, lacks });
            }
        }
        for fault in &self.testbed {
            let Some((service, there, external)) = service_of(*fault, request, profile) else {
                continue;
            };
            if !there {
                let profile = profile.name.clone();
                return Err(FaultsError::NoService { fault: *fault, profile, service });
            }
            if let Some(option) = external {
                return Err(FaultsError::OthersService { fault: *fault, option, service });
            }
        }
        Ok(())
    }
}

impl Faults {
    /// Nothing can be made wrong with an emulated unit but what surrounds it.
    pub(super) fn refuse_faults_of_simulated_units(&self) -> Result<(), FaultsError> {
        match self.unit.first() {
            Some(fault) => Err(FaultsError::OfSimulator { fault: fault.name() }),
            None => Ok(()),
        }
    }

    /// What is wrong with a radio does not show where there is none.
    fn refuse_faults_of_a_radio(&self, network: NetworkKind) -> Result<(), FaultsError> {
        let units = self.unit.iter().map(|fault| fault.name().to_owned());
        let mut all = units.chain(self.testbed.iter().map(ToString::to_string));
        match all.find(|name| is_of_a_radio(name)) {
            Some(fault) => Err(FaultsError::NoRadio { fault, network }),
            None => Ok(()),
        }
    }
}

/// Whether a unit of this product could have a fault, whether or not a check of its test would show it.
pub fn shows_fault(fault: Fault, profile: &Profile) -> bool {
    match fault {
        Fault::FirmwarePortalStaysOpen => profile.method == Method::Portal,
        Fault::FirmwareOtaIgnored
        | Fault::FirmwareOtaNoSwitch
        | Fault::FirmwareOtaErasesNvs
        | Fault::FirmwareOtaTakesTampered
        | Fault::FirmwareOtaTakesUnsigned
        | Fault::FirmwareOtaTakesWrongChip
        | Fault::FirmwareOtaTakesOlder => profile.ota.is_some(),
        Fault::FirmwareSecretInLog => true,
        Fault::FirmwareAnyCertificate => profile.mqtt.is_some(),
        _ => shown_by(fault, profile).is_none_or(|(_, shown)| shown),
    }
}

/// What shows a fault of the firmware, and whether a profile has it; `None` for what shows in any.
fn shown_by(fault: Fault, profile: &Profile) -> Option<(&'static str, bool)> {
    let console = profile.console.as_ref();
    let dialogue = |name| console.is_some_and(|console| !console.dialogue(name).is_empty());
    let check = |id| profile.checks.iter().any(|check| check.id == id);
    let refuses = |bad| {
        let ota = profile.ota.as_ref().filter(|_| check(CheckId::OtaUpdate));
        ("such an image among [ota] refuses", ota.is_some_and(|ota| ota.refuses.contains(&bad)))
    };
    Some(match fault {
        Fault::FirmwareConsoleSilent
        | Fault::FirmwareConsoleLate
        | Fault::FirmwareConsoleGarbled
        | Fault::FirmwareConsoleInterleaved
        | Fault::WireBitTyped => {
            ("dialogue with a console", DialogueName::ALL.into_iter().any(dialogue))
        }
        // Elsewhere the values lie in the flash already when the console is told of them.
        Fault::FirmwareSaveFailed => {
            ("values that only its console stores", profile.method == Method::Console)
        }
        Fault::FirmwareResetLeavesCredentials => {
            ("factory reset", dialogue(DialogueName::FactoryReset))
        }
        Fault::FirmwarePortalSaveFailed
        | Fault::FirmwarePortalForgets
        | Fault::FirmwarePortalSilent => ("web portal", profile.method == Method::Portal),
        Fault::FirmwarePortalStaysOpen => {
            let off = profile.interface_off.as_ref().is_some_and(|off| off.portal);
            ("check interface_off of a portal", off && check(CheckId::InterfaceOff))
        }
        Fault::FirmwareOtaIgnored | Fault::FirmwareOtaNoSwitch | Fault::FirmwareOtaErasesNvs => {
            ("check ota_update", check(CheckId::OtaUpdate))
        }
        Fault::FirmwareOtaTakesTampered => refuses(BadImage::Tampered),
        Fault::FirmwareOtaTakesUnsigned => refuses(BadImage::Unsigned),
        Fault::FirmwareOtaTakesWrongChip => refuses(BadImage::WrongChip),
        Fault::FirmwareOtaTakesOlder => refuses(BadImage::Older),
        Fault::FirmwareCaCallMissing | Fault::FirmwareCaCallWrongPsk => {
            let calls = |ca: &Ca| ca.called_by == Caller::Unit;
            ("CA that the unit calls", profile.ca.as_ref().is_some_and(calls))
        }
        // Who has not its keys finds no entry in it to damage: the unit would be sound.
        Fault::FlashNvsBit | Fault::FlashNvsKeyMissing => {
            ("NVS in the clear", profile.nvs.encryption.is_none())
        }
        Fault::ChipOtherHmacKey => {
            let encryption = profile.nvs.encryption.as_ref();
            let is_hmac = encryption.is_some_and(|nvs| nvs.scheme == NvsKeyScheme::Hmac);
            ("NVS of the scheme hmac", is_hmac)
        }
        Fault::FirmwareIdDropsZeros => {
            ("device id in its log", console.is_some_and(|console| console.device_id.is_some()))
        }
        Fault::FirmwareSecretInLog => ("check secret_hygiene", check(CheckId::SecretHygiene)),
        Fault::FirmwareAnyCertificate => ("check server_trust", check(CheckId::ServerTrust)),
        _ => return None,
    })
}

/// Where a fault belongs: the part of its name before the dot.
fn is_of_a_radio(name: &str) -> bool {
    matches!(name.split_once('.'), Some(("radio" | "ap", _)))
}

/// The service that a fault is of, whether the profile's units use it, and the option that put another
/// one in the place of the testbed's.
fn service_of(
    fault: TestbedFault,
    request: &Request,
    profile: &Profile,
) -> Option<(&'static str, bool, Option<&'static str>)> {
    let broker = request.broker.is_some().then_some("--broker");
    Some(match fault.layer() {
        "broker" => ("broker", true, broker),
        // The user would have been one of the testbed's own broker.
        "config" if fault == TestbedFault::ConfigNoUser && broker.is_some() => {
            ("broker", true, broker)
        }
        "ca" => ("CA", profile.ca.is_some(), request.ca.is_some().then_some("--ca")),
        "config" => (
            "config server",
            profile.provisioning_api.is_some() || profile.config_server.is_some(),
            request.config_server.is_some().then_some("--config-server"),
        ),
        "time_server" => ("time server", profile.time.is_some(), None),
        "update_server" => ("update server", profile.ota.is_some(), None),
        _ => return None,
    })
}
