//! A chip's own USB goes at each reset and comes back: the same unit is found again, and what it said meanwhile is no
//! evidence.
//!
//! The unit is the simulator in a process of its own; its port is a pseudo-terminal that goes and returns.

use std::fs;

use goldline::process::ChildGuard;
use rstest::rstest;
use serde_json::Value;

use super::{
    build_folders::esp_idf,
    foreign_servers::buttons,
    own_builds,
    program::{Station, check},
    resets::{has_its_values, product, provision, serve_unit},
};

/// A unit, and a jig whose program presses its buttons.
fn serve(station: &Station, options: &[&str]) -> (ChildGuard, String) {
    let options = [&["--native-usb", "--flash-file", "unit.flash"], options].concat();
    let mut unit = serve_unit(station, &options);
    let reset = buttons(station, &mut unit);
    (unit, format!("serial:unit?{reset}"))
}

/// A product that joins nothing, whose own firmware is judged by its log.
fn watched() -> Station {
    let (station, _) = own_builds::station(esp_idf);
    let drafted = station.goldline(["init", "build"]);
    station.write("own.toml", drafted.stdout.replace("steady_s = 10", "steady_s = 1"));
    station
}

/// At another station than the one whose CA is in the build: nobody ships what trusts the bench.
fn run(station: &Station, device: &str) -> Value {
    let words = ["run", "own.toml", "--json", "--out", "out", "--state", "line"];
    station.goldline(words.into_iter().chain(["--device", device])).json()
}

#[rstest]
#[case::at_once(&[])]
#[case::paced(&["--pace"])]
#[case::from_its_application(&["--mode", "boot"])]
fn its_port_is_found_again_when_it_enters_the_loader(#[case] options: &[&str]) {
    let station = product();
    let (_unit, device) = serve(&station, options);
    for _ in 0..2 {
        let ended = provision(&station, &device);
        // espflash may warn of an answer that the port lost on its way, and asks again.
        assert_eq!(ended.code(), 0, "{ended:?}");
        has_its_values(&station);
    }
}

#[test]
fn a_run_passes_though_early_lines_are_lost() {
    let station = watched();
    let (_unit, device) = serve(&station, &["--pace", "--fault", "firmware.slow_boot"]);
    let record = run(&station, &device);
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    assert_eq!(check(&record, "start")["outcome"], "pass", "{record:#}");
    let log = fs::read_to_string(station.path("out/console.log")).expect("its log");
    assert!(log.contains("[the port was away for"), "{log}");
}

/// As it was: FAIL, "no application started". Its ROM and its application had said all they say before the port was
/// back.
#[test]
fn a_unit_whose_first_words_alone_tell_is_not_blamed() {
    let station = watched();
    // Unpaced, all of it is said at once.
    let (_unit, device) = serve(&station, &[]);
    let record = run(&station, &device);
    let log = fs::read_to_string(station.path("out/console.log")).expect("its log");
    // A bench that was quicker than the unit heard it, and judges what it heard.
    if log.contains("Calling app_main") {
        assert_eq!(record["verdict"], "PASS", "{log}{record:#}");
        return;
    }
    assert_eq!(record["verdict"], "ERROR", "{log}{record:#}");
    assert_eq!(record["diagnosis"]["code"], "nest.contact_or_supply", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a text");
    assert!(message.contains("nobody heard the unit start: the port was away"), "{message}");
}

/// A pulled cable does not come back; what was written meanwhile is lost.
#[test]
fn a_port_that_goes_for_good_vanished() {
    let station = product();
    let (mut unit, device) = serve(&station, &["--fault", "wire.vanish"]);
    let ended = provision(&station, &device);
    let record = ended.json();
    assert_eq!(
        (ended.code(), &record["diagnosis"]["code"]),
        (3, &"port.vanished".into()),
        "{record:#}"
    );
    unit.child().kill().expect("it runs");
}
