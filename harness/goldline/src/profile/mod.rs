//! One product: chip, flash map, values of a unit, NVS content, method, endpoints, checks.
//!
//! [`Profile`] is valid by construction: whoever holds one need not check offsets, lengths or names
//! again. Must not know how anything is written or checked. Offsets and sizes are bytes.

mod accepted;
mod catalog;
mod check_id;
mod chip;
mod dialogue;
mod endpoint;
mod flash_map;
mod host;
mod interface;
mod nearest;
mod nvs_content;
mod own_test;
mod parse;
mod position;
mod problem;
mod raw;
mod resource;
mod schema;
mod secret_source;
mod security;
mod service;
mod station_file;
mod template;
mod token_key;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    build::{ImageFile, LeftOut},
    identity::{MacScheme, SaltedScheme},
    record::Limits,
};

pub use accepted::{Accepted, MutantPattern, MutantPatternError};
pub use catalog::{CatalogError, Listed, find, folder_of, list};
pub use check_id::CheckId;
pub use chip::{Chip, Feature, UnknownChip};
pub use dialogue::{
    ConsoleSpec, DialogueName, Exchange, LineEnd, Need, NotSayable, Paste, Quoting, ScrapedId,
    Unsayable,
};
pub use endpoint::{Endpoint, EndpointError};
pub use flash_map::{FlashMap, FlashMapError, Partition, PartitionKind, SECTOR};
pub use host::{Host, HostError};
pub use interface::Interface;
pub use nearest::did_you_mean;
pub use nvs_content::{NvsContent, NvsEncoding, NvsEncryption, NvsEntry, NvsKeyScheme};
pub use own_test::{ConsoleMeasure, Demand, OwnTest};
pub use position::LineColumn;
pub use problem::{Located, Problem, ProfileError};
pub use resource::{NoResource, Resource};
pub use schema::json_schema;
pub use secret_source::{SecretError, SecretSource};
pub use security::{
    DownloadMode, FlashEncryption, Jtag, KEY_BLOCKS, KeyPurpose, SecureBoot, Security,
};
pub use service::{
    Alert, BadImage, Ca, Caller, ConfigServer, FactoryFirmware, InterfaceOff, Ota, Portal,
    ProvisioningApi, RegistrySpec, TimeServer, Update,
};
pub use station_file::{
    CaService, ConfigServerService, Lock, MqttService, Nest, Power, RadioPath, Redirect,
    RedirectKey, RedirectedBy, RegistryService, Setting, StationFile, StationFileError,
    StationFileProblem, Visiting, WifiService,
};
pub use template::{Piece, Template, TemplateError, UnboundSymbol};
pub use token_key::{TokenKey, TokenKeyError, TokenTerms};

/// What bench values may name: the certificate of the bench's own CA, PEM.
pub const BENCH_ROOT: &str = "bench.root_certificate";

/// One product, validated.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What `goldline run NAME` calls it.
    pub name: String,
    /// SHA-256 of its text, as lowercase hex.
    pub digest: String,
    /// The product's name for people.
    pub title: String,
    /// How the unit gets its values.
    pub method: Method,
    /// The chip the product is built on.
    pub chip: Chip,
    /// Flash size and partitions.
    pub flash: FlashMap,
    /// What is flashed besides data.
    pub images: Images,
    /// Whether flash that differs before the first boot is written once more.
    pub rewrites: bool,
    /// The values of one unit by name, in the file's order; a template names only earlier ones.
    pub values: Vec<ValueSpec>,
    /// What a unit is told on the bench in place of values that it is shipped with, by their names; they may name
    /// [`BENCH_ROOT`] and nothing else.
    pub bench_values: BTreeMap<String, Template>,
    /// What is written into the NVS partition.
    pub nvs: NvsContent,
    /// The network that the unit must join; a product may be judged without one.
    pub wifi: Option<Wifi>,
    /// The broker that the unit must reach.
    pub mqtt: Option<Mqtt>,
    /// The certificate authority, of those that have one.
    pub ca: Option<Ca>,
    /// The device registry.
    pub registry: Option<RegistrySpec>,
    /// The serial console's dialogues.
    pub console: Option<ConsoleSpec>,
    /// The server that gives a unit its MQTT credentials.
    pub provisioning_api: Option<ProvisioningApi>,
    /// The web page that an unconfigured unit serves.
    pub portal: Option<Portal>,
    /// What must be off once the unit is provisioned.
    pub interface_off: Option<InterfaceOff>,
    /// The server that the unit asks for its configuration.
    pub config_server: Option<ConfigServer>,
    /// What its security fuses must say.
    pub security: Option<Security>,
    /// The time server that the unit asks.
    pub time: Option<TimeServer>,
    /// Over-the-air updates that are tried on the unit.
    pub ota: Option<Ota>,
    /// The firmware that writes a unit's values and is then replaced.
    pub factory: Option<FactoryFirmware>,
    /// The installer's test alert.
    pub alert: Option<Alert>,
    /// The values that each part of a re-provisioning may change.
    pub reprovision: BTreeMap<Part, Vec<String>>,
    /// How long to wait for what.
    pub deadlines: Deadlines,
    /// The QC list, in order.
    pub checks: Vec<CheckSpec>,
    /// Bad units that the QC list is known to let pass.
    pub accepted: Vec<Accepted>,
}

