//! The identity of a zero-config unit: the document's own image, and the readings of its UUID.

use std::fs;

use rstest::rstest;
use sha2::{Digest, Sha256};

use super::program::Station;

/// The sample unit of the product's document.
const DEVICE: &str = "simulator:?flash-file=unit.flash&mac=a4:cf:12:34:56:78";

/// A name out of the document stands here because its image must match byte for byte; it is never resolved.
#[test]
fn the_image_of_the_document_is_written_byte_for_byte() {
    let station = Station::new();
    let values =
        ["uuid=9a7b2c4d-5e6f-5123-8536-6789abcdef01", "ca_url=https://ca.example.com:8443"];
    let settings = values.iter().flat_map(|value| ["--set", value]);
    let command = ["provision", "zeroconf", "--json", "--device", DEVICE].into_iter();
    let ended = station.unit(command.chain(settings));
    assert_eq!(ended.code(), 0, "{}", ended.stdout);
    let flash = fs::read(station.path("unit.flash")).expect("the flash");
    let digest = Sha256::digest(&flash[0x9000..0x19000]);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "7f824e7465fc224fd50def7ce5a7082f38561b55c2d5b1eac6ba80f0ee5de238");
}

#[rstest]
#[case::rfc("uuid5_mac", "110e3dc9-fa05-568f-a05a-98d00891029d")]
#[case::raw_bytes("uuid5_mac_bytes", "d7a58fb9-efb4-54b3-bfbe-17d718a1fae0")]
#[case::as_shipped("uuid5_mac_dashed", "7de0bb7f-ad16-5373-ad73-98729aad6086")]
fn each_reading_of_the_uuid_can_be_chosen(#[case] scheme: &str, #[case] uuid: &str) {
    let station = Station::new();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/zeroconf.toml");
    let shipped = fs::read_to_string(path).expect("it ships");
    let line = shipped.lines().find(|line| line.starts_with("scheme = ")).expect("a scheme");
    station.write("zeroconf.toml", shipped.replace(line, &format!("scheme = \"{scheme}\"")));
    let ended = station.unit(["run", "zeroconf.toml", "--json", "--device", DEVICE]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["unit"]["ids"]["uuid"], uuid);
}

/// Somebody else made them, as for a unit that is replaced.
#[test]
fn an_identity_of_ones_own_reaches_the_unit() {
    let station = Station::new();
    let psk = "00112233445566778899aabbccddeeff";
    station.write("psk", psk);
    let uuid = "01234567-89ab-4cde-8f01-23456789abcd";
    let setting = format!("uuid={uuid}");
    let settings = ["--set", &setting, "--set", "psk=@psk"];
    let command = ["run", "zeroconf", "--json", "--device", DEVICE];
    let ended = station.unit(command.into_iter().chain(settings));
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["unit"]["ids"]["uuid"], uuid);
    assert!(!ended.stdout.contains(psk) && !ended.stderr.contains(psk));
    let flash = fs::read(station.path("unit.flash")).expect("the flash");
    assert!(flash[0x9000..0x19000].windows(psk.len()).any(|window| window == psk.as_bytes()));
}

#[rstest]
#[case::uuid("uuid=not-a-uuid", "uuid")]
#[case::short_key("psk=@short", "psk")]
fn an_identity_that_is_none_is_refused(#[case] setting: &str, #[case] named: &str) {
    let station = Station::new();
    station.write("short", "0011");
    let ended = station.unit(["run", "zeroconf", "--set", setting]);
    assert_eq!(ended.code(), 2, "{}", ended.said());
    assert!(ended.said().contains(named), "{}", ended.said());
}

/// What the registry cannot hold must not be found when the unit is written already.
#[rstest]
#[case::place("location=@long.txt", "location has 101 characters, the registry takes at most 100")]
#[case::board("hardware_revision=more-than-ten", "hardware_revision has 13 characters")]
fn a_row_that_the_registry_cannot_hold_is_refused_before_a_unit_is_touched(
    #[case] setting: &str,
    #[case] said: &str,
) {
    let station = Station::new();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/zeroconf.toml");
    let shipped = fs::read_to_string(path).expect("it ships");
    // A profile may allow more than the registry does.
    let generous = shipped.replace("max_bytes = 100\n", "max_bytes = 200\n");
    let generous = generous.replace("max_bytes = 10\n", "max_bytes = 20\n");
    station.write("zeroconf.toml", generous);
    station.write("long.txt", "x".repeat(101));
    let device = "simulator:?flash-file=unit.flash";
    let ended = station.unit(["run", "zeroconf.toml", "--device", device, "--set", setting]);
    assert_eq!(ended.code(), 2, "{}", ended.said());
    assert!(ended.said().contains(said), "{}", ended.said());
    assert!(!station.path("unit.flash").exists(), "the unit was touched");
}
