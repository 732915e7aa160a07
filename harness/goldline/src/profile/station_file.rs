//! The station file: which services a production line reaches, and the values of its site.
//!
//! ```toml
//! [services.mqtt]
//! url = "mqtts://broker.example.test:8883"
//! username = "station-7"
//! password = { env = "BROKER_PASSWORD" }
//!
//! [services.ca]
//! url = "https://ca.example.test"
//! token = { command = ["vault-read", "ca/token"] }
//!
//! [services.registry]
//! url = { env = "REGISTRY_URL" }
//!
//! [services.config_server]
//! url = "https://config.example.test"
//! token = { file = "/run/secrets/config" }
//!
//! [services.wifi]
//! ssid = "Production"
//! password = { file = "/run/secrets/wifi" }
//!
//! [values]
//! mqtt_broker = "mqtts://broker.example.test:8883"
//!
//! [previous]          # salts that are valid still, while they change
//! salt = { file = "/run/secrets/salt-2026" }
//!
//! [network]
//! use = "nic:wlan1"   # what lies between real units and the services, unless --network says otherwise
//! listen = "0.0.0.0"  # for "site": where the bench's services listen, and what units are given to find them
//! advertise = "bench.example.test"    # or several: ["bench.example.test", "time.example.test"]
//!
//! [final]             # of units that are tested with other values than they are shipped with
//! broker_shows = "broker-chain.pem"
//!
//! [require]
//! radio = true        # no run whose network cannot prove the unit's WiFi
//! ```
//!
//! Secrets never stand in it; no error repeats a value, in case one does. Reads the file, and none of
//! the places that it names.

mod nests;
mod redirect;
mod visiting;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    net::IpAddr,
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Host, LineColumn, NoResource, Resource, SecretSource, TokenKey, TokenKeyError,
    nearest::did_you_mean,
};
use crate::secret::Secret;

pub use nests::{Lock, Nest, Power, RadioPath};
pub use redirect::{Redirect, RedirectKey, RedirectedBy};
pub use visiting::Visiting;

/// The services of a station and the values of its site.
#[derive(Clone, Debug, Default)]
pub struct StationFile {
    /// What records call the station.
    pub name: Option<String>,
    /// The broker that the station itself uses.
    pub mqtt: Option<MqttService>,
    /// The certificate authority.
    pub ca: Option<CaService>,
    /// The fleet's register of devices.
    pub registry: Option<RegistryService>,
    /// The server that units fetch their configuration from.
    pub config_server: Option<ConfigServerService>,
    /// The network that units join.
    pub wifi: Option<WifiService>,
    /// `[values]`: those of the profile, by name.
    pub values: BTreeMap<String, Setting>,
    /// `[previous]`: the salts before those in `values`, by name, as long as they are valid beside them.
    pub previous: BTreeMap<String, SecretSource>,
    /// What lies between its real units and the services, as `--network` names it.
    pub network: Option<String>,
    /// The control socket of the hostapd that its real units come over.
    pub hostapd: Option<PathBuf>,
    /// `[portal]`: how the bench gets into the networks that its real units open.
    pub visiting: Option<Visiting>,
    /// Where the bench's services listen on the network of its site; every address of the machine, unless it says so.
    pub listen: Option<IpAddr>,
    /// What units know the bench by on the network of its site.
    pub advertise: Vec<Host>,
    /// Whether only a network will do that proves a unit's radio.
    pub requires_radio: bool,
    /// Whether only a nest will do whose path loss was measured, and not too long ago.
    pub requires_calibration: bool,
    /// `[[nest]]`: where units lie.
    pub nests: Vec<Nest>,
    /// `[redirect]`: who certifies the bench's servers for real units.
    pub redirect: Option<Redirect>,
    /// `[final]`: PEM of what the production's broker shows, its certificate first.
    pub broker_shows: Option<PathBuf>,
    /// How long the same runs may keep what nests share before a wait for it ends.
    pub share_within: Option<Duration>,
    /// `[resources]`: how much there is of what nests share, by name.
    pub resources: BTreeMap<Resource, u32>,
}

