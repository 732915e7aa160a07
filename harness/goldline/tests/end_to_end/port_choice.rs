//! `serial:usb=…`, `serial:hub=…`, `serial:mac=…`: ports found by what hangs on them, and what is said when none is, or
//! several are.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use goldline::process::ChildGuard;
use rstest::rstest;

use super::{
    jig::{CP2102N, FT2232H, Jig, SERIAL_JTAG, Terminal, Usb},
    program::{Ended, Station},
    resets::{is_provisioned, product},
};

const NONE_OF_THEM: &str = "24:0a:c4:00:00:99";

fn cp2102n<'a>(hub: &'a str, serial: &'a str) -> Usb<'a> {
    Usb { hub, id: CP2102N, names: None, serial: Some(serial) }
}

/// The same order for each port.
fn provision(jig: &Jig<'_>, device: &str) -> Ended {
    let values = [
        "wifi_ssid=Shop",
        "wifi_password=@password",
        "mqtt_broker=mqtts://broker.example.test:8883",
    ];
    let mut command = jig.command();
    command.args(["provision", "espvault.toml", "--json", "--device", device, "--state"]);
    command.arg(jig.station.state());
    Ended::of(command.args(values.into_iter().flat_map(|value| ["--set", value])))
}

/// A unit in another process behind a port, with this address and a flash of its own.
fn unit(jig: &Jig<'_>, port: &str, mac: &str, flash: &str) -> ChildGuard {
    let mut command = jig.station.command();
    command.args(["simulator", "serve", "--mac", mac, "--flash-file", flash]);
    let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
    let output = unit.child().stdout.take().expect("stdout is a pipe");
    let mut terminal = String::new();
    BufReader::new(output).read_line(&mut terminal).expect("it says its port");
    jig.wire(port, Path::new(terminal.trim_end()));
    unit
}

fn refuses(station: &Station, ended: &Ended, parts: &[&str]) {
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
    for part in parts {
        assert!(ended.said().contains(part), "no {part} in {}", ended.said());
    }
    assert!(!station.state().exists(), "it touched the state");
}

/// Two of one maker, with the number that all of them have.
fn twins(jig: &Jig<'_>) {
    jig.tty_usb("ttyUSB0", "cp210x", &cp2102n("1-1.2", "0001"), 0);
    jig.tty_usb("ttyUSB1", "cp210x", &cp2102n("1-1.3", "0001"), 0);
    jig.tty_usb("ttyUSB2", "cp210x", &cp2102n("1-1.4", "A0B1"), 0);
}

#[rstest]
#[case::by_serial_number("serial:usb=A0B1")]
#[case::by_hub_path("serial:hub=1-1.4")]
#[case::by_hub_path_and_interface("serial:hub=1-1.4:0")]
#[case::by_serial_number_and_interface("serial:usb=A0B1:0")]
fn a_unit_is_provisioned_at_a_port_that_was_found(#[case] device: &str) {
    let station = product();
    let jig = Jig::new(&station);
    twins(&jig);
    let _unit = unit(&jig, "ttyUSB2", "24:0a:c4:00:00:01", "unit.flash");
    let device = format!("{device}?reset=none");
    let ended = provision(&jig, &device);
    is_provisioned(&station, &ended);
    let named = format!("{device} ({})", jig.port("ttyUSB2"));
    assert_eq!(ended.json()["device"], named, "what was written, and what was found");
}

#[test]
fn equal_serial_numbers_are_told_apart_by_where_they_are_plugged_in() {
    let station = product();
    let jig = Jig::new(&station);
    twins(&jig);
    let ended = provision(&jig, "serial:usb=0001");
    let [first, second] =
        ["ttyUSB0", "ttyUSB1"].map(|name| format!("{}, CP210x, serial:usb=0001", jig.port(name)));
    let parts = [
        "2 serial ports are serial:usb=0001",
        &format!("{first}, serial:hub=1-1.2:0"),
        &format!("{second}, serial:hub=1-1.3:0"),
        "name it by where it is plugged in",
    ];
    refuses(&station, &ended, &parts);
    assert!(!ended.said().contains("A0B1"), "the third is not meant: {}", ended.said());
}

#[rstest]
#[case::serial_number("serial:usb=B000")]
#[case::part_of_a_serial_number("serial:usb=A0B")]
#[case::hub("serial:hub=1-1")]
#[case::interface("serial:hub=1-1.4:1")]
#[case::interface_behind_a_serial_number("serial:usb=A0B1:1")]
fn what_there_is_is_listed_where_nothing_fits(#[case] device: &str) {
    let station = product();
    let jig = Jig::new(&station);
    let ended = provision(&jig, device);
    let none = format!("no serial port is {device}: there is no serial port at all");
    refuses(&station, &ended, &[&none, "goldline device list"]);
    twins(&jig);
    let ended = provision(&jig, device);
    let none = format!("no serial port is {device}: there are");
    refuses(
        &station,
        &ended,
        &[&none, "serial:hub=1-1.2:0", "serial:usb=A0B1, serial:hub=1-1.4:0"],
    );
}

