//! What may be typed, as clap sees it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    ca::CaCommand, codes::CodesArguments, device::DeviceCommand,
    esp_environment::port_of_environment, golden::GoldenCommand, ids::IdsCommand,
    init::InitArguments, nvs::NvsArguments, operator, output, overwrite::OverwriteArgument,
    problem::usage, prove::ProveArguments, records::RecordsCommand, registry::RegistryCommand,
    repeatability::arguments::StudyArguments, secure::SecureArguments, simulator::SimulatorCommand,
    station::StationCommand, testbed::TestbedCommand,
};
use crate::{
    profile::Part,
    station::{BrokerRequest, OutputsRequest, ReplacedRequest, Request, ServiceRequest},
};

const EXIT_CODES: &str = "\
Exit codes: 0 PASS, 1 FAIL (the unit is bad), 2 usage or profile error (nothing touched), \
3 ERROR (station or testbed at fault), 4 ABORTED.";

/// Provisions ESP32 units and proves that they are good.
#[derive(Parser)]
#[command(name = "goldline", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Provision a unit, then run its QC list
    Run(RunArguments),
    /// Provision a unit; there is no verdict
    Provision(RunArguments),
    /// Run the QC list on a unit that this station provisioned
    Check(RunArguments),
    /// Give one part of a unit's values anew and keep all others, then run its QC list
    Reprovision(ReprovisionArguments),
    /// Take every credential from a unit, and see that none is left
    FactoryReset(RunArguments),
    /// Say which bad units a profile's test would let through
    Prove(ProveArguments),
    /// How good the test is: each unit run again and again, or the runs of this station; spread of what is measured,
    /// gauge R&R
    Repeatability(RepeatabilityArguments),
    /// Print the commands that burn what a unit's security fuses lack; burns nothing
    Secure(SecureArguments),
    /// Draft a profile from a build, and from the flash of a good unit
    Init(InitArguments),
    /// List, check and explain profiles
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Make, show, check, compare, encrypt and edit NVS partitions
    Nvs(NvsArguments),
    /// A product's CA, without a unit
    #[command(subcommand)]
    Ca(CaCommand),
    /// Every reason for a verdict that is no PASS: symptom, causes, what to do
    Codes(CodesArguments),
    /// Goldens of a profile of one's own: what is written into its sample unit, reviewed and committed
    #[command(subcommand)]
    Golden(GoldenCommand),
    /// The numbers that this station gave, and what became of each
    #[command(subcommand)]
    Ids(IdsCommand),
    /// What came of every run of this station
    #[command(subcommand)]
    Records(RecordsCommand),
    /// Units on their way to the fleet's database
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// What units reach on the bench
    #[command(subcommand)]
    Testbed(TestbedCommand),
    /// This station's own state
    #[command(subcommand)]
    Station(StationCommand),
    /// Serial ports, and the unit at one, without a profile
    #[command(subcommand)]
    Device(DeviceCommand),
    /// The simulated unit
    #[command(subcommand)]
    Simulator(SimulatorCommand),
}

impl Command {
    /// Whether standard output is for a program, whatever comes of the command.
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Run(run) | Self::Provision(run) | Self::Check(run) | Self::FactoryReset(run) => {
                run.json
            }
            Self::Reprovision(arguments) => arguments.run.json,
            Self::Prove(arguments) => arguments.json,
            Self::Repeatability(arguments) => arguments.run.json,
            Self::Ids(command) => command.wants_json(),
            Self::Records(command) => command.wants_json(),
            Self::Registry(command) => command.wants_json(),
            Self::Secure(_)
            | Self::Init(_)
            | Self::Profile(_)
            | Self::Nvs(_)
            | Self::Ca(_)
            | Self::Codes(_)
            | Self::Golden(_)
            | Self::Device(_)
            | Self::Testbed(_)
            | Self::Station(_)
            | Self::Simulator(_) => false,
        }
    }
}

#[derive(Subcommand)]
pub(super) enum ProfileCommand {
    /// List the profiles there are
    List {
        /// Profiles of one's own
        #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
        profiles: Option<PathBuf>,
    },
    /// Say what is wrong with a profile, with file, line and column
    Check {
        /// A path, or a name
        file: String,
        /// Profiles of one's own
        #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
        profiles: Option<PathBuf>,
    },
    /// Print the JSON Schema of profiles, for editors
    Schema,
    /// Say what a profile writes where, and what it checks
    Explain {
        /// A name, or a path
        name: String,
        /// Profiles of one's own
        #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
        profiles: Option<PathBuf>,
    },
    /// Print a production checklist for paper: what must be there, steps, limits, what a FAIL means
    Checklist {
        /// A name, or a path
        name: String,
        /// Profiles of one's own
        #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
        profiles: Option<PathBuf>,
    },
}

