//! Units on an interface that the bench has for itself, in a network namespace: what a real unit on a switch or behind
//! an access point finds.

mod access_point;
pub mod line;
mod portals;

use std::path::Path;

use rstest::rstest;
use serde_json::Value;

use super::{
    program::{Ended, Station, check},
    redirects::{product, redirect},
};
use line::{Beside, Line, can_be_had};

const NETWORKS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/networks.md"));
const MAC: &str = "24:0a:c4:00:02:10";
const OTHER: &str = "24:0a:c4:00:02:14";
const NIC: &str = "nic:nic0";
/// A unit that joins and does no more: the bench waits for it, and there is time for others.
const STUCK: &str = "firmware.stuck";
/// One that never comes.
const DEAF: &str = "radio.deaf";
const NOT_JOINED: &str = "network.not_joined";
/// What a real port is given.
const REAL: [&str; 3] =
    ["wifi_ssid=Line", "wifi_password=@password", "mqtt_broker=mqtts://broker.example.test:8883"];

fn run(line: &Line, station: &Station, profile: &str, devices: &[&str]) -> Ended {
    line.run(&command(station, profile, devices))
}

fn command(station: &Station, profile: &str, devices: &[&str]) -> std::process::Command {
    let mut command = station.unit_command(["run", profile, "--json", "--network", NIC]);
    command.args(devices.iter().flat_map(|device| ["--device", device]));
    command
}

fn code_of(record: &Value) -> &str {
    record["diagnosis"]["code"].as_str().unwrap_or_default()
}

fn join_of(record: &Value) -> String {
    check(record, "network_join")["evidence"].to_string()
}

#[rstest]
#[case::flashed("espvault", "esp32")]
#[case::typed_to("safesignal", "esp32s3")]
fn a_sound_unit_passes(#[case] profile: &str, #[case] chip: &str) {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, chip, MAC, None);
    let ended = run(&line, &station, profile, &[&device]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["network"]["name"], "nic");
    assert_eq!(record["network"]["radio"], "not_proven");
    for words in ["on the wire: DHCP", "on the wire: asked for", "on the wire: connected to"] {
        assert!(join_of(&record).contains(words), "{words}: {record:#}");
    }
}

/// The station file names the interface once; the simulator of this process is not on it.
#[test]
fn the_station_file_names_it_for_real_ports() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let file = station.write("station.toml", "[network]\nuse = \"nic:nic0\"\n");
    let device = line.unit(&station, "esp32", MAC, None);
    for (device, network) in [(device.as_str(), "nic"), ("simulator:", "air")] {
        let mut command = station.unit_command(["run", "espvault", "--json", "--device", device]);
        let ended = line.run(command.arg("--station").arg(&file));
        let record = ended.json();
        assert_eq!((ended.code(), &record["network"]["name"]), (0, &network.into()), "{record:#}");
    }
}

/// A port that says nothing of a simulation, and an application that is a file: the way of every real unit.
#[test]
fn a_real_port_goes_the_same_way() {
    if !can_be_had() {
        return;
    }
    let (mut line, (station, _)) = (Line::new(), product());
    redirect(
        &station,
        "ca = \"ca.pem\"\nkey = { file = \"ca.key\" }\naccept_redirect = \"closed\"",
    );
    let device = line.unit(&station, "esp32", MAC, None);
    let port = device.trim_end_matches("?simulated=true");
    let mut command = command(&station, "espvault.toml", &[port]);
    command.args(["--station", "jig.toml"]).args(REAL.map(|value| ["--set", value]).concat());
    let ended = line.run(&command);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let record = ended.json();
    assert_eq!((&record["verdict"], &record["network"]["name"]), (&"PASS".into(), &"nic".into()));
    assert!(record["simulation"].is_null(), "{record:#}");
}

/// As on a wire.
#[rstest]
#[case("firmware.mqtt_password", "mqtt.bad_credentials")]
#[case("firmware.wrong_ca", "mqtt.server_untrusted")]
fn a_bad_one_fails_for_what_it_is(#[case] fault: &str, #[case] code: &str) {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some(fault));
    let ended = run(&line, &station, "espvault", &[&device]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["diagnosis"]["code"]), (1, &code.into()), "{record:#}");
}

/// Behind the interface may be an access point that is off, or has another passphrase: then every good unit does not
/// come, and the bench's own join goes nowhere near it.
#[test]
fn a_unit_that_does_not_come_is_not_blamed_where_nobody_came() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some(DEAF));
    let ended = run(&line, &station, "espvault", &[&device]);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (3, "testbed.network"), "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    for words in ["no other station reached the bench over nic0", "access point or switch"] {
        assert!(message.contains(words), "{words}: {message}");
    }
}

