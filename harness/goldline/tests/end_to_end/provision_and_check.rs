//! `provision` and `check` as two processes, with a unit that outlives them in a flash file.

use std::{fs, path::PathBuf};

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, PROFILE, Station, check};

/// Where the profile puts what.
const NVS: usize = 0x10000;
const APP: usize = 0x20000;

/// A station, and a unit on it that outlives a command.
pub struct Bench {
    pub station: Station,
    pub flash: PathBuf,
}

impl Bench {
    pub fn new() -> Self {
        let station = Station::new();
        let flash = station.path("unit.flash");
        Self { station, flash }
    }

    /// A command on the unit.
    pub fn unit(&self, arguments: &[&str]) -> Ended {
        let device = format!("simulator:?flash-file={}", self.flash.display());
        self.station.unit([arguments, &["--json", "--device", &device]].concat())
    }

    /// Provisions the unit, which must succeed.
    pub fn provision(&self) -> Value {
        let ended = self.unit(&["provision"]);
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
        ended.json()
    }

    /// Changes bytes of the unit's flash behind the station's back.
    pub fn alter(&self, change: impl FnOnce(&mut [u8])) {
        let mut flash = fs::read(&self.flash).expect("the flash file");
        change(&mut flash);
        fs::write(&self.flash, flash).expect("the flash file is written");
    }
}

/// Position of a text in a part of the flash.
fn position(flash: &[u8], text: &[u8]) -> usize {
    let found = flash.windows(text.len()).position(|window| window == text);
    found.expect("the text lies in the flash")
}

#[test]
fn a_provisioned_unit_passes_a_later_check_as_the_same_unit() {
    let bench = Bench::new();
    let provisioned = bench.provision();
    assert_eq!((&provisioned["verdict"], &provisioned["diagnosis"]), (&Value::Null, &Value::Null));
    let checked = bench.unit(&["check"]);
    assert_eq!((checked.code(), checked.stderr.as_str()), (0, ""), "{}", checked.stdout);
    let checked = checked.json();
    assert_eq!(checked["verdict"], "PASS");
    assert_eq!(checked["unit"], provisioned["unit"]);
}

#[test]
fn a_unit_that_ran_passes_again() {
    let bench = Bench::new();
    bench.provision();
    for _ in 0..2 {
        let checked = bench.unit(&["check"]);
        assert_eq!(checked.code(), 0, "{}", checked.stdout);
    }
}

#[test]
fn a_check_writes_nothing_that_the_bench_owns() {
    let bench = Bench::new();
    bench.provision();
    let before = fs::read(&bench.flash).expect("the flash file");
    bench.unit(&["check"]);
    let after = fs::read(&bench.flash).expect("the flash file");
    assert_eq!(before[NVS..NVS + 0x6000], after[NVS..NVS + 0x6000]);
    assert_eq!(before[APP..], after[APP..]);
    assert_eq!(before[..0x9000], after[..0x9000]);
}

#[test]
fn secrets_made_for_a_unit_are_found_again_by_a_later_check() {
    let bench = Bench::new();
    let provisioned = bench.unit(&["provision", "--lot", "A"]);
    assert_eq!(provisioned.code(), 0, "{}", provisioned.stdout);
    let checked = bench.unit(&["check"]);
    assert_eq!(checked.code(), 0, "{}", checked.stdout);
    assert_eq!(checked.json()["unit"], provisioned.json()["unit"]);
}

#[test]
fn a_unit_of_another_station_is_not_judged() {
    let bench = Bench::new();
    bench.provision();
    let other = Bench { station: Station::new(), flash: bench.flash.clone() };
    let checked = other.unit(&["check"]);
    assert_eq!(checked.code(), 3, "{}", checked.stdout);
    let record = checked.json();
    assert_eq!(record["verdict"], "ERROR");
    let diagnosis = record["diagnosis"].to_string();
    assert!(diagnosis.contains("never provisioned"), "{diagnosis}");
    assert!(diagnosis.contains("goldline provision"), "{diagnosis}");
    assert!(diagnosis.contains("24:0a:c4:00:01:10"), "{diagnosis}");
}