#[test]
fn the_two_ports_of_one_bridge_are_told_apart_by_their_interface() {
    let station = product();
    let jig = Jig::new(&station);
    let bridge = Usb { hub: "1-2", id: FT2232H, names: None, serial: Some("FT:7") };
    jig.tty_usb("ttyUSB0", "ftdi_sio", &bridge, 0);
    jig.tty_usb("ttyUSB1", "ftdi_sio", &bridge, 1);
    let _unit = unit(&jig, "ttyUSB1", "24:0a:c4:00:00:01", "unit.flash");
    for device in ["serial:usb=FT:7", "serial:hub=1-2"] {
        refuses(
            &station,
            &provision(&jig, device),
            &["2 serial ports are", "hub=1-2:0", "hub=1-2:1"],
        );
    }
    is_provisioned(&station, &provision(&jig, "serial:usb=FT:7:1?reset=none"));
}

/// The serial number of the chip's own USB is its address. (The unit behind it here has another, so that asking would
/// not find it.)
#[rstest]
#[case::address("serial:mac=34:85:18:00:00:01")]
#[case::serial_number("serial:usb=34:85:18:00:00:01")]
#[case::serial_number_and_interface("serial:usb=34:85:18:00:00:01:0")]
fn an_esp_on_usb_is_found_without_asking(#[case] device: &str) {
    let station = product();
    let jig = Jig::new(&station);
    twins(&jig);
    let esp = Usb { hub: "1-3", id: SERIAL_JTAG, names: None, serial: Some("34:85:18:00:00:01") };
    jig.tty_acm("ttyACM0", &esp, 0);
    let _unit = unit(&jig, "ttyACM0", "24:0a:c4:00:00:01", "unit.flash");
    is_provisioned(&station, &provision(&jig, &format!("{device}?reset=none")));
}

#[test]
fn the_units_behind_free_bridges_are_asked_for_an_address_until_one_has_it() {
    let station = product();
    let jig = Jig::new(&station);
    twins(&jig);
    let uno = Usb { hub: "1-4", id: ("2341", "0043"), names: None, serial: None };
    jig.tty_acm("ttyACM0", &uno, 0);
    let held = Terminal::new();
    jig.wire("ttyUSB0", &held.path);
    let mut command = Command::new("sleep");
    let holder = ChildGuard::spawn(command.arg("600").stdout(held.open())).expect("it starts");
    let _first = unit(&jig, "ttyUSB1", "24:0a:c4:00:00:01", "first.flash");
    let _second = unit(&jig, "ttyUSB2", "24:0a:c4:00:00:02", "unit.flash");

    let ended = provision(&jig, &format!("serial:mac={NONE_OF_THEM}?reset=none"));
    let [zero, one, two] = ["ttyUSB0", "ttyUSB1", "ttyUSB2"].map(|name| jig.port(name));
    let parts = [
        &format!("no serial port has the unit {NONE_OF_THEM}:"),
        &format!("{zero}: held by sleep (pid "),
        &format!("{one}: it is 24:0a:c4:00:00:01"),
        &format!("{two}: it is 24:0a:c4:00:00:02"),
    ];
    refuses(&station, &ended, &parts.map(String::as_str));
    assert!(!ended.said().contains("ttyACM0"), "no bridge is left alone: {}", ended.said());

    let device = "serial:mac=24:0A:C4:00:00:02?reset=none";
    let ended = provision(&jig, device);
    is_provisioned(&station, &ended);
    assert_eq!(ended.json()["device"], format!("{device} ({two})"));
    assert_eq!(ended.json()["unit"]["mac"], "24:0a:c4:00:00:02");
    drop(holder);
}

/// Nothing is asked of any unit before all else of the order is found good, nor for a plan that is only shown.
#[test]
fn no_unit_is_asked_in_vain() {
    let station = product();
    let jig = Jig::new(&station);
    let device = format!("serial:mac={NONE_OF_THEM}");
    let mut command = jig.command();
    command.args(["provision", "espvault.toml", "--device", &device, "--dry-run"]);
    command.args(["--set", "wifi_ssid=Shop", "--set", "wifi_password=@password"]);
    command.args(["--set", "mqtt_broker=mqtts://broker.example.test:8883"]);
    let ended = Ended::of(&mut command);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    let mut command = jig.command();
    let ended = Ended::of(command.args(["provision", "missing.toml", "--device", &device]));
    refuses(&station, &ended, &["cannot read missing.toml"]);
    let ended = provision(&jig, &device);
    refuses(&station, &ended, &["there is no bridge to a UART that could be asked"]);
}

