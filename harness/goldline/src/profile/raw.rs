//! A profile as it stands in TOML, before anything but its form was looked at.
//!
//! Must not judge values: that is the parser's task, which turns this into a profile.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    pub schema: Spanned<u32>,
    pub name: Text,
    pub title: String,
    pub method: Text,
    pub chip: RawChip,
    pub partition: Vec<RawPartition>,
    pub images: RawImages,
    pub values: BTreeMap<Text, RawValue>,
    pub nvs: RawNvs,
    pub wifi: RawWifi,
    pub mqtt: RawMqtt,
    pub deadlines: RawDeadlines,
    pub check: Spanned<Vec<RawCheck>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChip {
    pub model: Text,
    pub flash_size: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPartition {
    pub name: Text,
    pub r#type: Text,
    pub subtype: Text,
    pub offset: Spanned<u32>,
    pub size: Spanned<u32>,
    pub encrypted: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawImages {
    pub bootloader: Text,
    pub app: Spanned<RawApp>,
    pub app_partition: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApp {
    pub model: Option<Text>,
    pub file: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawValue {
    pub source: Option<Text>,
    pub template: Option<Text>,
    #[serde(default)]
    pub secret: bool,
    pub id: Option<Spanned<bool>>,
    pub min_bytes: Option<Spanned<usize>>,
    pub max_bytes: Option<Spanned<usize>>,
    pub bytes: Option<Spanned<usize>>,
    pub sample: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNvs {
    pub partition: Text,
    pub namespace: Text,
    pub entries: Vec<RawNvsEntry>,
    #[serde(default)]
    pub foreign_namespaces: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNvsEntry {
    pub key: Text,
    pub encoding: Text,
    pub value: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWifi {
    pub ssid: Text,
    pub password: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMqtt {
    pub endpoint: Text,
    pub policy: Text,
    pub client_id: Text,
    pub username: Text,
    pub password: Text,
    #[serde(default)]
    pub subscriptions: Vec<Text>,
    #[serde(default)]
    pub client_certificate: bool,
    pub command: Option<RawCommand>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCommand {
    pub topic: Text,
    pub payload: Text,
    pub reply_topic: Text,
    pub reply_contains: Spanned<Vec<Text>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDeadlines {
    pub boot_s: Spanned<u64>,
    pub wifi_s: Spanned<u64>,
    pub mqtt_s: Spanned<u64>,
    pub command_s: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub id: Text,
    #[serde(default)]
    pub limits: BTreeMap<Text, RawLimits>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}
