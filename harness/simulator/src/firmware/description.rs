//! What one product's firmware reads, does and prints, as TOML.
//!
//! Written from the firmware's side of the product's document: it names keys, types and limits,
//! and never a value of any unit. Sections that a firmware does not have are left out.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The name under which templates use the id that the firmware derives.
pub(super) const DEVICE_ID: &str = "device_id";

/// A firmware.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// What the application says of itself.
    pub app: App,
    /// What it reads from its NVS.
    pub settings: Settings,
    /// Texts that are built into the application image; each is usable wherever a setting is. A
    /// setting of the same name is an error.
    #[serde(default)]
    pub constants: BTreeMap<String, String>,
    /// The id that it makes of its MAC address, usable as `{device_id}` wherever a setting is.
    pub device_id: Option<DeviceId>,
    /// What it stores when it starts, if it is a firmware that only provisions and then idles.
    pub factory: Option<Factory>,
    /// When it counts as provisioned; without it, whenever all settings are there.
    pub provisioning: Option<Provisioning>,
    /// What it prints besides ESP-IDF's own lines.
    #[serde(default)]
    pub says: Says,
    /// How it prints its log.
    #[serde(default)]
    pub log: Log,
    /// Its console.
    pub console: Option<ConsoleSection>,
    /// The web page that it serves while it is not provisioned.
    pub portal: Option<Portal>,
    /// The time server that it asks.
    pub time: Option<Time>,
    /// The server that it asks for its configuration.
    pub remote_config: Option<RemoteConfig>,
    /// How it takes updates.
    pub ota: Option<Ota>,
    /// How it joins a network; without it, it never does.
    pub wifi: Option<Wifi>,
    /// How it calls its CA service once it joined; without it, it never does.
    pub ca_call: Option<CaCall>,
    /// How it talks to its broker; without it, it never does.
    pub mqtt: Option<Mqtt>,
}

/// The application's own description.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Project name, at most 31 bytes.
    pub name: String,
    /// Version, at most 31 bytes.
    pub version: String,
    /// Version of ESP-IDF that it was built with, at most 31 bytes.
    pub idf_version: String,
    /// Tag of its own log lines.
    pub tag: String,
    /// Whether it crashes before it is sure of itself.
    #[serde(default)]
    pub fails_to_start: bool,
    /// What anti-rollback compares; a smaller one is refused as an update.
    #[serde(default)]
    pub secure_version: u32,
}

/// How a firmware prints its log.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Whose form its lines have.
    pub style: LogStyle,
    /// Whether a terminal shows each level in its colour.
    pub colours: bool,
    /// Whether it tells the signal that its radio receives.
    pub rssi: bool,
    /// Whether it tells the address that it was given.
    pub address: bool,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStyle {
    /// ESP-IDF's, whose start and WiFi driver print lines of their own.
    #[default]
    Idf,
    /// Arduino's, which is silent until the sketch runs.
    Arduino,
}

impl Default for Log {
    fn default() -> Self {
        Self { style: LogStyle::Idf, colours: false, rssi: true, address: true }
    }
}

/// A web page for whoever configures the unit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portal {
    /// Name of the network that it opens.
    pub ssid: String,
    /// Its passphrase.
    pub password: String,
    /// Where it serves there.
    pub address: std::net::SocketAddrV4,
    /// Where the form goes.
    pub path: String,
    /// Settings by the form's field.
    pub fields: BTreeMap<String, String>,
    /// Printed when the network is open.
    pub opened: Vec<String>,
    /// Printed when values were stored.
    pub saved: Vec<String>,
}

/// A time server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Its name.
    pub server: String,
    /// Its UDP port.
    pub port: u16,
    /// Printed when it answered; `{time}` stands for the moment.
    pub synchronized: Vec<String>,
}

/// A server that knows the unit's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteConfig {
    /// What is fetched.
    pub url: String,
    /// The setting for which the answer's field of the same meaning counts.
    pub setting: String,
    /// That field.
    pub field: String,
    /// Whether the field outranks what NVS holds.
    pub wins: bool,
    /// Printed before; `{url}` stands for what is fetched.
    pub fetching: Vec<String>,
    /// Printed after; the fields of the answer stand in braces.
    pub fetched: Vec<String>,
}

/// Updates by the broker's notice.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ota {
    /// Where notices come: JSON with url, sha256, size and version.
    pub topic: String,
    /// Where the outcome is reported.
    pub report: String,
    /// Whether an image must be signed; this one is then, too.
    #[serde(default)]
    pub signed: bool,
}

