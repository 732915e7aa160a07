//! A profile as it stands in TOML, before anything but its form was looked at.
//!
//! Must not judge values: that is the parser's task, which turns this into a profile. The JSON Schema
//! for editors is made of these types, so their doc comments speak to whoever writes a profile.

mod at;
mod dialogue;
mod services;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use at::At;
pub(super) use dialogue::{RawConsole, RawDeviceId, RawExchange, RawMeasure, RawPaste};
pub(super) use services::{
    RawAlert, RawCa, RawConfigServer, RawFactory, RawInterfaceOff, RawOta, RawPortal,
    RawProvisioningApi, RawRegistry, RawSecurity, RawTime, RawUpdate,
};

/// A text and where it stands.
pub(super) type Text = At<String>;

/// One product: chip, flash map, values of a unit, NVS content, provisioning method, services, checks.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Goldline profile")]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    /// Form of this file: 1.
    pub schema: At<u32>,
    /// What `goldline run NAME` calls it; also the file's name. Lowercase letters, digits and dashes.
    pub name: Text,
    /// The product's name for people.
    pub title: String,
    /// How a unit gets its values: factory_image, ca_registration, console, portal or factory_firmware.
    pub method: Text,
    /// The chip that the product is built on.
    pub chip: RawChip,
    /// The partition table, in any order. A build folder or `images.partitions` has it too: then these rows are
    /// compared with it, and may be left out.
    #[serde(default)]
    pub partition: Vec<RawPartition>,
    /// What is flashed besides a unit's own data.
    pub images: At<RawImages>,
    /// How the bench treats the flash.
    pub flash: Option<RawFlash>,
    /// The values of one unit by name; a template names only values that stand before it.
    pub values: BTreeMap<Text, RawValue>,
    /// With policy = "test_then_final": what the unit is told while it is tested, in place of values of the site or
    /// of the generator. `{bench.root_certificate}` is the bench's CA.
    #[serde(default)]
    pub bench_values: BTreeMap<Text, Text>,
    /// What lies in the unit's NVS namespaces.
    pub nvs: RawNvs,
    /// The network that the unit must join. Without it nothing is asked of the unit but its flash, its NVS and its
    /// console.
    pub wifi: Option<RawWifi>,
    /// The broker that the unit must reach, and what it must do there.
    pub mqtt: Option<RawMqtt>,
    /// The certificate authority where the bench registers a unit, or which the unit calls itself.
    pub ca: Option<RawCa>,
    /// The device registry that a provisioned unit is recorded in.
    pub registry: Option<RawRegistry>,
    /// What is typed into the unit's serial console, and what it must answer.
    pub console: Option<RawConsole>,
    /// The server that gives a unit its MQTT credentials.
    pub provisioning_api: Option<RawProvisioningApi>,
    /// The web page that the unit serves while it is not configured.
    pub portal: Option<RawPortal>,
    /// The server that the unit asks for its configuration.
    pub config_server: Option<RawConfigServer>,
    /// What must be off once the unit is provisioned.
    pub interface_off: Option<RawInterfaceOff>,
    /// What the security fuses of a unit must say, for the check security_state and for goldline secure.
    pub security: Option<At<RawSecurity>>,
    /// The time server that the unit asks.
    pub time: Option<RawTime>,
    /// Over-the-air updates that are tried on the unit.
    pub ota: Option<RawOta>,
    /// The firmware that writes a unit's values and is then replaced by the final one.
    pub factory: Option<RawFactory>,
    /// The alert that an installer sends to see that the unit is known by its place.
    pub alert: Option<RawAlert>,
    /// Which values each part of `goldline reprovision --only PART` may change.
    #[serde(default)]
    pub reprovision: BTreeMap<Text, Vec<Text>>,
    /// How long to wait for what, in seconds.
    pub deadlines: RawDeadlines,
    /// The QC list, in order.
    pub check: At<Vec<RawCheck>>,
    /// How `goldline prove` counts this product.
    pub prove: Option<RawProve>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProve {
    /// Bad units that the checks are known to let pass.
    #[serde(default)]
    pub accept: Vec<RawAccepted>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccepted {
    /// An id of `goldline prove PROFILE --list`, or the beginning of some with * behind.
    pub mutant: Text,
    /// Why such a unit may pass.
    pub because: Text,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChip {
    /// esp32, esp32s2, esp32s3, esp32c2, esp32c3, esp32c5, esp32c6, esp32c61, esp32h2 or esp32p4; the simulator
    /// has all but esp32c5, esp32c61 and esp32p4.
    pub model: Text,
    /// Such as "4MB".
    pub flash_size: Text,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFlash {
    /// Whether what differs before the first boot is written once more, since its bytes came over a wire too:
    /// true, unless the first difference is to fail a unit.
    pub rewrite: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPartition {
    /// At most 15 characters.
    pub name: Text,
    /// app or data.
    pub r#type: Text,
    /// Such as nvs, ota, ota_0, factory.
    pub subtype: Text,
    /// Bytes from the start of the flash.
    pub offset: At<u32>,
    /// Bytes.
    pub size: At<u32>,
    /// Whether flash encryption covers it; never for NVS.
    pub encrypted: Option<At<bool>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawImages {
    /// What a build system made: the build folder of ESP-IDF, PlatformIO, Arduino or cargo, a merged binary, or
    /// an ELF. In place of `bootloader` and `app`.
    pub build: Option<Text>,
    /// Partitions that the build flashes and Goldline must not: such as "nvs", which it makes for each unit;
    /// "unpartitioned" is what the dump of a used chip holds in no partition.
    #[serde(default)]
    pub except: Vec<Text>,
    /// Path of the partition table, as CSV or binary.
    pub partitions: Option<Text>,
    /// "esp-idf" for ESP-IDF's own, which is taken unless given, or the path of an ESP image.
    pub bootloader: Option<Text>,
    /// The application.
    pub app: Option<At<RawApp>>,
    /// The partition that the application is written to; what would be started unless given: `factory`, or else
    /// `ota_0`.
    pub app_partition: Option<Text>,
    /// The ELF that the application was made of: a crash is then told by function, file and line.
    pub elf: Option<Text>,
    /// The application verifies nothing, or takes its CA from elsewhere, whatever CAs it carries.
    #[serde(default)]
    pub trusts_elsewhere: bool,
}

/// An application: a firmware model for simulated units, or a file of the product's own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApp {
    /// Name of a shipped firmware description, or the path of one.
    pub model: Option<Text>,
    /// Path of an ELF file or an ESP image.
    pub file: Option<Text>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawValue {
    /// site, lease or random.
    pub source: Option<Text>,
    /// A text with the names of earlier values in braces.
    pub template: Option<Text>,
    /// A way to make an identity: a UUID of the MAC, or a password of an id and a salt.
    pub scheme: Option<Text>,
    /// What a salted password is made of.
    pub of: Option<Text>,
    /// The salt of a salted password: the name of a secret value in braces.
    pub salt: Option<Text>,
    /// Whether it must never be shown.
    #[serde(default)]
    pub secret: bool,
    /// Whether the record lists it among the unit's public identifiers.
    pub id: Option<At<bool>>,
    /// Whether units may have it in common, although it is an identifier, a number or a secret of each: one
    /// MQTT password for all. Without it, two units with the same are refused. What comes of the site is shared.
    #[serde(default)]
    pub shared: bool,
    /// Whether it may have several lines, as a PEM certificate has.
    #[serde(default)]
    pub multiline: bool,
    /// Shortest good value in bytes.
    pub min_bytes: Option<At<usize>>,
    /// Longest good value in bytes: what the firmware's buffer holds.
    pub max_bytes: Option<At<usize>>,
    /// Entropy of a random value in bytes, printed as hex.
    pub bytes: Option<At<usize>>,
    /// The declared value of goldens and simulated units; a real port refuses it.
    pub sample: Option<Text>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNvs {
    /// Name of a data/nvs partition.
    pub partition: Text,
    /// That of every entry which names no other; at most 15 characters.
    pub namespace: Text,
    /// In the image's order.
    pub entries: Vec<RawNvsEntry>,
    /// Namespaces of others that may appear after a boot.
    #[serde(default)]
    pub foreign_namespaces: Vec<Text>,
    /// How the partition is encrypted, when it is.
    pub encryption: Option<RawEncryption>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEncryption {
    /// nvs_keys (the keys lie in a partition of that subtype) or hmac (made of a key in the eFuses).
    pub scheme: Text,
    /// The partition of the scheme nvs_keys.
    pub partition: Option<Text>,
    /// The key as hexadecimal text, a secret value in braces: 64 bytes for nvs_keys, 32 for hmac.
    pub key: Text,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNvsEntry {
    /// Where it lies in another namespace than the section's.
    pub namespace: Option<Text>,
    /// At most 15 characters.
    pub key: Text,
    /// string, u8 … i64, hex2bin, base64 or binary, as in ESP-IDF's CSV.
    pub encoding: Text,
    /// A text with the names of values in braces.
    pub value: Text,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWifi {
    /// Network name.
    pub ssid: Text,
    /// WPA2 passphrase of 8 to 63 bytes, or its key in 64 hexadecimal digits. Without it, and where its value
    /// is empty, the network is open.
    pub password: Option<Text>,
    /// Whether the network says its name only to those who ask for it.
    #[serde(default)]
    pub hidden: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMqtt {
    /// Such as "mqtts://{mqtt_host}:8883".
    pub endpoint: Text,
    /// redirected, test_then_final or bench.
    pub policy: Text,
    /// What the unit must call itself.
    pub client_id: Text,
    /// User name.
    pub username: Text,
    /// Password.
    pub password: Text,
    /// Topic filters that the unit must subscribe to.
    #[serde(default)]
    pub subscriptions: Vec<Text>,
    /// Further filters that it may subscribe to; any other fails.
    #[serde(default)]
    pub allowed_subscriptions: Vec<Text>,
    /// Whether the unit must show a client certificate.
    #[serde(default)]
    pub client_certificate: bool,
    /// A command and the answer that proves the unit alive.
    pub command: Option<RawCommand>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCommand {
    /// Where the command is published.
    pub topic: Text,
    /// What is published; holds {nonce}.
    pub payload: Text,
    /// Where the answer appears.
    pub reply_topic: Text,
    /// Texts that the answer must contain; one holds {nonce}.
    pub reply_contains: At<Vec<Text>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDeadlines {
    /// From reset to the first line of the application.
    pub boot_s: At<u64>,
    /// From the application's start to an address; 20 unless given.
    pub wifi_s: Option<At<u64>>,
    /// From the address to the broker's acceptance; 20 unless given.
    pub mqtt_s: Option<At<u64>>,
    /// From the command to its answer; 20 unless given.
    pub command_s: Option<At<u64>>,
    /// For a call of the bench or of the unit to any other service; 20 unless given.
    pub service_s: Option<At<u64>>,
    /// For the check start: from the application's first line, how long it must run without a crash; 5 unless
    /// given.
    pub steady_s: Option<At<u64>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    /// Such as flash_integrity, nvs_readback, wifi_join, mqtt_connect.
    pub id: Text,
    /// What stands in for this check on a network without a radio: network_join for wifi_join. Without it, the
    /// profile is refused there.
    pub without_radio: Option<Text>,
    /// For the check command: what records call the test, such as "led".
    pub name: Option<Text>,
    /// For the check command: the program that measures, and its arguments. A path starts at the profile's
    /// folder. It reads a question in JSON and answers {"measurements": {"NAME": VALUE}}.
    pub command: Option<At<Vec<Text>>>,
    /// For the check command: a program that ends well when the instrument itself is sound. It is asked before a
    /// unit is blamed.
    pub witness: Option<At<Vec<Text>>>,
    /// For the check command: how long each of the programs may take, in seconds; 20 unless given.
    pub within_s: Option<At<u64>>,
    /// For the check command: what it shares with other units, such as "spectrometer": one at a time, or as many as
    /// [resources] of the station file says.
    pub uses: Option<At<Vec<Text>>>,
    /// For the check command: variables of the environment that its programs find, beside PATH, HOME and the like.
    pub environment: Option<At<Vec<Text>>>,
    /// For the check start: the application prints nothing by itself, and no line of it is waited for.
    pub silent: Option<At<bool>>,
    /// Limits by measurement.
    #[serde(default)]
    pub limits: BTreeMap<Text, RawLimits>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    /// Smallest good value.
    pub lower: Option<f64>,
    /// Largest good value.
    pub upper: Option<f64>,
    /// For the check command: the unit of the number, such as "mA".
    pub unit: Option<Text>,
    /// For the check command: the word that the value must be, instead of a number; true and false are two.
    pub equals: Option<Text>,
}
