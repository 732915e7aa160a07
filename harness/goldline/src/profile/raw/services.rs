//! The sections of the services that the bench or the unit calls.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, RawApp, Text};
use std::collections::BTreeMap;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawCa {
    /// Where it is, as the profile's values say; without a trailing slash.
    pub url: Text,
    /// Who calls it: bench (it registers the unit before its NVS is written) or unit (after joining).
    pub called_by: Text,
    /// The unit's UUID.
    pub uuid: Text,
    /// The secret that the API and the unit share.
    pub psk: Text,
    /// The chip, as the API names it.
    pub r#type: Text,
    /// Whether plain http is refused.
    #[serde(default)]
    pub production: bool,
    /// Whether the bench makes a key and sends a signing request; without it the CA makes the key.
    #[serde(default)]
    pub signing_request: bool,
    /// How many days a certificate must still be valid.
    pub minimum_validity_days: Option<At<u32>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawRegistry {
    /// The columns of the registry's table `devices`.
    pub columns: RawColumns,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawColumns {
    /// Unique; an existing row of it is updated.
    pub global_uuid: Text,
    /// With colons.
    pub mac_address: Text,
    /// The registry's purpose is to hold it.
    pub psk_secret: Text,
    /// Where the unit finds its CA.
    pub ca_service_url: Option<Text>,
    /// The network that the unit joins.
    pub wifi_ssid: Option<Text>,
    /// What was flashed.
    pub firmware_version: Option<Text>,
    /// The board.
    pub hardware_revision: Option<Text>,
    /// Where the unit goes.
    pub location: Option<Text>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawProvisioningApi {
    /// Its address without a trailing slash; `/provision/DEVICE` is called below it.
    pub url: Text,
    /// The device id in the call.
    pub device: Text,
    /// The bearer token: a secret value in braces.
    pub token: Text,
    /// What the answer must name as the MQTT user.
    pub username: Text,
    /// What the answer must name as the MQTT password, when a scheme says so: a secret value in braces.
    pub password: Option<Text>,
    /// The MQTT host that the bench's own server names.
    pub mqtt_host: Text,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawPortal {
    /// The network that an unconfigured unit opens.
    pub ssid: Text,
    /// Its passphrase.
    pub password: Text,
    /// Where it serves, such as "192.168.4.1:80".
    pub address: Text,
    /// Where the form goes, such as "/save".
    pub path: Text,
    /// Whether the form is fetched first, as a browser does, and filled by the names in it.
    #[serde(default)]
    pub fetch_form: bool,
    /// The form's fields and what goes into them.
    pub fields: BTreeMap<Text, Text>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawInterfaceOff {
    /// Whether the network of `[portal]` must be gone.
    #[serde(default)]
    pub portal: bool,
    /// What else must be off and cannot be seen from here, such as "ble": it is named, and never counted as proven.
    #[serde(default)]
    pub not_seen: Vec<Text>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawSecurity {
    /// v2 or off.
    pub secure_boot: Option<Text>,
    /// release, development or off.
    pub flash_encryption: Option<Text>,
    /// What the ROM loader may still do: enabled, secure (it writes, and neither reads nor runs anything) or disabled.
    pub download_mode: Option<Text>,
    /// enabled, or disabled for good.
    pub jtag: Option<Text>,
    /// What each key block is for, by espefuse's names, such as BLOCK_KEY0 = "HMAC_UP"; of chips whose blocks have
    /// purposes.
    #[serde(default)]
    pub keys: BTreeMap<Text, Text>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawConfigServer {
    /// What the unit fetches, such as "http://config.example.test/{device_id}".
    pub url: Text,
    /// The MQTT host that the bench's own server names.
    pub mqtt_host: Text,
    /// Whether the unit's first call creates its MQTT user.
    #[serde(default)]
    pub creates_user: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawTime {
    /// Name of the server that the unit asks.
    pub server: Text,
    /// Its port; 123 unless given.
    pub port: Option<At<u16>>,
    /// Text in the line of the unit's console that says that it has the time. On a site's network nothing else tells
    /// whose question was answered.
    pub expect: Option<Text>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawOta {
    /// Where the notice is published.
    pub topic: Text,
    /// The notice; {ota.url}, {ota.sha256}, {ota.size} and {ota.version} stand for the update.
    pub notice: Text,
    /// Host and port from which the unit downloads, such as "updates.example.test:443".
    pub server: Text,
    /// Where the unit reports.
    pub report_topic: Text,
    /// Texts in the report of a good update; {ota.version} may stand in them.
    pub report_contains: Vec<Text>,
    /// Texts in the report of a refused update.
    pub failure_contains: Vec<Text>,
    /// Texts in the report after a bad update was rolled back.
    pub rollback_contains: Vec<Text>,
    /// How long one update may take, in seconds.
    pub within_s: At<u64>,
    /// The partition that the update goes to.
    pub partition: Text,
    /// A good update.
    pub update: RawUpdate,
    /// An update that does not start, and must be rolled back.
    pub bad_update: Option<RawUpdate>,
    /// What the unit must refuse, each made of `update`: tampered (a bit inverted), unsigned (its signature left out),
    /// wrong_chip, older (a smaller secure version, as anti-rollback compares it).
    #[serde(default)]
    pub refuses: Vec<Text>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawUpdate {
    /// The version that the unit reports afterwards.
    pub version: Text,
    /// The application.
    pub app: At<RawApp>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawFactory {
    /// The provisioning firmware.
    pub app: At<RawApp>,
    /// What is built into it for each unit, by name.
    pub constants: BTreeMap<Text, Text>,
    /// The line that says it is done.
    pub expect: Text,
    /// How long it may take, in seconds.
    pub within_s: At<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawAlert {
    /// What the installer types on the console.
    pub send: Text,
    /// Where the alert appears.
    pub topic: Text,
    /// Texts that the alert must contain: tenant, building, room.
    pub contains: Vec<Text>,
}
