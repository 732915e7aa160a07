//! What is missing, what is too much, and in which order it is burnt.

use rstest::rstest;

use super::*;
use crate::{identity::Mac, profile::Chip};

const MAC: Mac = Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]);

/// All fuses of a chip with these bits, and none of the others.
fn fuses(chip: Chip, burnt: &[(&'static str, u32)]) -> Fuses {
    const NAMES: [&str; 34] = [
        "WR_DIS",
        "RD_DIS",
        "FLASH_CRYPT_CNT",
        "UART_DOWNLOAD_DIS",
        "FLASH_CRYPT_CONFIG",
        "ABS_DONE_0",
        "ABS_DONE_1",
        "JTAG_DISABLE",
        "DISABLE_DL_ENCRYPT",
        "DISABLE_DL_DECRYPT",
        "DISABLE_DL_CACHE",
        "DIS_DOWNLOAD_ICACHE",
        "DIS_DOWNLOAD_DCACHE",
        "SOFT_DIS_JTAG",
        "HARD_DIS_JTAG",
        "DIS_DOWNLOAD_MANUAL_ENCRYPT",
        "SPI_BOOT_CRYPT_CNT",
        "KEY_PURPOSE_0",
        "KEY_PURPOSE_1",
        "KEY_PURPOSE_2",
        "KEY_PURPOSE_3",
        "KEY_PURPOSE_4",
        "KEY_PURPOSE_5",
        "SECURE_BOOT_EN",
        "DIS_DOWNLOAD_MODE",
        "DIS_LEGACY_SPI_BOOT",
        "ENABLE_SECURITY_DOWNLOAD",
        "DIS_PAD_JTAG",
        "DIS_USB_JTAG",
        "DIS_DIRECT_BOOT",
        "SPI_DOWNLOAD_MSPI_DIS",
        "SPARE_1",
        "SPARE_2",
        "SPARE_3",
    ];
    let bits = |name: &'static str| burnt.iter().find(|(it, _)| *it == name).map_or(0, |it| it.1);
    Fuses::new(chip, NAMES.map(|name| (name, bits(name))))
}

fn encrypted(how: FlashEncryption) -> Security {
    Security {
        flash_encryption: Some(how),
        keys: [(0, KeyPurpose::Xts128)].into(),
        ..Security::default()
    }
}

fn found(demand: &Security, fuses: &Fuses, what: &str) -> Finding {
    let all = compare(demand, fuses);
    all.into_iter().find(|one| one.what == what).expect("it is demanded")
}

/// Burnt as espfuse burns it: purpose, key, and its protections.
const KEY: [(&str, u32); 2] = [("KEY_PURPOSE_0", 4), ("RD_DIS", 1)];

#[rstest]
#[case::off(&[], "off", false)]
#[case::once(&[("SPI_BOOT_CRYPT_CNT", 1)], "development", false)]
#[case::off_again(&[("SPI_BOOT_CRYPT_CNT", 3)], "off", false)]
#[case::full(&[("SPI_BOOT_CRYPT_CNT", 7)], "development", false)]
#[case::loader_open(&[("SPI_BOOT_CRYPT_CNT", 7), ("DIS_DOWNLOAD_ICACHE", 1), ("DIS_DIRECT_BOOT", 1)], "development", false)]
#[case::release(
    &[("SPI_BOOT_CRYPT_CNT", 7), ("DIS_DOWNLOAD_ICACHE", 1), ("DIS_DIRECT_BOOT", 1), ("DIS_DOWNLOAD_MANUAL_ENCRYPT", 1)],
    "release",
    true
)]
#[case::locked_count(
    &[("SPI_BOOT_CRYPT_CNT", 1), ("WR_DIS", 1 << 4), ("DIS_DOWNLOAD_ICACHE", 1), ("DIS_DIRECT_BOOT", 1), ("DIS_DOWNLOAD_MANUAL_ENCRYPT", 1)],
    "release",
    true
)]
fn release_is_encryption_for_good_with_a_loader_that_writes_no_plain_text(
    #[case] burnt: &[(&'static str, u32)],
    #[case] expected: &str,
    #[case] met: bool,
) {
    let fuses = fuses(Chip::Esp32C3, &[burnt, &KEY].concat());
    let finding = found(&encrypted(FlashEncryption::Release), &fuses, "flash_encryption");
    assert_eq!((finding.found.as_str(), finding.is_met()), (expected, met), "{finding:?}");
    assert!(found(&encrypted(FlashEncryption::Release), &fuses, "BLOCK_KEY0").is_met());
}

