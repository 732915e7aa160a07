//! Tests of a product's own: a program measures, and the profile's limits judge.

use std::fs;

use serde_json::Value;

use super::program::{Ended, PROFILE, Station, check};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/own-tests.md"));

/// The block of the page that is a file of that name.
fn of_page(name: &str) -> &'static str {
    let blocks = PAGE.split("\n```").filter_map(|block| block.split_once('\n'));
    let mut files =
        blocks.filter(|(head, _)| head.split_once(' ').is_some_and(|(_, it)| it == name));
    files.next().unwrap_or_else(|| panic!("no {name} in the page")).1
}

/// A station whose profile has the test of the page, with this program.
fn with_program(script: &str) -> Station {
    let station = Station::new();
    station.write("vault.toml", format!("{PROFILE}\n{}", of_page("led.toml")));
    station.executable("led.sh", script);
    station
}

fn run(station: &Station) -> (Ended, Value) {
    let ended = station.unit(["run", "vault.toml", "--json"]);
    let record = ended.json();
    (ended, record)
}

/// A program whose witness ends well, and which says this.
fn saying(answer: &str) -> Station {
    with_program(&format!("#!/bin/sh\n[ $# = 0 ] && echo '{answer}'\nexit 0\n"))
}

#[test]
fn the_page_s_three_lines_pass_a_good_unit_and_fail_a_dark_one() {
    let station = with_program(of_page("led.sh"));
    station.write("brightness.txt", "412\n");
    let (ended, record) = run(&station);
    assert_eq!(ended.code(), 0, "{record:#}");
    let led = check(&record, "led");
    let measured = &led["measurements"];
    assert_eq!((&measured[0]["value"], &measured[0]["unit"]), (&412.into(), &"lx".into()));
    assert_eq!((&measured[1]["value"], &led["evidence"][0]), (&"green".into(), &"sensor 3".into()));
    let stages = record["stages"].as_array().expect("stages");
    assert!(stages.iter().any(|stage| stage["name"] == "led"), "{record:#}");

    station.write("brightness.txt", "7\n");
    let (ended, record) = run(&station);
    assert_eq!(ended.code(), 1, "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "measured.out_of_limits");
    let message = record["diagnosis"]["message"].as_str().expect("words");
    assert_eq!(message, "brightness is 7 lx, expected 200 to 900");
    assert!(check(&record, "led")["evidence"].to_string().contains("witness: "), "{record:#}");
}

#[test]
fn a_program_is_told_which_unit_it_is_and_no_secret() {
    let station = with_program(
        "#!/bin/sh\ncat > asked.json\nenv > found.txt\necho '{\"measurements\":{\"brightness\":300,\"colour\":\"green\"}}'\n",
    );
    let ended = Ended::of(
        station
            .unit_command(["run", "vault.toml", "--json"])
            .args(["--set", "wifi_password=$SITE_SECRET"])
            .env("SITE_SECRET", "a very secret word")
            .env("UNRELATED", "1"),
    );
    let record = ended.json();
    assert_eq!(ended.code(), 0, "{record:#}");
    let text = fs::read_to_string(station.path("asked.json")).expect("it was asked");
    let asked: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(asked["unit"]["mac"], record["unit"]["mac"]);
    assert_eq!(asked["unit"]["ids"], record["unit"]["ids"]);
    assert_eq!((&asked["test"], &asked["run_id"]), (&"led".into(), &record["run_id"]));
    assert_eq!(asked["measure"], serde_json::json!(["brightness", "colour"]));
    let found = fs::read_to_string(station.path("found.txt")).expect("it ran");
    assert!(found.contains("PATH=") && !found.contains("UNRELATED"), "{found}");
    for place in [text, found] {
        assert!(!place.contains("a very secret word"), "{place}");
    }
}

/// Nothing of it is the unit's.
#[test]
fn an_instrument_that_fails_is_an_error_that_says_why() {
    for (script, words) in [
        ("#!/bin/sh\necho 'no sensor on bus 1' >&2\nexit 3\n", "no sensor on bus 1"),
        ("#!/bin/sh\necho bright\n", "answered bright: expected value at line 1 column 1"),
        ("#!/bin/sh\necho '{\"measurements\":{\"brightness\":412}}'\n", "gave no colour"),
        (
            "#!/bin/sh\n[ $# = 0 ] || { echo 'reference lamp is off' >&2; exit 1; }\necho '{\"measurements\":{\"brightness\":0,\"colour\":\"green\"}}'\n",
            "reference lamp is off",
        ),
    ] {
        let (ended, record) = run(&with_program(script));
        assert_eq!(
            (ended.code(), &record["verdict"]),
            (3, &"ERROR".into()),
            "{script}: {record:#}"
        );
        assert_eq!(record["diagnosis"]["code"], "instrument.failed", "{record:#}");
        let message = record["diagnosis"]["message"].as_str().expect("words");
        assert!(message.contains(words), "{message}");
        // Whatever else the unit was asked stands.
        assert_eq!(check(&record, "mqtt_connect")["outcome"], "pass");
    }
}

#[test]
fn a_program_that_is_late_is_ended() {
    let station = with_program("#!/bin/sh\nsleep 600\n");
    let profile = fs::read_to_string(station.path("vault.toml")).expect("the profile");
    station.write("vault.toml", profile.replace("within_s = 10 ", "within_s = 1 "));
    let (_, record) = run(&station);
    let message = record["diagnosis"]["message"].as_str().expect("words");
    assert!(message.ends_with("led.sh did not end within 1 s"), "{message}");
}

#[test]
fn a_unit_that_is_bad_otherwise_fails_for_that() {
    let station = saying(r#"{"measurements":{"brightness":412,"colour":"green"}}"#);
    let words = ["run", "vault.toml", "--json", "--fault", "firmware.mqtt_password"];
    let record = station.unit(words).json();
    assert_eq!(record["diagnosis"]["code"], "mqtt.bad_credentials", "{record:#}");
}

#[test]
fn a_test_is_listed_where_checks_are() {
    let station = saying("");
    let plan = station.unit(["run", "vault.toml", "--dry-run"]).stdout;
    assert!(plan.contains("led: 200 ≤ brightness ≤ 900 lx, colour is green"), "{plan}");
    assert!(plan.contains("measure led, with "), "{plan}");
    let list = station.goldline(["profile", "checklist", "vault.toml"]).stdout;
    assert!(list.contains("| `led` |") && list.contains("`colour` is green"), "{list}");
}

#[test]
fn a_program_that_is_missing_is_refused_before_anything_is_touched() {
    let station = saying("");
    fs::remove_file(station.path("led.sh")).expect("it was there");
    for ended in [
        station.goldline(["profile", "check", "vault.toml"]),
        station.unit(["run", "vault.toml", "--device", "simulator:?flash-file=unit.flash"]),
    ] {
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(
            ended.said().contains("the test led has no program: there is no program"),
            "{ended:?}"
        );
    }
    assert!(!station.path("unit.flash").exists());
}

#[test]
fn what_is_wrong_with_a_test_is_said_with_its_place() {
    for (from, to, words) in [
        ("name = \"led\"", "name = \"wifi_join\"", "cannot be one of a test"),
        ("name = \"led\"", "name = \"LED 1\"", "cannot be one of a test"),
        ("command = [\"./led.sh\"]", "command = []", "the command is empty"),
        ("command = [\"./led.sh\"]", "", "the check command needs `command`"),
        ("{ equals = \"green\" }", "{ equals = \"green\", lower = 3 }", "or two things at once"),
        ("{ equals = \"green\" }", "{ unit = \"nm\" }", "demanded to be nothing"),
        ("id = \"command\"", "id = \"start\"", "the check start has no `name`"),
        ("within_s = 10", "within_s = 0", "not one to wait for"),
    ] {
        let station = saying("");
        let profile = fs::read_to_string(station.path("vault.toml")).expect("the profile");
        let wrong = profile.replace(from, to);
        assert_ne!(wrong, profile, "{from}");
        station.write("vault.toml", wrong);
        let ended = station.goldline(["profile", "check", "vault.toml"]);
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.said().contains(words), "{to}: {}", ended.said());
        assert!(ended.said().contains("vault.toml:"), "{}", ended.said());
    }
}

#[test]
fn two_tests_of_one_name_are_refused() {
    let station = saying("");
    let test = of_page("led.toml");
    station.write("vault.toml", format!("{PROFILE}\n{test}\n{test}"));
    let ended = station.goldline(["profile", "check", "vault.toml"]);
    assert!(ended.code() == 2 && ended.said().contains("cannot be one of a test"), "{ended:?}");
}

/// The firmware's answer, as a description has it, in place of a number of a real one.
fn with_battery(millivolt: u32) -> Station {
    const NAME: &str = "safesignal";
    let fixture = |folder: &str| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
        fs::read_to_string(format!("{root}/{folder}/{NAME}.toml")).expect("it ships")
    };
    let station = Station::new();
    let firmware = fixture("firmware");
    let first = "  \"Provisioned: yes\",\n";
    assert!(firmware.contains(first));
    let battery = format!("{first}  \"  battery: {millivolt} mV\",\n");
    let firmware = station.write("firmware.toml", firmware.replace(first, &battery));
    let model = format!("model = \"{}\"", firmware.display());
    let profile = fixture("profiles").replace(&format!("model = \"{NAME}\""), &model);
    let (before, status) = profile.split_once("[[console.status]]\n").expect("its status");
    let measure = "measure = { name = \"battery\", pattern = 'battery: (\\d+) mV', unit = \"mV\", lower = 3300 }";
    station.write("vault.toml", format!("{before}[[console.status]]\n{measure}\n{status}"));
    station
}

#[test]
fn a_number_in_a_console_s_answer_is_a_measurement() {
    let (ended, record) = run(&with_battery(3712));
    assert_eq!(ended.code(), 0, "{record:#}");
    let measured = check(&record, "console_status")["measurements"].to_string();
    assert!(measured.contains(r#""name":"battery","outcome":"pass","unit":"mV""#), "{measured}");
    let (ended, record) = run(&with_battery(2900));
    assert_eq!(ended.code(), 1, "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "measured.out_of_limits");
    assert!(
        record["diagnosis"]["message"].to_string().contains("battery is 2900 mV"),
        "{record:#}"
    );
}

/// One bit of the wire makes another digit.
#[test]
fn a_number_counts_only_when_it_repeats() {
    let station = with_battery(3712);
    // The last byte of the text: `7` becomes another digit.
    let device = "simulator:?bit-in=battery: 3";
    let record = station.unit(["run", "vault.toml", "--json", "--device", device]).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    let evidence = check(&record, "console_status")["evidence"].to_string();
    assert!(evidence.contains("console at the 1st attempt"), "{evidence}");
}