/// The broker that the station itself uses, with the station's own credentials.
#[derive(Clone, Debug)]
pub struct MqttService {
    /// Its address, as it stands in the file.
    pub url: String,
    /// The station's own user name.
    pub username: Option<Setting>,
    /// The station's own password.
    pub password: Option<SecretSource>,
}

/// The certificate authority.
#[derive(Clone, Debug)]
pub struct CaService {
    /// Its address, as it stands in the file.
    pub url: String,
    /// What authorises the station.
    pub token: Option<SecretSource>,
}

/// The fleet's register of devices.
#[derive(Clone, Debug)]
pub struct RegistryService {
    /// Its address; a secret, because it holds a password.
    pub url: SecretSource,
}

/// The server that units fetch their configuration from.
#[derive(Clone, Debug)]
pub struct ConfigServerService {
    /// Its address, as it stands in the file.
    pub url: String,
    /// What authorises the station.
    pub token: Option<SecretSource>,
}

/// The network that units join.
#[derive(Clone, Debug)]
pub struct WifiService {
    /// Its name.
    pub ssid: Option<Setting>,
    /// Its passphrase; always a source.
    pub password: Option<Setting>,
}

/// A value as it stands in the file.
#[derive(Clone, Debug)]
pub enum Setting {
    /// In the clear. Held as a secret all the same: only a profile tells which values are.
    Plain(Secret),
    /// Somewhere else.
    Source(SecretSource),
}

/// A station file that is not valid. It does not carry the file's text: a secret may stand there.
#[derive(Debug)]
pub struct StationFileError {
    file: String,
    place: LineColumn,
    problem: StationFileProblem,
}

/// What is wrong with a station file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum StationFileProblem {
    #[error("cannot read the file: {0}")]
    Unreadable(io::Error),
    #[error("no TOML: {message}")]
    Toml { message: String },
    #[error("unknown key `{key}`: expected one of {}{}", .expected.join(", "), did_you_mean(.key, .expected.iter().copied()))]
    UnknownKey { key: String, expected: Vec<&'static str> },
    #[error("missing key `{key}` in [{section}]")]
    MissingKey { section: &'static str, key: &'static str },
    #[error("`{key}` is {found}: expected {expected}")]
    Type { key: String, found: &'static str, expected: &'static str },
    #[error(
        "`{key}` is a secret and never stands in the station file: expected {{ env = \"X\" }}, {{ file = \"PATH\" }} or {{ command = [\"PROGRAM\"] }}"
    )]
    SecretInTheClear { key: String },
    #[error("`{key}` names {count} sources: expected exactly one of env, file and command")]
    SourceCount { key: String, count: usize },
    #[error("the command of `{key}` is empty: expected a program and its arguments")]
    EmptyCommand { key: String },
    #[error(transparent)]
    Resource(#[from] NoResource),
    #[error("[redirect] names none or two of `certificate` and `ca`: expected one of them")]
    RedirectedBy,
    #[error("`key` of [redirect]: {0}")]
    TokenKey(#[from] TokenKeyError),
    #[error(
        "`key` is on a token, and with `certificate` a server of the bench needs it itself: expected `ca`"
    )]
    TokenOfServer,
    #[error("the nest {name} stands twice")]
    NestTwice { name: String },
    #[error(
        "the name \"{name}\" cannot be one of a nest: expected letters, digits and dashes, and not \"all\""
    )]
    NestName { name: String },
    #[error(
        "`path_loss_db` is no number from 0 to 120: expected dB that a signal loses, such as 12.5"
    )]
    PathLoss,
    #[error("`{key}` without `{needs}`: neither is of use alone")]
    Alone { key: &'static str, needs: &'static str },
    #[error("`{key}` is no {expected}")]
    Place { key: &'static str, expected: &'static str },
    #[error("`{key}` is no whole number from {least} to {most}")]
    Number { key: String, least: u64, most: u64 },
}