#[test]
fn a_key_that_every_tool_can_read_is_no_key() {
    let fuses = fuses(Chip::Esp32C3, &[("KEY_PURPOSE_0", 4)]);
    let finding = found(&encrypted(FlashEncryption::Release), &fuses, "BLOCK_KEY0");
    assert_eq!(finding.missing, [Missing::ReadProtection { block: "BLOCK_KEY0" }]);
}

#[test]
fn what_a_locked_unit_does_not_tell_is_neither_met_nor_missing() {
    let demand = Security { jtag: Some(Jtag::Disabled), ..encrypted(FlashEncryption::Release) };
    let told = [("SPI_BOOT_CRYPT_CNT", 7), ("KEY_PURPOSE_0", 4), ("SECURE_BOOT_EN", 0)];
    for finding in compare(&demand, &Fuses::new(Chip::Esp32C3, told)) {
        let Finding { missing, excess, untold, .. } = &finding;
        assert!(missing.is_empty() && excess.is_empty() && !untold.is_empty(), "{finding:?}");
    }
    // What it tells counts.
    let told = [("SPI_BOOT_CRYPT_CNT", 0), ("KEY_PURPOSE_0", 4)];
    let finding = found(&demand, &Fuses::new(Chip::Esp32C3, told), "flash_encryption");
    assert!(!finding.missing.is_empty(), "{finding:?}");
}

/// Of any set of fuses that are burnt already, the rest is asked for, and in one order.
#[test]
fn the_rest_of_the_commands_keeps_its_order() {
    let demand = Security {
        secure_boot: Some(SecureBoot::V2),
        download_mode: Some(DownloadMode::Secure),
        jtag: Some(Jtag::Disabled),
        keys: [(0, KeyPurpose::Xts128), (1, KeyPurpose::Digest0)].into(),
        ..encrypted(FlashEncryption::Release)
    };
    let steps = |burnt: &[(&'static str, u32)]| {
        let findings = compare(&demand, &fuses(Chip::Esp32C3, burnt));
        let port = Port { name: "/dev/ttyUSB0".to_owned(), resets: true };
        match commands(&findings, (Chip::Esp32C3, MAC), &port, &KeyFiles::default()) {
            Commands::Missing(steps) => steps,
            Commands::AsDemanded => Vec::new(),
            Commands::Never(burnt) => panic!("{burnt:?}"),
        }
    };
    let all = steps(&[]);
    assert!(
        all.last().is_some_and(|step| step.to_string().ends_with("ENABLE_SECURITY_DOWNLOAD 1"))
    );
    let burnt = [
        ("KEY_PURPOSE_0", 4),
        ("RD_DIS", 1),
        ("KEY_PURPOSE_1", 9),
        ("SECURE_BOOT_EN", 1),
        ("DIS_DOWNLOAD_ICACHE", 1),
        ("DIS_DIRECT_BOOT", 1),
        ("DIS_DOWNLOAD_MANUAL_ENCRYPT", 1),
        ("SPI_BOOT_CRYPT_CNT", 7),
        ("DIS_PAD_JTAG", 1),
        ("DIS_USB_JTAG", 1),
        ("ENABLE_SECURITY_DOWNLOAD", 1),
    ];
    for chosen in 0..1_u32 << burnt.len() {
        let taken: Vec<_> = burnt
            .iter()
            .enumerate()
            .filter(|(at, _)| chosen >> at & 1 == 1)
            .map(|(_, it)| *it)
            .collect();
        let left = steps(&taken);
        let places: Vec<_> =
            left.iter().filter_map(|step| all.iter().position(|it| it == step)).collect();
        assert!(places.is_sorted(), "{taken:?}: {left:?}");
        assert_eq!(left.is_empty(), taken.len() == burnt.len(), "{taken:?}: {left:?}");
    }
}

/// A command would be printed for ever that can never succeed.
#[rstest]
fn encryption_that_is_locked_out_cannot_be_burnt(
    #[values(FlashEncryption::Development, FlashEncryption::Release)] how: FlashEncryption,
) {
    let switches = switches::of(Chip::Esp32C3).expect("they are known");
    let locked = 1 << switches.crypt_count_lock;
    let unit = fuses(Chip::Esp32C3, &[("WR_DIS", locked)]);
    let finding = found(&encrypted(how), &unit, "flash_encryption");
    assert_eq!(finding.excess, [Burnt { name: "WR_DIS", is: locked, must_be: 0 }]);
    let names_count = |missing: &Missing| missing.to_string().contains("SPI_BOOT_CRYPT_CNT");
    assert!(!finding.missing.iter().any(names_count), "{:?}", finding.missing);
}
