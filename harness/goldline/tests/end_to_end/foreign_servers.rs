//! Ports that other people's servers offer, in front of a simulated unit in a process of its own: ser2net and socat;
//! and connections that are refused, lost and taken up again.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use goldline::process::ChildGuard;
use rstest::rstest;
use serde_json::Value;

use super::{
    elsewhere::free_address,
    program::{Ended, Station, check},
    remote::{RFC2217, serve},
    resets::{is_provisioned, product, provision, serve_unit},
};

const DEADLINE: Duration = Duration::from_secs(60);

pub fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let there = folders.iter().any(|folder| folder.join(program).is_file());
    if !there {
        assert!(std::env::var_os("CI").is_none(), "{program} is missing, and CI must have it");
        println!("skipped: {program} is not installed");
    }
    there
}

/// A ser2net of this test's own, and the address that it listens at.
fn ser2net(station: &Station, connector: &str) -> (ChildGuard, String) {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = free.expect("a port").to_string();
    let comma = address.replace(':', ",");
    let text = format!(
        "%YAML 1.1\n---\nconnection: &unit\n  accepter: telnet(rfc2217),tcp,{comma}\n  connector: {connector}\n  options:\n    kickolduser: true\n"
    );
    (start_ser2net(station, &text), address)
}

/// A ser2net with this configuration.
pub fn start_ser2net(station: &Station, configuration: &str) -> ChildGuard {
    let configuration = station.write("ser2net.yaml", configuration);
    let mut command = Command::new("ser2net");
    command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
    command.args(["-n", "-u", "-P"]).arg(station.path("ser2net.pid")).arg("-c").arg(configuration);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    ChildGuard::spawn(&mut command).expect("it starts")
}

/// A program of the jig that presses the unit's buttons.
pub fn buttons(station: &Station, unit: &mut ChildGuard) -> String {
    let pid = unit.child().id();
    let script = format!(
        "#!/bin/sh\ncase $1 in download) kill -USR2 {pid} ;; application) kill -USR1 {pid} ;; esac\n"
    );
    let jig = station.executable("jig", script);
    format!("reset=command:{}", jig.display())
}

/// `run` or `check` of a unit there, on a wire, to its PASS.
pub fn passes(station: &Station, command: &str, device: &str, wire: &str) -> Value {
    let words = [command, "espvault", "--json", "--device", device, "--network", wire];
    assert_passes(&station.unit(words))
}

fn assert_passes(ended: &Ended) -> Value {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    record
}

/// With modem lines, which ser2net passes on; a rate counts once it has acknowledged it.
#[test]
fn a_run_passes_through_ser2net_which_resets_the_unit() {
    if !is_there("ser2net") {
        return;
    }
    let station = Station::new();
    let wire = free_address();
    let (_unit, url) = serve(&station, RFC2217, &["--mode", "boot", "--network", &wire]);
    let unit = url.strip_prefix("rfc2217://").expect("its address").replace(':', ",");
    let (_server, address) = ser2net(&station, &format!("telnet(rfc2217),tcp,{unit}"));
    let device = format!("rfc2217://{address}?simulated=true&baud=921600");
    let record = passes(&station, "run", &device, &wire);
    assert_eq!(check(&record, "network_join")["outcome"], "pass", "{record:#}");
    assert_eq!(record["transfer"], serde_json::json!({ "baud": 921_600 }), "{record:#}");
    passes(&station, "check", &device, &wire);
}

/// In front of a terminal, which has no modem lines: a program of the jig resets the unit.
#[test]
fn a_run_passes_through_ser2net_in_front_of_a_terminal() {
    if !is_there("ser2net") {
        return;
    }
    let station = Station::new();
    let wire = free_address();
    let mut unit = serve_unit(&station, &["--network", &wire]);
    let reset = buttons(&station, &mut unit);
    let port = station.path("unit");
    let (_server, address) =
        ser2net(&station, &format!("serialdev,{},115200n81,local", port.display()));
    let device = format!("rfc2217://{address}?simulated=true&{reset}");
    passes(&station, "run", &device, &wire);
}

/// Raw bytes at a socket of this machine's.
#[test]
fn a_run_passes_through_a_unix_socket_of_socats() {
    if !is_there("socat") {
        return;
    }
    let station = Station::new();
    let wire = free_address();
    let mut unit = serve_unit(&station, &["--network", &wire]);
    let reset = buttons(&station, &mut unit);
    let socket = station.path("unit.sock");
    let mut command = Command::new("socat");
    command.arg(format!("UNIX-LISTEN:{},fork,max-children=1", socket.display()));
    command.arg(format!("OPEN:{},raw,echo=0", station.path("unit").display()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _socat = ChildGuard::spawn(&mut command).expect("it starts");
    let device = format!("unix:{}?simulated=true&{reset}", socket.display());
    passes(&station, "run", &device, &wire);
}

/// Ends the connection once what passes it fits; later ones are left alone.
struct Cutter {
    address: String,
    cuts: Arc<AtomicUsize>,
}

/// What has passed so far, each way.
type Fits = fn(from_client: &[u8], from_unit: &[u8]) -> bool;

impl Cutter {
    fn in_front_of(url: &str, fits: Fits) -> Self {
        let unit = url.strip_prefix("rfc2217://").expect("its address").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&cuts);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(unit) = TcpStream::connect(&unit) else { return };
                let cuts = Arc::clone(&counted);
                thread::spawn(move || pass(&client, &unit, fits, &cuts));
            }
        });
        Self { address, cuts }
    }

    fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Acquire)
    }
}

