//! A bench for one simulated unit: its port, its clients and the world around it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use espflash::connection::{Connection, ResetAfterOperation, ResetBeforeOperation};
use espflash::flasher::Flasher;
use espflash::target::{Chip, DefaultProgressCallback};
use goldline_simulator::world::{Association, Link, OwnNetwork, Refusal, Visitors};
use goldline_simulator::{Config, Mode, Simulator, World};
use serialport::{SerialPort, TTYPort, UsbPortInfo};

use crate::images::Region;

/// Long enough for a loaded machine; no test waits so long unless it fails.
const DEADLINE: Duration = Duration::from_secs(20);

pub fn open(path: &Path) -> TTYPort {
    serialport::new(path.to_str().unwrap(), 115_200)
        .timeout(Duration::from_secs(3))
        .open_native()
        .unwrap()
}

/// espflash's library on the unit's port.
pub fn connect(simulator: &Simulator, stub: bool) -> Result<Flasher, espflash::Error> {
    let info =
        UsbPortInfo { vid: 0, pid: 0, serial_number: None, manufacturer: None, product: None };
    let connection = Connection::new(
        open(simulator.port_path()),
        info,
        ResetAfterOperation::NoResetNoStub,
        ResetBeforeOperation::NoReset,
        115_200,
    );
    Flasher::connect(connection, stub, true, false, None::<Chip>, None)
}

/// Writes regions through espflash with its stub, which verifies each by MD5.
pub fn flash(simulator: &Simulator, regions: &[Region]) {
    let mut flasher = connect(simulator, true).unwrap();
    for region in regions {
        flasher
            .write_bin_to_flash(region.offset, &region.data, &mut DefaultProgressCallback)
            .unwrap();
    }
}

/// Boots the unit and reads its log until `until` appears.
pub fn boot_until(simulator: &Simulator, until: &str) -> String {
    let mut port = open(simulator.port_path());
    simulator.lines().reset_into(Mode::Boot);
    read_until(&mut port, until)
}

pub fn read_until(port: &mut TTYPort, until: &str) -> String {
    port.set_timeout(Duration::from_millis(200)).unwrap();
    let started = Instant::now();
    let mut log = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match port.read(&mut buffer) {
            Ok(count) => log.extend(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => panic!("{error} after {}", String::from_utf8_lossy(&log)),
        }
        let text = String::from_utf8_lossy(&log);
        if text.contains(until) {
            return text.into_owned();
        }
        assert!(started.elapsed() < DEADLINE, "{until:?} did not appear in:\n{text}");
    }
}

/// Types a line into the unit's console and reads until `until` appears.
pub fn ask(port: &mut TTYPort, line: &str, until: &str) -> String {
    port.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    read_until(port, until)
}

pub fn start(config: Config) -> Simulator {
    Simulator::start(config, Arc::new(goldline_simulator::world::Silence)).unwrap()
}

/// One access point and one name.
pub struct Room {
    pub ssid: &'static str,
    pub passphrase: &'static str,
    pub name: &'static str,
    /// Who answers on which port of that name.
    pub servers: BTreeMap<u16, SocketAddrV4>,
    pub stations: Mutex<Vec<[u8; 6]>>,
}

impl Room {
    pub fn new(broker: Option<SocketAddrV4>) -> Arc<Self> {
        Self::with_servers(broker, &[])
    }

    /// A room whose one host has another name, or is an address.
    pub fn of_host(name: &'static str, broker: SocketAddrV4) -> Arc<Self> {
        let mut room = Arc::into_inner(Self::new(Some(broker))).unwrap();
        room.name = name;
        Arc::new(room)
    }

    /// A room with other servers beside the broker, by their ports.
    pub fn with_servers(broker: Option<SocketAddrV4>, others: &[(u16, SocketAddrV4)]) -> Arc<Self> {
        let broker = broker.map(|address| (8883, address));
        Arc::new(Self {
            ssid: "Workbench",
            passphrase: "correct horse",
            name: "broker.example.test",
            servers: broker.into_iter().chain(others.iter().copied()).collect(),
            stations: Mutex::default(),
        })
    }
}

impl World for Room {
    fn associate(&self, station: &Association<'_>) -> Result<Link, Refusal> {
        if station.ssid != self.ssid.as_bytes() {
            return Err(Refusal::NO_AP_FOUND);
        }
        if station.passphrase.expose() != self.passphrase {
            return Err(Refusal::FOUR_WAY_HANDSHAKE_TIMEOUT);
        }
        self.stations.lock().unwrap().push(station.mac);
        Ok(Link {
            address: Ipv4Addr::new(127, 77, 0, 10),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: Ipv4Addr::new(127, 77, 0, 1),
            bssid: [2, 0, 0, 0, 0, 1],
            channel: 6,
            rssi_dbm: -42,
        })
    }

    fn resolve(&self, _: Ipv4Addr, name: &str) -> Option<IpAddr> {
        (name == self.name).then_some(Ipv4Addr::new(127, 77, 0, 2).into())
    }

    fn connect(&self, _: Ipv4Addr, to: SocketAddr) -> io::Result<UnixStream> {
        let literal = self.name.parse::<IpAddr>().ok();
        let expected = literal.unwrap_or(Ipv4Addr::new(127, 77, 0, 2).into());
        if to.ip() != expected {
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        match self.servers.get(&to.port()) {
            Some(server) => carry(TcpStream::connect(server)?),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    fn exchange(&self, _: Ipv4Addr, _: SocketAddr, _: &[u8], _: Duration) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::TimedOut.into())
    }

    fn open_network(&self, _: &OwnNetwork<'_>) -> io::Result<Visitors> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn leave(&self, mac: [u8; 6]) {
        self.stations.lock().unwrap().retain(|known| *known != mac);
    }
}

/// The unit's end of a pair of sockets whose other end is carried to and from `server`.
fn carry(server: TcpStream) -> io::Result<UnixStream> {
    let (unit, ours) = UnixStream::pair()?;
    let (mut from_unit, mut to_server) = (ours.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ended = io::copy(&mut from_unit, &mut to_server);
        let _closed = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_unit) = (server, ours);
    std::thread::spawn(move || {
        let _ended = io::copy(&mut from_server, &mut to_unit);
        let _closed = to_unit.shutdown(Shutdown::Write);
    });
    Ok(unit)
}