/// How the firmware makes its own id: the base MAC address in uppercase hexadecimal digits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceId {
    /// Whether it prints each byte without its leading zero, which is a bug that was shipped.
    #[serde(default)]
    pub drops_zeros: bool,
    /// Lines that it prints when it starts; `{device_id}` and `{version}` are filled in.
    #[serde(default)]
    pub banner: Vec<String>,
}

/// The NVS content that the firmware reads at each start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Label of the partition.
    pub partition: String,
    /// Namespace within it.
    pub namespace: String,
    /// Values by the name under which this description refers to them, read in order of the names
    /// unless `order` says otherwise.
    pub values: BTreeMap<String, Setting>,
    /// Names in the order in which the firmware reads them.
    #[serde(default)]
    pub order: Vec<String>,
    /// How the partition is encrypted, when it is.
    pub encryption: Option<Encryption>,
}

/// Where the firmware has the keys of its NVS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "scheme")]
pub enum Encryption {
    /// In a partition of subtype nvs_keys.
    NvsKeys {
        /// Its label.
        partition: String,
    },
    /// Made of the HMAC key in the eFuses.
    Hmac,
}

/// When a firmware counts as provisioned.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provisioning {
    /// Settings that must be there.
    pub required: Vec<String>,
    /// A setting that must be 1.
    pub flag: Option<String>,
}

/// Lines of the firmware's own, as they stand; `{name}` stands for a setting, `{ip}` for the address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Says {
    /// At the start.
    pub started: Vec<String>,
    /// Without its values.
    pub not_provisioned: Vec<String>,
    /// Before it joins.
    pub joining: Vec<String>,
    /// With an address.
    pub joined: Vec<String>,
    /// Before it connects to its broker.
    pub connecting: Vec<String>,
    /// When the broker accepted it.
    pub connected: Vec<String>,
}

/// The console of a firmware.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleSection {
    /// Printed when it waits for a line.
    #[serde(default)]
    pub prompt: String,
    /// Whether it echoes what is typed.
    pub echo: bool,
    /// Whether double quotes hold a word together.
    pub quoting: bool,
    /// The answer to a line that is no command.
    pub unknown: String,
    /// What stands before an error.
    pub failure: String,
    /// The commands.
    pub command: Vec<ConsoleCommand>,
}

/// One command.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleCommand {
    /// Its first words; one that ends with `=` takes the rest of the line as its only argument.
    pub name: String,
    /// Settings in the order of the words, or a word with dashes that must stand there.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Settings by the option in front of each.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Settings that must be there.
    #[serde(default)]
    pub requires: Vec<String>,
    /// What it does, in this order.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// What [`Action::Mark`] stores.
    #[serde(default)]
    pub marks: BTreeMap<String, String>,
    /// A setting that the following lines hold as PEM text, up to its `-----END` line. The answer comes
    /// before them, and they are not echoed.
    pub pem: Option<String>,
    /// The answer when that text is stored.
    #[serde(default)]
    pub reply_stored: Vec<String>,
    /// The answer; `{name}` stands for a setting, `{name?}` for `stored` or `none`.
    pub reply: Vec<String>,
    /// The answer when a required setting is missing.
    #[serde(default)]
    pub reply_missing: Vec<String>,
    /// The answer when the network is not joined.
    #[serde(default)]
    pub reply_failed: Vec<String>,
    /// The answer to wrong arguments.
    pub usage: Option<String>,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Stores the arguments.
    Store,
    /// Stores fixed values.
    Mark,
    /// Erases the whole partition of the settings.
    Erase,
    /// Joins with the settings as they are now.
    Join,
    /// Goes on only while there is an address in a network.
    CheckJoined,
    /// Sends the installer's alert.
    Alert,
    /// Restarts the chip.
    Restart,
}

/// One value.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// NVS key.
    pub key: String,
    /// NVS type.
    #[serde(rename = "type")]
    pub kind: SettingKind,
    /// Longest value that fits the firmware's buffer, in bytes without the NUL.
    pub max_bytes: usize,
    /// Whether the firmware does without it.
    #[serde(default)]
    pub optional: bool,
    /// What the firmware takes when it is not there, as text.
    pub default: Option<String>,
}

/// NVS types that a setting can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingKind {
    /// `nvs_get_str`
    String,
    /// `nvs_get_u8`
    U8,
    /// `nvs_get_u8`, 0 or 1
    Bool,
    /// `nvs_get_u16`
    U16,
    /// `nvs_get_u32`
    U32,
    /// `nvs_get_i32`
    I32,
    /// `nvs_get_blob`
    Blob,
}

