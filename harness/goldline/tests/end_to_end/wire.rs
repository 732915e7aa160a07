//! What happens on the wire is not the unit's: answers that come late, bits that were inverted on the way,
//! and text that is still under way when the loader is entered.

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, Station};

/// The address of the simulated unit that is named no other.
const MAC: &str = "24:0a:c4:00:01:10";

fn run(profile: &str, device: &str, fault: Option<&str>, seed: u64) -> (Station, Ended) {
    let station = Station::new();
    let seed = seed.to_string();
    let fault = fault.iter().flat_map(|fault| ["--fault", fault, "--seed", &seed]);
    let words = ["run", profile, "--json", "--device", device].into_iter().chain(fault);
    let ended = station.unit(words);
    (station, ended)
}

fn assert_passes(ended: &Ended) -> Value {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["unit"]["mac"], MAC, "{record:#}");
    record
}

fn most_attempts(record: &Value) -> u64 {
    let stages = record["stages"].as_array().expect("stages");
    let attempts = stages.iter().map(|stage| stage["attempts"].as_u64().expect("a number"));
    attempts.max().expect("some stages")
}

/// A real UART is always paced. Five of these ended in ERROR: text of the firmware was still on the wire
/// when its loader was entered.
#[rstest]
fn paced_bytes_change_no_verdict(
    #[values(
        "espvault",
        "safesignal",
        "safesignal-certificates",
        "zeroconf",
        "ble-gateway",
        "ble-gateway-factory",
        "ble-gateway-portal",
        "espvault-certificates",
        "espvault-encrypted",
        "espvault-hmac"
    )]
    profile: &str,
) {
    let (_station, ended) = run(profile, "simulator:?pace=true&baud=921600", None, 0);
    let record = assert_passes(&ended);
    assert_eq!(most_attempts(&record), 1, "a sound unit on a sound wire needs one: {record:#}");
}

/// A chip of 16 MB takes 40 s to be erased; what is erased is not.
#[rstest]
fn nor_those_of_a_large_flash(#[values("zeroconf-ca", "zeroconf-ca-console")] profile: &str) {
    assert_passes(&run(profile, "simulator:?pace=true&baud=921600", None, 0).1);
}

#[rstest]
fn neither_does_a_slower_rate(#[values(115_200, 230_400, 460_800)] baud: u32) {
    let device = format!("simulator:?pace=true&baud={baud}");
    assert_passes(&run("espvault", &device, None, 0).1);
}

/// Without a lower rate it was ERROR, or FAIL `flash.write_failed` where a request arrived damaged.
#[rstest]
fn a_rate_that_the_wire_does_not_take_is_left_for_a_lower_one(#[values(1, 2, 3)] seed: u64) {
    let (_station, ended) = run("espvault", "simulator:?baud=921600", Some("wire.fast_rate"), seed);
    let record = assert_passes(&ended);
    assert_eq!(record["transfer"]["baud"], 230_400, "{record:#}");
    assert_eq!(record["transfer"]["left"], serde_json::json!([921_600, 460_800]), "{record:#}");
}

/// Nothing answers there, as from a unit that is dead: the loader is entered once more, at a lower rate.
#[rstest]
#[case::from_the_highest(921_600, &[921_600, 460_800])]
#[case::from_the_usual(460_800, &[460_800])]
fn a_rate_that_is_not_heard_is_left_for_a_lower_one(#[case] baud: u32, #[case] left: &[u32]) {
    let device = format!("simulator:?baud={baud}");
    let (_station, ended) = run("espvault", &device, Some("wire.deaf_rate"), 0);
    let record = assert_passes(&ended);
    assert_eq!(record["transfer"]["baud"], 230_400, "{record:#}");
    assert_eq!(record["transfer"]["left"], serde_json::json!(left), "{record:#}");
}

#[test]
fn a_rate_that_the_wire_takes_is_kept_and_recorded() {
    let station = Station::new();
    let ended = station.unit(["run", "espvault", "--json", "--device", "simulator:?baud=921600"]);
    assert_eq!(assert_passes(&ended)["transfer"], serde_json::json!({ "baud": 921_600 }));
    let arguments = ["--fault", "wire.fast_rate", "--device", "simulator:?baud=460800"];
    let ended = station.unit(["run", "espvault"].iter().chain(&arguments));
    assert!(ended.stdout.contains("230400 baud, after errors at 460800"), "{}", ended.stdout);
}

/// What the unit printed before its reset lies in the buffers of a jig; the loader's answers come behind.
#[rstest]
#[case::portal("ble-gateway-portal")]
#[case::console("safesignal")]
fn the_loader_is_entered_while_old_text_still_comes(#[case] profile: &str) {
    assert_passes(&run(profile, "simulator:?pace=true&stale=true&baud=921600", None, 0).1);
}

#[rstest]
#[case::all_a_little("wire.delay", 0)]
#[case::each_by_half_a_second("wire.late", 1)]
#[case::one("wire.late_once", 1)]
#[case::another("wire.late_once", 2)]
#[case::a_third("wire.late_once", 3)]
fn answers_that_come_late_pass(#[case] fault: &str, #[case] seed: u64) {
    assert_passes(&run("espvault", "simulator:", Some(fault), seed).1);
}

