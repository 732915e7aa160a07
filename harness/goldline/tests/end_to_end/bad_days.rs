//! Bad days of a jig: its port is pulled, its power fails, its process is killed, at each step and at random. No
//! verdict is wrong, no port is lost, and the next run finds a unit that can be made good.
//!
//! Each unit is the simulator in a process of its own: to kill it is to pull the cable and the power at once.

use std::{
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use goldline::process::ChildGuard;
use rstest::rstest;
use rustix::{
    net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt::set_socket_reuseaddr},
    process::{Pid, Signal, kill_process, test_kill_process},
};
use serde_json::Value;

use super::{
    elsewhere::free_address,
    foreign_servers::buttons,
    interrupted::at_stage,
    program::{Ended, Station},
    resets::{is_provisioned, product, provision, provision_command, serve_unit},
};

const DEADLINE: Duration = Duration::from_secs(120);

/// A unit on a port that stays its own, whatever becomes of the process behind it.
struct Nest<'a> {
    station: &'a Station,
    number: usize,
    address: SocketAddr,
    /// Bound and never listening: nobody else is given the port while the unit is unplugged, and who connects then is
    /// refused.
    _port: OwnedFd,
    wire: Option<String>,
}

impl<'a> Nest<'a> {
    fn new(station: &'a Station, number: usize, wire: Option<String>) -> Self {
        let (port, address) = kept_port().expect("a port");
        Self { station, number, address, _port: port, wire }
    }

    /// Plugs the unit in; its flash is as it was when the power went.
    fn plug_in(&self) -> ChildGuard {
        let mut command = self.station.command();
        let flash = format!("unit{}.flash", self.number);
        let mac = format!("24:0a:c4:00:02:{:02x}", 0x10 * (self.number + 1));
        command.args([
            "simulator",
            "serve",
            "--rfc2217",
            &self.address.to_string(),
            "--mode",
            "boot",
        ]);
        command.args(["--flash-file", &flash, "--mac", &mac]);
        if let Some(wire) = &self.wire {
            command.args(["--network", wire]);
        }
        let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
        let output = unit.child().stdout.take().expect("stdout is a pipe");
        let mut port = String::new();
        BufReader::new(output).read_line(&mut port).expect("it says its port");
        assert_eq!(port.trim_end(), format!("rfc2217://{}", self.address), "its port is lost");
        unit
    }

    fn device(&self) -> String {
        format!("rfc2217://{}?simulated=true", self.address)
    }
}

/// A port of this machine's that a process may listen at which says that it shares it, as servers do.
fn kept_port() -> io::Result<(OwnedFd, SocketAddr)> {
    let port = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    set_socket_reuseaddr(&port, true)?;
    bind(&port, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = getsockname(&port)?.try_into()?;
    Ok((port, address))
}

fn pull(mut unit: ChildGuard) {
    unit.child().kill().expect("it runs");
    unit.child().wait().expect("it is gone");
}

/// A run that has come to that step.
fn run_until(station: &Station, nest: &Nest<'_>, stage: &str) -> Child {
    let wire = nest.wire.as_deref().expect("a wire");
    let device = nest.device();
    let words = ["run", "espvault", "--json", "--device", &device, "--network", wire];
    let mut child = station
        .unit_command(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let began = Instant::now();
    while at_stage(stage)(station) == 0 {
        let ended = child.try_wait().expect("it can be asked");
        assert!(ended.is_none() && began.elapsed() < DEADLINE, "it never came that far: {ended:?}");
        thread::sleep(Duration::from_millis(1));
    }
    child
}

fn run(station: &Station, nest: &Nest<'_>) -> Ended {
    let wire = nest.wire.as_deref().expect("a wire");
    station.unit(["run", "espvault", "--json", "--device", &nest.device(), "--network", wire])
}

fn passes(ended: &Ended) {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
}

#[rstest]
fn a_unit_that_is_pulled_at_any_step_is_blamed_for_nothing(
    #[values("erase", "write_bootloader", "write_ota_0", "write_factory", "boot")] stage: &str,
) {
    let station = Station::new();
    let nest = Nest::new(&station, 0, Some(free_address()));
    let unit = nest.plug_in();
    let run_of_it = run_until(&station, &nest, stage);
    pull(unit);
    let ended = Ended::from(run_of_it.wait_with_output().expect("it ends"));
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "port.vanished", "{record:#}");
    let checks = record["checks"].as_array().expect("checks");
    assert!(checks.iter().all(|check| check["outcome"] != "fail"), "{record:#}");
    let _unit = nest.plug_in();
    passes(&run(&station, &nest));
}

#[rstest]
fn a_run_that_is_killed_at_any_step_leaves_its_port(
    #[values("erase", "write_ota_0", "boot")] stage: &str,
) {
    let station = Station::new();
    let nest = Nest::new(&station, 0, Some(free_address()));
    let _unit = nest.plug_in();
    let mut killed = run_until(&station, &nest, stage);
    killed.kill().expect("it runs");
    killed.wait().expect("it is gone");
    passes(&run(&station, &nest));
}

/// The second is told so at once, and the first goes on; once it was stopped, the port is free.
#[test]
fn two_runs_at_one_port_are_one_too_many() {
    let station = product();
    let mut unit = serve_unit(&station, &["--flash-file", "unit.flash", "--pace"]);
    let device = format!("serial:unit?{}", buttons(&station, &mut unit));
    let mut first = provision_command(&station, &["--device", &device]);
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let began = Instant::now();
    while at_stage("erase")(&station) == 0 {
        assert!(began.elapsed() < DEADLINE, "it never came that far");
        thread::sleep(Duration::from_millis(1));
    }
    let second = provision(&station, &device);
    let record = second.json();
    assert_eq!(
        (second.code(), &record["diagnosis"]["code"]),
        (3, &"port.unusable".into()),
        "{record:#}"
    );
    let pid = Pid::from_child(&first);
    kill_process(pid, Signal::INT).expect("it runs");
    let stopped = Ended::from(first.wait_with_output().expect("it ends"));
    assert_eq!(stopped.code(), 4, "{}", stopped.stdout);
    assert!(test_kill_process(pid).is_err(), "it lives on");
    is_provisioned(&station, &provision(&station, &device));
}

/// Numbers from a seed, so that a bad day can be had again.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Says that it is over, be it by a panic: who pulls plugs until then would keep a failed test from its end.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// As it was: the test hung instead of failing.
#[test]
fn a_day_that_fails_is_over() {
    let is_over = AtomicBool::new(false);
    let failed = catch_unwind(AssertUnwindSafe(|| {
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            });
            let _over = Over(&is_over);
            panic!("a verdict was wrong");
        });
    }));
    assert!(failed.is_err());
}