/// Arguments of a re-provisioning.
#[derive(Args)]
pub(super) struct ReprovisionArguments {
    /// Which part: wifi or certificate
    #[arg(long, value_name = "PART", value_parser = part)]
    pub(super) only: Part,
    #[command(flatten)]
    pub(super) run: RunArguments,
}

/// Arguments of a study of the test.
#[derive(Args)]
pub(super) struct RepeatabilityArguments {
    #[command(flatten)]
    pub(super) study: StudyArguments,
    #[command(flatten)]
    pub(super) run: RunArguments,
}

fn part(name: &str) -> Result<Part, String> {
    let found = Part::ALL.into_iter().find(|part| part.name() == name);
    found.ok_or_else(|| "expected wifi or certificate".to_owned())
}

/// Arguments of everything that runs a unit.
#[derive(Args)]
pub(super) struct RunArguments {
    /// Name of a shipped profile, a name under --profiles, or a path; espvault on the simulator
    pub(super) profile: Option<String>,
    /// Where the unit is: simulator:, esp-emu:, qemu:, /dev/ttyUSB0, serial:…, rfc2217://HOST:PORT, socket://HOST:PORT,
    /// unix:PATH, wokwi:, nest:NAME and nest:all of the station file; several run in parallel. Where none is named, the port of ESPPORT and ESPBAUD, or else the simulator
    #[arg(long = "device", env = "GOLDLINE_DEVICE", value_name = "URL")]
    pub(super) devices: Vec<String>,
    /// What lies between the units and the services: air; cable, nic:NAME, site or wire:HOST:PORT, which prove nothing
    /// of a radio. Real units are on an interface that the bench has for itself, nic:wlan1, or on the site's own network,
    /// where [network] of the station file says what the bench is known as. A unit of another process sends its Ethernet
    /// frames to a wire, the second unit to the port after it
    #[arg(long, value_name = "NETWORK")]
    pub(super) network: Option<String>,
    /// Go without these checks of the profile, which the device cannot prove; the record names them
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    pub(super) without: Vec<String>,
    /// The unit is locked, as [security] of its profile demands, and has this MAC address: its flash is not asked for,
    /// and what it does is seen
    #[arg(long, value_name = "MAC", conflicts_with_all = ["without", "repeat"])]
    pub(super) locked: Option<String>,
    /// The batch of units; each gets numbers and secrets of its own
    #[arg(long)]
    pub(super) lot: Option<String>,
    /// Who runs it
    #[arg(long)]
    pub(super) operator: Option<String>,
    /// Print the record as JSON, and nothing else, on standard output
    #[arg(long)]
    pub(super) json: bool,
    /// Print the plan and touch nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Write record.json and console.log into a folder
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Compare what is planned for a declared identity with a reviewed NVS image, before anything is touched;
    /// of a profile's own file, golden/NAME/nvs.bin beside it unless given
    #[arg(long, value_name = "IMAGE")]
    pub(super) golden: Option<PathBuf>,
    /// Make something wrong on purpose; see goldline simulator faults
    #[arg(long = "fault", value_name = "NAME")]
    pub(super) faults: Vec<String>,
    /// Where and when a fault shows that has a place or a moment; the same number repeats it
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// A value of the unit: KEY=VALUE, KEY=@FILE or KEY=$VARIABLE
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) settings: Vec<String>,
    /// Values of units, a CSV row each, in the order of the devices
    #[arg(long, value_name = "CSV")]
    pub(super) units: Option<PathBuf>,
    /// The row of --units with this identifier; in the order of the devices
    #[arg(long = "row", value_name = "ID", requires = "units")]
    pub(super) rows: Vec<String>,
    /// Unit after unit, each when Enter is pressed, and a summary at the end; with --units the rows in turn
    #[arg(long = "loop", conflicts_with_all = ["rows", "dry_run", "replaces", "save_credentials"])]
    pub(super) repeat: bool,
    /// The module that this one takes the place of: it gets what that one was given
    #[arg(long, value_name = "MAC", requires = "because")]
    pub(super) replaces: Option<String>,
    /// Why a module is replaced
    #[arg(long, value_name = "TEXT", requires = "replaces")]
    pub(super) because: Option<String>,
    /// Services and values of this station
    #[arg(long, value_name = "FILE")]
    pub(super) station: Option<PathBuf>,
    /// A broker that is already there, instead of the bench's own: mqtts://HOST:PORT
    #[arg(long, value_name = "URL", requires = "broker_trust")]
    pub(super) broker: Option<String>,
    /// PEM of the CA that the broker's certificate must come of
    #[arg(long, value_name = "FILE", requires = "broker")]
    pub(super) broker_trust: Option<PathBuf>,
    /// Where the bench's own USER:PASSWORD at the broker stands: '$VARIABLE' or @FILE
    #[arg(long, value_name = "SOURCE", requires = "broker")]
    pub(super) broker_login: Option<String>,
    /// PEM of the bench's own certificate and key, for a broker that asks for one
    #[arg(long, value_name = "FILE", requires = "broker")]
    pub(super) broker_identity: Option<PathBuf>,
    /// A CA that is already there, instead of the bench's own: http://HOST:PORT or https://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub(super) ca: Option<String>,
    /// PEM of the CA that its https certificate must come of
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub(super) ca_trust: Option<PathBuf>,
    /// PEM of the CA that the unit's certificate must come of; without it, the answer's own root counts
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub(super) ca_root: Option<PathBuf>,
    /// A provisioning server that is already there, instead of the bench's own
    #[arg(long, value_name = "URL")]
    pub(super) config_server: Option<String>,
    /// PEM of the CA that its https certificate must come of
    #[arg(long, value_name = "FILE", requires = "config_server")]
    pub(super) config_server_trust: Option<PathBuf>,
    /// Where the URL of the device registry is: '$VARIABLE' or @FILE; it holds a password
    #[arg(long, value_name = "SOURCE")]
    pub(super) registry: Option<String>,
    /// Run a unit again, at most so often, whose run is an ERROR of the station or testbed; never a FAIL
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) retry_errors: u32,
    /// Write what came of the units into a JUnit file, a suite for each unit and a case for each check
    #[arg(long, value_name = "FILE", conflicts_with = "repeat")]
    pub(super) junit: Option<PathBuf>,
    /// Ask on the terminal whether the unit's test alert was seen where it should be
    #[arg(long)]
    pub(super) confirm_alert: bool,
    /// Write the units' values, secrets included, into a file that only its owner can read
    #[arg(long, value_name = "FILE")]
    pub(super) save_credentials: Option<PathBuf>,
    #[command(flatten)]
    pub(super) overwrite: OverwriteArgument,
    /// Profiles of one's own
    #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
    pub(super) profiles: Option<PathBuf>,
    /// What the station remembers, readable by its owner only
    #[arg(long, value_name = "DIR", env = "GOLDLINE_STATE")]
    pub(super) state: Option<PathBuf>,
}