type Found<'a> = Spanned<DeValue<'a>>;
type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;
type Fault = (Range<usize>, StationFileProblem);

impl StationFile {
    /// Reads a file. Relative paths in it start at its own folder.
    ///
    /// # Errors
    /// When it cannot be read, or as [`StationFile::parse`].
    pub fn load(path: &Path) -> Result<Self, StationFileError> {
        let file = path.display().to_string();
        let folder = path.parent().unwrap_or(Path::new(""));
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text, folder),
            Err(error) => Err(StationFileError {
                file,
                place: LineColumn::of("", 0),
                problem: StationFileProblem::Unreadable(error),
            }),
        }
    }

    /// Reads the TOML in `text`. `file` is the name that errors show; relative paths start at `folder`.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and column.
    pub fn parse(file: &str, text: &str, folder: &Path) -> Result<Self, StationFileError> {
        let parsed = DeTable::parse(text).map_err(|error| {
            let message = error.message().replace('\n', "; ");
            (error.span().unwrap_or(0..0), StationFileProblem::Toml { message })
        });
        let station = parsed.and_then(|root| Reader { folder }.station(root.get_ref()));
        station.map_err(|(span, problem)| StationFileError {
            file: file.to_owned(),
            place: LineColumn::of(text, span.start),
            problem,
        })
    }
}

const SERVICES: &[&str] = &["mqtt", "ca", "config_server", "registry", "wifi"];

/// Reads values, and knows where relative paths start.
struct Reader<'a> {
    folder: &'a Path,
}

