//! Units on a site's own network, which is the machine's: the bench listens there, and knows who comes by what it says
//! of itself. Units and their TCP/IP stacks are other processes'.

mod place;

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, Station, check};
use place::{Site, has_names};

/// As the profile `safesignal` has its broker.
const NAME: &str = "broker.example.test";
const MAC: &str = "24:0a:c4:00:02:10";
const OTHER: &str = "24:0a:c4:00:02:14";

fn code_of(record: &Value) -> &str {
    record["diagnosis"]["code"].as_str().unwrap_or_default()
}

fn evidence(record: &Value, id: &str) -> String {
    check(record, id)["evidence"].to_string()
}

fn run(station: &Station, file: &str, profile: &str, device: &str, more: &[&str]) -> Ended {
    let words = ["run", profile, "--json", "--station", file, "--network", "site"];
    station.unit(words.into_iter().chain(["--device", device]).chain(more.iter().copied()))
}

/// A run of `espvault`, whose units are given the bench's address.
fn by_address(station: &Station, site: &mut Site, fault: &[&str]) -> (i32, Value) {
    let file = site.station_file(station, &site.address.to_string());
    let device = site.unit(station, "esp32", fault);
    let broker = format!("mqtt_broker={}", site.broker());
    let ended = run(station, &file, "espvault", &device, &["--set", &broker]);
    assert!(ended.stdout.starts_with('{'), "{ended:?}");
    (ended.code(), ended.json())
}

#[test]
fn a_sound_unit_that_was_given_an_address_passes() {
    let (station, mut site) = (Station::new(), Site::without_names());
    let (code, record) = by_address(&station, &mut site, &[]);
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["network"]["name"], "site");
    assert_eq!(record["network"]["radio"], "not_proven");
    let join = evidence(&record, "network_join");
    for words in ["its own console says, and it came to a service", "on the site's network: came"] {
        assert!(join.contains(words), "{words}: {record:#}");
    }
}

#[test]
fn a_sound_unit_that_was_given_a_name_passes() {
    if !has_names() {
        return;
    }
    let (station, mut site) = (Station::new(), Site::with_name(NAME));
    let file = site.station_file(&station, NAME);
    let device = site.unit(&station, "esp32s3", &[]);
    let ended = run(&station, &file, "safesignal", &device, &[]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let named = &check(&record, "mqtt_connect")["measurements"];
    assert!(named.to_string().contains(NAME), "{named:#}");
}

#[rstest]
#[case::password("firmware.mqtt_password", "mqtt.bad_credentials")]
#[case::ca("firmware.wrong_ca", "mqtt.server_untrusted")]
fn a_bad_one_fails_for_what_it_is(#[case] fault: &str, #[case] code: &str) {
    let (station, mut site) = (Station::new(), Site::without_names());
    let (exit, record) = by_address(&station, &mut site, &["--fault", fault]);
    assert_eq!((exit, code_of(&record)), (1, code), "{record:#}");
}
