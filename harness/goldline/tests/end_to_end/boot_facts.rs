//! What the boot log says outranks in every step that waits, and at once: a unit that resets, hangs, loses
//! its supply or finds nothing to run was said to print no device id, refuse a line, open no network, 5 to
//! 30 s later.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::Value;

use super::program::{FIRMWARE, PROFILE, Station, check};

/// The record of a unit of a shipped product.
fn record(profile: &str, faults: &[&str]) -> Value {
    let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
    Station::new().unit(["run", profile, "--json"].into_iter().chain(faults)).json()
}

/// The record of a unit with a profile and a firmware that do not ship.
fn record_of(profile: &str, firmware: &str, faults: &[&str]) -> Value {
    let station = Station::new();
    let firmware = station.write("firmware.toml", firmware);
    let model = format!("model = \"{}\"", firmware.display());
    station.write("espvault.toml", profile.replacen("model = \"espvault\"", &model, 1));
    let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
    station.unit(["run", "espvault.toml", "--json"].into_iter().chain(faults)).json()
}

/// How long the run waited in the step that was its last, or in the one of that name.
fn waited_ms(record: &Value, stage: Option<&str>) -> u64 {
    let stages = record["stages"].as_array().expect("stages");
    let found = match stage {
        Some(name) => stages.iter().find(|stage| stage["name"] == name),
        None => stages.last(),
    };
    found.expect("the stage")["duration_ms"].as_u64().expect("milliseconds")
}

fn assert_fails(record: &Value, code: &str, quoted: &str) {
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains(quoted), "it quotes {quoted}: {message}");
}

/// The deadline of what each profile waits for first: an address, an id, a console's answer, a firmware that
/// writes the values. A panic's first line, a watchdog's, a brown-out's, the boot loader's.
#[rstest]
fn a_boot_fact_ends_every_wait(
    #[values(
        ("espvault", 30),
        ("zeroconf", 30),
        ("espvault-hmac", 30),
        ("safesignal", 5),
        ("safesignal-certificates", 5),
        ("zeroconf-portal", 30),
        ("zeroconf-ca", 5),
        ("zeroconf-ca-console", 5),
        ("ble-gateway", 30),
        ("ble-gateway-portal", 30),
        ("ble-gateway-factory", 20)
    )]
    waits: (&str, u64),
    #[values(
        ("firmware.boot_loop", "Guru Meditation Error"),
        ("chip.watchdog", "Task watchdog got triggered"),
        ("chip.brown_out", "Brownout detector was triggered"),
        ("chip.encrypted", "invalid header: 0x")
    )]
    fact: (&str, &str),
) {
    let ((profile, deadline_s), (fault, quoted)) = (waits, fact);
    let record = record(profile, &[fault]);
    assert_fails(&record, "boot.loop", quoted);
    let waited = waited_ms(&record, None);
    assert!(waited < deadline_s * 500, "it waited {waited} ms of {deadline_s} s: {record:#}");
    // What was never reached is not held against the unit.
    for id in ["mqtt_connect", "secret_hygiene"] {
        let checks = record["checks"].as_array().expect("checks");
        let found = checks.iter().find(|check| check["id"] == id);
        assert!(found.is_none_or(|check| check["outcome"] != "fail"), "{record:#}");
    }
}

/// The firmware that writes the values runs before the evidence is taken: the boot loader's refusal was the
/// cause, and not the flash.
#[rstest]
#[case::stuck("flash.stuck_bit")]
#[case::flipped("flash.app_bit")]
fn a_factory_firmware_that_cannot_run_is_not_run(#[case] fault: &str) {
    let record = record("ble-gateway-factory", &[fault]);
    assert_fails(&record, "flash.region_differs", "differs from what was written at 0x");
    assert!(waited_ms(&record, None) < 10_000, "{record:#}");
}

/// A firmware that says that it stops was waited for until the last second of all deadlines.
#[rstest]
#[case("espvault", "wifi_ssi")]
#[case("espvault-hmac", "wifi_ssi")]
#[case("safesignal", "wifi_ssid")]
#[case("zeroconf", "global_uui")]
#[case("ble-gateway", "mqtt_host")]
fn a_firmware_that_says_that_it_stops_is_believed(#[case] profile: &str, #[case] key: &str) {
    let record = record(profile, &["firmware.key_ignored"]);
    assert_fails(&record, "firmware.configuration", &format!("Failed to load {key}"));
    let waited = waited_ms(&record, Some("wifi_join"));
    assert!(waited < 15_000, "it waited {waited} ms: {record:#}");
}

/// A portal's firmware that misses a value said the same whether it looked for another key or the flash had
/// lost it.
#[rstest]
#[case::lost("flash.nvs_key_missing", "nvs.key_missing", "is not there")]
#[case::ignored("firmware.key_ignored", "firmware.configuration", "Failed to load mqtt_host")]
fn a_value_that_is_missing_is_looked_for_in_the_flash(
    #[case] fault: &str,
    #[case] code: &str,
    #[case] said: &str,
) {
    assert_fails(&record("ble-gateway-portal", &[fault]), code, said);
}

/// A console that is dead because the firmware misses a value was said to have a bad serial connection.
#[rstest]
#[case::misses("firmware.key_ignored", "firmware.configuration", "Failed to load uui")]
#[case::is_silent("firmware.console_silent", "console.no_answer", "gave no answer")]
fn a_console_that_says_nothing_is_not_always_the_cause(
    #[case] fault: &str,
    #[case] code: &str,
    #[case] said: &str,
) {
    assert_fails(&record("zeroconf-ca-console", &[fault]), code, said);
}

