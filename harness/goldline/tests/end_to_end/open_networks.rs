//! Networks that have no password, or hide their name: what a unit must believe to join them.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::Value;

use super::program::{Station, check};

const PASSWORD: &str = "password = \"{wifi_password}\"\n";
const VALUE: &str = "[values.wifi_password]\nsource = \"site\"\nsecret = true\nsample = \"SecurePassword123\"\nmin_bytes = 8\n";
const ENTRY: &str =
    "  { key = \"wifi_password\", encoding = \"string\", value = \"{wifi_password}\" },\n";
/// A firmware that knows open networks only.
const WITHOUT: [(&str, &str); 3] = [
    (", \"passphrase\"", ""),
    ("passphrase = { key = \"wifi_password\", type = \"string\", max_bytes = 64 }\n", ""),
    ("passphrase = \"passphrase\"\n", ""),
];

fn edited(file: &str, edits: &[(&str, &str)]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut text = fs::read_to_string(folder.join(file)).expect("it is there");
    for (before, after) in edits {
        assert_eq!(text.matches(before).count(), 1, "{before:?} in {file}");
        text = text.replace(before, after);
    }
    text
}

fn run(firmware: &[(&str, &str)], profile: &[(&str, &str)], more: &[&str]) -> (i32, Value, String) {
    let station = Station::new();
    let firmware = station.write("firmware.toml", edited("firmware/espvault.toml", firmware));
    let profile = edited("profiles/espvault.toml", profile);
    let model = format!("model = \"{}\"", firmware.display());
    station.write("espvault.toml", profile.replace("model = \"espvault\"", &model));
    station.write("nothing", "");
    station.write("short", "seven77");
    let ended = station.unit(["run", "espvault.toml", "--json"].iter().chain(more));
    let record = if ended.stdout.is_empty() { Value::Null } else { ended.json() };
    (ended.code(), record, ended.stderr)
}

#[rstest]
#[case::both_open(&WITHOUT, &[(PASSWORD, ""), (ENTRY, "")], 0)]
#[case::a_network_that_wants_a_password(&WITHOUT, &[(ENTRY, "")], 1)]
#[case::a_unit_that_looks_for_one_with_a_password(&[], &[(PASSWORD, "")], 1)]
fn an_open_network_is_joined_by_those_who_believe_it_open(
    #[case] firmware: &[(&str, &str)],
    #[case] profile: &[(&str, &str)],
    #[case] code: i32,
) {
    let (found, record, _) = run(firmware, profile, &[]);
    assert_eq!(found, code, "{record:#}");
    if code == 1 {
        let diagnosis = &check(&record, "wifi_join")["diagnosis"];
        assert_eq!(diagnosis["code"], "wifi.wrong_password", "{record:#}");
    }
}

/// The key is there in any case, and holds nothing on a site without a password.
#[test]
fn an_empty_password_is_an_open_network_where_the_profile_allows_it() {
    let may_be_open = VALUE.replace("min_bytes = 8", "min_bytes = 0");
    let set = |file| ["--set".to_owned(), format!("wifi_password=@{file}")];
    let edits = [(VALUE, may_be_open.as_str())];
    for (edits, file, expected) in
        [(&edits[..], "nothing", 0), (&edits[..], "short", 2), (&[][..], "nothing", 2)]
    {
        let set = set(file);
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let (code, record, said) = run(&[], edits, &set);
        assert_eq!(code, expected, "{record:#} {said}");
        assert!(!said.contains("seven77"), "{said}");
    }
}

#[rstest]
#[case::asks("", 0)]
#[case::listens("scan = \"passive\"\n", 1)]
fn a_hidden_network_is_found_by_those_who_ask_for_it(#[case] scan: &str, #[case] code: i32) {
    let scan = format!("attempts = 5\n{scan}");
    let firmware = [("attempts = 5\n", scan.as_str())];
    let hidden = format!("{PASSWORD}hidden = true\n");
    let (found, record, _) = run(&firmware, &[(PASSWORD, &hidden)], &[]);
    assert_eq!(found, code, "{record:#}");
    let (found, record, _) = run(&firmware, &[], &[]);
    assert_eq!(found, 0, "it says its name: {record:#}");
    if code == 1 {
        let (_, record, _) = run(&firmware, &[(PASSWORD, &hidden)], &[]);
        let diagnosis = &check(&record, "wifi_join")["diagnosis"];
        assert_eq!(diagnosis["code"], "wifi.access_point_not_found", "{record:#}");
    }
}
