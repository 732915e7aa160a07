//! `goldline profile checklist`: paper that says no less than the profile, and what the products' own
//! checklists ask for.

use goldline::profile::{Profile, list};
use rstest::rstest;

use super::program::Station;

fn checklist(profile: &str) -> String {
    let ended = Station::new().goldline(["profile", "checklist", profile]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    ended.stdout
}

fn shipped() -> impl Iterator<Item = Profile> {
    let listed = list(None).expect("the built-in profiles are listed");
    listed.into_iter().map(|listed| listed.load().expect("a shipped profile is valid"))
}

/// The lines below a heading, up to the next one of its rank or a higher one.
fn section<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let rank = heading.chars().take_while(|sign| *sign == '#').count();
    let is_end = |line: &str| {
        let signs = line.chars().take_while(|sign| *sign == '#').count();
        (1..=rank).contains(&signs)
    };
    let below = text.lines().skip_while(|line| *line != heading).skip(1);
    let found: Vec<&str> = below.take_while(|line| !is_end(line)).collect();
    assert!(!found.is_empty(), "nothing below {heading} in {text}");
    found
}

#[test]
fn every_check_and_limit_of_a_profile_stands_on_its_checklist() {
    for profile in shipped() {
        let text = checklist(&profile.name);
        let table = section(&text, "## What is checked");
        for check in &profile.checks {
            let id = format!("| `{}` |", check.id.name());
            let row = table.iter().find(|line| line.starts_with(&id));
            let row = row.unwrap_or_else(|| panic!("no {id} in {table:?}"));
            for (name, limits) in &check.limits {
                let cell = row.rsplit("| ").next().expect("a last cell");
                let limit = cell.split(", ").find(|limit| limit.contains(&format!("`{name}`")));
                let limit = limit.unwrap_or_else(|| panic!("no {name} in {row}"));
                for bound in [limits.lower, limits.upper].into_iter().flatten() {
                    assert!(limit.contains(&bound.to_string()), "no {bound} in {limit}");
                }
            }
        }
        let rows = table.iter().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, profile.checks.len(), "{text}");
    }
}

#[test]
fn every_value_of_a_profile_stands_on_its_checklist_and_no_secret_does() {
    for profile in shipped() {
        let text = checklist(&profile.name);
        let values = section(&text, "### Values to bring");
        for value in &profile.values {
            let name = format!("- [ ] `{}`:", value.name);
            let row = values.iter().find(|line| line.starts_with(&name));
            let row = row.unwrap_or_else(|| panic!("no {name} in {values:?}"));
            assert_eq!(row.contains("**secret**"), value.secret, "{row}");
            let sample = value.sample.as_deref().filter(|_| value.secret);
            assert!(sample.is_none_or(|sample| !text.contains(sample)), "{}", value.name);
        }
        assert_eq!(text, checklist(&profile.name), "it is another one each time");
    }
}

