//! `goldline simulator serve`: a unit for esptool scripts, pytest-embedded or a web flasher.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use clap::{Args, ValueEnum};
use goldline_simulator::{
    Burnt, Config, Entrance, Fault, Lines, MachineNetwork, Mode, NetworkPort, Protocol, Simulator,
    Stack, World,
    flash::{Nor, SECTOR_SIZE},
    world::Silence,
};
use miette::Report;
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    cli::{
        output,
        problem::{of_catalog, usage, usage_with_help},
    },
    clock::Clock,
    identity::Mac,
    image::FlashImages,
    plan::{Content, Plan, Scope},
    profile::{Chip, find},
    simulated::simulated,
    testbed::authority::Authority,
};

#[derive(Args)]
pub(in crate::cli) struct ServeArguments {
    /// Which chip: esp32, esp32s2, esp32s3, esp32c2, esp32c3, esp32c6, esp32h2; no other is simulated
    #[arg(long, default_value = "esp32")]
    chip: Chip,
    /// Base MAC address
    #[arg(long)]
    mac: Option<Mac>,
    /// Flash a profile's bootloader, partition table and firmware model first
    #[arg(long, value_name = "PROFILE")]
    firmware: Option<String>,
    /// Flash size in MB
    #[arg(long, value_name = "MB", default_value = "4")]
    flash_size: u32,
    /// Keep the flash in a file: one of the flash's size, or one that is not there yet
    #[arg(long, value_name = "FILE")]
    flash_file: Option<PathBuf>,
    /// Keep what is burnt into the eFuses in a file: one of this chip's, or one that is not there yet
    #[arg(long, value_name = "FILE")]
    efuse_file: Option<PathBuf>,
    /// Security fuses that were burnt before, by espefuse's names: NAME, or NAME:BITS as in SPI_BOOT_CRYPT_CNT:7
    #[arg(long, value_name = "FUSE", value_delimiter = ',')]
    burnt: Vec<Burnt>,
    /// Write into a file what the unit does, a line each: its starts, and the changes of its flash
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Give the pseudo-terminal a name of your own
    #[arg(long, value_name = "LINK", conflicts_with_all = ["tcp", "rfc2217"])]
    pty: Option<PathBuf>,
    /// Serve raw bytes on a TCP address (port 0: the system chooses)
    #[arg(long, value_name = "ADDR", conflicts_with = "rfc2217")]
    tcp: Option<SocketAddr>,
    /// Serve RFC 2217, with DTR and RTS, on a TCP address
    #[arg(long, value_name = "ADDR")]
    rfc2217: Option<SocketAddr>,
    /// Let the port be the chip's own USB: DTR and RTS act as those of S3, C3 and C6 do, and a pseudo-terminal goes
    /// at each reset and returns under its --pty LINK. What is printed before it is opened again is lost
    #[arg(long)]
    native_usb: bool,
    /// Give the unit a network. wire:HOST:PORT: a stack of its own, whose Ethernet frames go to a bench that listens at
    /// this TCP address; the unit connects, and keeps trying. host: the machine's own network, with names by the DNS
    /// server in host:ADDRESS or host:ADDRESS:PORT, and none without. Without it, no network is heard
    #[arg(long, value_name = "wire:ADDR|host[:DNS]")]
    network: Option<Outside>,
    /// Whoever connects to this Unix socket is in the network that the unit opens to be configured, and talks with its
    /// page; it is there while that network is open. Without it, nobody comes in
    #[arg(long, value_name = "SOCKET")]
    own_network: Option<PathBuf>,
    /// What the unit does when it powers up
    #[arg(long, value_enum, default_value = "download")]
    mode: PowerUp,
    /// Let bytes take the time that they take at the baud rate, and what --timed-erase names too
    #[arg(long)]
    pace: bool,
    /// Let erasing and digesting take the time that they take on a flash chip
    #[arg(long)]
    timed_erase: bool,
    /// Decides everything that is random about the unit and its faults
    #[arg(long, default_value = "0")]
    seed: u64,
    /// Make something wrong with the unit; see goldline simulator faults
    #[arg(long = "fault", value_name = "NAME")]
    faults: Vec<String>,
}

/// What the unit reaches.
#[derive(Clone, Copy)]
enum Outside {
    /// A bench that listens there for Ethernet frames.
    Wire(SocketAddr),
    /// What the machine reaches, and who answers names.
    Machine(Option<SocketAddr>),
}

/// Where DNS servers listen.
const DNS: u16 = 53;

