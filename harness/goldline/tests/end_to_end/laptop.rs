//! The page on a board on a laptop as its reader follows it: a simulated unit in another process behind a
//! pseudo-terminal, which hangs on a bridge of a made-up machine.

use std::fs;

use super::{
    build_folders::esp_idf,
    foreign_servers::buttons,
    jig::{Jig, Usb},
    page::{commands, file, shown},
    program::{Ended, Station},
    remote::{RFC2217, serve},
    resets::{NVS, product, provision_command, serve_unit},
};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/laptop.md"));
const CH340: Usb<'_> = Usb { hub: "1-2", id: ("1a86", "7523"), names: None, serial: None };
const SECRET: &str = "MarkerOfASecret";

/// A laptop with a build, the page's file and its secrets; and the flash of a unit that works as it should.
fn laptop() -> Station {
    let station = product();
    let device = "simulator:?flash-file=unit.flash";
    let ended = Ended::of(&mut provision_command(&station, &["--device", device]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    esp_idf(&station.path("build"), &flash);
    fs::remove_dir_all(station.state()).expect("what made the unit is another station");
    station.write("site.toml", file(PAGE, "site.toml"));
    for name in ["wifi_password", "mqtt_password"] {
        station.write(name, SECRET);
    }
    station
}

/// The device that the page names, which has no modem lines here.
fn device(reset: &str) -> String {
    let named = PAGE.lines().find_map(|line| line.strip_prefix("export GOLDLINE_DEVICE="));
    format!("{}?{reset}", named.expect("the page names it"))
}

fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

/// What a command printed, held to what the page shows of it.
fn is_as_shown(printed: &str, block: &str) {
    let printed: Vec<Vec<&str>> = printed.lines().map(cells).collect();
    for line in block.lines() {
        let line = cells(line);
        assert!(printed.iter().any(|found| found.starts_with(&line)), "no {line:?}: {printed:?}");
    }
}

#[test]
fn the_way_from_the_port_to_a_monitor_is_as_the_page_says() {
    let station = laptop();
    let jig = Jig::new(&station);
    jig.tty_usb("ttyUSB0", "ch341-uart", &CH340, 0);
    let mut unit = serve_unit(&station, &["--flash-file", "unit.flash", "--mode", "boot"]);
    jig.wire("ttyUSB0", &station.path("unit"));
    let device = device(&buttons(&station, &mut unit));
    let goldline = |arguments: &[&str]| {
        let mut command = jig.command();
        command.env("GOLDLINE_DEVICE", &device).env("GOLDLINE_STATE", station.state());
        let ended = Ended::of(command.args(arguments));
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains(SECRET), "{arguments:?}: {ended:?}");
        }
        ended
    };
    let good = fs::read(station.path("unit.flash")).expect("the unit's flash");
    let [list, _group, verdict, refusal, _judged] = shown(PAGE)[..] else {
        panic!("the page shows something else: {:?}", shown(PAGE));
    };

    let commands = commands(PAGE);
    assert_eq!(commands.len(), 11, "{commands:?}");
    for arguments in commands {
        let ended = goldline(&arguments);
        assert_eq!(ended.code(), 0, "{arguments:?}: {ended:?}");
        match &arguments[..] {
            ["device", "list"] => {
                is_as_shown(&ended.stdout.replace(&jig.port("ttyUSB0"), "/dev/ttyUSB0"), list);
            }
            ["device", "read", ..] => {
                let read = fs::read(station.path("golden.bin")).expect("what was read");
                // The firmware runs since, and keeps things of its own elsewhere.
                assert!(read.len() == good.len() && read[NVS] == good[NVS]);
            }
            ["init", .., "own.toml"] => {
                let text = fs::read_to_string(station.path("own.toml")).expect("the profile");
                assert!(text.contains("steady_s = 10"), "{text}");
                station.write("own.toml", text.replace("steady_s = 10", "steady_s = 1"));
            }
            ["run" | "check", ..] => is_as_shown(&ended.stdout, verdict),
            ["provision", ..] => {
                assert!(ended.stdout.starts_with("PROVISIONED  door "), "{ended:?}");
                let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
                let id = b"DOOR-0001";
                assert!(flash.windows(id.len()).any(|window| window == id), "it has its values");
            }
            ["device", "monitor", ..] => {
                assert!(ended.stdout.contains("rst:0x1 (POWERON_RESET)"), "{ended:?}");
            }
            _ => {}
        }
    }

    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    let ended = goldline(&["run", "door.toml", "--station", "site.toml"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(refusal.trim_end()), "{}", ended.said());
    assert!(fs::read(station.path("unit.flash")).expect("its flash") == flash, "it was touched");
}

/// Nobody knows whether it is the board or its cable.
#[test]
fn a_board_that_does_not_answer_is_not_blamed() {
    let words = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("ends as ERROR `port.no_answer` and not as FAIL"), "the page says it");
    let station = laptop();
    let (_unit, device) = serve(&station, RFC2217, &["--fault", "wire.silent"]);
    assert_eq!(station.goldline(["init", "build", "-o", "own.toml"]).code(), 0);
    let ended = station.unit(["run", "own.toml", "--json", "--device", &device]);
    let record = ended.json();
    let found = (ended.code(), &record["verdict"], &record["diagnosis"]["code"]);
    assert_eq!(found, (3, &"ERROR".into(), &"port.no_answer".into()), "{record:#}");
}
