//! Some mutants of each kind: the run must FAIL, and name what was changed.

use goldline::{
    prove::{Catalogue, Change, Kind, Must, Mutant, ProofOutcome},
    station::Request,
};
use goldline_simulator::Tampering;

use super::{not_caught, proof_by, proof_of, proof_on, ran};
use crate::end_to_end::program::PROFILE;

fn all_are_caught(profile: &str, wanted: &[&str]) {
    let proof = proof_of(profile, None, wanted);
    assert!(ran(&proof) >= wanted.len(), "{} units ran for {wanted:?}", ran(&proof));
    let wrong = not_caught(&proof);
    assert!(wrong.is_empty(), "{profile}: of {}\n{}", ran(&proof), wrong.join("\n"));
}

#[test]
fn firmware_that_does_otherwise_is_named() {
    all_are_caught(
        "espvault",
        &["firmware.espvault.wifi.ssid", "firmware.espvault.settings.values.broker.key"],
    );
}

/// What runs for a while only, and what has run before.
#[test]
fn an_update_and_a_factory_firmware_are_firmware_too() {
    all_are_caught(
        "ble-gateway-factory",
        &[
            "firmware.ble-gateway-next.wifi.ssid",
            "firmware.ble-gateway-factory.factory.strings.mqtt_host",
        ],
    );
}

#[test]
fn damaged_flash_is_named_by_region_or_byte() {
    all_are_caught(
        "espvault",
        &[
            "region.bootloader.bit@*",
            "region.bootloader.other_chip",
            "region.ota_0.other_version",
            "region.ota_0.cut_short",
            "region.ota_0.shifted_by_a_word",
            "region.ota_1.stale",
            "region.ota_1.started",
            "region.partition_table.nvs.renamed",
            "region.partition_table.more",
            "region.bootloader.swapped.partition_table",
            "region.factory.byte@*",
            "region.storage.320000.leftover",
            "region.unused.3f0000.bit@*",
        ],
    );
}

/// As the bench flashed it, encrypted: the keys lie beside it.
#[test]
fn an_entry_of_nvs_is_named_by_its_key() {
    for profile in ["espvault", "espvault-encrypted"] {
        all_are_caught(
            profile,
            &[
                "nvs.vault.wifi_ssid.*",
                "nvs.vault.mqtt_password.leftover",
                "nvs.vault.mqtt_username.of_another",
                "identity.cloned",
            ],
        );
    }
}

/// The unit's own firmware writes it, twice: there it can be changed only once it is written.
#[test]
fn an_entry_that_the_firmware_wrote_is_changed_all_the_same() {
    all_are_caught(
        "safesignal-certificates",
        &[
            "nvs.safesignal.device_id.*",
            "nvs.safesignal.wifi_ssid.missing",
            "certificate.safesignal.*",
        ],
    );
}

#[test]
fn forged_certificates_are_named_by_their_entry() {
    all_are_caught("espvault-certificates", &["certificate.vault.*"]);
}

/// And of a test that does not ask for them, a survivor.
#[test]
fn an_efuse_that_is_not_as_demanded_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, jtag: &str, check: &str| {
        let profile = PROFILE.replace("name = \"espvault\"", &format!("name = \"{name}\""));
        let demand = format!("{profile}\n[security]\njtag = \"{jtag}\"\n{check}");
        std::fs::write(folder.path().join(format!("{name}.toml")), demand).expect("a profile");
    };
    let check = "[[check]]\nid = \"security_state\"\n";
    write("closed", "disabled", check);
    write("open", "enabled", check);
    let burnt = "simulator:?burnt=JTAG_DISABLE";
    let wanted = ["security.fuse.JTAG_DISABLE.*"];
    for (device, profile) in [(burnt, "closed"), ("simulator:", "open")] {
        let proof = proof_on(device, profile, Some(folder.path()), &wanted);
        assert_eq!((ran(&proof), not_caught(&proof)), (1, Vec::new()), "{profile}");
    }
}

/// It is a good unit then, and its PASS no escape.
#[test]
fn a_mutant_that_was_never_made_is_no_survivor() {
    let request = Request { profile: Some("espvault".to_owned()), ..Request::default() };
    let proof = proof_by(&request, |_| {
        let mut catalogue = Catalogue::default();
        catalogue.count([Mutant {
            kind: Kind::Region,
            id: "region.nowhere".to_owned(),
            what: "nothing is changed".to_owned(),
            means: String::new(),
            remedy: String::new(),
            must: Must::Fail { naming: vec!["nowhere".to_owned()] },
            change: Change::Flash(Tampering::new(|_| None)),
        }]);
        catalogue
    });
    assert_eq!((ran(&proof), proof.escapes(), proof.undecided.len()), (1, 0, 1));
    let told = proof.undecided[0].message.as_deref().unwrap_or_default();
    assert!(told.contains("never held what was to be changed"), "{told}");
    // The acceptance of the profile names none of these mutants, which outranks what the bench fell short of.
    assert_ne!(proof.outcome(), ProofOutcome::NothingEscapes);
}
