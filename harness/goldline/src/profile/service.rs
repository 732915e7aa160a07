//! The services that a product's provisioning and its units call.
//!
//! Must not know who answers: production or the bench. Everything that differs from unit to unit is a
//! template.

use std::{collections::BTreeMap, net::SocketAddrV4, time::Duration};

use super::{AppSource, Host, Template};

/// The certificate authority.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ca {
    /// Where it is.
    pub url: Template,
    /// Who calls it.
    pub called_by: Caller,
    /// The unit's UUID.
    pub uuid: Template,
    /// The secret that the API and the unit share; it is no TLS-PSK.
    pub psk: Template,
    /// The chip, as the API names it.
    pub device_type: Template,
    /// Whether plain http is refused.
    pub production: bool,
    /// Whether the bench makes a key and sends a signing request.
    pub signing_request: bool,
    /// How long a certificate must still be valid.
    pub minimum_validity: Duration,
}

/// Who calls a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// The bench, before the unit's values are written.
    Bench,
    /// The unit itself, after it joined.
    Unit,
}

/// A row of the device registry, as templates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegistrySpec {
    /// Unique; an existing row of it is updated.
    pub global_uuid: Template,
    /// With colons.
    pub mac_address: Template,
    /// The registry's purpose is to hold it.
    pub psk_secret: Template,
    /// Where the unit finds its CA.
    pub ca_service_url: Option<Template>,
    /// The network that the unit joins.
    pub wifi_ssid: Option<Template>,
    /// What was flashed.
    pub firmware_version: Option<Template>,
    /// The board.
    pub hardware_revision: Option<Template>,
    /// Where the unit goes.
    pub location: Option<Template>,
}

/// The server that gives a unit its MQTT credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvisioningApi {
    /// Its address without a trailing slash.
    pub url: Template,
    /// The device id in the call.
    pub device: Template,
    /// The bearer token.
    pub token: Template,
    /// What the answer must name as the MQTT user.
    pub username: Template,
    /// What the answer must name as the MQTT password, where a scheme says so.
    pub password: Option<Template>,
    /// The MQTT host that the bench's own server names.
    pub mqtt_host: Template,
}

/// The web page that an unconfigured unit serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Portal {
    /// The network that the unit opens.
    pub ssid: Template,
    /// Its passphrase.
    pub password: Template,
    /// Where it serves within that network.
    pub address: SocketAddrV4,
    /// Where the form goes.
    pub path: String,
    /// Whether the form is fetched first and filled by the names in it.
    pub fetch_form: bool,
    /// The form's fields, in the order of their names.
    pub fields: BTreeMap<String, Template>,
}

/// What must be off once a unit is provisioned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceOff {
    /// Whether the unit's own network, with its web page, must be gone.
    pub portal: bool,
    /// What else must be off, and the bench cannot see.
    pub not_seen: Vec<String>,
}

/// The server that a unit asks for its configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigServer {
    /// What the unit fetches.
    pub url: Template,
    /// The MQTT host that the bench's own server names.
    pub mqtt_host: Template,
    /// Whether the unit's first call creates its MQTT user.
    pub creates_user: bool,
}

/// The time server that a unit asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeServer {
    /// Its name.
    pub server: Template,
    /// UDP port.
    pub port: u16,
    /// What the line of its console holds that says that the unit has the time.
    pub expect: Option<String>,
}

/// Over-the-air updates that are tried on a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ota {
    /// Where the notice is published.
    pub topic: Template,
    /// The notice; `ota.url`, `ota.sha256`, `ota.size` and `ota.version` stand for the update.
    pub notice: Template,
    /// Host and port from which the unit downloads.
    pub server: (Host, u16),
    /// Where the unit reports.
    pub report_topic: Template,
    /// Texts in the report of a good update.
    pub report_contains: Vec<Template>,
    /// Texts in the report of a refused update.
    pub failure_contains: Vec<Template>,
    /// Texts in the report after a bad update was rolled back.
    pub rollback_contains: Vec<Template>,
    /// How long one update may take.
    pub within: Duration,
    /// Name of the partition that the update goes to.
    pub partition: String,
    /// A good update.
    pub update: Update,
    /// An update that does not start.
    pub bad_update: Option<Update>,
    /// What the unit must refuse, each made of the good update.
    pub refuses: Vec<BadImage>,
}

/// What is wrong with an image that a unit must refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadImage {
    /// A bit of it is not the author's.
    Tampered,
    /// Its signature was left out.
    Unsigned,
    /// Its header names another chip.
    WrongChip,
    /// Its secure version is smaller, which ESP-IDF's anti-rollback compares.
    Older,
}

impl BadImage {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tampered, Self::Unsigned, Self::WrongChip, Self::Older];

    /// The name in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tampered => "tampered",
            Self::Unsigned => "unsigned",
            Self::WrongChip => "wrong_chip",
            Self::Older => "older",
        }
    }

    /// What people call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Tampered => "a tampered image",
            Self::Unsigned => "an unsigned image",
            Self::WrongChip => "an image for another chip",
            Self::Older => "an older image",
        }
    }
}

/// One update.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    /// What the unit reports afterwards.
    pub version: String,
    /// The application.
    pub app: AppSource,
}

/// The firmware that writes a unit's values and is then replaced by the final one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FactoryFirmware {
    /// The provisioning firmware.
    pub app: AppSource,
    /// What is built into it for each unit, by name.
    pub constants: BTreeMap<String, Template>,
    /// The line that says it is done.
    pub expect: String,
    /// How long it may take.
    pub within: Duration,
}

/// The alert that an installer sends to see that the unit is known by its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// What the installer types on the console.
    pub send: Template,
    /// Where the alert appears.
    pub topic: Template,
    /// Texts that the alert must contain.
    pub contains: Vec<Template>,
}