/// What a firmware that only provisions stores, in the place of `[settings]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factory {
    /// Lines that it prints before.
    pub before: Vec<String>,
    /// Strings: NVS key and name of the constant.
    pub strings: BTreeMap<String, String>,
    /// NVS keys of the bytes that it sets to 1.
    pub flags: Vec<String>,
    /// Lines that it prints when everything is stored.
    pub after: Vec<String>,
}

/// How the firmware joins a network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wifi {
    /// Name of the setting that holds the network's name.
    pub ssid: String,
    /// Name of the setting that holds the passphrase; a firmware without one joins open networks only.
    #[serde(default)]
    pub passphrase: Option<String>,
    /// How it looks for its network.
    #[serde(default)]
    pub scan: Scan,
    /// How often it tries before it says that it failed.
    pub attempts: u32,
    /// Whether it then restarts the chip, instead of trying on.
    #[serde(default)]
    pub restarts: bool,
}

/// How a station looks for its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scan {
    /// It asks for the name, as ESP-IDF does with a configured SSID, and so finds hidden ones.
    #[default]
    ByName,
    /// It only listens to who says its name.
    Passive,
}

/// How the firmware calls its CA service: a JSON object is posted, `{"success": true}` comes back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaCall {
    /// Name of the setting that holds the service's URL.
    pub url: String,
    /// Path behind it.
    pub path: String,
    /// Name of the setting by which the service knows the unit.
    pub secret: String,
    /// The object: name and value, where `{name}` stands for a setting.
    pub fields: BTreeMap<String, String>,
    /// How often it tries before it goes on without.
    pub attempts: u32,
}

/// How the firmware talks to its broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// Name of the setting that holds the broker's URI, `mqtts://host:port`.
    pub uri: Option<String>,
    /// Name of the setting that holds the broker's host alone; TLS on port 8883.
    pub host: Option<String>,
    /// Name of the setting that holds the user name.
    pub username: String,
    /// Name of the setting that holds the password.
    pub password: String,
    /// Client id; `{name}` stands for a setting.
    pub client_id: String,
    /// Topics that it subscribes; `{name}` stands for a setting.
    pub subscribe: Vec<String>,
    /// Commands that it answers.
    pub command: Option<Command>,
    /// The alert that an installer asks for.
    pub alert: Option<Alert>,
    /// The setting that holds its certificate, as PEM text or DER blob.
    pub certificate: Option<String>,
    /// The setting that holds the certificate's private key.
    pub private_key: Option<String>,
    /// The setting that holds the CA it trusts instead of the embedded one.
    pub ca: Option<String>,
    /// After so many failed connections it restarts the chip; without, it tries on for ever.
    pub restarts_after: Option<u32>,
}

/// A message that is sent when an installer asks for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Where it goes.
    pub topic: String,
    /// Its fields, where `{name}` stands for a setting.
    pub fields: BTreeMap<String, String>,
}

/// A command topic: JSON with `id` and `command` comes in, JSON with the same `id` goes out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Topic of the commands.
    pub topic: String,
    /// Topic of the answers.
    pub answer: String,
    /// Fields of each answer: name and value, where `{name}` stands for a setting.
    pub fields: BTreeMap<String, String>,
}

/// Why a description is not one.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// Not TOML, or not these keys.
    #[error("firmware description is not readable: {0}")]
    Toml(#[from] toml::de::Error),
    /// A section refers to a setting that is not there.
    #[error(
        "firmware description refers to the setting {name:?}: add it to [settings.values] or [constants]"
    )]
    UnknownSetting {
        /// The name in question.
        name: String,
    },
    /// A build gives, or a section stores, a constant that the firmware does not have.
    #[error("the firmware has no constant {name:?}: add it to [constants] or do not give it")]
    UnknownConstant {
        /// The name in question.
        name: String,
    },
    /// Two of a setting, a constant and the derived id share their name.
    #[error("{name:?} stands for more than one of setting, constant and device id: rename one")]
    Ambiguous {
        /// The name in question.
        name: String,
    },
    /// A text does not fit its field of the application header.
    #[error("{field} {value:?} is longer than the 31 bytes of the application header: shorten it")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: String,
    },
}

impl Settings {
    /// The same settings with the first key misspelt, as a firmware from another branch reads them.
    pub(super) fn with_a_key_renamed(&self) -> Self {
        let mut settings = self.clone();
        let first = settings.order.first().cloned();
        let name = first.or_else(|| settings.values.keys().next().cloned());
        if let Some(setting) = name.and_then(|name| settings.values.get_mut(&name)) {
            setting.key.pop();
        }
        settings
    }
}