/// It was in the network, and made nothing of it.
#[test]
fn it_is_blamed_where_it_was_given_an_address_itself() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some("radio.no_ip"));
    let ended = run(&line, &station, "espvault", &[&device]);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (1, NOT_JOINED), "{record:#}");
    assert!(join_of(&record).contains("witness: the unit itself was given"), "{record:#}");
}

/// Who is heard and has not heard the bench tells of half a way.
#[rstest]
#[case::with_the_bench("10.77.0.1", 1, NOT_JOINED)]
#[case::to_all("10.77.255.255", 3, "testbed.network")]
fn it_is_blamed_where_any_machine_talks(
    #[case] to: &str,
    #[case] ends_with: i32,
    #[case] code: &str,
) {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some(DEAF));
    let machine = line.machine();
    let talking = machine.keep_talking_to(to);
    let ended = run(&line, &station, "espvault", &[&device]);
    drop(talking);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (ends_with, code), "{record:#}");
    let is_named = join_of(&record).contains("reached the bench over nic0 meanwhile");
    assert_eq!(is_named, code == NOT_JOINED, "{record:#}");
}

/// Who vouches for contacts and supply knows nothing of an access point; the last unit that came in from there does.
#[test]
fn it_is_blamed_where_another_passed_in_its_nest() {
    if !can_be_had() {
        return;
    }
    let (mut line, (station, _)) = (Line::new(), product());
    let deaf = line.unit(&station, "esp32", MAC, Some(DEAF));
    let sound = line.unit(&station, "esp32", OTHER, None);
    let run_in_nest = |device: &str| {
        let port = device.trim_end_matches("?simulated=true");
        let nest = format!(
            "ca = \"ca.pem\"\nkey = {{ file = \"ca.key\" }}\naccept_redirect = \"closed\"\n\
             [[nest]]\nname = \"1\"\ndevice = \"{port}\"\nwitness = [\"/bin/true\"]\n"
        );
        redirect(&station, &nest);
        let mut command = command(&station, "espvault.toml", &["nest:1"]);
        command.args(["--station", "jig.toml"]).args(REAL.map(|value| ["--set", value]).concat());
        let ended = line.run(&command);
        (ended.code(), ended.json())
    };
    let (code, record) = run_in_nest(&deaf);
    assert_eq!((code, code_of(&record)), (3, "testbed.network"), "{record:#}");
    let (code, record) = run_in_nest(&sound);
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let (code, record) = run_in_nest(&deaf);
    assert_eq!((code, code_of(&record)), (1, NOT_JOINED), "{record:#}");
    assert!(join_of(&record).contains("witness: the nest 1 passed another unit"), "{record:#}");
}

#[test]
fn two_units_at_once_are_told_apart() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let sound = line.unit(&station, "esp32", MAC, None);
    let bad = line.unit(&station, "esp32", OTHER, Some("firmware.mqtt_password"));
    let records = run(&line, &station, "espvault", &[&sound, &bad]).json();
    assert_eq!((&records[0]["verdict"], &records[0]["unit"]["mac"]), (&"PASS".into(), &MAC.into()));
    assert_eq!(records[1]["diagnosis"]["code"], "mqtt.bad_credentials", "{records:#}");
    assert_eq!(records[1]["unit"]["mac"], OTHER);
    assert_ne!(join_of(&records[0]), join_of(&records[1]), "each has its own address");
}

/// A plain machine gets an address, names and services; and nothing of it is held for, or against, the unit, which
/// never comes to the broker.
#[test]
fn a_machine_beside_is_served_and_is_nobodys_evidence() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some(STUCK));
    let machine = line.machine();
    let running = Beside::start(line.within(&command(&station, "espvault", &[&device])));
    line.wait_for_bench();
    let given = machine.get_address();
    assert!(given.starts_with("10.77.") && given.ends_with(" 600"), "a short lease: {given}");
    machine.wait_for_name("prod.broker.com");
    assert!(!machine.exec("getent", &["ahostsv4", "elsewhere.example.test"]).status.success());
    let subscribe = |root: &str| {
        let words =
            ["-h", "prod.broker.com", "-p", "8883", "-t", "hello", "-E", "-W", "5", "--cafile"];
        machine.exec("mosquitto_sub", &[&words[..], &[root]].concat())
    };
    let root = station.state().join("ca/root.pem").display().to_string();
    let subscribed = subscribe(&root);
    assert!(subscribed.status.success(), "{subscribed:?}");
    assert!(!subscribe("/etc/ssl/certs/ca-certificates.crt").status.success(), "another CA");
    let ping = machine.exec("busybox", &["ping", "-c", "1", "-W", "5", "10.77.0.1"]);
    assert!(ping.status.success(), "{ping:?}");
    let (code, record) = running.end();
    assert_eq!(
        (code, &record["diagnosis"]["code"]),
        (1, &"mqtt.not_connected".into()),
        "{record:#}"
    );
}