impl FromStr for Outside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "host" {
            return Ok(Self::Machine(None));
        }
        let place = |network: &str| {
            let address: Option<SocketAddr> = text.strip_prefix(network)?.parse().ok();
            address.filter(|address| address.port() != 0)
        };
        let server: Option<IpAddr> =
            text.strip_prefix("host:").and_then(|server| server.parse().ok());
        let server = server.map(|server| SocketAddr::new(server, DNS)).or(place("host:"));
        match (place("wire:"), server) {
            (Some(bench), _) => Ok(Self::Wire(bench)),
            (None, Some(server)) => Ok(Self::Machine(Some(server))),
            (None, None) => Err(
                "expected wire: with an address and a port, such as wire:127.0.0.1:7700, or host, which a DNS server may follow, such as host:192.0.2.53"
                    .to_owned(),
            ),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum PowerUp {
    /// The ROM loader waits for a client
    Download,
    /// The application in flash runs
    Boot,
}

pub(super) fn serve(arguments: &ServeArguments) -> miette::Result<()> {
    let mut config = config(arguments)?;
    config.refuse_unusable().map_err(usage)?;
    // Goes with the process: a unit without --flash-file ends with it.
    let scratch = tempfile::tempdir().map_err(usage)?;
    if let Some(name) = &arguments.firmware {
        let file = config.flash_file.get_or_insert_with(|| scratch.path().join("flash.bin"));
        flash_firmware(name, file, config.flash_size)?;
    }
    let listener = arguments
        .tcp
        .map(|address| (address, Protocol::Raw))
        .or(arguments.rfc2217.map(|address| (address, Protocol::Rfc2217)));
    // A native USB that went at a SYNC would go again at the next.
    let sync_resets = listener.is_none() && !config.native_usb;
    let config = Config { sync_resets, ..config };
    let world: Arc<dyn World> = match arguments.network {
        Some(Outside::Wire(bench)) => Arc::new(Stack::reach(bench).map_err(usage)?),
        Some(Outside::Machine(name_server)) => Arc::new(MachineNetwork::new(name_server)),
        None => Arc::new(Silence),
    };
    let world: Arc<dyn World> = match &arguments.own_network {
        Some(socket) => Arc::new(Entrance::into_networks_of(world, socket.clone())),
        None => world,
    };
    let simulator = Simulator::start(config, world).map_err(usage)?;
    let network = listener.map(|(address, protocol)| listen(&simulator, address, protocol));
    let network = network.transpose()?;
    let port = match &network {
        Some(network) => network.url(),
        None => simulator.port_path().display().to_string(),
    };
    let signals = Signals::listen()?;
    output::print(&format!("{port}\n"))?;
    signals.wait_for_interrupt(&simulator.lines())
}

fn listen(
    simulator: &Simulator,
    address: SocketAddr,
    protocol: Protocol,
) -> miette::Result<NetworkPort> {
    let socket = TcpListener::bind(address)
        .map_err(|error| usage(format!("cannot listen on {address}: {error}")))?;
    NetworkPort::serve(simulator, socket, protocol).map_err(usage)
}

fn config(arguments: &ServeArguments) -> miette::Result<Config> {
    let mut config = Config::new(simulated(arguments.chip).map_err(usage)?);
    config.flash_size = arguments.flash_size.checked_mul(1 << 20).ok_or_else(|| {
        usage(format!("{} MB of flash is more than any chip has", arguments.flash_size))
    })?;
    config.flash_file.clone_from(&arguments.flash_file);
    config.efuse_file.clone_from(&arguments.efuse_file);
    config.efuses.clone_from(&arguments.burnt);
    config.journal.clone_from(&arguments.journal);
    config.link.clone_from(&arguments.pty);
    config.native_usb = arguments.native_usb;
    config.paced = arguments.pace;
    config.timed_erase = arguments.timed_erase;
    config.seed = arguments.seed;
    config.mode = match arguments.mode {
        PowerUp::Download => Mode::Download,
        PowerUp::Boot => Mode::Boot,
    };
    config.faults = arguments.faults.iter().map(|name| fault(name)).collect::<Result<_, _>>()?;
    if let Some(mac) = arguments.mac {
        config.mac = mac.0;
    }
    Ok(config)
}

fn fault(name: &str) -> Result<Fault, Report> {
    name.parse().map_err(|error| {
        usage_with_help(
            error,
            "goldline simulator faults lists them; those of ap and broker need goldline run",
        )
    })
}

/// Puts a profile's images into the flash, as a factory would have done.
fn flash_firmware(name: &str, file: &Path, flash_size: u32) -> miette::Result<()> {
    let profile = find(name, None).map_err(of_catalog)?;
    let authority = Authority::create(Clock::system()).map_err(usage)?;
    let images = FlashImages::build(&profile, authority.root_pem()).map_err(usage)?;
    images.refuse_machine_code(&profile).map_err(usage)?;
    let mut flash = Nor::in_file(file, flash_size).map_err(usage)?;
    for region in Plan::new(Arc::new(profile), Scope::Provision).immutable_regions() {
        let bytes = match region.content {
            Content::Bootloader => &images.bootloader,
            Content::PartitionTable => &images.partition_table,
            Content::App => &images.app,
            Content::Other(index) => &images.others[index],
            Content::Nvs | Content::NvsKeys | Content::FactoryApp => continue,
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        flash
            .erase(region.offset, length.next_multiple_of(SECTOR_SIZE))
            .and_then(|()| flash.program(region.offset, bytes))
            .map_err(|error| usage(format!("{} does not fit: {error}", region.name)))?;
    }
    Ok(())
}

/// What ends the unit, and its buttons: reset, and reset while BOOT is held.
struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
    reset: Signal,
    reset_with_boot: Signal,
}

impl Signals {
    /// From here on they do not kill the process.
    fn listen() -> miette::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(usage)?;
        let entered = runtime.enter();
        let [interrupt, terminate, reset, reset_with_boot] = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ]
        .map(|kind| signal(kind).map_err(usage));
        drop(entered);
        Ok(Self {
            runtime,
            interrupt: interrupt?,
            terminate: terminate?,
            reset: reset?,
            reset_with_boot: reset_with_boot?,
        })
    }

    fn wait_for_interrupt(mut self, lines: &Lines) -> miette::Result<()> {
        self.runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = self.interrupt.recv() => return Ok(()),
                    _ = self.terminate.recv() => return Ok(()),
                    _ = self.reset.recv() => lines.reset_into(Mode::Boot),
                    _ = self.reset_with_boot.recv() => lines.reset_into(Mode::Download),
                }
            }
        })
    }
}
