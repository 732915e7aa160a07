//! A product that joins nothing is watched whether its application runs at all.

use super::{
    build_folders::esp_idf,
    own_builds::station,
    program::{Station, check},
};

const DEVICE: &str = "simulator:?flash-file=unit.flash";

/// A station with the profile that was drafted from a build alone, whose `steady_s` is short.
fn drafted() -> (Station, String) {
    let (station, _) = station(esp_idf);
    let ended = station.goldline(["init", "build"]);
    assert!(ended.stdout.contains("id = \"start\""), "{ended:?}");
    let text = ended.stdout.replace("steady_s = 10", "steady_s = 1");
    station.write("own.toml", &text);
    (station, text)
}

fn run(station: &Station, more: &[&str]) -> serde_json::Value {
    let arguments = ["run", "own.toml", "--json", "--device", DEVICE];
    station.unit(arguments.iter().chain(more)).json()
}

#[test]
fn a_unit_that_starts_and_goes_on_passes() {
    let (station, _) = drafted();
    let record = run(&station, &[]);
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    let steady = &check(&record, "start")["measurements"];
    let names: Vec<_> = steady.as_array().expect("some").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["unexpected_resets", "steady_ms"]);
}

/// Before, nothing looked at a unit whose flash was right and whose firmware crashed.
#[test]
fn a_unit_that_crashes_fails() {
    let (station, _) = drafted();
    for (fault, judge, code) in [
        ("firmware.boot_loop", "start", "boot.loop"),
        ("chip.watchdog", "start", "boot.loop"),
        ("flash.app_bit", "flash_integrity", "flash.region_differs"),
    ] {
        let record = run(&station, &["--fault", fault]);
        assert_eq!(record["verdict"], "FAIL", "{fault}: {record:#}");
        assert_eq!(record["diagnosis"]["code"], code, "{fault}: {record:#}");
        assert_eq!(check(&record, judge)["outcome"], "fail", "{fault}");
    }
}

/// The check needs not be asked for; whoever joins a network is judged by that.
#[test]
fn a_profile_that_joins_nothing_has_the_check_without_a_word() {
    let (station, text) = drafted();
    let (before, after) = text.split_once("\n[[check]]\nid = \"start\"").expect("the check");
    station.write("own.toml", format!("{before}{after}"));
    let record = run(&station, &[]);
    assert_eq!(check(&record, "start")["outcome"], "pass", "{record:#}");
}

#[test]
fn only_a_start_can_be_silent() {
    let (station, text) = drafted();
    let edited = text.replace("id = \"nvs_readback\"", "id = \"nvs_readback\"\nsilent = true");
    station.write("own.toml", edited);
    let ended = station.goldline(["profile", "check", "own.toml"]);
    assert!(ended.code() == 2 && ended.said().contains("only start waits"), "{ended:?}");
}
