//! A unit on a port without modem lines, and what resets it: nothing, or a program of the jig.
//!
//! The unit is the simulator in a process of its own; the port is a real pseudo-terminal.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use goldline::{
    clock::Clock, process::ChildGuard, profile::Chip, simulated::simulated,
    testbed::authority::Authority,
};
use rstest::rstest;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use super::program::{Ended, FIRMWARE, PROFILE, Station};

/// Where the profile puts its NVS image.
pub const NVS: std::ops::Range<usize> = 0x10000..0x16000;

/// The product's own firmware in place of the model, and the values of the site.
pub fn product() -> Station {
    let station = Station::new();
    // Its CA is a maker's, as a product's own is: whom the unit reaches later is not this bench's affair.
    let own = "{ file = \"app.elf\" }\ntrusts_elsewhere = true";
    let own = PROFILE.replacen("{ model = \"espvault\" }", own, 1);
    station.write("espvault.toml", own);
    let authority = Authority::create(Clock::system()).expect("an authority");
    let chip = simulated(Chip::Esp32).expect("it is simulated");
    let app = goldline_simulator::firmware::compile(FIRMWARE, authority.root_pem(), chip);
    station.write("app.elf", app.expect("the firmware compiles"));
    station.write("password", "MarkerOfASecret");
    station
}

/// A unit in another process, in its download mode.
fn serve(station: &Station) -> ChildGuard {
    serve_unit(station, &["--flash-file", "unit.flash"])
}

/// One of its own, on the same port.
pub fn serve_unit(station: &Station, options: &[&str]) -> ChildGuard {
    let mut command = station.command();
    command.args(["simulator", "serve", "--pty", "unit"]).args(options);
    let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
    let output = unit.child().stdout.take().expect("stdout is a pipe");
    let mut port = String::new();
    BufReader::new(output).read_line(&mut port).expect("it says its port");
    assert_eq!(port.trim_end(), "unit");
    unit
}

/// A unit with firmware of its own, as a real one has.
pub fn provision(station: &Station, device: &str) -> Ended {
    Ended::of(&mut provision_command(station, &["--device", device]))
}

/// The same with arguments of one's own.
pub fn provision_command(station: &Station, more: &[&str]) -> Command {
    let values = [
        "wifi_ssid=Shop",
        "wifi_password=@password",
        "mqtt_broker=mqtts://broker.example.test:8883",
    ];
    let values = values.into_iter().flat_map(|value| ["--set", value]);
    let arguments = ["provision", "espvault.toml", "--json"];
    station.unit_command(arguments.into_iter().chain(values).chain(more.iter().copied()))
}

/// An error of the station, not of the unit: the exit code tells, for provisioning gives no verdict.
fn blames_the_station(ended: &Ended, code: &str, message: &str, action: &str) {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &Value::Null), "{record:#}");
    let text = |name: &str| record["diagnosis"][name].as_str().expect("a text").to_owned();
    assert_eq!(text("code"), code, "{record:#}");
    assert!(text("message").contains(message), "{}", text("message"));
    assert!(text("action").contains(action), "{}", text("action"));
}

fn jig(station: &Station, script: &str) -> PathBuf {
    station.executable("jig", format!("#!/bin/sh\n{script}\n"))
}

pub fn is_provisioned(station: &Station, ended: &Ended) {
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    has_its_values(station);
}

/// The unit's flash holds the image that was made for it.
pub fn has_its_values(station: &Station) {
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    let id = b"VAULT-00001";
    assert!(flash[NVS].windows(id.len()).any(|window| window == id), "the image is not there");
}

#[test]
fn a_unit_that_waits_in_its_loader_is_provisioned_without_a_reset() {
    let station = product();
    let _unit = serve(&station);
    is_provisioned(&station, &provision(&station, "serial:unit?reset=none"));
}

#[test]
fn a_program_resets_the_unit_and_learns_no_more_than_it_must() {
    let station = product();
    let _unit = serve(&station);
    let program =
        jig(&station, "echo \"$@\" >> told; echo MarkerOfOutput; echo MarkerOfOutput >&2");
    let device = format!("serial:unit?reset=command:{}", program.display());
    let ended = provision(&station, &device);
    is_provisioned(&station, &ended);
    let told = fs::read_to_string(station.path("told")).expect("it was called");
    assert!(told.lines().all(|line| line == "download unit"), "{told}");
    assert!(!told.is_empty());
    assert!(!ended.stdout.contains("MarkerOfOutput"), "{}", ended.stdout);
}

#[test]
fn a_program_that_fails_is_the_stations_fault() {
    let station = product();
    let _unit = serve(&station);
    let program = jig(&station, "echo MarkerOfOutput; exit 7");
    let device = format!("serial:unit?reset=command:{}", program.display());
    let ended = provision(&station, &device);
    blames_the_station(
        &ended,
        "port.unusable",
        "jig download ended with exit status: 7",
        "by hand",
    );
    assert!(!ended.stdout.contains("MarkerOfOutput"), "{}", ended.stdout);
}

#[test]
fn a_unit_that_nobody_put_into_its_loader_is_asked_for() {
    let station = product();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("it may be used");
    let name = ptsname(&master, Vec::new()).expect("its name").into_string().expect("UTF-8");
    let ended = provision(&station, &format!("serial:{name}?reset=none:1"));
    let message = "it was to come into its download mode within 1 s";
    blames_the_station(&ended, "port.no_answer", message, "press the unit's buttons");
}

/// What to do about a port depends on what is wrong with it.
#[rstest]
#[case::absent("/dev/goldline-has-no-such-port", "No such file", "ls /dev/serial/by-id")]
#[case::no_terminal("/dev/null", "cannot open /dev/null", "no serial port")]
fn a_port_that_cannot_be_opened(#[case] device: &str, #[case] message: &str, #[case] action: &str) {
    blames_the_station(&provision(&product(), device), "port.unusable", message, action);
}

#[test]
fn a_port_that_another_program_holds() {
    let station = product();
    let _unit = serve(&station);
    let path = station.path("unit").display().to_string();
    let held = serialport::new(&path, 115_200).open_native().expect("it is free");
    let ended = provision(&station, &path);
    blames_the_station(
        &ended,
        "port.unusable",
        &format!("cannot open {path}"),
        "close the program",
    );
    drop(held);
}

#[test]
fn a_port_without_modem_lines_says_so() {
    let station = product();
    let _unit = serve(&station);
    let ended = provision(&station, "serial:unit");
    blames_the_station(&ended, "port.unusable", "modem lines", "?reset=none");
}
