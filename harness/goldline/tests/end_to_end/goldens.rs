//! `goldline golden`: goldens of a profile of one's own, and that a drift is never held against a unit.

use std::fs;

use rstest::rstest;
use sha2::{Digest, Sha256};

use super::program::{Ended, PROFILE, Station};

const FOLDER: &str = "golden/espvault";

/// A profile in a repository of one's own, with its goldens.
fn repository() -> Station {
    let station = Station::new();
    station.write("espvault.toml", PROFILE);
    let made = golden(&station, "make");
    assert_eq!(made.code(), 0, "{made:?}");
    station
}

fn golden(station: &Station, verb: &str) -> Ended {
    station.goldline(["golden", verb, "espvault.toml"])
}

fn change(station: &Station, from: &str, to: &str) {
    let changed = PROFILE.replace(from, to);
    assert_ne!(changed, PROFILE, "{from} is not in the profile");
    station.write("espvault.toml", changed);
}

fn run(station: &Station, more: &[&str]) -> Ended {
    station.unit([&["run", "espvault.toml", "--json"], more].concat())
}

#[test]
fn what_was_made_is_reviewed_and_named_by_a_run() {
    let station = repository();
    let text = fs::read_to_string(station.path(FOLDER).join("nvs.txt")).expect("made");
    assert!(text.contains("vault/wifi_ssid") && text.contains("<secret>"), "{text}");
    let plan = fs::read_to_string(station.path(FOLDER).join("plan.txt")).expect("made");
    assert!(plan.contains("erase"), "{plan}");
    let reviewed = golden(&station, "review");
    assert_eq!((reviewed.code(), reviewed.stdout.as_str()), (0, ""), "{reviewed:?}");
    let image = fs::read(station.path(FOLDER).join("nvs.bin")).expect("made");
    let digest: String = Sha256::digest(image).iter().map(|byte| format!("{byte:02x}")).collect();
    let ended = run(&station, &[]);
    assert_eq!((ended.code(), &ended.json()["golden"]), (0, &digest.into()), "{ended:?}");
    assert_eq!(golden(&station, "make").code(), 2, "what is there stays");
}

#[test]
fn they_are_those_of_this_repository() {
    let station = repository();
    let image = fs::read(station.path(FOLDER).join("nvs.bin")).expect("made");
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden/nvs/espvault_image.snap.bin");
    assert!(image == fs::read(ours).expect("committed"));
}

#[test]
fn a_drift_is_shown_refuses_the_run_and_is_accepted() {
    let station = repository();
    change(&station, "ProductionWiFi", "OtherWiFi");
    let reviewed = golden(&station, "review");
    assert_eq!(reviewed.code(), 1, "{reviewed:?}");
    for line in
        ["- vault/wifi_ssid str 14 \"ProductionWiFi\"", "+ vault/wifi_ssid str 9 \"OtherWiFi\""]
    {
        assert!(reviewed.stdout.contains(line), "{line} in {}", reviewed.stdout);
    }
    assert!(!reviewed.stdout.contains("mqtt_broker"), "{}", reviewed.stdout);
    for command in ["run", "provision", "check"] {
        let refused = station.unit([command, "espvault.toml", "--json"]);
        assert_eq!(refused.code(), 2, "{refused:?}");
        assert!(refused.said().contains("goldline golden accept"), "{}", refused.said());
        assert!(refused.said().contains("vault/wifi_ssid"), "{}", refused.said());
    }
    assert!(!station.state().exists(), "nothing was touched");
    assert_eq!(golden(&station, "accept").code(), 0);
    assert_eq!(golden(&station, "review").code(), 0);
    assert_eq!(run(&station, &[]).code(), 0);
}

#[test]
fn a_golden_that_is_named_is_held_to_the_plan_too() {
    let station = repository();
    fs::rename(station.path("golden"), station.path("elsewhere")).expect("moved");
    let named = ["--golden", "elsewhere/espvault/nvs.bin"];
    assert_eq!(run(&station, &named).code(), 0);
    let other = [named.as_slice(), &["--set", "wifi_ssid=OtherWiFi"]].concat();
    let refused = run(&station, &other);
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert!(refused.said().contains("vault/wifi_ssid"), "{}", refused.said());
}

/// Of a secret no more is shown than that it is another.
#[test]
fn a_secret_that_changes_is_marked() {
    let station = repository();
    let line = PROFILE.lines().skip_while(|line| !line.contains("[values.wifi_password]"));
    let line = line.into_iter().find(|line| line.starts_with("sample")).expect("it has a sample");
    let old = line.split('"').nth(1).expect("a text");
    let new = "Q".repeat(old.len());
    change(&station, old, &new);
    let reviewed = golden(&station, "review");
    assert_eq!(reviewed.code(), 1, "{reviewed:?}");
    assert_eq!(reviewed.stdout.matches("vault/wifi_password").count(), 2, "{}", reviewed.stdout);
    assert!(!reviewed.stdout.contains(old) && !reviewed.stdout.contains(&new), "{reviewed:?}");
}

#[rstest]
#[case("INSTA_UPDATE", "always")]
#[case("INSTA_FORCE_PASS", "1")]
#[case("INSTA_FORCE_UPDATE", "1")]
fn no_variable_of_insta_hides_or_accepts_a_drift(#[case] name: &str, #[case] value: &str) {
    let station = repository();
    let before = fs::read(station.path(FOLDER).join("nvs.bin")).expect("made");
    change(&station, "ProductionWiFi", "OtherWiFi");
    let mut review = station.command();
    let review = review.args(["golden", "review", "espvault.toml"]).env(name, value);
    assert_eq!(Ended::of(review).code(), 1);
    let mut run = station.unit_command(["run", "espvault.toml"]);
    assert_eq!(Ended::of(run.env(name, value)).code(), 2);
    assert_eq!(fs::read(station.path(FOLDER).join("nvs.bin")).expect("there"), before);
}

#[test]
fn a_bad_unit_fails_as_without_goldens() {
    let station = repository();
    let ended = run(&station, &["--fault", "flash.nvs_bit"]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_ne!(record["diagnosis"]["code"], "nvs.golden_differs");
}

/// They are of the sample unit only: others have values of their own.
#[rstest]
#[case::of_a_lot(&["--lot", "A"])]
#[case::with_values(&["--set", "wifi_ssid=OtherWiFi"])]
fn units_with_values_of_their_own_are_compared_with_none(#[case] more: &[&str]) {
    let station = repository();
    let ended = run(&station, more);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.json().get("golden").is_none());
}

#[test]
fn a_product_that_stores_its_values_itself_has_no_image() {
    let station = Station::new();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/safesignal.toml");
    station.write("safesignal.toml", fs::read(file).expect("it ships"));
    assert_eq!(station.goldline(["golden", "make", "safesignal.toml"]).code(), 0);
    assert!(!station.path("golden/safesignal/nvs.bin").exists());
    assert_eq!(station.goldline(["golden", "review", "safesignal.toml"]).code(), 0);
    assert_eq!(station.unit(["run", "safesignal.toml"]).code(), 0);
}

#[test]
fn there_is_nothing_to_review_where_none_was_made() {
    let station = Station::new();
    station.write("espvault.toml", PROFILE);
    for verb in ["review", "accept"] {
        let refused = golden(&station, verb);
        assert_eq!(refused.code(), 2);
        assert!(refused.said().contains("goldline golden make"), "{}", refused.said());
    }
}