#[test]
fn a_machine_beside_looks_at_a_service_over_https() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32s3 --flash-size 16", MAC, Some(STUCK));
    let machine = line.machine();
    let mut command = command(&station, "zeroconf-ca", &[&device]);
    command.args(["--set", "ca_url=https://ca.example.test:8443"]);
    let running = Beside::start(line.within(&command));
    line.wait_for_bench();
    machine.get_address();
    machine.wait_for_name("ca.example.test");
    let root = station.state().join("ca/root.pem").display().to_string();
    let format = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", &root];
    let called =
        machine.exec("curl", &[&format[..], &["https://ca.example.test:8443/health"]].concat());
    assert_eq!(String::from_utf8_lossy(&called.stdout), "403", "a guest is no unit: {called:?}");
    drop(running);
}

/// Thousands of stations that come at once take neither the unit's place nor its time, and the bench does not grow by
/// them.
#[test]
fn a_flood_of_stations_takes_nothing_from_the_unit() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, None);
    let machine = line.machine();
    let running = Beside::start(line.within(&command(&station, "espvault", &[&device])));
    line.wait_for_bench();
    // A DISCOVER each, from addresses that nobody had before.
    let script = "
import os, socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
offers = set()
def hear(limit):
    s.settimeout(limit)
    try:
        while frame := s.recv(2000):
            if frame[6:12] == bytes.fromhex('02474c000001') and frame[34:36] == b'\\0\\x43': offers.add(frame[:6])
    except OSError: pass
s.bind(('eth0', 0))
for number in range(5000):
    mac = b'\\x02\\x99' + struct.pack('>I', number)
    dhcp = struct.pack('>4BI8x12x', 1, 1, 6, 0, number) + mac + b'\\0' * 202
    dhcp += bytes([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255]) + b'\\0' * 50
    udp = struct.pack('>4H', 68, 67, 8 + len(dhcp), 0) + dhcp
    head = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b'\\0' * 4, b'\\xff' * 4)
    check = sum(struct.unpack('>10H', head))
    check = ~((check & 0xffff) + (check >> 16)) & 0xffff
    head = head[:10] + struct.pack('>H', check) + head[12:]
    s.send(b'\\xff' * 6 + mac + b'\\x08\\x00' + head + udp)
    if number % 32 == 0: hear(0.001)
hear(1)
print(len(offers))
";
    let flooded = machine.exec("python3", &["-c", script]);
    let served = String::from_utf8_lossy(&flooded.stdout).trim().parse::<usize>();
    assert!(served.as_ref().is_ok_and(|served| (64..=128).contains(served)), "{flooded:?}");
    let (code, record) = running.end();
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
}

/// The bench has no address in the kernel, and what is for it is for nobody there.
#[test]
fn nothing_of_the_machine_is_reached_over_it() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some(STUCK));
    let machine = line.machine();
    // Where the machine itself is, and would forward to.
    line.ip("link add site0 type bridge");
    line.ip("address add 198.51.100.7/24 dev site0");
    line.ip("link set site0 up");
    let mut server = std::process::Command::new("python3");
    server.args(["-c", "import socket, time; s = socket.create_server(('', 9000)); print('up', flush=True); time.sleep(600)"]);
    line.start(&server);
    let mut forward = std::process::Command::new("sh");
    forward.args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo done"]);
    line.start(&forward);
    let running = Beside::start(line.within(&command(&station, "espvault", &[&device])));
    line.wait_for_bench();
    machine.get_address();
    machine.wait_for_name("prod.broker.com");
    for address in ["10.77.0.1", "198.51.100.7", "192.0.2.1"] {
        let script = format!(
            "import socket\ntry: socket.create_connection(('{address}', 9000), 5)\nexcept ConnectionRefusedError: print('refused')"
        );
        let tried = machine.exec("python3", &["-c", &script]);
        assert_eq!(
            String::from_utf8_lossy(&tried.stdout).trim(),
            "refused",
            "{address}: {tried:?}"
        );
    }
    // Nor by who writes to the kernel's own hardware address: what it answers finds no way back.
    let kernels = line.mac_of("nic0");
    let script = format!(
        "ip route add 198.51.100.7/32 dev eth0 && ip neighbour add 198.51.100.7 lladdr {kernels} dev eth0 && \
         python3 -c \"import socket\ntry: socket.create_connection(('198.51.100.7', 9000), 3)\nexcept OSError: print('no way')\""
    );
    let tried = machine.exec("sh", &["-c", &script]);
    assert_eq!(String::from_utf8_lossy(&tried.stdout).trim(), "no way", "{tried:?}");
    drop(running);
}

