//! The page on a jig on a Raspberry Pi: its files and commands, with simulated units in other processes in the place of
//! ports, a switch in the place of the access point, and a real ser2net in front of the units.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::Stdio,
};

use goldline::process::ChildGuard;

use super::{
    foreign_servers::{buttons, is_there, start_ser2net},
    nic::{
        hostapd_takes,
        line::{Line, can_be_had},
    },
    page::{commands, file},
    program::{Ended, Station},
    redirects,
    resets::serve_unit,
};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/raspberry-pi.md"));
const MACS: [&str; 2] = ["24:0a:c4:00:05:10", "24:0a:c4:00:05:14"];

/// The product of the page, whose application trusts its maker, and the page's files.
fn jig() -> Station {
    let (station, _) = redirects::product();
    let shipped = std::fs::read_to_string(station.path("espvault.toml")).expect("the profile");
    let door = shipped.replacen("name = \"espvault\"", "name = \"door\"", 1);
    assert_ne!(door, shipped);
    station.write("door.toml", door);
    station.write("line.wifi", "change-this-passphrase");
    for name in ["pi.toml", "site.toml"] {
        station.write(name, file(PAGE, name));
    }
    station
}

/// The page's commands: those on the Pi, and those on another machine.
fn commands_of_both() -> [Vec<Vec<&'static str>>; 2] {
    let all = commands(PAGE);
    assert_eq!(all.len(), 4, "{all:?}");
    let is_remote = |words: &Vec<&str>| words.iter().any(|word| word.starts_with("rfc2217://"));
    let (remote, local): (Vec<_>, Vec<_>) = all.into_iter().partition(is_remote);
    assert_eq!((local.len(), remote.len()), (2, 2));
    [local, remote]
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
    text.replace(from, to)
}

#[test]
fn its_access_point_is_one_that_hostapd_knows() {
    let file = file(PAGE, "line.conf");
    hostapd_takes(&replaced(file, "interface=wlan0", "interface=goldline-none"));
}

/// Two nests on the interface that the page names, and a certificate of the maker's.
#[test]
fn units_on_the_pi_pass_as_its_page_says() {
    if !can_be_had() {
        return;
    }
    let (mut line, station) = (Line::new(), jig());
    for words in ["link set nic0 down", "link set nic0 name wlan0", "link set wlan0 up"] {
        line.ip(words);
    }
    let mut text = file(PAGE, "pi.toml").to_owned();
    for (mac, port) in MACS.iter().zip(["serial:hub=1-1.2", "serial:hub=1-1.3"]) {
        let device = line.unit(&station, "esp32", mac, None);
        text = replaced(&text, port, device.trim_end_matches("?simulated=true"));
    }
    station.write("pi.toml", text);
    let [local, _] = commands_of_both();
    for (words, passes) in local.into_iter().zip([1, 2]) {
        let ended = line.run(&station.unit_command(&words));
        assert_eq!(ended.code(), 0, "{words:?}: {ended:?}");
        let passed = ended.stdout.lines().filter(|line| line.starts_with("PASS  door "));
        assert_eq!(passed.count(), passes, "{ended:?}");
        assert!(ended.stdout.contains("radio not proven"), "{ended:?}");
    }
}

/// A unit in another process, and the port of its RFC 2217 server.
fn serve(station: &Station) -> (ChildGuard, String) {
    let mut command = station.command();
    command.args(["simulator", "serve", "--rfc2217", "127.0.0.1:0", "--mac", MACS[1]]);
    let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
    let output = unit.child().stdout.take().expect("stdout is a pipe");
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url).expect("it says its port");
    let (_, port) = url.trim_end().rsplit_once(':').expect("a port");
    (unit, port.to_owned())
}

/// The first unit hangs on a terminal, by the page's own line; the second on a server with modem lines.
#[test]
fn units_are_provisioned_through_the_ser2net_of_the_page() {
    if !is_there("ser2net") {
        return;
    }
    let station = jig();
    let mut terminal = serve_unit(&station, &["--mac", MACS[0]]);
    let (_unit, port) = serve(&station);
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [first, second] =
        free.each_ref().map(|free| free.local_addr().expect("its address").port().to_string());
    drop(free);

    let mut text = file(PAGE, "ser2net.yaml").to_owned();
    let by_path = "/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1";
    let unit = station.path("unit").display().to_string();
    text = replaced(&text, &format!("{by_path}.2:1.0-port0"), &unit);
    let serial = format!("serialdev,{by_path}.3:1.0-port0,115200n81,local");
    text = replaced(&text, &serial, &format!("telnet(rfc2217),tcp,127.0.0.1,{port}"));
    text = replaced(&text, ",4001", &format!(",{first}"));
    text = replaced(&text, ",4002", &format!(",{second}"));
    let _server = start_ser2net(&station, &text);

    let reset = buttons(&station, &mut terminal);
    let devices = [
        ("rfc2217://127.0.0.1:4001", format!("rfc2217://127.0.0.1:{first}?{reset}")),
        ("rfc2217://127.0.0.1:4002", format!("rfc2217://127.0.0.1:{second}")),
    ];
    let [_, remote] = commands_of_both();
    for words in remote {
        let here = words.iter().map(|word| {
            let found = devices.iter().find(|(shown, _)| shown == word);
            found.map_or(*word, |(_, device)| device)
        });
        let mut command = station.command();
        command.env("GOLDLINE_STATE", station.state());
        let ended = Ended::of(command.args(here));
        assert_eq!(ended.code(), 0, "{words:?}: {ended:?}");
        match words[0] {
            "device" => assert!(ended.stdout.contains(MACS[0]), "{ended:?}"),
            _ => {
                for mac in MACS {
                    let made = format!("PROVISIONED  door {mac} ");
                    assert!(ended.stdout.contains(&made), "{ended:?}");
                }
            }
        }
    }
}