impl Description {
    /// Reads and checks a description.
    pub fn parse(text: &str) -> Result<Self, DescriptionError> {
        let description: Self = toml::from_str(text)?;
        description.check_lengths()?;
        description.check_references()?;
        Ok(description)
    }

    /// The same firmware built with other values for some of its constants, as a build defines them.
    pub(super) fn with_constants(
        mut self,
        given: &BTreeMap<String, String>,
    ) -> Result<Self, DescriptionError> {
        for (name, value) in given {
            let constant = self
                .constants
                .get_mut(name)
                .ok_or_else(|| DescriptionError::UnknownConstant { name: name.clone() })?;
            constant.clone_from(value);
        }
        Ok(self)
    }

    fn check_lengths(&self) -> Result<(), DescriptionError> {
        let app = &self.app;
        let fields = [
            ("app.name", &app.name),
            ("app.version", &app.version),
            ("app.idf_version", &app.idf_version),
        ];
        match fields.into_iter().find(|(_, value)| value.len() > 31) {
            None => Ok(()),
            Some((field, value)) => Err(DescriptionError::TooLong { field, value: value.clone() }),
        }
    }

    fn check_references(&self) -> Result<(), DescriptionError> {
        let mut names: Vec<&str> = self.settings.order.iter().map(String::as_str).collect();
        if let Some(wifi) = &self.wifi {
            names.push(&wifi.ssid);
            names.extend(wifi.passphrase.as_deref());
        }
        if let Some(call) = &self.ca_call {
            names.extend([call.url.as_str(), &call.secret]);
            names.extend(call.fields.values().flat_map(|template| placeholders(template)));
        }
        if let Some(mqtt) = &self.mqtt {
            names.extend([mqtt.username.as_str(), &mqtt.password]);
            names.extend([&mqtt.uri, &mqtt.host].into_iter().flatten().map(String::as_str));
            names.extend(
                [&mqtt.certificate, &mqtt.private_key, &mqtt.ca]
                    .into_iter()
                    .flatten()
                    .map(String::as_str),
            );
            let templates = [&mqtt.client_id].into_iter().chain(&mqtt.subscribe);
            names.extend(templates.flat_map(|template| placeholders(template)));
            if let Some(alert) = &mqtt.alert {
                let templates = [&alert.topic].into_iter().chain(alert.fields.values());
                names.extend(templates.flat_map(|template| placeholders(template)));
            }
            if let Some(command) = &mqtt.command {
                let templates = [&command.topic, &command.answer].into_iter();
                let templates = templates.chain(command.fields.values());
                names.extend(templates.flat_map(|template| placeholders(template)));
            }
        }
        if let Some(rule) = &self.provisioning {
            names.extend(rule.required.iter().chain(&rule.flag).map(String::as_str));
        }
        for command in self.console.iter().flat_map(|console| &console.command) {
            let arguments = command.arguments.iter().filter(|name| !name.starts_with('-'));
            names.extend(arguments.map(String::as_str));
            names.extend(command.options.values().chain(command.marks.keys()).map(String::as_str));
            names.extend(command.requires.iter().chain(&command.pem).map(String::as_str));
            let replies = command.reply.iter().chain(&command.reply_stored);
            let replies = replies.flat_map(|line| placeholders(line));
            names.extend(replies.map(|name| name.strip_suffix('?').unwrap_or(name)));
        }
        let is_setting = |name: &str| self.settings.values.contains_key(name);
        if let Some(name) = self.constants.keys().find(|name| is_setting(name)) {
            return Err(DescriptionError::Ambiguous { name: name.clone() });
        }
        let mut stored = self.factory.iter().flat_map(|factory| factory.strings.values());
        if let Some(name) = stored.find(|name| !self.constants.contains_key(*name)) {
            return Err(DescriptionError::UnknownConstant { name: name.clone() });
        }
        let derived = self.device_id.as_ref().map(|_| DEVICE_ID);
        let taken = |name: &str| is_setting(name) || self.constants.contains_key(name);
        if let Some(name) = derived.filter(|name| taken(name)) {
            return Err(DescriptionError::Ambiguous { name: name.to_owned() });
        }
        let known = |name: &&str| taken(name) || derived == Some(*name);
        match names.into_iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(DescriptionError::UnknownSetting { name: name.to_owned() }),
        }
    }
}

/// The names between braces.
fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}