#[test]
fn an_interface_that_goes_down_is_the_benchs_fault() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, None);
    let running = Beside::start(line.within(&command(&station, "espvault", &[&device])));
    line.wait_for_bench();
    line.ip("link set nic0 down");
    let (code, record) = running.end();
    assert_eq!((code, &record["diagnosis"]["code"]), (3, &"testbed.network".into()), "{record:#}");
    assert!(
        record["diagnosis"]["message"].to_string().contains("the interface nic0"),
        "{record:#}"
    );
}

/// Neither that it is down when the unit is judged, nor that it was while the unit should have come.
#[rstest]
#[case::for_good(false)]
#[case::for_a_moment(true)]
fn nor_is_one_that_goes_down_under_a_unit_that_joined(#[case] comes_up_again: bool) {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some(STUCK));
    let wait_for_lease = line.watch_for_lease_of(MAC);
    let running = Beside::start(line.within(&command(&station, "espvault", &[&device])));
    wait_for_lease();
    line.ip("link set nic0 down");
    if comes_up_again {
        line.ip("link set nic0 up");
    }
    let (code, record) = running.end();
    assert_eq!((code, &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert_eq!(check(&record, "network_join")["outcome"], "pass", "{record:#}");
    let diagnosis = &record["diagnosis"];
    assert!(diagnosis["code"].to_string().contains("testbed."), "{diagnosis:#}");
    assert!(diagnosis["message"].to_string().contains("the interface nic0"), "{diagnosis:#}");
}

/// The second attempt has the interface again, and its verdict.
#[test]
fn a_run_that_is_an_error_is_run_again_on_the_same_interface() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some(STUCK));
    let wait_for_lease = line.watch_for_lease_of(MAC);
    let mut command = command(&station, "espvault", &[&device]);
    let running = Beside::start(line.within(command.args(["--retry-errors", "1"])));
    wait_for_lease();
    line.ip("link set nic0 down");
    line.ip("link set nic0 up");
    let (code, record) = running.end();
    assert_eq!(
        (code, &record["diagnosis"]["code"]),
        (1, &"mqtt.not_connected".into()),
        "{record:#}"
    );
}

/// A unit with this one's identity and another address is no evidence of this one, and is named: whether it is the unit
/// itself with an address of its own, nobody here can tell.
#[test]
fn a_namesake_with_another_address_is_named() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some("radio.no_ip"));
    let machine = line.machine();
    machine.be(OTHER);
    let running = Beside::start(line.within(&command(&station, "espvault", &[&device])));
    line.wait_for_bench();
    machine.get_address();
    machine.wait_for_name("prod.broker.com");
    let root = station.state().join("ca/root.pem").display().to_string();
    let words = ["-h", "prod.broker.com", "-p", "8883", "-i", "VAULT-00001", "-t", "hello", "-n"];
    let published = machine.exec("mosquitto_pub", &[&words[..], &["--cafile", &root]].concat());
    assert!(published.status.success(), "{published:?}");
    let (code, record) = running.end();
    assert_eq!((code, &record["diagnosis"]["code"]), (3, &"testbed.network".into()), "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    assert!(message.contains(OTHER) && message.contains("as this unit does"), "{message}");
}

/// One address is one unit's.
#[test]
fn two_units_with_one_address_are_seen() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let one = line.unit(&station, "esp32", MAC, None);
    let other = line.unit(&station, "esp32", MAC, None);
    let ended = run(&line, &station, "espvault", &[&one, &other]);
    let records = ended.json();
    let of_both: Vec<&Value> = (0..2).map(|unit| &records[unit]["diagnosis"]["code"]).collect();
    assert!(of_both.contains(&&"testbed.identity_in_use".into()), "{records:#}");
    assert_eq!(ended.code(), 3);
}

