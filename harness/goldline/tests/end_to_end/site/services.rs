//! What a unit asks for besides its broker: the time, its configuration, an update. Each service listens at the port that
//! it has at the site, and knows who comes by what the request says, or says that nobody can know.

use std::net::TcpListener;

use rstest::rstest;
use serde_json::Value;

use super::{MAC, NOBODY, OTHER, Site, code_of, evidence, has_names, run};
use crate::end_to_end::program::{Ended, Station, check, with_waits};
use goldline::process::ChildGuard;

const PRODUCT: &str = "ble-gateway-factory";
/// As the profile has its services.
const NAMES: [&str; 4] = [
    "time.example.test",
    "config.example.test",
    "mqtt-remote.example.test",
    "updates.example.test",
];

/// Whether this user may listen at the ports that the services have. Skips the test by name where not, but not in CI.
fn may_listen() -> bool {
    let may = has_names() && TcpListener::bind(("127.0.0.1", 443)).is_ok();
    if !may {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to listen at port 443");
        println!("skipped: this user must not listen at ports below 1024");
    }
    may
}

/// The product without what only a unit that is alone can be tried for.
fn for_several(station: &Station) -> &'static str {
    let text = impatient();
    let alone = "[[check]]\nid = \"server_trust\"\n";
    assert!(text.contains(alone), "the profile has that check");
    station.write("several.toml", text.replace(alone, ""));
    "several.toml"
}

/// The product with less patience, as its units answer at once here or not at all.
fn impatient() -> String {
    with_waits(PRODUCT, |key, shipped| match (key, shipped) {
        ("service_s", _) => Some(8),
        ("within_s", 60) => Some(20),
        _ => None,
    })
}

fn unit(station: &Station, site: &mut Site, more: &[&str]) -> String {
    site.unit(station, "esp32s3", &[&["--flash-size", "8"], more].concat())
}

fn alone(more: &[&str], of_run: &[&str]) -> (Ended, Value) {
    let (station, mut site) = (Station::new(), Site::with_names(&NAMES));
    let file = site.station_file_with(&station, &NAMES);
    let device = unit(&station, &mut site, more);
    station.write("alone.toml", impatient());
    let ended = run(&station, &file, "alone.toml", &device, of_run);
    let record = ended.json();
    (ended, record)
}

#[test]
fn a_sound_unit_passes_with_its_time_configuration_and_updates() {
    if !may_listen() {
        return;
    }
    let (ended, record) = alone(&[], &[]);
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let time = evidence(&record, "time_sync");
    assert!(time.contains("its console says that it has the time"), "{time}");
    let join = evidence(&record, "network_join");
    for port in [80, 443, 8883] {
        assert!(join.contains(&format!(":{port} from ")), "{port}: {join}");
    }
    let trust = check(&record, "server_trust");
    assert_eq!(trust["outcome"], "pass", "{trust:#}");
    assert!(trust.to_string().contains("UnknownCA"), "{trust:#}");
}

/// What is the bench's fault is no unit's, and what a unit does that nobody else can have done is its own.
#[rstest]
#[case::trusts_anyone(&["--fault", "firmware.any_certificate"], &[], 1, "mqtt.trusts_anyone")]
#[case::wrong_time(&[], &["--fault", "time_server.wrong"], 3, "testbed.time_server")]
#[case::silent_time(&[], &["--fault", "time_server.silent"], 3, "testbed.time_server")]
#[case::spoilt_update(&[], &["--fault", "update_server.damaged"], 3, "testbed.update_server")]
#[case::no_configuration(&[], &["--fault", "config.down"], 3, "config.unreachable")]
fn a_bad_one_alone(
    #[case] unit: &[&str],
    #[case] bench: &[&str],
    #[case] exit: i32,
    #[case] code: &str,
) {
    if !may_listen() {
        return;
    }
    let (ended, record) = alone(unit, bench);
    assert_eq!((ended.code(), code_of(&record)), (exit, code), "{record:#}");
}