fn pass(client: &TcpStream, unit: &TcpStream, fits: Fits, cuts: &AtomicUsize) {
    let passed = std::sync::Mutex::new((Vec::new(), Vec::new()));
    let is_over = AtomicBool::new(false);
    let end = || {
        is_over.store(true, Ordering::Release);
        // Either may have ended by itself.
        let _ended = (client.shutdown(Shutdown::Both), unit.shutdown(Shutdown::Both));
    };
    let copy = |mut from: &TcpStream, mut to: &TcpStream, is_client: bool| {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            let mut passed = passed.lock().expect("no copy panics");
            let (of_client, of_unit) = &mut *passed;
            if is_client { &mut *of_client } else { &mut *of_unit }.extend(&piece[..count]);
            let is_first = cuts.load(Ordering::Acquire) == 0;
            if is_first && fits(of_client, of_unit) {
                cuts.fetch_add(1, Ordering::AcqRel);
                break;
            }
            drop(passed);
            if to.write_all(&piece[..count]).is_err() {
                break;
            }
        }
        end();
    };
    thread::scope(|scope| {
        scope.spawn(|| copy(client, unit, true));
        copy(unit, client, false);
    });
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn application_runs(_client: &[u8], unit: &[u8]) -> bool {
    holds(unit, b"app_main()")
}

/// By a SYNC.
fn loader_is_entered(client: &[u8], _unit: &[u8]) -> bool {
    holds(client, &[0x07, 0x07, 0x12, 0x20])
}

/// While the application runs, and while the loader is entered: nothing of it is lost that could not be had again.
#[rstest]
#[case::while_the_application_runs(application_runs)]
#[case::while_the_loader_is_entered(loader_is_entered)]
fn a_connection_that_was_lost_is_taken_up_again(#[case] fits: Fits) {
    let station = Station::new();
    let wire = free_address();
    let (_unit, url) = serve(&station, RFC2217, &["--network", &wire]);
    let cutter = Cutter::in_front_of(&url, fits);
    let device = format!("rfc2217://{}?simulated=true", cutter.address);
    passes(&station, "run", &device, &wire);
    assert_eq!(cutter.cuts(), 1);
}

/// The server is there again at once; the flash is not what was written.
#[test]
fn one_that_was_lost_in_a_write_vanished() {
    let station = Station::new();
    let (_unit, url) = serve(&station, RFC2217, &[]);
    // The request that begins a deflated write, behind the byte that begins a frame.
    let cutter = Cutter::in_front_of(&url, |client, _| holds(client, &[0xC0, 0x00, 0x11]));
    let device = format!("rfc2217://{}?simulated=true", cutter.address);
    let ended = station.unit(["provision", "espvault", "--json", "--device", &device]);
    let record = ended.json();
    assert_eq!(
        (ended.code(), &record["diagnosis"]["code"]),
        (3, &"port.vanished".into()),
        "{record:#}"
    );
    assert_eq!(cutter.cuts(), 1);
    // Nothing is left of it that the next run would meet.
    let again = station.unit(["provision", "espvault", "--json", "--device", &device]);
    assert_eq!(again.code(), 0, "{}", again.stdout);
}

/// As after the jig's own restart.
#[test]
fn a_server_that_is_restarted_is_waited_for() {
    let station = product();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = free.expect("a port").to_string();
    let device = format!("rfc2217://{address}");
    let mut command = super::resets::provision_command(&station, &["--device", &device]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut goldline = ChildGuard::spawn(&mut command).expect("it starts");
    let began = Instant::now();
    let mut said =
        BufReader::new(goldline.child().stderr.take().expect("stderr is a pipe")).lines();
    let waits =
        |line: std::io::Result<String>| line.expect("it is text").contains("no server listens");
    assert!(said.any(waits) && began.elapsed() < DEADLINE, "it never waited");
    let (_unit, _) = serve(&station, ["--rfc2217", &address], &[]);
    let rest = thread::spawn(move || said.count());
    let mut record = String::new();
    let mut stdout = goldline.child().stdout.take().expect("stdout is a pipe");
    stdout.read_to_string(&mut record).expect("it is text");
    let status = goldline.child().wait().expect("it ends");
    rest.join().expect("its other end was read");
    assert!(status.success(), "{record}");
    is_provisioned(&station, &provision(&station, &device));
}