/// The address of the boot before came late, was taken for that of the trial, and the signal strength that
/// should have come before it was never heard.
#[test]
fn what_a_unit_printed_before_its_reset_is_not_the_next_boots() {
    assert_passes(&run("zeroconf-ca-console", "simulator:", Some("wire.late"), 2).1);
}

/// A wrong identity was registered and written.
#[rstest]
fn one_bit_in_an_address_is_asked_about_again(#[values(1, 2, 3)] seed: u64) {
    let record = assert_passes(&run("espvault", "simulator:", Some("wire.bit_mac"), seed).1);
    assert!(most_attempts(&record) > 1, "the bit was hit: {record:#}");
}

/// A digest was held against the unit. Where the flash is written, a wrong one only costs a write that was not
/// needed.
#[rstest]
fn one_bit_in_a_digest_is_asked_about_again(#[values(1, 2, 3)] seed: u64) {
    let station = Station::new();
    let device = format!("simulator:?flash-file={}", station.path("unit.bin").display());
    let (seed, bit) = (seed.to_string(), ["--fault", "wire.bit_digest", "--seed"]);
    let unit = |command: &str, more: &[&str]| {
        let words = [&[command, "espvault", "--json", "--device", &device], more].concat();
        assert_passes(&station.unit(words))
    };
    let first = unit("run", &[]);
    let again = unit("run", &[&bit[..], &[&seed]].concat());
    let kept = |record: &Value| record["flashed"]["kept"].as_u64().expect("a number");
    assert!(kept(&again) > kept(&first), "what is there stays: {again:#}");
    let checked = unit("check", &[&bit[..], &[&seed]].concat());
    assert!(most_attempts(&checked) > 1, "the bit was hit: {checked:#}");
}

/// Nothing that one bit on the wire did is held against the unit, and it is never taken for another.
#[rstest]
fn one_bit_anywhere_fails_no_unit(
    #[values(1, 2, 3)] seed: u64,
    #[values("wire.bit", "wire.bit_request", "wire.bit_console")] fault: &str,
) {
    let (_station, ended) = run("espvault", "simulator:", Some(fault), seed);
    let record = ended.json();
    assert_ne!(record["verdict"], "FAIL", "{record:#}");
    assert!(["null", &format!("{MAC:?}")].contains(&&*record["unit"]["mac"].to_string()));
}

#[test]
fn the_report_says_what_took_a_second_attempt() {
    let station = Station::new();
    let ended = station.unit(["run", "espvault", "--fault", "wire.bit_mac", "--seed", "1"]);
    assert!(ended.stdout.contains("identify at the 2nd attempt"), "{}", ended.stdout);
}

#[test]
fn the_record_holds_the_seed_and_the_same_one_repeats() {
    // One station: each has a CA of its own, which the application holds.
    let station = Station::new();
    let run = |file: &str, seed: &str| {
        let device = format!("simulator:?flash-file={file}");
        let words = ["run", "espvault", "--json", "--fault", "flash.app_bit", "--seed", seed];
        let record = station.unit(words.into_iter().chain(["--device", &device])).json();
        assert_eq!(record["verdict"], "FAIL", "{record:#}");
        let flash = std::fs::read(station.path(file)).expect("its flash");
        (record["simulation"].clone(), flash[0x1_0000..].to_vec())
    };
    let (said, flash) = run("first.flash", "7");
    assert_eq!(said, serde_json::json!({ "faults": ["flash.app_bit"], "seed": 7 }));
    assert!(run("second.flash", "7").1 == flash, "the same seed, the same place");
    assert!(run("third.flash", "8").1 != flash, "another seed, another place");
}

#[test]
fn a_seed_without_a_fault_changes_nothing() {
    let station = Station::new();
    let record = station.unit(["run", "espvault", "--json", "--seed", "7"]).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    assert_eq!(record["simulation"], Value::Null);
}

/// What a unit holds from an earlier life is found by digests, and nothing else is erased or sent.
#[rstest]
fn a_used_unit_keeps_nothing_but_what_is_planned(
    #[values("espvault", "safesignal")] profile: &str,
) {
    let station = Station::new();
    let path = station.path("unit.bin");
    let earlier: Vec<u8> = (0..4_u32 << 20).map(|at| (at % 251) as u8).collect();
    std::fs::write(&path, &earlier).expect("a flash file");
    let device = format!("simulator:?flash-file={}", path.display());
    let run = || assert_passes(&station.unit(["run", profile, "--json", "--device", &device]));
    let flashed = |record: &Value, what: &str| record["flashed"][what].as_u64().expect("a number");
    let first = run();
    assert!(flashed(&first, "erased") > 3 << 20, "{first:#}");
    let left = std::fs::read(&path).expect("the flash file");
    let stays = left.chunks(256).zip(earlier.chunks(256)).filter(|(now, then)| now == then);
    assert_eq!(stays.count(), 0, "of the earlier life nothing is left");
    let second = run();
    assert!(flashed(&second, "written") < flashed(&first, "written"), "{second:#}");
    assert!(flashed(&second, "erased") < 1 << 18, "only what the firmware wrote: {second:#}");
}
