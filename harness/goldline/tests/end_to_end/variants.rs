//! Products as their guides want them in production, where the shipped profile follows the guide's first version: a
//! profile and a firmware with an edit each.

use rstest::rstest;
use serde_json::Value;

use super::program::{Station, check};

/// A shipped file with edits, each of which must find its place.
fn edited(name: &str, edits: &[(&str, &str)]) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
    let text = std::fs::read_to_string(format!("{folder}{name}")).expect("it ships");
    edits.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{name} has no {from}");
        text.replacen(from, to, 1)
    })
}

/// In the place of a shipped firmware.
fn model(station: &Station, file: &str, firmware: &str) -> String {
    format!("{{ model = \"{}\" }}", station.write(file, firmware).display())
}

fn run(station: &Station, profile: &str, faults: &[&str]) -> Value {
    station.write("profile.toml", profile);
    let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
    let words = ["run", "profile.toml", "--json"].into_iter().chain(faults);
    station.unit(words).json()
}

fn assert_came_to(record: &Value, code: Option<&str>) {
    let verdict = if code.is_none() { "PASS" } else { "FAIL" };
    assert_eq!(record["verdict"], verdict, "{record:#}");
    assert_eq!(record["diagnosis"]["code"].as_str(), code, "{record:#}");
}

const HMAC_KEY: &str = r#"[values.hmac_key]
source = "site"
secret = true
min_bytes = 64
max_bytes = 64
sample = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"

"#;
const SETTINGS: &str = "[settings]\npartition = \"nvs\"\n";
const NVS: &str = "[nvs]\npartition = \"nvs\"\n";

/// The gateway with encrypted NVS, and without updates; `encrypts` is what its firmware does.
fn gateway_with_encrypted_nvs(encrypts: bool, faults: &[&str]) -> Value {
    let station = Station::new();
    let settings = format!("{SETTINGS}encryption = {{ scheme = \"hmac\" }}\n");
    let settings = if encrypts { settings } else { SETTINGS.to_owned() };
    let firmware = edited("firmware/ble-gateway.toml", &[(SETTINGS, &settings)]);
    let firmware = model(&station, "firmware.toml", &firmware);
    let nvs =
        format!("{HMAC_KEY}{NVS}encryption = {{ scheme = \"hmac\", key = \"{{hmac_key}}\" }}\n");
    let profile = edited(
        "profiles/ble-gateway.toml",
        &[
            (NVS, &nvs),
            ("{ model = \"ble-gateway\" }", &firmware),
            ("[[check]]\nid = \"ota_update\"\n", ""),
        ],
    );
    let (before, after) = profile.split_once("[ota]\n").expect("it has updates");
    let (_, after) = after.split_once("[deadlines]").expect("deadlines follow");
    run(&station, &format!("{before}[deadlines]{after}"), faults)
}

#[rstest]
#[case::sound(&[], None)]
#[case::anothers_key(&["chip.other_hmac_key"], Some("nvs.of_another_unit"))]
fn a_gateway_that_encrypts_what_its_portal_took_passes(
    #[case] faults: &[&str],
    #[case] code: Option<&str>,
) {
    assert_came_to(&gateway_with_encrypted_nvs(true, faults), code);
}

/// Its credentials can be read by whoever holds it.
#[test]
fn a_gateway_that_stores_in_the_clear_fails_where_the_profile_says_encrypted() {
    let record = gateway_with_encrypted_nvs(false, &[]);
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    let code = record["diagnosis"]["code"].as_str().expect("a code");
    assert!(code.starts_with("nvs."), "{record:#}");
}

const ONE_PLACE: &str = r#"name = "factory"
type = "app"
subtype = "factory"
offset = 0x10000
size = 0x200000
"#;
const TWO_PLACES: &str = r#"name = "otadata"
type = "data"
subtype = "ota"
offset = 0x10000
size = 0x2000

[[partition]]
name = "app0"
type = "app"
subtype = "ota_0"
offset = 0x20000
size = 0x180000

[[partition]]
name = "app1"
type = "app"
subtype = "ota_1"
offset = 0x1a0000
size = 0x180000
"#;
/// Notice and report are those of the gateway.
const OTA: &str = r#"[ota]
topic = "safesignal/{tenant}/{building}/{room}/{device_id}/ota"
notice = '{"url":"{ota.url}","sha256":"{ota.sha256}","size":{ota.size},"version":"{ota.version}"}'
server = "updates.example.test:443"
report_topic = "safesignal/{tenant}/{building}/{room}/{device_id}/event"
report_contains = ["ota_done", "{ota.version}"]
failure_contains = ["ota_failed"]
rollback_contains = ["ota_rolled_back"]
within_s = 60
partition = "app1"
update = { version = "1.1.0", app = NEXT }
bad_update = { version = "1.2.0", app = BAD }
refuses = ["tampered", "unsigned", "wrong_chip", "older"]

[deadlines]
"#;
const OTA_OF_THE_FIRMWARE: &str = r#"
[ota]
topic = "safesignal/{tenant}/{building}/{room}/{device}/ota"
report = "safesignal/{tenant}/{building}/{room}/{device}/event"
signed = true
"#;

/// The button with two places for its application, and updates over its broker: its guide promises them and says no
/// more.
fn button_with_updates(faults: &[&str]) -> Value {
    let station = Station::new();
    let firmware = |file: &str, app: &str| {
        let edits = [
            ("version = \"1.0.0\"", format!("{app}\nsecure_version = 1")),
            (
                "{device}/command\"]",
                "{device}/command\", \"safesignal/{tenant}/{building}/{room}/{device}/ota\"]"
                    .to_owned(),
            ),
        ];
        let edits = edits.each_ref().map(|(from, to)| (*from, to.as_str()));
        let text = edited("firmware/safesignal.toml", &edits) + OTA_OF_THE_FIRMWARE;
        model(&station, file, &text)
    };
    let ota = OTA
        .replace("NEXT", &firmware("next.toml", "version = \"1.1.0\""))
        .replace("BAD", &firmware("bad.toml", "version = \"1.2.0\"\nfails_to_start = true"));
    let profile = edited(
        "profiles/safesignal.toml",
        &[
            (ONE_PLACE, TWO_PLACES),
            ("{ model = \"safesignal\" }", &firmware("now.toml", "version = \"1.0.0\"")),
            ("app_partition = \"factory\"", "app_partition = \"app0\""),
            (
                "{device_id}/command\"]",
                "{device_id}/command\", \"safesignal/{tenant}/{building}/{room}/{device_id}/ota\"]",
            ),
            ("[deadlines]\n", &ota),
            (
                "[[check]]\nid = \"secret_hygiene\"",
                "[[check]]\nid = \"ota_update\"\n\n[[check]]\nid = \"secret_hygiene\"",
            ),
        ],
    );
    run(&station, &profile, faults)
}

#[rstest]
#[case::sound(&[], None)]
#[case::tampered(&["firmware.ota_takes_tampered"], Some("ota.accepted_bad_image"))]
#[case::older(&["firmware.ota_takes_older"], Some("ota.accepted_bad_image"))]
#[case::forgets(&["firmware.ota_erases_nvs"], Some("nvs.key_missing"))]
fn a_console_product_with_updates_is_held_to_them(
    #[case] faults: &[&str],
    #[case] code: Option<&str>,
) {
    let record = button_with_updates(faults);
    assert_came_to(&record, code);
    if code.is_none() {
        assert_eq!(check(&record, "ota_update")["outcome"], "pass", "{record:#}");
    }
}