impl RunArguments {
    /// Whether a person watches, and is asked nothing meanwhile.
    pub(super) fn wants_bars(&self) -> bool {
        !self.json && !self.confirm_alert
    }

    /// What is asked of the station. A port that the environment names is told.
    ///
    /// # Errors
    /// When the environment names one that cannot be used.
    pub(super) fn request(&self) -> miette::Result<Request> {
        let mut devices = self.devices.clone();
        if devices.is_empty()
            && let Some(port) = port_of_environment().map_err(usage)?
        {
            output::complain(&port.to_string());
            devices.push(port.device);
        }
        let service = |url: &Option<String>, trust: &Option<PathBuf>| {
            url.clone().map(|url| ServiceRequest { url, trust: trust.clone() })
        };
        // clap lets neither stand without the other.
        let broker = self.broker.clone().zip(self.broker_trust.clone());
        Ok(Request {
            profile: self.profile.clone(),
            profiles: self.profiles.clone(),
            devices,
            touches_nothing: self.dry_run,
            network: self.network.clone(),
            without: self.without.clone(),
            locked: self.locked.clone(),
            lot: self.lot.clone(),
            operator: self.operator.clone(),
            golden: self.golden.clone(),
            faults: self.faults.clone(),
            seed: self.seed,
            settings: self.settings.clone(),
            units: self.units.clone(),
            rows: self.rows.clone(),
            replaces: (self.replaces.clone().zip(self.because.clone()))
                .map(|(mac, because)| ReplacedRequest { mac, because }),
            station_file: self.station.clone(),
            broker: broker.map(|(url, trust)| BrokerRequest {
                url,
                trust,
                login: self.broker_login.clone(),
                identity: self.broker_identity.clone(),
            }),
            ca: service(&self.ca, &self.ca_trust),
            ca_root: self.ca_root.clone(),
            config_server: service(&self.config_server, &self.config_server_trust),
            registry: self.registry.clone(),
            retry_errors: self.retry_errors,
            confirm_alert: self.confirm_alert.then(operator::ask_on_terminal),
            hand: operator::press_at_terminal(),
            state: self.state.clone(),
        })
    }

    /// The files of a round, of which there are several.
    pub(super) fn of_round(&self, number: usize) -> OutputsRequest {
        let outputs = self.outputs();
        OutputsRequest { out: outputs.out.map(|out| out.join(format!("{number:03}"))), ..outputs }
    }

    /// The files that are asked for.
    pub(super) fn outputs(&self) -> OutputsRequest {
        OutputsRequest {
            out: self.out.clone(),
            save_credentials: self.save_credentials.clone(),
            junit: self.junit.clone(),
            existing: self.overwrite.existing(),
        }
    }
}