impl Reader<'_> {
    fn station(&self, root: &DeTable<'_>) -> Result<StationFile, Fault> {
        let mut station = StationFile::default();
        for (key, value) in root {
            match key.get_ref().as_ref() {
                "services" => self.services(table("services", value)?, &mut station)?,
                "values" => {
                    for (name, value) in table("values", value)? {
                        let setting = self.setting(name.get_ref(), value)?;
                        station.values.insert(name.get_ref().to_string(), setting);
                    }
                }
                "previous" => {
                    for (name, value) in table("previous", value)? {
                        let source = self.source(name.get_ref(), value)?;
                        station.previous.insert(name.get_ref().to_string(), source);
                    }
                }
                "network" => {
                    for (name, value) in table("network", value)? {
                        match name.get_ref().as_ref() {
                            "use" => station.network = Some(plain("use", value)?),
                            "hostapd" => {
                                let socket = plain("hostapd", value)?;
                                station.hostapd = Some(self.folder.join(socket));
                            }
                            "listen" => station.listen = Some(host("listen", value)?),
                            "advertise" => station.advertise = hosts("advertise", value)?,
                            _ => {
                                let known = ["use", "hostapd", "listen", "advertise"];
                                return Err(unknown(name, &known));
                            }
                        }
                    }
                }
                "require" => {
                    for (name, value) in table("require", value)? {
                        match name.get_ref().as_ref() {
                            "radio" => station.requires_radio = truth("radio", value)?,
                            "calibration" => {
                                station.requires_calibration = truth("calibration", value)?;
                            }
                            _ => return Err(unknown(name, &["radio", "calibration"])),
                        }
                    }
                }
                "final" => {
                    for (name, value) in table("final", value)? {
                        match name.get_ref().as_ref() {
                            "broker_shows" => {
                                let file = plain("broker_shows", value)?;
                                station.broker_shows = Some(self.folder.join(file));
                            }
                            _ => return Err(unknown(name, &["broker_shows"])),
                        }
                    }
                }
                "station" => {
                    for (name, value) in table("station", value)? {
                        match name.get_ref().as_ref() {
                            "name" => station.name = Some(plain("name", value)?),
                            "share_min" => station.share_within = Some(nests::minutes(value)?),
                            _ => return Err(unknown(name, &["name", "share_min"])),
                        }
                    }
                }
                "nest" => station.nests = self.nests(value)?,
                "portal" => station.visiting = Some(self.visiting(value)?),
                "redirect" => station.redirect = Some(self.redirect(value)?),
                "resources" => station.resources = nests::resources(table("resources", value)?)?,
                _ => {
                    let known = [
                        "services",
                        "values",
                        "previous",
                        "network",
                        "require",
                        "station",
                        "nest",
                        "portal",
                        "redirect",
                        "final",
                        "resources",
                    ];
                    return Err(unknown(key, &known));
                }
            }
        }
        Ok(station)
    }

    fn services(&self, services: &DeTable<'_>, station: &mut StationFile) -> Result<(), Fault> {
        for (key, value) in services {
            match key.get_ref().as_ref() {
                "mqtt" => station.mqtt = Some(self.mqtt(table("services.mqtt", value)?, value)?),
                "ca" => {
                    let (url, token) = self.web_service("services.ca", value)?;
                    station.ca = Some(CaService { url, token });
                }
                "config_server" => {
                    let (url, token) = self.web_service("services.config_server", value)?;
                    station.config_server = Some(ConfigServerService { url, token });
                }
                "registry" => station.registry = Some(self.registry(value)?),
                "wifi" => station.wifi = Some(self.wifi(table("services.wifi", value)?)?),
                _ => return Err(unknown(key, SERVICES)),
            }
        }
        Ok(())
    }

    fn mqtt(&self, section: &DeTable<'_>, whole: &Found<'_>) -> Result<MqttService, Fault> {
        let (mut url, mut username, mut password) = (None, None, None);
        for (key, value) in section {
            match key.get_ref().as_ref() {
                "url" => url = Some(plain("url", value)?),
                "username" => username = Some(self.setting("username", value)?),
                "password" => password = Some(self.source("password", value)?),
                _ => return Err(unknown(key, &["url", "username", "password"])),
            }
        }
        let url = url.ok_or_else(|| missing(whole, "services.mqtt", "url"))?;
        Ok(MqttService { url, username, password })
    }

    /// Address and token of a service over HTTP.
    fn web_service(
        &self,
        section: &'static str,
        whole: &Found<'_>,
    ) -> Result<(String, Option<SecretSource>), Fault> {
        let (mut url, mut token) = (None, None);
        for (key, value) in table(section, whole)? {
            match key.get_ref().as_ref() {
                "url" => url = Some(plain("url", value)?),
                "token" => token = Some(self.source("token", value)?),
                _ => return Err(unknown(key, &["url", "token"])),
            }
        }
        let url = url.ok_or_else(|| missing(whole, section, "url"))?;
        Ok((url, token))
    }

    fn registry(&self, whole: &Found<'_>) -> Result<RegistryService, Fault> {
        let mut url = None;
        for (key, value) in table("services.registry", whole)? {
            match key.get_ref().as_ref() {
                "url" => url = Some(self.source("url", value)?),
                _ => return Err(unknown(key, &["url"])),
            }
        }
        let url = url.ok_or_else(|| missing(whole, "services.registry", "url"))?;
        Ok(RegistryService { url })
    }

    fn wifi(&self, section: &DeTable<'_>) -> Result<WifiService, Fault> {
        let (mut ssid, mut password) = (None, None);
        for (key, value) in section {
            match key.get_ref().as_ref() {
                "ssid" => ssid = Some(self.setting("ssid", value)?),
                "password" => password = Some(Setting::Source(self.source("password", value)?)),
                _ => return Err(unknown(key, &["ssid", "password"])),
            }
        }
        Ok(WifiService { ssid, password })
    }

    /// A text, or the place of one.
    fn setting(&self, key: &str, value: &Found<'_>) -> Result<Setting, Fault> {
        match value.get_ref() {
            DeValue::String(text) => Ok(Setting::Plain(Secret::new(text.as_ref()))),
            DeValue::Table(_) => self.source(key, value).map(Setting::Source),
            _ => Err(wrong_type(key, value, "a text, or a table with env, file or command")),
        }
    }

    /// The place of a secret.
    fn source(&self, key: &str, value: &Found<'_>) -> Result<SecretSource, Fault> {
        let DeValue::Table(sources) = value.get_ref() else {
            return Err((
                value.span(),
                StationFileProblem::SecretInTheClear { key: key.to_owned() },
            ));
        };
        let mut found = None;
        for (kind, place) in sources {
            found = Some(match kind.get_ref().as_ref() {
                "env" => SecretSource::environment(plain("env", place)?),
                "file" => {
                    SecretSource::File(self.folder.join(PathBuf::from(plain("file", place)?)))
                }
                "command" => command(key, place)?,
                _ => return Err(unknown(kind, &["env", "file", "command"])),
            });
        }
        match found {
            Some(source) if sources.len() == 1 => Ok(source),
            _ => {
                let (key, count) = (key.to_owned(), sources.len());
                Err((value.span(), StationFileProblem::SourceCount { key, count }))
            }
        }
    }
}

