//! The reference firmware is machine code: its profiles are sound, and the simulator says that it cannot run it.

use std::path::{Path, PathBuf};

use rstest::rstest;

use super::program::Station;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const ELF: &str = "target/firmware/reference/goldline-reference.elf";

/// The profiles' folder, where the firmware was built.
fn profiles() -> Option<PathBuf> {
    let root = Path::new(ROOT);
    if root.join(ELF).is_file() {
        return Some(root.join("fixtures/profiles/reference"));
    }
    eprintln!("skipped: the reference firmware is not built: run cargo xtask firmware");
    None
}

#[rstest]
#[case::factory("reference")]
#[case::console("reference-console")]
fn a_profile_of_the_reference_firmware_is_valid(#[case] name: &str) {
    let Some(profiles) = profiles() else { return };
    let ended = Station::new().goldline([
        "profile".as_ref(),
        "check".as_ref(),
        name.as_ref(),
        "--profiles".as_ref(),
        profiles.as_os_str(),
    ]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("esp32c3"), "{ended:?}");
}

#[rstest]
#[case::factory("reference")]
#[case::console("reference-console")]
fn the_simulator_does_not_run_the_reference_firmware(#[case] name: &str) {
    let Some(profiles) = profiles() else { return };
    let station = Station::new();
    let ended = station.unit([
        "run".as_ref(),
        name.as_ref(),
        "--profiles".as_ref(),
        profiles.as_os_str(),
        "--device".as_ref(),
        "simulator:".as_ref(),
    ]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("holds machine code"), "{ended:?}");
}
