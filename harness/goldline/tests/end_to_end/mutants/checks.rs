//! What each check is there for: without it, bad units of just that kind pass; with it, none does.
//!
//! So the command itself can fail: a product whose test lacks a check is told what it lets through.

use std::{fs, path::Path};

use super::{not_caught, proof_of, ran};

/// A check, a product that has it, and mutants that nothing else of its test sees.
struct Needed {
    check: &'static str,
    profile: &'static str,
    mutants: &'static [&'static str],
}

/// Checks that no profile can do without.
const OBLIGATORY: &[&str] = &["flash_integrity", "nvs_readback"];

/// Checks of which no mutant needs one alone, and why.
const NEVER_ALONE: &[(&str, &str)] = &[
    ("registry_record", "it is the bench that enters a unit: no unit can do it wrong"),
    ("security_state", "no shipped product demands fuses: kinds sees to it"),
    ("command", "no shipped product has a test of its own"),
    ("network_join", "it stands for wifi_join where no radio is seen"),
    ("start", "no shipped product needs it: all of them say more of themselves"),
    ("device_id", "a unit is given its values by its id: with another one it gets none"),
    ("time_sync", "a unit without the time trusts no server"),
    ("remote_config", "a unit without its configuration does not find its broker"),
];

macro_rules! needed {
    ($($name:ident: $check:literal of $profile:literal sees $($mutant:literal),+;)+) => {
        $(#[test]
        fn $name() {
            only_it_sees(&Needed { check: $check, profile: $profile, mutants: &[$($mutant),+] });
        })+

        const SHOWN: &[&str] = &[$($check),+];
    };
}

needed! {
    factory_reset: "factory_reset" of "safesignal" sees
        "security.firmware.reset_leaves_credentials";
    wifi_join: "wifi_join" of "espvault" sees "radio.radio.weak";
    ca_registration: "ca_registration" of "zeroconf" sees "firmware.zeroconf.ca_call.fields.type";
    mqtt_connect: "mqtt_connect" of "espvault" sees
        "firmware.espvault.mqtt.subscribe.0", "firmware.espvault.mqtt.command.answer";
    test_alert: "test_alert" of "safesignal" sees "firmware.safesignal.mqtt.alert.topic";
    console_status: "console_status" of "safesignal" sees "firmware.safesignal.console.command.3.*";
    interface_off: "interface_off" of "ble-gateway" sees "security.firmware.portal_stays_open";
    server_trust: "server_trust" of "ble-gateway" sees "certificate.firmware.any_certificate";
    ota_update: "ota_update" of "ble-gateway" sees "update.firmware.ota_takes_older";
    secret_hygiene: "secret_hygiene" of "ble-gateway" sees "firmware.firmware.secret_in_log";
}

#[test]
fn no_check_is_left_out() {
    let known = goldline::profile::CheckId::ALL.iter().map(|check| check.name());
    let of_here = |check: &str| {
        [SHOWN, OBLIGATORY].concat().contains(&check)
            || NEVER_ALONE.iter().any(|(never, _)| *never == check)
    };
    let missing: Vec<&str> = known.filter(|check| !of_here(check)).collect();
    assert!(missing.is_empty(), "nothing shows what these are for: {missing:?}");
}

#[test]
fn a_profile_without_an_obligatory_check_is_refused() {
    for check in OBLIGATORY {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("lacking.toml"), without("espvault", check))
            .expect("a profile");
        let refused = goldline::profile::find("lacking", Some(folder.path()));
        let why = refused.expect_err("it is refused").to_string();
        assert!(!why.is_empty(), "{check}");
    }
}

fn only_it_sees(needed: &Needed) {
    let Needed { check, profile, mutants } = needed;
    let with = proof_of(profile, None, mutants);
    let wrong = not_caught(&with);
    assert!(wrong.is_empty(), "{check}: of {}\n{}", ran(&with), wrong.join("\n"));
    let folder = tempfile::tempdir().expect("a folder");
    let text = without(profile, check);
    fs::write(folder.path().join("lacking.toml"), text).expect("a profile");
    let lacking = proof_of("lacking", Some(folder.path()), mutants);
    let passed: Vec<&str> =
        lacking.survivors.iter().map(|survivor| survivor.case.mutant.as_str()).collect();
    assert!(!passed.is_empty(), "{check}: without it, all of {mutants:?} are caught still");
    assert_eq!(
        passed.len(),
        ran(&lacking),
        "{check}: without it\n{}",
        not_caught(&lacking).join("\n")
    );
}

/// The shipped profile but for one check.
fn without(profile: &str, check: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/profiles");
    let text = fs::read_to_string(folder.join(format!("{profile}.toml"))).expect("it ships");
    let mut blocks = text.split("[[check]]\n");
    let head = blocks.next().unwrap_or_default();
    let id = format!("id = \"{check}\"");
    let (gone, kept): (Vec<&str>, Vec<&str>) = blocks.partition(|block| block.starts_with(&id));
    assert_eq!(gone.len(), 1, "{profile} has {check} once");
    kept.iter().fold(
        head.replace(&format!("\nname = \"{profile}\""), "\nname = \"lacking\""),
        |text, block| text + "[[check]]\n" + block,
    )
}