fn command(key: &str, value: &Found<'_>) -> Result<SecretSource, Fault> {
    let DeValue::Array(words) = value.get_ref() else {
        return Err(wrong_type("command", value, "a list of texts"));
    };
    let mut words = words.iter().map(|word| plain("command", word));
    let Some(program) = words.next() else {
        let key = key.to_owned();
        return Err((value.span(), StationFileProblem::EmptyCommand { key }));
    };
    Ok(SecretSource::Command { program: program?, arguments: words.collect::<Result<_, _>>()? })
}

fn table<'a, 'i>(key: &str, value: &'a Found<'i>) -> Result<&'a DeTable<'i>, Fault> {
    value.get_ref().as_table().ok_or_else(|| wrong_type(key, value, "a table"))
}

/// Where something is, by the form that is asked for.
fn host<T: FromStr>(key: &'static str, value: &Found<'_>) -> Result<T, Fault> {
    let expected = match key {
        "listen" => "address of this machine, such as 0.0.0.0 for all that it has",
        _ => "name or address of a host",
    };
    let text = plain(key, value)?;
    text.parse().map_err(|_| (value.span(), StationFileProblem::Place { key, expected }))
}

/// One host, or several in a list.
fn hosts(key: &'static str, value: &Found<'_>) -> Result<Vec<Host>, Fault> {
    match value.get_ref().as_array() {
        Some(several) => several.iter().map(|one| host(key, one)).collect(),
        None => Ok(vec![host(key, value)?]),
    }
}

fn plain(key: &str, value: &Found<'_>) -> Result<String, Fault> {
    let text = value.get_ref().as_str().ok_or_else(|| wrong_type(key, value, "a text"))?;
    Ok(text.to_owned())
}

fn truth(key: &str, value: &Found<'_>) -> Result<bool, Fault> {
    value.get_ref().as_bool().ok_or_else(|| wrong_type(key, value, "true or false"))
}

fn wrong_type(key: &str, value: &Found<'_>, expected: &'static str) -> Fault {
    let found = value.get_ref().type_str();
    (value.span(), StationFileProblem::Type { key: key.to_owned(), found, expected })
}

fn missing(whole: &Found<'_>, section: &'static str, key: &'static str) -> Fault {
    (whole.span(), StationFileProblem::MissingKey { section, key })
}

fn unknown(key: &Key<'_>, expected: &[&'static str]) -> Fault {
    let (name, expected) = (key.get_ref().to_string(), expected.to_vec());
    (key.span(), StationFileProblem::UnknownKey { key: name, expected })
}

impl StationFileError {
    /// The file's name, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where the problem stands.
    pub fn line_column(&self) -> LineColumn {
        self.place
    }

    /// What is wrong.
    pub fn problem(&self) -> &StationFileProblem {
        &self.problem
    }
}

impl fmt::Display for StationFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.place, self.problem)
    }
}

impl std::error::Error for StationFileError {}