/// Two processes, four ports each, and somebody who pulls plugs.
#[test]
fn no_port_is_lost_and_no_verdict_wrong_while_plugs_are_pulled_at_random() {
    let is_full = std::env::var_os("GOLDLINE_TIER").is_some_and(|tier| tier == "full");
    let rounds = if is_full { 25 } else { 4 };
    let station = Station::new();
    let nests: Vec<Nest<'_>> = (0..8).map(|number| Nest::new(&station, number, None)).collect();
    let units: Vec<_> =
        nests.iter().map(|nest| std::sync::Mutex::new(Some(nest.plug_in()))).collect();
    let is_over = AtomicBool::new(false);
    let (mut well, mut pulled_away) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut draw = Draw(20_261_129);
            while !is_over.load(Ordering::Acquire) {
                let number = draw.below(8) as usize;
                let mut unit = units[number].lock().expect("no thread panics with it");
                unit.take().into_iter().for_each(pull);
                thread::sleep(Duration::from_millis(draw.below(200)));
                *unit = Some(nests[number].plug_in());
                drop(unit);
                thread::sleep(Duration::from_millis(draw.below(600)));
            }
        });
        let _over = Over(&is_over);
        for _ in 0..rounds {
            let halves: Vec<_> = nests
                .chunks(4)
                .map(|nests| scope.spawn(|| provision_all(&station, nests)))
                .collect();
            for record in halves.into_iter().flat_map(|half| half.join().expect("it ended")) {
                match record["diagnosis"]["code"].as_str() {
                    None => well += 1,
                    Some(code) => {
                        assert!(
                            code.starts_with("port."),
                            "a pulled plug is the port's: {record:#}"
                        );
                        pulled_away += 1;
                    }
                }
            }
        }
    });
    println!("{well} provisioned, {pulled_away} pulled away");
    assert!(well > 0 && pulled_away > 0, "{well} provisioned, {pulled_away} pulled away");
    for record in nests.chunks(4).flat_map(|nests| provision_all(&station, nests)) {
        assert_eq!(record["diagnosis"], Value::Null, "nobody pulls a plug any more: {record:#}");
    }
}

/// The records of one process with several ports.
fn provision_all(station: &Station, nests: &[Nest<'_>]) -> Vec<Value> {
    let devices: Vec<String> = nests.iter().map(Nest::device).collect();
    let devices = devices.iter().flat_map(|device| ["--device", device]);
    let ended = station.unit(["provision", "espvault", "--json"].into_iter().chain(devices));
    assert!([0, 3].contains(&ended.code()), "{ended:?}");
    match ended.json() {
        Value::Array(records) => records,
        other => panic!("{other:#}"),
    }
}
