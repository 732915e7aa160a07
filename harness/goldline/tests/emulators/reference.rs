//! The reference firmware in a real QEMU, good and bad: machine code, a network stack of others, mutual TLS.
//!
//! Needs an emulator that no package registry has, and `cargo xtask firmware`.

use std::{fs, path::Path};

use super::qemu::Emulator;
use crate::end_to_end::program::{Ended, Station};

const PROFILE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/profiles/reference/reference.toml"
));

fn run(emulator: &Emulator, edit: (&str, &str)) -> Ended {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let elf = fs::canonicalize(root.join("target/firmware/reference/goldline-reference.elf"));
    let elf = elf.expect("cargo xtask firmware was run").display().to_string();
    let profile =
        PROFILE.replace("../../../target/firmware/reference/goldline-reference.elf", &elf);
    assert!(profile.contains(edit.0), "the profile has no {}", edit.0);
    let station = Station::new();
    station.write("reference.toml", profile.replacen(edit.0, edit.1, 1));
    let mut command =
        station.unit_command(["run", "reference.toml", "--json", "--device", "qemu:"]);
    Ended::of(command.env("GOLDLINE_QEMU", emulator.folder()))
}

#[test]
fn the_reference_firmware_is_judged_in_a_real_one() {
    let Some(emulator) = Emulator::real() else { return };
    let same = ("schema = 1", "schema = 1");
    let good = run(&emulator, same);
    assert_eq!(good.json()["verdict"], "PASS", "{good:?}");
    for (edit, code) in [
        (("value = \"{mqtt_password}\"", "value = \"x{mqtt_password}\""), "mqtt.bad_credentials"),
        (
            ("value = \"{issued.root_certificate}\"", "value = \"{issued.certificate}\""),
            "mqtt.server_untrusted",
        ),
        (
            (
                "  { key = \"mqtt_username\", encoding = \"string\", value = \"{mqtt_username}\" },\n",
                "",
            ),
            "firmware.configuration",
        ),
        (
            (
                "  { key = \"wifi_ssid\"",
                "  { key = \"panic\", encoding = \"u8\", value = \"1\" },\n  { key = \"wifi_ssid\"",
            ),
            "boot.loop",
        ),
        (
            (
                "encoding = \"string\", value = \"{device_id}\"",
                "encoding = \"string\", value = \"VAULT-99999\"",
            ),
            "mqtt.identity_differs",
        ),
    ] {
        let bad = run(&emulator, edit);
        let record = bad.json();
        assert_eq!((bad.code(), &record["diagnosis"]["code"]), (1, &code.into()), "{record:#}");
    }
}
