//! A build of one's own on a simulated unit: from each build system's folder to a verdict, and refused before
//! anything is touched where it does not fit.

use std::{fs, path::Path};

use rstest::rstest;

use super::{
    build_folders::{
        NVS, STORAGE, arduino, arguments, esp_idf, merged, platformio, profile_of_build,
    },
    program::{Station, check},
};

const DEVICE: &str = "simulator:?flash-file=unit.flash";

/// A station with a build whose firmware trusts its bench, and the flash of a unit that has it.
pub fn station(make: fn(&Path, &[u8])) -> (Station, Vec<u8>) {
    let station = Station::new();
    let ended = station.unit(["provision", "--device", DEVICE]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    make(&station.path("build"), &flash);
    station.write("espvault.toml", profile_of_build("build = \"build\""));
    (station, flash)
}

fn merged_file(path: &Path, flash: &[u8]) {
    merged(path, flash);
}

#[rstest]
#[case::esp_idf(esp_idf)]
#[case::platformio(platformio)]
#[case::arduino(arduino)]
#[case::merged(merged_file)]
fn a_build_of_ones_own_passes(#[case] make: fn(&Path, &[u8])) {
    let (station, _) = station(make);
    let checked = station.goldline(["profile", "check", "espvault.toml"]);
    assert_eq!(checked.code(), 0, "{}", checked.stderr);
    let record = station.unit(["run", "espvault.toml", "--json", "--device", DEVICE]).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
}

/// The image of another partition is written, and compared before the firmware ran.
#[test]
fn whatever_else_the_build_flashes_is_written_and_compared() {
    let (station, _) = station(esp_idf);
    let record = station.unit(["run", "espvault.toml", "--json", "--device", DEVICE]).json();
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    assert!(flash[STORAGE..].starts_with(b"a file system"));
    let evidence = check(&record, "flash_integrity")["evidence"].to_string();
    assert!(evidence.contains("storage before the first boot: MD5"), "{evidence}");
    assert!(evidence.contains("left to the firmware"), "{evidence}");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_touched() {
    let (station, flash) = station(esp_idf);
    let refused = |expected: &str| {
        let ended = station.unit(["run", "espvault.toml", "--device", DEVICE]);
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.said().contains(expected), "{expected}: {}", ended.stderr);
        assert!(fs::read(station.path("unit.flash")).expect("its flash") == flash);
    };
    let build = station.path("build");
    arguments(&build, &[("\"chip\": \"esp32\"", "\"chip\": \"esp32s3\"")]);
    refused("is built for esp32s3");
    arguments(&build, &[]);
    fs::remove_file(build.join("vault.bin")).expect("it was there");
    refused("build the firmware again");
}

/// A profile of flash and NVS alone: no network, no broker, and both sides of the verdict.
#[test]
fn a_product_is_judged_without_network_and_broker() {
    let (station, flash) = station(esp_idf);
    let whole = profile_of_build("build = \"build\"");
    let (head, rest) = whole.split_once("\n[wifi]\n").expect("a network");
    assert!(rest.contains("[mqtt]"));
    let lesser = format!(
        "{head}\n[deadlines]\nboot_s = 10\n\n[[check]]\nid = \"flash_integrity\"\n\n\
         [[check]]\nid = \"nvs_readback\"\n"
    );
    station.write("espvault.toml", &lesser);
    for command in [["profile", "explain"], ["profile", "checklist"]] {
        let ended = station.goldline([command[0], command[1], "espvault.toml"]);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert!(!ended.stdout.contains("access point"), "{}", ended.stdout);
    }
    let record = station.unit(["run", "espvault.toml", "--json", "--device", DEVICE]).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    assert_eq!(record["checks"].as_array().expect("checks").len(), 3);
    assert!(flash[NVS].iter().any(|byte| *byte != 0xFF));
    let fault = ["run", "espvault.toml", "--json", "--fault", "flash.nvs_key_missing"];
    let record = station.unit(fault).json();
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    assert_eq!(check(&record, "nvs_readback")["outcome"], "fail");

    // What needs a network says so at its place.
    let wifi = format!("{lesser}\n[[check]]\nid = \"wifi_join\"\n");
    station.write("espvault.toml", &wifi);
    let ended = station.goldline(["profile", "check", "espvault.toml"]);
    assert_eq!(ended.code(), 2);
    assert!(ended.said().contains("the check wifi_join needs the section [wifi]"), "{ended:?}");
    let mqtt = rest.split_once("[mqtt]").expect("a broker").1;
    let mqtt = mqtt.split_once("[deadlines]").expect("deadlines").0;
    station.write(
        "espvault.toml",
        lesser.replace("[deadlines]", &format!("[mqtt]{mqtt}\n[deadlines]")),
    );
    let ended = station.goldline(["profile", "check", "espvault.toml"]);
    assert!(ended.said().contains("the section [mqtt] needs [wifi]"), "{ended:?}");
}

#[test]
fn a_chip_that_is_not_simulated_is_refused_with_where_it_is_tried() {
    let (station, flash) = station(esp_idf);
    let said = "the simulator has no esp32p4; a real port or an emulator does";
    let device = format!("{DEVICE}&chip=esp32p4");
    let ended = station.unit(["run", "espvault.toml", "--device", &device]);
    assert_eq!((ended.code(), ended.said().contains(said)), (2, true), "{ended:?}");
    let ended = station.goldline(["simulator", "serve", "--chip", "esp32p4"]);
    assert_eq!((ended.code(), ended.said().contains(said)), (2, true), "{ended:?}");
    assert!(fs::read(station.path("unit.flash")).expect("its flash") == flash);
}
