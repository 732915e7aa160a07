//! `goldline codes`: what a code from a record means, for whoever holds the unit in hand.

use rstest::rstest;

use super::{program::Station, record::assert_fields};

/// What the products' documents call a failure, and the codes for it.
const DOCUMENTS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/troubleshooting.tsv"));

#[test]
fn all_codes_are_listed_with_what_is_seen() {
    let ended = Station::new().goldline(["codes"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    let line = ended.stdout.lines().find(|line| line.contains(" wifi.not_joined "));
    assert!(line.expect("a line of its own").ends_with("in time, and the bench did."));
}

#[test]
fn a_named_code_is_told_in_full() {
    let ended = Station::new().goldline(["codes", "port.no_answer", "nvs.damaged"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    for part in ["port.no_answer\n", "nvs.damaged\n", "    1  ", "    2  "] {
        assert!(ended.stdout.contains(part), "no {part:?} in {}", ended.stdout);
    }
    assert_eq!(ended.stdout.matches("\n  operator  ").count(), 2, "{}", ended.stdout);
    assert_eq!(ended.stdout.matches("\n  engineer  ").count(), 2, "{}", ended.stdout);
}

#[test]
fn other_programs_get_every_field() {
    let station = Station::new();
    let all = station.goldline(["codes", "--json"]).json();
    let all = all.as_array().expect("a list");
    for entry in all {
        let fields = ["code", "area", "symptom", "causes", "operator", "engineer", "action"];
        assert_fields(entry, fields);
    }
    let one = station.goldline(["codes", "mqtt.bad_credentials", "--json"]).json();
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    assert!(all.contains(&one[0]), "{one}");
}

#[rstest]
#[case::slip("wifi.not_join", "did you mean \"wifi.not_joined\"?")]
#[case::none("thermometer", "\"thermometer\" is no diagnosis code: goldline codes lists all")]
fn an_unknown_code_is_a_usage_error(
    #[case] code: &str,
    #[case] message: &str,
    #[values(true, false)] json: bool,
) {
    let arguments = ["codes", "nvs.damaged", code, "--json"];
    let ended = Station::new().goldline(&arguments[..arguments.len() - usize::from(!json)]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.said().contains(message), "no {message} in {}", ended.said());
}

#[test]
fn every_code_that_a_document_is_served_with_exists() {
    let rows = DOCUMENTS.lines().filter(|line| !line.starts_with('#'));
    let codes = rows.map(|row| row.split('\t').nth(3).expect("a column of codes"));
    let codes: Vec<&str> =
        codes.flat_map(|codes| codes.split(' ')).filter(|code| *code != "-").collect();
    assert!(codes.len() > 50, "{codes:?}");
    let ended = Station::new().goldline([&["codes"], codes.as_slice()].concat());
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
}
