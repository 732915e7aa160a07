//! The chips that esp-emu emulates, their flash and their eFuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::error::EspEmuError;
use crate::{
    device::emulator::{flash::FlashFileError, program::NoEmulator},
    identity::Mac,
    profile::Chip,
};

/// Those of its chips that espflash knows too; ESP32-S31 is not among them.
const CHIPS: [Chip; 6] =
    [Chip::Esp32C3, Chip::Esp32C5, Chip::Esp32C6, Chip::Esp32H2, Chip::Esp32P4, Chip::Esp32S3];
/// The same, for people.
const NAMES: &str = "esp32c3, esp32c5, esp32c6, esp32h2, esp32p4, esp32s3";
/// The base MAC where no eFuses say otherwise.
pub(super) const DEFAULT_MAC: Mac = Mac([0x24, 0x0A, 0xC4, 0x00, 0x00, 0x01]);
/// Bytes of its eFuses in a file, in QEMU's form: the words of block 0, of block 1, and of the others.
const FUSES: usize = 336;
/// Where block 1 begins with the base MAC: behind the six words of block 0.
const MAC_AT: usize = 24;

/// Says what else emulates a chip that this one lacks.
pub(super) fn refuse_other(chip: Chip) -> Result<(), NoEmulator> {
    if CHIPS.contains(&chip) {
        return Ok(());
    }
    let action = match chip {
        Chip::Esp32 => "choose --device qemu: for it, or name one of those chips with ?chip=",
        _ => "name one of those chips with ?chip=, or test on a real port",
    };
    Err(NoEmulator::Chip { emulator: "esp-emu", chip, has: NAMES, action })
}

/// Its flash chips are those that esptool names.
pub(super) fn refuse_odd_size(size: u32) -> Result<(), FlashFileError> {
    match (1..=128).contains(&(size >> 20)) && size.is_power_of_two() {
        true => Ok(()),
        false => Err(FlashFileError::NoSuchChip {
            emulator: "esp-emu",
            size,
            expected: "1, 2, 4, 8, 16, 32, 64 or 128",
        }),
    }
}

/// A private copy of eFuses: the emulator writes its file back, and a burnt bit would stay in the user's.
pub(super) struct Fuses {
    pub(super) path: PathBuf,
    pub(super) mac: Mac,
}

impl Fuses {
    /// Reads them, and copies them into a folder.
    pub(super) fn copy(from: &Path, into: &TempDir) -> Result<Self, EspEmuError> {
        let unusable = |reason: String| EspEmuError::Efuse { path: from.to_owned(), reason };
        let bytes = fs::read(from).map_err(|error| unusable(error.to_string()))?;
        if bytes.len() != FUSES {
            return Err(unusable(format!("it has {} bytes: expected {FUSES}", bytes.len())));
        }
        let path = into.path().join("efuse.bin");
        fs::write(&path, &bytes).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { path, mac: mac_in(&bytes) })
    }
}

/// The lowest byte first, as on the chip; none burnt means the emulator's own.
fn mac_in(fuses: &[u8]) -> Mac {
    let mut mac = [0; 6];
    mac.copy_from_slice(&fuses[MAC_AT..MAC_AT + 6]);
    mac.reverse();
    if mac == [0; 6] { DEFAULT_MAC } else { Mac(mac) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_esp32_is_qemu_s() {
        let refused = refuse_other(Chip::Esp32).expect_err("not planned");
        assert!(refused.action().contains("qemu:"), "{}", refused.action());
        for chip in CHIPS {
            refuse_other(chip).expect("it has it");
            assert!(NAMES.contains(chip.name()), "{chip}");
        }
    }

    #[test]
    fn fuses_tell_the_mac_and_are_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bytes = vec![0; FUSES];
        let at = folder.path().join("unit.efuse");
        fs::write(&at, &bytes).expect("a file");
        let blank = Fuses::copy(&at, &folder).expect("they fit");
        assert_eq!(blank.mac, DEFAULT_MAC);
        assert_ne!(blank.path, at);
        bytes[MAC_AT..MAC_AT + 6].copy_from_slice(&[0x56, 0x34, 0x12, 0xEF, 0xCD, 0xAB]);
        fs::write(&at, &bytes).expect("a file");
        let own = Fuses::copy(&at, &folder).expect("they fit");
        assert_eq!(own.mac.to_string(), "ab:cd:ef:12:34:56");
        fs::write(&at, &bytes[1..]).expect("a file");
        let short = Fuses::copy(&at, &folder).err().expect("refused").to_string();
        assert!(short.contains("335 bytes: expected 336"), "{short}");
    }

    #[test]
    fn a_flash_has_a_size_that_esptool_names() {
        for megabytes in [1, 2, 4, 8, 16, 32, 64, 128] {
            assert!(refuse_odd_size(megabytes << 20).is_ok(), "{megabytes}");
        }
        for odd in [0, 1 << 19, 3 << 20, 256 << 20] {
            assert!(refuse_odd_size(odd).is_err(), "{odd}");
        }
    }
}