/// The CA said it at once, and was waited for all the same.
#[test]
fn a_ca_that_refuses_the_unit_again_and_again_is_believed() {
    let record = record("zeroconf", &["firmware.ca_call_wrong_psk"]);
    assert_fails(&record, "ca.not_registered", "the CA refused the unit");
    let waited = waited_ms(&record, Some("ca_call"));
    assert!(waited < 10_000, "it waited {waited} ms: {record:#}");
}

/// It quoted "Failed to open new connection", and sent the engineer to the CA.
#[test]
fn a_clock_that_is_not_set_is_named_as_the_cause() {
    let record = record("espvault", &["time.not_set"]);
    assert_fails(&record, "mqtt.server_untrusted", "validity starts in the future");
    let advice = record["diagnosis"]["action"].as_str().expect("a sentence");
    assert!(advice.contains("time") && advice.contains("clock"), "{advice}");
    let wrong_ca = self::record("espvault", &["firmware.wrong_ca"]);
    let advice = wrong_ca["diagnosis"]["action"].as_str().expect("a sentence");
    assert!(!advice.contains("clock"), "a CA that is not trusted is another matter: {advice}");
}

/// Restarts that the bench asks for are no loop: a line of a console, a portal, a factory firmware, three
/// updates of which one crashes. And nothing passes unmeasured.
#[rstest]
fn a_sound_unit_that_restarts_as_it_should_passes(
    #[values(
        "safesignal",
        "zeroconf",
        "zeroconf-ca",
        "zeroconf-ca-console",
        "ble-gateway",
        "ble-gateway-portal",
        "ble-gateway-factory",
        "espvault-certificates"
    )]
    profile: &str,
) {
    let record = record(profile, &[]);
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    for check in record["checks"].as_array().expect("checks") {
        assert_eq!(check["outcome"], "pass", "{record:#}");
        let measured = check["measurements"].as_array().expect("measurements");
        assert!(!measured.is_empty(), "it passed unmeasured: {check:#}");
    }
}

/// A partition that was blank before the first boot was a PASS for a unit that stored nothing.
#[test]
fn a_unit_that_stored_nothing_passes_no_check_unmeasured() {
    let record = record("safesignal", &["firmware.save_failed"]);
    assert_fails(&record, "nvs.key_missing", "is not there");
    assert_eq!(check(&record, "nvs_readback")["outcome"], "fail", "{record:#}");
    assert!(waited_ms(&record, Some("wifi_join")) < 15_000, "{record:#}");
}

/// The forms that a log can have; what the last two do not print is not waited for to the end.
const FORMS: [&str; 5] = [
    "colours = true",
    "style = \"arduino\"",
    "style = \"arduino\"\ncolours = true",
    "style = \"arduino\"\nrssi = false\naddress = false",
    "rssi = false\naddress = false",
];

fn in_form(form: &str) -> String {
    format!("{FIRMWARE}\n[log]\n{form}\n")
}

/// The shipped profile without its limit on the signal, which not every firmware prints.
fn any_signal() -> String {
    let limit = ", rssi = { lower = -75, upper = -10 }";
    assert!(PROFILE.contains(limit), "the profile limits the signal");
    PROFILE.replace(limit, "")
}

#[rstest]
fn a_log_is_understood_in_every_form(#[values(0, 1, 2, 3, 4)] form: usize) {
    let firmware = in_form(FORMS[form]);
    let sound = record_of(&any_signal(), &firmware, &[]);
    assert_eq!(sound["verdict"], "PASS", "{sound:#}");
    let waited = waited_ms(&sound, Some("wifi_join"));
    assert!(waited < 15_000, "it waited {waited} ms for an address that is used: {sound:#}");

    for (fault, code) in [
        ("firmware.boot_loop", "boot.loop"),
        ("radio.deaf", "wifi.access_point_not_found"),
        ("firmware.wifi_password", "wifi.wrong_password"),
        ("firmware.key_ignored", "firmware.configuration"),
    ] {
        let record = record_of(&any_signal(), &firmware, &[fault]);
        assert_eq!(record["diagnosis"]["code"], code, "{fault} with {}: {record:#}", FORMS[form]);
    }
}

/// A limit on what nobody prints is not kept; a signal that Arduino's words tell is.
#[test]
fn a_signal_is_missed_only_where_a_limit_asks_for_it() {
    let silent = record_of(PROFILE, &in_form("rssi = false"), &[]);
    assert_fails(&silent, "wifi.out_of_limits", "rssi was never measured");
    let arduino = record_of(PROFILE, &in_form("style = \"arduino\""), &[]);
    assert_eq!(arduino["verdict"], "PASS", "{arduino:#}");
    let weak = record_of(PROFILE, &in_form("style = \"arduino\""), &["radio.weak"]);
    assert_fails(&weak, "wifi.out_of_limits", "rssi is -91");
}

/// A new profile must be put into one of the tables of this file.
#[test]
fn every_shipped_profile_is_waited_for_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/profiles");
    let source = include_str!("boot_facts.rs");
    for entry in fs::read_dir(folder).expect("the shipped profiles") {
        let path = entry.expect("an entry").path();
        // A folder's are of machine code: no simulator runs it.
        if path.is_dir() {
            continue;
        }
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        // Encrypted like its neighbour with HMAC keys: the same waits.
        assert!(name == "espvault-encrypted" || source.contains(&format!("\"{name}\"")), "{name}");
    }
}