/// What the products' documents ask for in checklists of their own: where it is, and what ours says to it.
#[rstest]
// 000, recommended process
#[case::bootloader_and_table("espvault", "## What Goldline does, in this order", &["the second-stage bootloader", "the partition table"])]
#[case::application("espvault", "## What Goldline does, in this order", &["write the application"])]
#[case::device_data("espvault", "## What Goldline does, in this order", &["write the unit's NVS image"])]
#[case::no_security("espvault", "## Before the first unit", &["security features: NVS is not encrypted"])]
#[case::security("espvault-hmac", "## Before the first unit", &["HMAC key in the eFuses, which must be burnt before"])]
#[case::quality_tests("espvault", "## What is checked", &["flash_integrity", "nvs_readback", "wifi_join", "mqtt_connect"])]
#[case::label_and_package("espvault", "## For each unit", &["label it", "pack it", "`device_id`"])]
// 002, production line and best practices for production
#[case::wifi_once("zeroconf-ca", "### Values to bring", &["`wifi_ssid`", "`wifi_password`"])]
#[case::ca_url("zeroconf-ca", "### Services", &["CA {ca_url} answers", "goldline ca test URL"])]
#[case::firmware_first("zeroconf-ca", "## What Goldline does, in this order", &["write the application"])]
#[case::record_of_ids("zeroconf-ca", "## Sign-off", &["MAC", "uuid"])]
#[case::label_with_uuid("zeroconf-ca", "## For each unit", &["label it", "`uuid`"])]
#[case::connectivity("zeroconf-ca", "## What is checked", &["wifi_join"])]
// 003, production deployment
#[case::blank_firmware("safesignal", "## What Goldline does, in this order", &["write the application", "erase whatever else the flash holds"])]
#[case::installer("safesignal", "### Values to bring", &["`tenant`", "`building`", "`room`", "`wifi_ssid`"])]
#[case::alert("safesignal", "## What is checked", &["test_alert", "mqtt_connect", "wifi_join"])]
// 004, production checklist
#[case::config_server("ble-gateway", "### Services", &["config server {config_server}/{device_id} is deployed and answers", "provisioning server {api_server} is deployed and answers the bench; its certificate is installed and valid"])]
#[case::certificates("ble-gateway", "### Services", &["its certificate is installed and valid"])]
#[case::broker("ble-gateway", "### Services", &["broker mqtts://{remote_mqtt_host}:8883 answers; its certificate is installed and valid"])]
#[case::admin_token("ble-gateway", "### Values to bring", &["`admin_token`: 1 to 3967 bytes, **secret**: made for this site, kept from others"])]
#[case::salt("ble-gateway", "### Values to bring", &["`salt`: 32 to", "**secret**: made for this site, kept from others"])]
#[case::script("ble-gateway", "## Before the first unit", &["`goldline run ble-gateway` on the simulated unit ends in PASS"])]
#[case::test_device("ble-gateway", "## Before the first unit", &["one test unit of this lot ended in PASS"])]
#[case::mqtt("ble-gateway", "## What is checked", &["mqtt_connect"])]
#[case::update("ble-gateway", "## What is checked", &["ota_update"])]
#[case::addresses("ble-gateway", "## Before the first unit", &["the addresses on this sheet are the site's own"])]
fn the_checklists_of_the_documents_are_covered(
    #[case] profile: &str,
    #[case] heading: &str,
    #[case] parts: &[&str],
) {
    let text = checklist(profile);
    let found = section(&text, heading).join("\n");
    for part in parts {
        assert!(found.contains(part), "no \"{part}\" in {found}");
    }
}

/// A code that a run gives is on the paper of its product, below the check that gave it.
#[rstest]
#[case("espvault", "flash.app_bit")]
#[case("espvault", "flash.nvs_key_missing")]
#[case("espvault", "radio.deaf")]
#[case("espvault", "firmware.boot_loop")]
#[case("espvault", "firmware.mqtt_password")]
#[case("espvault", "chip.wrong_chip")]
#[case("espvault", "chip.wrong_mac")]
#[case("zeroconf", "firmware.secret_in_log")]
#[case("safesignal", "firmware.console_garbled")]
#[case("safesignal", "firmware.reset_leaves_credentials")]
#[case("safesignal", "firmware.save_failed")]
#[case("zeroconf", "firmware.ca_call_missing")]
#[case("ble-gateway", "firmware.portal_save_failed")]
#[case("ble-gateway", "firmware.any_certificate")]
#[case("ble-gateway", "firmware.ota_no_switch")]
#[case("ble-gateway", "time.not_set")]
fn what_a_bad_unit_fails_with_stands_on_its_checklist(#[case] profile: &str, #[case] fault: &str) {
    let record = Station::new().unit(["run", profile, "--json", "--fault", fault]).json();
    let code = record["diagnosis"]["code"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    let checks = record["checks"].as_array().expect("checks");
    let blamed = checks.iter().find(|check| check["diagnosis"]["code"] == code);
    let place = blamed.map_or_else(
        || "### While it is provisioned".to_owned(),
        |check| format!("### `{}`", check["id"].as_str().expect("a name")),
    );
    let text = checklist(profile);
    let found = section(&text, &place);
    let row = found.iter().find(|line| line.starts_with(&format!("- `{code}`: ")));
    assert!(row.is_some_and(|row| row.contains("**Do:** ")), "no {code} in {found:?}");
}

#[test]
fn an_unknown_product_has_no_checklist() {
    let ended = Station::new().goldline(["profile", "checklist", "espvalt"]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.said().contains("did you mean"), "{}", ended.said());
}