#[rstest]
#[case::unknown("nic:none9", "there is no interface \"none9\"", "--network nic:NAME")]
#[case::loopback("nic:lo", "is the loopback", "name the interface of an access point")]
#[case::part("nic:port0", "is a part of br0", "choose --network nic:br0")]
#[case::down("nic:down0", "the interface down0 is down", "sudo ip link set down0 up")]
#[case::address("nic:site0", "has the address 198.51.100.7", "sudo ip address flush dev site0")]
#[case::default_route("nic:way0", "default route", "an interface of its own")]
fn an_interface_that_is_not_the_benchs_is_refused(
    #[case] network: &str,
    #[case] why: &str,
    #[case] action: &str,
) {
    if !can_be_had() {
        return;
    }
    let (line, station) = (Line::new(), Station::new());
    for name in ["down0", "site0", "way0"] {
        line.ip(&format!("link add {name} type bridge"));
    }
    line.ip("address add 198.51.100.7/24 dev site0");
    for name in ["site0", "way0"] {
        line.ip(&format!("link set {name} up"));
    }
    line.ip("route add default dev way0");
    let device = "rfc2217://127.0.0.1:1?simulated=true";
    let words = ["run", "espvault", "--json", "--device", device, "--network", network];
    let ended = line.run(&station.unit_command(words));
    assert_eq!(ended.code(), 2, "{ended:?}");
    let said = ended.said();
    assert!(said.contains(why) && said.contains(action), "{said}");
}

/// The right is asked for before a unit is touched, and the command that gives it is named.
#[test]
fn without_the_right_the_command_that_gives_it_is_named() {
    if !can_be_had() {
        return;
    }
    let (line, station) = (Line::new(), Station::new());
    let device = "rfc2217://127.0.0.1:1?simulated=true";
    let words = ["run", "espvault", "--json", "--device", device, "--network", NIC];
    let command = station.unit_command(words);
    let mut without = std::process::Command::new("setpriv");
    without.args(["--bounding-set", "-net_raw", "--inh-caps", "-net_raw", "--"]);
    without.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            without.env(name, value);
        }
    }
    let ended = line.run(&without);
    let said = ended.said();
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(said.contains("must not read and send frames on the interface nic0"), "{said}");
    assert!(said.contains("sudo setcap cap_net_raw+ep /"), "{said}");
}

/// Nobody needs to be root.
#[test]
fn that_right_alone_is_enough() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, None);
    let command = command(&station, "espvault", &[&device]);
    // Where another user can reach it.
    let program = station.path("goldline");
    std::fs::copy(command.get_program(), &program).expect("a copy");
    let folder = station.path("");
    let nobody =
        std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(&folder).status();
    assert!(nobody.expect("it starts").success());
    let mut alone = std::process::Command::new("setpriv");
    alone.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    alone.args(["--inh-caps", "-all,+net_raw", "--ambient-caps", "-all,+net_raw", "--"]);
    alone.arg(&program).args(command.get_args()).env("HOME", &folder).current_dir(&folder);
    let ended = line.run(&alone);
    assert_eq!((ended.code(), &ended.json()["verdict"]), (0, &"PASS".into()), "{ended:?}");
}

#[test]
fn a_second_bench_on_an_interface_is_refused() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), Station::new());
    let device = line.unit(&station, "esp32", MAC, Some(STUCK));
    let running = Beside::start(line.within(&command(&station, "espvault", &[&device])));
    line.wait_for_bench();
    let second = Station::new();
    let ended = run(&line, &second, "espvault", &["rfc2217://127.0.0.1:1?simulated=true"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("another bench has the interface nic0"), "{}", ended.said());
    drop(running);
}

/// hostapd reads its file before it looks for a radio, and says which of its lines it does not know.
#[test]
fn hostapd_takes_the_configuration_of_the_guide() {
    let (_, rest) = NETWORKS.split_once("```ini\n").expect("a configuration");
    let (shown, _) = rest.split_once("```").expect("its end");
    hostapd_takes(&shown.replace("interface=wlan1", "interface=goldline-none"));
}

/// Whether it takes a configuration for an interface that is not there, and sees one that is wrong.
pub fn hostapd_takes(shown: &str) {
    let hostapd =
        ["/usr/sbin/hostapd", "/usr/bin/hostapd"].into_iter().find(|path| Path::new(path).exists());
    let Some(hostapd) = hostapd else {
        assert!(std::env::var_os("CI").is_none(), "CI has the packages of ci/install");
        println!("skipped: hostapd is not installed");
        return;
    };
    let station = Station::new();
    let read = |text: &str| {
        let file = station.write("line.conf", text);
        let ended = Ended::of(std::process::Command::new(hostapd).arg(file));
        (ended.stdout.contains("errors found in configuration file"), ended)
    };
    let (has_errors, ended) = read(shown);
    assert!(!has_errors && ended.stdout.contains("nl80211"), "it looks for the radio: {ended:?}");
    let (has_errors, ended) = read(&shown.replace("ap_isolate", "isolate"));
    assert!(has_errors, "what is wrong is seen: {ended:?}");
}
