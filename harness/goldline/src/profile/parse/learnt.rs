//! What the engine learns in the course of a run, which templates may name.
//!
//! Which of it there is depends on the profile's sections: nobody issues a certificate where there is no CA.

use crate::{
    identity::Mac,
    profile::{Chip, Interface, raw::RawProfile},
};

/// Stands for a unit's MAC in samples.
pub(super) const SAMPLE_MAC: Mac = Mac([0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10]);

/// Something that the engine binds once it knows it.
#[derive(Clone, Copy)]
pub(super) struct EngineSymbol {
    pub(super) name: &'static str,
    /// How a value of it looks.
    pub(super) sample: &'static str,
    pub(super) secret: bool,
}

const fn public(name: &'static str, sample: &'static str) -> EngineSymbol {
    EngineSymbol { name, sample, secret: false }
}

const fn secret(name: &'static str, sample: &'static str) -> EngineSymbol {
    EngineSymbol { name, sample, secret: true }
}

const OF_THE_CHIP: [EngineSymbol; 3] = [
    public("unit.mac", "24:0a:c4:00:01:10"),
    public("unit.mac_lower", "240ac4000110"),
    public("unit.mac_upper", "240AC4000110"),
];
const OF_ITS_INTERFACES: [(Interface, EngineSymbol); 3] = [
    (Interface::AccessPoint, public("unit.mac_ap", "24:0a:c4:00:01:11")),
    (Interface::Bluetooth, public("unit.mac_bt", "24:0a:c4:00:01:12")),
    (Interface::Ethernet, public("unit.mac_eth", "24:0a:c4:00:01:13")),
];
const OF_THE_CONSOLE: EngineSymbol = public("observed.device_id", "240AC4000110");
const OF_THE_CA: [EngineSymbol; 6] = [
    public("issued.certificate", SAMPLE_CERTIFICATE),
    public("issued.ca_certificate", SAMPLE_CERTIFICATE),
    // Only the last of them, for what takes one certificate.
    public("issued.root_certificate", SAMPLE_CERTIFICATE),
    secret("issued.private_key", "the sample's private key"),
    // The same in DER, as Base64: for keys of the encoding base64, which NVS stores as a blob.
    public("issued.certificate_der", "MAA="),
    secret("issued.private_key_der", "MAA="),
];
const OF_THE_PROVISIONING_API: [EngineSymbol; 4] = [
    public("issued.mqtt_user", "240AC4000110"),
    secret(
        "issued.mqtt_password",
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
    public("issued.mqtt_host", "mqtt.example.test"),
    public("issued.mqtt_port", "8883"),
];
/// Not one that any CA signed: a text of the usual form and length.
const SAMPLE_CERTIFICATE: &str = include_str!("sample_certificate.pem");

/// Everything that a run of this profile can learn.
pub(super) fn of_profile(raw: &RawProfile) -> Vec<EngineSymbol> {
    let mut symbols = OF_THE_CHIP.to_vec();
    symbols.extend(of_interfaces(raw));
    if raw.console.as_ref().is_some_and(|console| console.device_id.is_some()) {
        symbols.push(OF_THE_CONSOLE);
    }
    if raw.ca.as_ref().is_some_and(|ca| ca.called_by.get_ref() == "bench") {
        symbols.extend(OF_THE_CA);
    }
    if raw.provisioning_api.is_some() {
        symbols.extend(OF_THE_PROVISIONING_API);
    }
    symbols
}

/// A chip that is none is told elsewhere.
fn of_interfaces(raw: &RawProfile) -> impl Iterator<Item = EngineSymbol> {
    let chip: Option<Chip> = raw.chip.model.get_ref().parse().ok();
    let has =
        move |interface| chip.is_some_and(|chip| chip.mac_of(interface, SAMPLE_MAC).is_some());
    OF_ITS_INTERFACES.into_iter().filter(move |(of, _)| has(*of)).map(|(_, symbol)| symbol)
}

/// How the value of a symbol looks; what goldens and rehearsals put in its place.
pub(in crate::profile) fn samples() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let interfaces = OF_ITS_INTERFACES.map(|(_, symbol)| symbol);
    let all = OF_THE_CHIP.into_iter().chain(interfaces).chain([OF_THE_CONSOLE]).chain(OF_THE_CA);
    all.chain(OF_THE_PROVISIONING_API).map(|symbol| (symbol.name, symbol.sample, symbol.secret))
}
