//! The guide to profiles as a reader follows it: its files, its commands, its PASS.

use std::{fs, path::Path};

use super::{
    build_folders::esp_idf,
    own_builds,
    page::commands,
    program::{Ended, Station},
};

const OWN_FIRMWARE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/own-firmware.md"));
const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"));

const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/profiles.md"));

/// The files of the guide: what stands between fences that name a file.
fn files() -> Vec<(&'static str, &'static str)> {
    let blocks = GUIDE.split("```toml ").skip(1);
    let file = |block: &'static str| {
        let (name, rest) = block.split_once('\n').expect("a fence ends its line");
        (name, rest.split("\n```").next().expect("a block ends"))
    };
    blocks.map(file).collect()
}

fn station() -> Station {
    let station = Station::new();
    for (name, text) in files() {
        assert!(Path::new(name).extension().is_some(), "{name} is no file");
        station.write(name, text);
    }
    station
}

#[test]
fn the_guide_ends_in_a_pass() {
    let station = station();
    let checked = station.goldline(["profile", "check", "doorbell.toml"]);
    assert_eq!(checked.code(), 0, "{}", checked.stderr);
    let explained = station.goldline(["profile", "explain", "doorbell.toml"]);
    assert!(explained.stdout.contains("What goldline run does"), "{}", explained.stdout);
    let ended = station.unit(["run", "doorbell.toml"]);
    assert_eq!(ended.code(), 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.starts_with("PASS  doorbell") && ended.stdout.contains("bell-0007"));
}

#[test]
fn the_guides_fault_and_its_renamed_key_are_found() {
    let station = station();
    let arguments = ["run", "doorbell.toml", "--fault", "firmware.mqtt_password", "--json"];
    let ended = station.unit(arguments);
    assert_eq!((ended.code(), &ended.json()["verdict"]), (1, &"FAIL".into()));
    let (_, profile) = files()[0];
    let waits = profile.replace("boot_s = 10", "boot_s = 1").replace("wifi_s = 20", "wifi_s = 1");
    station.write("doorbell.toml", waits.replace("key = \"pass\"", "key = \"password\""));
    let record = station.unit(["run", "doorbell.toml", "--json"]).json();
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("pass"), "{message}");
}

/// A newcomer's folder: a build, the flash of a good unit, and the secrets in files.
fn newcomer() -> Station {
    let (station, flash) = own_builds::station(esp_idf);
    fs::remove_file(station.path("espvault.toml")).expect("it was there");
    station.write("golden.bin", flash);
    station.write("wifi_password", "SecurePassword123");
    station.write("mqtt_password", "DeviceSecretKey");
    station
}

#[test]
fn the_way_from_a_build_folder_to_a_verdict_is_as_the_page_says() {
    let station = newcomer();
    let commands = commands(OWN_FIRMWARE);
    assert_eq!(commands.len(), 6, "{commands:?}");
    for arguments in commands {
        let mut command = station.command();
        command.env("GOLDLINE_DEVICE", "simulator:?flash-file=unit.flash");
        command.env("GOLDLINE_STATE", station.state()).args(&arguments);
        let ended = Ended::of(&mut command);
        assert_eq!(ended.code(), 0, "{arguments:?}: {ended:?}");
        let judges = ["run", "check"].contains(&arguments[0]) && !arguments.contains(&"--dry-run");
        assert!(!judges || ended.stdout.starts_with("PASS  own"), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn the_readme_begins_with_a_build_as_the_page_does() {
    let section = README.split("## Your own firmware").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its end");
    let station = newcomer();
    for arguments in commands(section) {
        let ended = station.goldline(&arguments);
        assert_eq!(ended.code(), 0, "{arguments:?}: {ended:?}");
    }
}

#[test]
fn every_method_is_in_the_guide_and_every_example_is_shipped() {
    let station = Station::new();
    let listed = station.goldline(["profile", "list"]).stdout;
    let rows = GUIDE.lines().filter(|line| line.starts_with("| `"));
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        for example in cells[4].split(',').map(|name| name.trim().trim_matches('`')) {
            assert!(listed.lines().any(|line| line.starts_with(example)), "{example} in {listed}");
        }
    }
    for method in goldline::profile::Method::ALL {
        assert!(GUIDE.contains(&format!("| `{}` |", method.name())), "{}", method.name());
    }
}
