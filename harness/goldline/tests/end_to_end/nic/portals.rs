//! Networks that units open to be configured, over an interface: several have one name, and each gets its own values.
//!
//! A unit's own network is a namespace with the address that its page has, behind the socket at which the simulated unit
//! serves it; the bench's radio is an interface that a program of the jig's plugs into one of them, by the address that it is
//! told.

use std::{fs, process::Command};

use goldline::{process::ChildGuard, profile::Chip};
use rstest::rstest;
use serde_json::Value;

use super::{
    MAC, NIC, OTHER, code_of,
    line::{Line, Machine, can_be_had},
};
use crate::end_to_end::{
    program::{Ended, Station, check},
    site::place::{dns_server, has_names},
};

/// Where the bench is on a site, and what units know it by there.
const SITE: &str = "127.0.0.5";
const NAMES: [&str; 2] = ["ca.example.test", "broker.example.test"];
/// Joins: what it was told is written down, the passphrase only where it is wrong.
const JOIN: &str = r#"#!/bin/sh
air=$(dirname "$0"); ssid=$1; bssid=$2
read -r passphrase
echo "$ssid $bssid" >> "$air/joined"
[ "$passphrase" = configure-me ] || { echo "wrong passphrase" >&2; exit 1; }
unit=$(cat "$air/$bssid" 2>/dev/null) || { echo "no access point $bssid" >&2; exit 1; }
while [ ! -S "$air/$unit" ]; do sleep 0.02; done
ip link set air0 master "$unit" && ip address add 192.168.4.2/24 dev sta0
"#;
const LEAVE: &str = r#"#!/bin/sh
echo left >> "$(dirname "$0")/joined"
ip address flush dev sta0; ip link set air0 nomaster
"#;

struct Setup {
    station: Station,
    line: Line,
}

impl Setup {
    fn new() -> Self {
        let (station, line) = (Station::new(), Line::new());
        line.ip("link add sta0 type veth peer name air0");
        line.ip("link set sta0 up");
        line.ip("link set air0 up");
        station.executable("join", JOIN);
        station.executable("leave", LEAVE);
        let setup = Self { station, line };
        setup.write("interface = \"sta0\"");
        setup
    }

    fn write(&self, interface: &str) {
        let text = format!(
            "[network]\nuse = \"{NIC}\"\n[portal]\njoin = [\"./join\"]\nleave = [\"./leave\"]\n{interface}\n"
        );
        self.station.write("jig.toml", text);
    }

    /// The same bench on the network of a site, whose DNS server leads to it.
    fn on_site() -> (Self, ChildGuard) {
        let setup = Self::new();
        let text = format!(
            "[network]\nuse = \"site\"\nlisten = \"{SITE}\"\nadvertise = {NAMES:?}\n\
             [portal]\njoin = [\"./join\"]\nleave = [\"./leave\"]\ninterface = \"sta0\"\n"
        );
        setup.station.write("jig.toml", text);
        let leads = format!("/{}/{SITE}", NAMES.join("/"));
        let names = dns_server(SITE, 53, &leads, |command| setup.line.within(command));
        (setup, names)
    }

    /// A unit on the switch.
    fn unit(&mut self, name: &str, mac: &str, bssid: &str) -> String {
        let socket = self.opens(name, bssid);
        self.line.unit(&self.station, &format!("esp32 --own-network {socket}"), mac, None)
    }

    /// A unit on the network of the site.
    fn unit_on_site(&mut self, name: &str, mac: &str, bssid: &str) -> String {
        let socket = self.opens(name, bssid);
        let mut unit = self.station.command();
        unit.args(["simulator", "serve", "--mac", mac, "--rfc2217", "127.0.0.1:0"]);
        unit.args(["--network", &format!("host:{SITE}"), "--own-network", &socket]);
        format!("{}?simulated=true", self.line.start(&unit))
    }

    /// A network of a unit's own, in which its page has the address that all of them have: where the unit serves it.
    fn opens(&mut self, name: &str, bssid: &str) -> String {
        let socket = self.station.path(name).display().to_string();
        self.station.write(bssid, name);
        self.line.ip(&format!("link add {name} type bridge"));
        self.line.ip(&format!("link set {name} up"));
        let inside = Machine::new();
        self.line.ip(&format!("link add {name}p type veth peer name eth0 netns {}", inside.name()));
        self.line.ip(&format!("link set {name}p master {name} up"));
        for words in ["link set lo up", "link set eth0 up", "address add 192.168.4.1/24 dev eth0"] {
            inside.ip(words);
        }
        let served = format!("UNIX-CONNECT:{socket}");
        let relay = "TCP-LISTEN:80,bind=192.168.4.1,fork,reuseaddr";
        let mut relays = Command::new("ip");
        relays.args(["netns", "exec", inside.name(), "sh", "-c"]);
        relays.arg(format!("echo starts; exec socat {relay} {served} 2>/dev/null"));
        self.line.start(&relays);
        self.line.keep(inside);
        socket
    }

    fn run(&self, profile: &str, devices: &[&str]) -> Ended {
        let words = ["run", profile, "--json", "--station", "jig.toml"];
        let mut command = self.station.unit_command(words);
        command.args(devices.iter().flat_map(|device| ["--device", device]));
        self.line.run(&command)
    }