impl Profile {
    /// Whether a value is the one that the profile itself declares, which everybody can read there.
    pub fn declares(&self, name: &str, value: &str) -> bool {
        let spec = self.values.iter().find(|spec| spec.name == name);
        spec.is_some_and(|spec| spec.sample.as_deref() == Some(value))
    }

    /// Whether a text holds a value that another unit of the site has not.
    pub fn names_the_unit(&self, text: &Template) -> bool {
        text.symbols().any(|symbol| {
            if symbol.starts_with("unit.") || symbol.starts_with("observed.") {
                return true;
            }
            let spec = self.values.iter().find(|spec| spec.name == symbol);
            spec.is_some_and(|spec| match &spec.source {
                ValueSource::Site => false,
                ValueSource::Lease | ValueSource::Random { .. } | ValueSource::MacScheme(_) => true,
                ValueSource::Template(template) => self.names_the_unit(template),
                ValueSource::Salted { of, .. } => self.names_the_unit(of),
            })
        })
    }

    /// The command that proves a unit alive.
    pub fn command(&self) -> Option<&CommandRoundTrip> {
        self.mqtt.as_ref()?.command.as_ref()
    }

    /// The tests of the product's own, in order.
    pub fn own_tests(&self) -> impl Iterator<Item = &Arc<OwnTest>> {
        self.checks.iter().filter_map(|check| check.own.as_ref())
    }

    /// Whether a unit must show its broker a certificate.
    pub fn shows_certificate(&self) -> bool {
        self.mqtt.as_ref().is_some_and(|mqtt| mqtt.client_certificate)
    }

    /// Whether a unit is tested with other values than it is shipped with.
    pub fn is_tested_then_finished(&self) -> bool {
        self.mqtt.as_ref().is_some_and(|mqtt| mqtt.policy == EndpointPolicy::TestThenFinal)
    }

    /// Whether a unit must reach anything at all.
    pub fn reaches_network(&self) -> bool {
        self.wifi.is_some() || self.portal.is_some()
    }
}

/// How a unit gets its values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// An NVS image is made for each unit and flashed with the rest.
    FactoryImage,
    /// The bench registers the unit with a CA, flashes an NVS image with what it got, and configures
    /// the unit's WiFi over its console.
    CaRegistration,
    /// The unit is flashed without values and gets them over its serial console.
    Console,
    /// The unit is flashed without values; the bench asks a server for credentials and gives them to
    /// the unit's web portal.
    Portal,
    /// A provisioning firmware writes the values and is replaced by the final one.
    FactoryFirmware,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 5] = [
        Self::FactoryImage,
        Self::CaRegistration,
        Self::Console,
        Self::Portal,
        Self::FactoryFirmware,
    ];

    /// The name in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::FactoryImage => "factory_image",
            Self::CaRegistration => "ca_registration",
            Self::Console => "console",
            Self::Portal => "portal",
            Self::FactoryFirmware => "factory_firmware",
        }
    }

    /// Whether the bench flashes the unit's NVS image; otherwise the unit's own firmware writes it.
    pub fn flashes_nvs(self) -> bool {
        matches!(self, Self::FactoryImage | Self::CaRegistration)
    }
}

/// A part of a unit's values that can be given anew while the rest stays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// The network.
    Wifi,
    /// The certificate.
    Certificate,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 2] = [Self::Wifi, Self::Certificate];

    /// The name in profiles and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wifi => "wifi",
            Self::Certificate => "certificate",
        }
    }
}