#[test]
fn one_port_by_two_names_is_one_unit() {
    let station = product();
    let jig = Jig::new(&station);
    twins(&jig);
    let _unit = unit(&jig, "ttyUSB2", "24:0a:c4:00:00:01", "unit.flash");
    let node: PathBuf = fs::canonicalize(jig.port("ttyUSB2")).expect("its terminal");
    for other in [jig.port("ttyUSB2"), node.display().to_string(), "serial:usb=A0B1".to_owned()] {
        let mut command = jig.command();
        command.args(["provision", "espvault.toml", "--device", "serial:hub=1-1.4", "--device"]);
        refuses(&station, &Ended::of(command.arg(&other)), &["are the same unit"]);
    }
}

/// A nest whose supply is its bridge's as well: the port is there only while that is on, as what `named` says. In the
/// file `log` stands what was switched.
fn nest_of(station: &Station, device: &str, on: &str) {
    let switch = format!(
        "#!/bin/sh\ncd \"$(dirname \"$0\")\"; machine=$PWD/machine; echo \"$1\" >> log\n\
         away() {{ for f in \"$machine/sys/class/tty/$1\" \"$machine/dev/$1\"; do mv \"$f\" \"$f.away\"; done; }}\n\
         back() {{ mv \"$machine/sys/class/tty/$1.away\" \"$machine/sys/class/tty/$2\"; \
         mv \"$machine/dev/$1.away\" \"$machine/dev/$2\"; }}\n\
         case $1 in\n\
         off) for n in ttyUSB2 ttyUSB7; do [ ! -e \"$machine/dev/$n\" ] || away $n; done ;;\n\
         on) {on} ;;\n\
         esac\n"
    );
    station.executable("switch", switch);
    let nest = format!(
        "[[nest]]\nname = \"1\"\ndevice = \"{device}\"\npower_on = [\"./switch\", \"on\"]\n\
         power_off = [\"./switch\", \"off\"]\noff_ms = 10\n"
    );
    station.write("jig.toml", nest);
}

fn provision_in_nest(jig: &Jig<'_>) -> Ended {
    let values = [
        "wifi_ssid=Shop",
        "wifi_password=@password",
        "mqtt_broker=mqtts://broker.example.test:8883",
    ];
    let mut command = jig.command();
    command.args(["provision", "espvault.toml", "--json", "--station", "jig.toml"]);
    command.args(["--device", "nest:1", "--state"]).arg(jig.station.state());
    Ended::of(command.args(values.into_iter().flat_map(|value| ["--set", value])))
}

/// Before the nest has power there is no port, or one that will have another number.
#[rstest]
#[case::as_it_was_called(true, "serial:hub=1-1.4?reset=none", "back ttyUSB2 ttyUSB2")]
#[case::under_another_number(true, "serial:hub=1-1.4?reset=none", "back ttyUSB2 ttyUSB7")]
#[case::that_is_on_already(false, "serial:hub=1-1.4?reset=none", "back ttyUSB2 ttyUSB7")]
#[case::by_its_serial_number(true, "serial:usb=A0B1?reset=none", "back ttyUSB2 ttyUSB2")]
#[case::that_comes_late(
    true,
    "serial:hub=1-1.4?reset=none",
    "(sleep 2; back ttyUSB2 ttyUSB2) > /dev/null 2>&1 &"
)]
fn a_port_that_comes_with_the_power_of_its_nest_is_found(
    #[case] is_off: bool,
    #[case] device: &str,
    #[case] on: &str,
) {
    let station = product();
    let jig = Jig::new(&station);
    twins(&jig);
    let _unit = unit(&jig, "ttyUSB2", "24:0a:c4:00:00:01", "unit.flash");
    nest_of(&station, device, on);
    if is_off {
        let off = Command::new(station.path("switch")).arg("off").status().expect("it starts");
        assert!(off.success());
    }
    let ended = provision_in_nest(&jig);
    is_provisioned(&station, &ended);
    let record = ended.json();
    assert_eq!((&record["device"], &record["port"]), (&"nest:1".into(), &device.into()));
}

/// What is wrong is the nest's, which is left off.
#[test]
fn a_port_that_does_not_come_with_the_power_is_named_with_what_there_is() {
    let station = product();
    let jig = Jig::new(&station);
    twins(&jig);
    nest_of(&station, "serial:hub=1-2?reset=none", ":");
    let ended = provision_in_nest(&jig);
    let record = ended.json();
    assert_eq!((ended.code(), &record["diagnosis"]["code"]), (3, &"port.unusable".into()));
    let message = record["diagnosis"]["message"].to_string();
    for words in ["after 10 s still no serial port is serial:hub=1-2", "serial:hub=1-1.2:0"] {
        assert!(message.contains(words), "{message}");
    }
    let log = fs::read_to_string(station.path("log")).expect("it was switched");
    assert!(log.ends_with("off\n"), "{log}");
}
