//! What is asked of a station, in plain values: what a command line, a page or a test fills in.
//!
//! Nothing of it was looked at yet. Where a secret is needed, the text names its place: `$VARIABLE` or
//! `@FILE`.

use std::path::PathBuf;

use crate::{device::AskHand, engine::AskOperator};

/// What is to be done with which units, and with which services.
#[derive(Clone, Default)]
pub struct Request {
    /// A shipped profile, a name in [`Self::profiles`], or a path; may be left out for simulated units.
    pub profile: Option<String>,
    /// A folder with profiles of one's own.
    pub profiles: Option<PathBuf>,
    /// Where the units are, as URLs; one simulated unit without any.
    pub devices: Vec<String>,
    /// No unit is touched, not even to find its port: what is asked for is shown and not done.
    pub touches_nothing: bool,
    /// What lies between the units and the services: `air`, `cable`, `nic:NAME` or `wire:HOST:PORT`; an access
    /// point unless given.
    pub network: Option<String>,
    /// The checks that the run goes without, by name, where the devices cannot prove them.
    pub without: Vec<String>,
    /// The MAC address of a unit whose loader may not tell it any more.
    pub locked: Option<String>,
    /// The batch of units.
    pub lot: Option<String>,
    /// Who runs it.
    pub operator: Option<String>,
    /// A reviewed NVS image of a declared identity.
    pub golden: Option<PathBuf>,
    /// What is to be made wrong on purpose, by name.
    pub faults: Vec<String>,
    /// Decides where and when that shows; 0 unless given.
    pub seed: Option<u64>,
    /// Values of every unit: `KEY=VALUE`, `KEY=@FILE` or `KEY=$VARIABLE`.
    pub settings: Vec<String>,
    /// CSV with a row of values for each unit, in the order of the devices.
    pub units: Option<PathBuf>,
    /// Which of its rows, in the order of the devices, each by an identifier in it; all of them without any.
    pub rows: Vec<String>,
    /// The module that the unit takes the place of.
    pub replaces: Option<ReplacedRequest>,
    /// Services and values of the station.
    pub station_file: Option<PathBuf>,
    /// A broker that is already there.
    pub broker: Option<BrokerRequest>,
    /// A CA that is already there.
    pub ca: Option<ServiceRequest>,
    /// PEM of the CA that the unit's certificate must come of.
    pub ca_root: Option<PathBuf>,
    /// A provisioning server that is already there.
    pub config_server: Option<ServiceRequest>,
    /// Where the URL of the device registry is.
    pub registry: Option<String>,
    /// How often a unit whose run is an ERROR is run again.
    pub retry_errors: u32,
    /// Who is asked whether the unit's test alert was seen; nobody unless given.
    pub confirm_alert: Option<AskOperator>,
    /// Who presses buttons where a device says reset=none; unless given it is told on standard error, and waited for.
    pub hand: Option<AskHand>,
    /// The state directory, unless it is the usual one.
    pub state: Option<PathBuf>,
}

/// A module that another takes the place of.
#[derive(Clone, Debug)]
pub struct ReplacedRequest {
    /// Its base MAC.
    pub mac: String,
    /// Why.
    pub because: String,
}

/// A broker that is already there.
#[derive(Clone, Debug)]
pub struct BrokerRequest {
    /// Such as `mqtts://HOST:PORT`.
    pub url: String,
    /// PEM of the CA that its certificate must come of.
    pub trust: PathBuf,
    /// Where the bench's own `USER:PASSWORD` stands.
    pub login: Option<String>,
    /// PEM of the bench's own certificate and key.
    pub identity: Option<PathBuf>,
}

/// A web service that is already there.
#[derive(Clone, Debug)]
pub struct ServiceRequest {
    /// Such as `https://HOST:PORT`.
    pub url: String,
    /// PEM of the CA that its certificate must come of.
    pub trust: Option<PathBuf>,
}