/// What is flashed besides data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Images {
    /// The second-stage bootloader.
    pub bootloader: BootloaderSource,
    /// The application.
    pub app: AppSource,
    /// Name of the partition that the application is written to.
    pub app_partition: String,
    /// The build's own partition table as it lies in flash; without it, one is made of the partitions.
    pub table: Option<Vec<u8>>,
    /// What a build flashes besides: at most one for a partition.
    pub others: Vec<OtherImage>,
    /// What the build says of itself, to be held against its images.
    pub build: Option<BuildSays>,
    /// The ELF that the application was made of, for the addresses that it prints when it crashes.
    pub elf: Option<ImageFile>,
    /// What is in the build's merged binary and is not flashed.
    pub left_out: Vec<LeftOut>,
    /// Whether whom the application trusts does not stand in it: it verifies nothing, or takes its CA from
    /// elsewhere, whatever it carries.
    pub trusts_elsewhere: bool,
}

/// An image that a build flashes besides its application, at the start of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OtherImage {
    /// Name of the partition.
    pub partition: String,
    /// What is flashed.
    pub file: ImageFile,
}

/// What a build says of its images.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildSays {
    /// How the flash is read: such as `dio`.
    pub flash_mode: Option<String>,
    /// Such as `4MB`.
    pub flash_size: Option<String>,
    /// The application with its names, of which the image must have been made.
    pub elf: Option<PathBuf>,
}

/// Where the second-stage bootloader comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BootloaderSource {
    /// ESP-IDF's own for the chip, as espflash carries it.
    EspIdf,
    /// An ESP image of the product's.
    File(ImageFile),
}

/// Where the application comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AppSource {
    /// A firmware description that the simulator's compiler turns into an app, for simulated units.
    Model {
        /// Name of the shipped description, or the path of one.
        name: String,
    },
    /// An ELF file or ESP image of the product's.
    File(ImageFile),
}

/// One named value of a unit and where it comes from.
#[derive(Clone, PartialEq, Eq)]
pub struct ValueSpec {
    /// The name that templates use.
    pub name: String,
    /// Where it comes from when `--set` and `--units` do not give it.
    pub source: ValueSource,
    /// Whether it must never be shown.
    pub secret: bool,
    /// Whether the record lists it among the unit's public identifiers.
    pub id: bool,
    /// Whether units may have it in common although it is of a kind that is a unit's own.
    pub shared: bool,
    /// Whether it may have several lines.
    pub multiline: bool,
    /// Shortest good value in bytes.
    pub min_bytes: usize,
    /// Longest good value in bytes.
    pub max_bytes: usize,
    /// The declared value of goldens and simulated units.
    pub sample: Option<String>,
}

impl fmt::Debug for ValueSpec {
    /// Leaves the sample of a secret out: somebody will put a real one there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sample = self.sample.as_deref().filter(|_| !self.secret);
        f.debug_struct("ValueSpec")
            .field("name", &self.name)
            .field("source", &self.source)
            .field("secret", &self.secret)
            .field("sample", &sample)
            .finish_non_exhaustive()
    }
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ValueSource {
    /// The same for all units of a site: `--set`, the unit's CSV row, or the station file.
    Site,
    /// A number that the state directory leases and never gives twice.
    Lease,
    /// Made for the unit by the operating system's generator: so many bytes, printed as lowercase hex.
    Random {
        /// Entropy in bytes.
        bytes: usize,
    },
    /// Built of earlier values.
    Template(Template),
    /// Derived of the unit's MAC.
    MacScheme(MacScheme),
    /// A password derived of an id and a salt.
    Salted {
        /// How.
        scheme: SaltedScheme,
        /// The id.
        of: Template,
        /// The salt.
        salt: Template,
    },
}

impl ValueSource {
    /// Whether it is made of other values, and so made anew for another unit.
    pub fn is_derived(&self) -> bool {
        matches!(self, Self::Template(_) | Self::MacScheme(_) | Self::Salted { .. })
    }

    /// The name of the value that is its salt.
    pub fn salt(&self) -> Option<&str> {
        match self {
            Self::Salted { salt, .. } => salt.lone_symbol(),
            _ => None,
        }
    }

    /// Whether one of these values is a part of it.
    pub fn names(&self, values: &[String]) -> bool {
        let in_template = |template: &Template| {
            template.symbols().any(|symbol| values.iter().any(|name| name == symbol))
        };
        match self {
            Self::Template(template) => in_template(template),
            Self::Salted { of, salt, .. } => in_template(of) || in_template(salt),
            Self::Site | Self::Lease | Self::Random { .. } | Self::MacScheme(_) => false,
        }
    }
}