/// A good unit of the old version would fail on every key that the new one names otherwise.
#[test]
fn a_check_with_a_changed_profile_of_the_same_name_says_nothing_of_the_unit() {
    let bench = Bench::new();
    bench.provision();
    let changed = PROFILE.replace("key = \"device_id\"", "key = \"device_name\"");
    bench.station.write("espvault.toml", changed);
    let ended = bench.unit(&["check", "espvault.toml"]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &Value::from("ERROR")), "{record}");
    let message = record["diagnosis"]["message"].as_str().expect("a message");
    assert!(message.contains("changed since"), "{message}");
}

#[test]
fn a_check_with_another_profile_is_refused() {
    let bench = Bench::new();
    bench.provision();
    let other = PROFILE.replacen("name = \"espvault\"", "name = \"espsafe\"", 1);
    let other = bench.station.write("espsafe.toml", other);
    let checked = bench.unit(&["check", other.to_str().expect("UTF-8")]);
    assert_eq!(checked.code(), 3, "{}", checked.stdout);
    let diagnosis = checked.json()["diagnosis"].to_string();
    assert!(diagnosis.contains("was provisioned as espvault"), "{diagnosis}");
}

#[test]
fn a_changed_byte_of_the_app_fails() {
    let bench = Bench::new();
    bench.provision();
    bench.alter(|flash| flash[APP + 0x100] ^= 0x01);
    let checked = bench.unit(&["check"]);
    assert_eq!(checked.code(), 1, "{}", checked.stdout);
    let record = checked.json();
    assert_eq!(check(&record, "flash_integrity")["diagnosis"]["code"], "flash.region_differs");
    assert_eq!(check(&record, "nvs_readback")["outcome"], "pass");
}

#[rstest]
#[case::value(b"ProductionWiFi\0")]
#[case::key(b"mqtt_username\0")]
fn a_changed_text_of_the_nvs_fails(#[case] text: &[u8]) {
    let bench = Bench::new();
    bench.provision();
    bench.alter(|flash| {
        let at = NVS + position(&flash[NVS..NVS + 0x6000], text);
        flash[at] ^= 0x01;
    });
    let checked = bench.unit(&["check"]);
    assert_eq!(checked.code(), 1, "{}", checked.stdout);
    let record = checked.json();
    let code = check(&record, "nvs_readback")["diagnosis"]["code"].as_str().expect("a code");
    assert!(code.starts_with("nvs."), "{record:#}");
    assert_eq!(check(&record, "flash_integrity")["outcome"], "pass");
}

/// A unit that holds another unit's NVS is sound in itself, and not the unit that it should be.
#[test]
fn the_nvs_of_another_unit_fails() {
    let bench = Bench::new();
    bench.provision();
    let other = Bench::new();
    assert_eq!(other.unit(&["provision", "--set", "number=2"]).code(), 0);
    let foreign = fs::read(&other.flash).expect("the other unit's flash");
    bench.alter(|flash| flash[NVS..NVS + 0x6000].copy_from_slice(&foreign[NVS..NVS + 0x6000]));
    let checked = bench.unit(&["check"]);
    assert_eq!(checked.code(), 1, "{}", checked.stdout);
    let record = checked.json();
    assert_eq!(check(&record, "nvs_readback")["diagnosis"]["code"], "nvs.value_differs");
}

#[test]
fn a_person_reads_that_a_unit_was_provisioned() {
    let ended = Station::new().unit(["provision"]);
    assert!(ended.stdout.starts_with("PROVISIONED  espvault"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("PASS"), "provisioning is no verdict: {}", ended.stdout);
}

#[rstest]
#[case::unit("flash.nvs_bit", 1)]
#[case::wire("wire.vanish", 3)]
fn provisioning_that_did_not_succeed_says_so(#[case] fault: &str, #[case] code: i32) {
    let ended = Station::new().unit(["provision", "--json", "--fault", fault]);
    assert_eq!(ended.code(), code, "{}", ended.stdout);
    let record = ended.json();
    assert!(record["verdict"].is_null() && record["diagnosis"].is_object(), "{record:#}");
}