    fn joined(&self) -> Vec<String> {
        let joined = fs::read_to_string(self.station.path("joined")).unwrap_or_default();
        joined.lines().map(str::to_owned).collect()
    }
}

/// Whether there can be such networks here.
fn can_be_joined() -> bool {
    if !can_be_had() {
        return false;
    }
    if Command::new("socat").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI has the packages of ci/install");
        println!("skipped: socat is not installed");
        return false;
    }
    true
}

#[test]
fn two_units_with_one_network_name_each_get_their_own_values() {
    if !can_be_joined() {
        return;
    }
    let mut setup = Setup::new();
    let one = setup.unit("unit1", MAC, "24:0a:c4:00:02:11");
    let other = setup.unit("unit2", OTHER, "24:0a:c4:00:02:15");
    each_gets_its_own(&setup, &one, &other);
}

/// The second interface is the units' networks', and the machine's own network is the site's.
#[test]
fn so_do_two_units_on_the_network_of_a_site() {
    if !can_be_joined() || !has_names() {
        return;
    }
    let (mut setup, _names) = Setup::on_site();
    let one = setup.unit_on_site("unit1", MAC, "24:0a:c4:00:02:11");
    let other = setup.unit_on_site("unit2", OTHER, "24:0a:c4:00:02:15");
    each_gets_its_own(&setup, &one, &other);
}

fn each_gets_its_own(setup: &Setup, one: &str, other: &str) {
    let ended = setup.run("zeroconf-portal", &[one, other]);
    let records = ended.json();
    for (index, mac) in [MAC, OTHER].into_iter().enumerate() {
        let record: &Value = &records[index];
        assert_eq!(record["verdict"], "PASS", "{record:#}");
        assert_eq!(record["unit"]["mac"], mac);
        assert_eq!(check(record, "nvs_readback")["outcome"], "pass");
    }
    assert_ne!(records[0]["unit"]["ids"]["uuid"], records[1]["unit"]["ids"]["uuid"]);
    let joined = setup.joined();
    let (first, second) = (&joined[..2], &joined[2..]);
    let visit = |bssid: &str| [format!("ZeroConf-Setup {bssid}"), "left".to_owned()];
    let visits = [visit("24:0a:c4:00:02:11"), visit("24:0a:c4:00:02:15")];
    assert!(visits.iter().all(|visit| first == visit || second == visit), "{joined:?}");
    assert!(!ended.said().contains("configure-me"));
}

/// What it cannot be sure of, it tells nothing.
#[test]
fn a_page_that_nobody_names_gets_no_values() {
    if !can_be_joined() {
        return;
    }
    let mut setup = Setup::new();
    let made = setup.station.unit(["testbed", "issue", "--client", "any", "--out", "any"]);
    assert_eq!(made.code(), 0, "{made:?}");
    let root = fs::read_to_string(setup.station.state().join("ca/root.pem")).expect("the CA");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    let read = |name: &str| fs::read_to_string(format!("{folder}/{name}")).expect("it ships");
    let firmware = read("firmware/zeroconf-portal.toml").replace(" of {device_id}", "");
    let chip = goldline::simulated::simulated(Chip::Esp32).expect("it is simulated");
    let app = goldline_simulator::firmware::compile(&firmware, &root, chip).expect("it compiles");
    setup.station.write("app.elf", app);
    let profile = read("profiles/zeroconf-portal.toml");
    let own = profile.replace("{ model = \"zeroconf-portal\" }", "{ file = \"app.elf\" }");
    setup.station.write("silent.toml", own);
    let unit = setup.unit("unit1", MAC, "24:0a:c4:00:02:11");
    let ended = setup.run("silent.toml", &[&unit]);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (3, "testbed.network"), "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    assert!(message.contains("nothing was sent"), "{message}");
    assert_eq!(setup.joined(), ["ZeroConf-Setup 24:0a:c4:00:02:11", "left"]);
}

/// The access point may be off, or the bench's radio: without another unit that it joined, nobody knows.
#[test]
fn a_network_that_is_not_joined_is_no_units_fault_without_a_witness() {
    if !can_be_joined() {
        return;
    }
    let mut setup = Setup::new();
    let unit = setup.unit("unit1", MAC, "24:0a:c4:00:02:77");
    let ended = setup.run("zeroconf-portal", &[&unit]);
    let record = ended.json();
    assert_eq!((ended.code(), code_of(&record)), (3, "testbed.network"), "{record:#}");
    let message = record["diagnosis"]["message"].to_string();
    assert!(message.contains("no access point 24:0a:c4:00:02:11"), "{message}");
    assert_eq!(setup.joined(), ["ZeroConf-Setup 24:0a:c4:00:02:11", "left"]);
}

#[rstest]
#[case::no_interface("interface = \"sta9\"", "there is no interface \"sta9\"")]
#[case::none_named("", "missing key `interface` in [portal]")]
#[case::another_key("interface = \"sta0\"\nbssid = \"x\"", "unknown key `bssid`")]
fn a_way_that_leads_nowhere_is_refused(#[case] interface: &str, #[case] why: &str) {
    if !can_be_joined() {
        return;
    }
    let setup = Setup::new();
    setup.write(interface);
    let ended = setup.run("zeroconf-portal", &["rfc2217://127.0.0.1:1?simulated=true"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(why), "{}", ended.said());
}