/// The network that the unit must join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wifi {
    /// Network name.
    pub ssid: Template,
    /// WPA2 passphrase; empty for an open network.
    pub password: Template,
    /// Whether the network hides its name.
    pub hidden: bool,
}

/// The broker that the unit must reach, and what it must do there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mqtt {
    /// A URI with scheme and port, as the unit holds it.
    pub endpoint: Template,
    /// Which of test, redirected and final the address is.
    pub policy: EndpointPolicy,
    /// What the unit must call itself.
    pub client_id: Template,
    /// User name.
    pub username: Template,
    /// Password.
    pub password: Template,
    /// Topic filters that the unit must subscribe to.
    pub subscriptions: Vec<Template>,
    /// Further filters that it may subscribe to.
    pub allowed_subscriptions: Vec<Template>,
    /// Whether the unit must show a client certificate of the plan's CA.
    pub client_certificate: bool,
    /// A command and the answer that proves the unit alive.
    pub command: Option<CommandRoundTrip>,
}

/// What the address in a unit means during QC and after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndpointPolicy {
    /// The unit holds its final address, and the bench answers for that name.
    Redirected,
    /// QC runs with bench addresses; the final image is written last.
    TestThenFinal,
    /// The unit holds a bench address; for emulators and development only.
    Bench,
}

/// A command that the bench sends and the answer that it expects. `{nonce}` is fresh for each run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandRoundTrip {
    /// Where the command is published.
    pub topic: Template,
    /// What is published.
    pub payload: Template,
    /// Where the answer appears.
    pub reply_topic: Template,
    /// Texts that the answer must contain.
    pub reply_contains: Vec<Template>,
}

/// How long to wait for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlines {
    /// From reset to the first line of the application.
    pub boot: Duration,
    /// From the application's start to an address.
    pub wifi: Duration,
    /// From the address to the broker's acceptance.
    pub mqtt: Duration,
    /// From the command to its answer.
    pub command: Duration,
    /// For a call of the bench or of the unit to any other service.
    pub service: Duration,
    /// From the application's start, how long it must run without a crash.
    pub steady: Duration,
}

/// One item of the QC list.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckSpec {
    /// Which check.
    pub id: CheckId,
    /// Of `command`, the program that measures.
    pub own: Option<Arc<OwnTest>>,
    /// What stands in for it on a network without a radio.
    pub without_radio: Option<CheckId>,
    /// Whether the application prints nothing, so that no line of it is waited for.
    pub silent: bool,
    /// Limits by measurement name.
    pub limits: BTreeMap<String, Limits>,
}

impl CheckSpec {
    /// A check without limits.
    pub(crate) fn of(id: CheckId) -> Self {
        Self { id, own: None, without_radio: None, silent: false, limits: BTreeMap::new() }
    }

    /// What records call it: a test of the product's own has a name of its own.
    pub fn name(&self) -> &str {
        self.own.as_ref().map_or(self.id.name(), |own| &own.name)
    }
}

impl EndpointPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Redirected, Self::TestThenFinal, Self::Bench];

    /// The name in profiles and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redirected => "redirected",
            Self::TestThenFinal => "test_then_final",
            Self::Bench => "bench",
        }
    }
}

/// What no value may hold, when there is some of it: firmware and consoles end a value there.
fn forbidden_character(text: &str) -> Option<&'static str> {
    text.chars().find_map(|character| match character {
        '\0' => Some("a NUL"),
        '\r' => Some("a carriage return"),
        '\n' => Some("a line feed"),
        _ => None,
    })
}

impl ValueSpec {
    /// What the value may not hold, when there is some of it in the text.
    pub fn forbidden_in(&self, text: &str) -> Option<&'static str> {
        if self.multiline {
            text.contains('\0').then_some("a NUL")
        } else {
            forbidden_character(text)
        }
    }
}

/// What the engine learns in the course of a run, by name: how it looks, and whether it is secret.
/// Goldens and rehearsals put it in the place of the real one.
pub fn learnt_samples() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    parse::samples()
}

/// Whether something that a service gives to a unit must never be shown.
pub fn is_secret_when_issued(name: &str) -> bool {
    learnt_samples().any(|(learnt, _, secret)| learnt == name && secret)
}

/// Whether a text is a number as leases give them, so that `+1` and `01` do not become other ids.
pub fn is_lease_number(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number.to_string() == text)
}
