//! A neighbour on the machine that connects to whatever listens, and many units on one bench: no verdict
//! may change for either.

use std::{
    collections::HashSet,
    fs,
    io::Write,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, Station};

/// What the neighbour may cost: far less than it sends.
const MOST_MORE_KB: u64 = 50 * 1024;
/// Between two looks for ports; nothing tells when one opens.
const LOOK: Duration = Duration::from_millis(10);

/// Runs of a product with that many units.
fn runs(station: &Station, profile: &str, units: usize) -> Command {
    let devices = ["--device", "simulator:"].repeat(units);
    let mut command = station.unit_command(["run", profile, "--json"]);
    command.args(devices);
    command
}

fn verdicts(ended: &Ended) -> Vec<String> {
    let records = ended.json();
    let all = match &records {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    all.iter().map(|record| format!("{} {}", record["verdict"], record["diagnosis"])).collect()
}

#[rstest]
#[case::broker("ble-gateway")]
#[case::ca_and_console("zeroconf-ca-console")]
#[case::ca_called_by_the_unit("zeroconf")]
#[case::config_server("ble-gateway-portal")]
fn a_neighbour_that_connects_to_every_port_changes_no_verdict(#[case] profile: &str) {
    let alone = watched(&mut runs(&Station::new(), profile, 4), |_| {});
    let mut neighbour = Neighbour::default();
    let beside = watched(&mut runs(&Station::new(), profile, 4), |child| neighbour.disturb(child));
    assert_eq!(verdicts(&alone.ended), vec!["\"PASS\" null"; 4]);
    assert_eq!(verdicts(&beside.ended), vec!["\"PASS\" null"; 4]);
    assert!(!neighbour.ports.is_empty(), "something listened");
    assert!(!beside.ended.stderr.contains("panicked"), "{}", beside.ended.stderr);
    let more = beside.peak_kb.saturating_sub(alone.peak_kb);
    assert!(more <= MOST_MORE_KB, "{more} KB more than the {} KB alone", alone.peak_kb);
}

#[test]
fn thirty_two_units_on_one_bench_pass() {
    let ended = Ended::of(&mut runs(&Station::new(), "espvault", 32));
    assert_eq!(verdicts(&ended), vec!["\"PASS\" null"; 32]);
}

struct Watched {
    ended: Ended,
    /// The largest resident set of the process that was seen.
    peak_kb: u64,
}

/// Runs a program to its end, and looks at it all the while.
fn watched(command: &mut Command, mut look: impl FnMut(&Child)) -> Watched {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let mut peak_kb = 0;
    while child.try_wait().expect("it is ours").is_none() {
        peak_kb = peak_kb.max(high_water_kb(&child).unwrap_or_default());
        look(&child);
        std::thread::sleep(LOOK);
    }
    let output = child.wait_with_output().expect("its output");
    Watched { ended: Ended::from(output), peak_kb }
}

fn high_water_kb(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Connects to what listens, in every bad way.
#[derive(Default)]
struct Neighbour {
    ports: HashSet<u16>,
    /// Kept open, and silent or half said.
    held: Vec<TcpStream>,
}

impl Neighbour {
    fn disturb(&mut self, child: &Child) {
        for port in listening_ports(child) {
            self.ports.insert(port);
            if self.held.len() < 2000 {
                self.idle(port);
                self.half_said(port);
            }
            for said in [&b"CONNECT host:port HTTP/1.1\r\n\r\n"[..], b"\x00\xff\x10garbage\r\n\r\n"]
            {
                Self::say(port, said);
            }
            Self::huge(port);
            Self::break_off(port);
        }
    }

    /// From the address that the first unit's station has.
    fn open(port: u16) -> Option<TcpStream> {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok()?;
        stream.set_write_timeout(Some(Duration::from_millis(20))).ok()?;
        Some(stream)
    }

    fn idle(&mut self, port: u16) {
        self.held.extend(Self::open(port));
    }

    fn half_said(&mut self, port: u16) {
        if let Some(mut stream) = Self::open(port) {
            // It may have been put out already.
            let _said = stream.write_all(
                b"POST /api/devices/register HTTP/1.1\r\nContent-Length: 4000000000\r\n",
            );
            self.held.push(stream);
        }
    }

    fn say(port: u16, said: &[u8]) {
        if let Some(mut stream) = Self::open(port) {
            let _said = stream.write_all(said);
        }
    }

    fn huge(port: u16) {
        if let Some(mut stream) = Self::open(port) {
            let _said = stream.write_all(&vec![b'x'; 1 << 20]);
        }
    }

    fn break_off(port: u16) {
        if let Some(mut stream) = Self::open(port) {
            let _said = stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc");
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

/// TCP ports on which a process listens, from the kernel's own tables.
fn listening_ports(child: &Child) -> HashSet<u16> {
    let of = |name: &str| format!("/proc/{}/{name}", child.id());
    let Ok(files) = fs::read_dir(of("fd")) else { return HashSet::new() };
    let own: HashSet<String> = files
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            let target = target.to_string_lossy().into_owned();
            Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = fs::read_to_string(of("net/tcp")).unwrap_or_default();
    let listening = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_listening = *fields.get(3)? == "0A" && own.contains(*fields.get(9)?);
        let port = fields.get(1)?.rsplit(':').next()?;
        is_listening.then(|| u16::from_str_radix(port, 16).ok())?
    });
    listening.collect()
}