/// Two units at once from one address: what each asks for tells whose it is.
#[rstest]
#[case::that_has_no_time("time.not_set", "time.not_synchronized")]
#[case::that_fetches_nothing("firmware.stuck", "time.not_synchronized")]
#[case::that_takes_no_update("firmware.ota_ignored", "ota.failed")]
#[case::that_restarts_with_the_old_one("firmware.ota_no_switch", "ota.failed")]
fn a_sound_one_beside_a_bad_one(#[case] fault: &str, #[case] code: &str) {
    if !may_listen() {
        return;
    }
    let (station, mut site) = (Station::new(), Site::with_names(&NAMES));
    let file = site.station_file_with(&station, &NAMES);
    let profile = for_several(&station);
    let sound = unit(&station, &mut site, &["--mac", MAC]);
    let bad = unit(&station, &mut site, &["--mac", OTHER, "--fault", fault]);
    let records = run(&station, &file, profile, &sound, &["--device", &bad]).json();
    assert_eq!(records[0]["verdict"], "PASS", "{:#}", records[0]);
    assert_eq!(records[0]["unit"]["mac"], MAC);
    assert_eq!((&records[1]["verdict"], code_of(&records[1])), (&"FAIL".into(), code));
    assert_eq!(records[1]["unit"]["mac"], OTHER);
}

/// Who asks for another's configuration, and for an image that it was not told of.
#[test]
fn a_stranger_gets_nothing_and_is_nobodys_evidence() {
    if !may_listen() {
        return;
    }
    let (station, mut site) = (Station::new(), Site::with_names(&NAMES));
    let file = site.station_file_with(&station, &NAMES);
    let ask = format!(
        "while :; do curl -s -m 1 -o /dev/null -w '%{{http_code}}\\n' http://{0}/FFFFFFFFFFFF; \
         curl -s -k -m 1 -o /dev/null -w '%{{http_code}}\\n' https://{0}/guess.bin; sleep 0.05; done",
        site.address
    );
    let mut stranger = std::process::Command::new("sh");
    let told = std::fs::File::create(station.path("told")).expect("a file");
    let stranger = ChildGuard::spawn(stranger.args(["-c", &ask]).stdout(told)).expect("it starts");
    let device = unit(&station, &mut site, &[]);
    let ended = run(&station, &file, PRODUCT, &device, &[]);
    drop(stranger);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let told = std::fs::read_to_string(station.path("told")).expect("it is there");
    assert!(told.contains("403") && !told.contains("200"), "{told}");
    let seen = evidence(&record, "network_join");
    for port in [80, 443] {
        let words = format!("and not this unit, came to {}:{port} and got nothing", site.address);
        assert!(seen.contains(&words), "{seen}");
    }
}

#[test]
fn units_that_are_to_refuse_a_server_are_tested_one_at_a_time() {
    let (station, site) = (Station::new(), Site::without_names());
    let file = site.station_file_with(&station, &NAMES);
    let ended = run(&station, &file, PRODUCT, NOBODY, &["--device", &NOBODY.replace(":1?", ":2?")]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    for words in ["nobody could tell which of 2 did", "test them one after the other"] {
        assert!(ended.said().contains(words), "{}", ended.said());
    }
}

#[test]
fn a_console_that_says_nothing_of_the_time_is_refused() {
    let (station, site) = (Station::new(), Site::without_names());
    let file = site.station_file_with(&station, &NAMES);
    let text = with_waits(PRODUCT, |_, _| None);
    station.write("silent.toml", text.replace("expect = \"Time synchronized\"\n", ""));
    let ended = run(&station, &file, "silent.toml", NOBODY, &[]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    for words in ["their console does not say that they have the time", "expect = \"Time"] {
        assert!(ended.said().contains(words), "{}", ended.said());
    }
}

/// UDP ports are held as others are.
#[test]
fn a_time_servers_port_that_is_in_use_names_its_holder() {
    if !may_listen() {
        return;
    }
    let (station, site) = (Station::new(), Site::without_names());
    let file = site.station_file_with(&station, &NAMES);
    let _holder = std::net::UdpSocket::bind((site.address, 123)).expect("free");
    let ended = run(&station, &file, PRODUCT, NOBODY, &[]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    let holder = format!("(process {}) listens there", std::process::id());
    assert!(ended.said().contains(&holder), "{}", ended.said());
}
