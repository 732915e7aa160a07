//! Which fuse of which chip switches what: data only, by espefuse's names.
//!
//! From Espressif's technical reference manuals and ESP-IDF's guides to secure boot and flash encryption.

use crate::profile::Chip;

/// The security switches of a chip.
pub(super) struct Switches {
    /// Secure boot of the first version, of the ESP32 alone.
    pub(super) secure_boot_v1: Option<&'static str>,
    /// Secure boot of the second.
    pub(super) secure_boot_v2: &'static str,
    /// Flash is encrypted when an odd number of these bits is burnt; and all of them.
    pub(super) crypt_count: (&'static str, u32),
    /// The bit of WR_DIS after which that count stays.
    pub(super) crypt_count_lock: u32,
    /// How the address changes the key, where that is a fuse.
    pub(super) crypt_configuration: Option<(&'static str, u32)>,
    /// What is burnt besides, so that no loader writes or reads what the chip would decrypt.
    pub(super) release: &'static [&'static str],
    /// The key that encrypts the flash, of chips whose blocks have no purposes.
    pub(super) flash_key: Option<KeyPlace>,
    /// The digest of the secure boot key, of the same.
    pub(super) digest: Option<KeyPlace>,
    /// There is no ROM loader any more.
    pub(super) download_off: &'static str,
    /// The ROM loader writes and does nothing else.
    pub(super) secure_download: Option<&'static str>,
    /// All of these end debugging for good.
    pub(super) jtag: &'static [&'static str],
    /// Ends it until an HMAC gives it back.
    pub(super) soft_jtag: Option<&'static str>,
}

/// Where a key lies.
pub(super) struct KeyPlace {
    /// As espefuse's commands name it.
    pub(super) block: &'static str,
    /// Bit of WR_DIS.
    pub(super) write_protection: u32,
    /// Bits of RD_DIS that hide it; none of what the ROM must read.
    pub(super) read_protection: u32,
    /// Whether another key lies in the same block.
    pub(super) is_shared: bool,
}

/// The switches of a chip; `None` where they are not known.
pub(super) fn of(chip: Chip) -> Option<&'static Switches> {
    Some(match chip {
        Chip::Esp32 => &ESP32,
        Chip::Esp32S2 => &ESP32S2,
        Chip::Esp32S3 => &ESP32S3,
        Chip::Esp32C2 => &ESP32C2,
        Chip::Esp32C3 => &ESP32C3,
        Chip::Esp32C6 | Chip::Esp32H2 => &ESP32C6_H2,
        Chip::Esp32C5 | Chip::Esp32C61 | Chip::Esp32P4 => return None,
    })
}

const ESP32: Switches = Switches {
    secure_boot_v1: Some("ABS_DONE_0"),
    secure_boot_v2: "ABS_DONE_1",
    crypt_count: ("FLASH_CRYPT_CNT", 0x7F),
    crypt_count_lock: 2,
    crypt_configuration: Some(("FLASH_CRYPT_CONFIG", 0xF)),
    release: &["DISABLE_DL_ENCRYPT", "DISABLE_DL_DECRYPT", "DISABLE_DL_CACHE"],
    flash_key: Some(KeyPlace {
        block: "flash_encryption",
        write_protection: 7,
        read_protection: 1,
        is_shared: false,
    }),
    digest: Some(KeyPlace {
        block: "secure_boot_v2",
        write_protection: 8,
        read_protection: 0,
        is_shared: false,
    }),
    download_off: "UART_DOWNLOAD_DIS",
    secure_download: None,
    jtag: &["JTAG_DISABLE"],
    soft_jtag: None,
};

const ESP32C2: Switches = Switches {
    secure_boot_v1: None,
    secure_boot_v2: "SECURE_BOOT_EN",
    crypt_count: ("SPI_BOOT_CRYPT_CNT", 0x7),
    crypt_count_lock: 2,
    crypt_configuration: None,
    release: &["DIS_DOWNLOAD_MANUAL_ENCRYPT", "DIS_DOWNLOAD_ICACHE", "DIS_DIRECT_BOOT"],
    flash_key: Some(KeyPlace {
        block: "BLOCK_KEY0",
        write_protection: 7,
        read_protection: 0b11,
        is_shared: true,
    }),
    digest: Some(KeyPlace {
        block: "BLOCK_KEY0",
        write_protection: 7,
        read_protection: 0,
        is_shared: true,
    }),
    download_off: "DIS_DOWNLOAD_MODE",
    secure_download: Some("ENABLE_SECURITY_DOWNLOAD"),
    jtag: &["DIS_PAD_JTAG"],
    soft_jtag: None,
};

/// What all have whose key blocks have purposes.
const WITH_PURPOSES: Switches = Switches {
    secure_boot_v1: None,
    secure_boot_v2: "SECURE_BOOT_EN",
    crypt_count: ("SPI_BOOT_CRYPT_CNT", 0x7),
    crypt_count_lock: 4,
    crypt_configuration: None,
    release: &["DIS_DOWNLOAD_MANUAL_ENCRYPT", "DIS_DOWNLOAD_ICACHE", "DIS_DIRECT_BOOT"],
    flash_key: None,
    digest: None,
    download_off: "DIS_DOWNLOAD_MODE",
    secure_download: Some("ENABLE_SECURITY_DOWNLOAD"),
    jtag: &["DIS_PAD_JTAG", "DIS_USB_JTAG"],
    soft_jtag: Some("SOFT_DIS_JTAG"),
};

const ESP32C3: Switches = WITH_PURPOSES;

const ESP32S2: Switches = Switches {
    release: &[
        "DIS_DOWNLOAD_MANUAL_ENCRYPT",
        "DIS_DOWNLOAD_ICACHE",
        "DIS_DOWNLOAD_DCACHE",
        "DIS_LEGACY_SPI_BOOT",
    ],
    jtag: &["HARD_DIS_JTAG"],
    ..WITH_PURPOSES
};

const ESP32S3: Switches = Switches {
    release: &[
        "DIS_DOWNLOAD_MANUAL_ENCRYPT",
        "DIS_DOWNLOAD_ICACHE",
        "DIS_DOWNLOAD_DCACHE",
        "DIS_DIRECT_BOOT",
    ],
    ..WITH_PURPOSES
};

const ESP32C6_H2: Switches = Switches {
    release: &["DIS_DOWNLOAD_MANUAL_ENCRYPT", "SPI_DOWNLOAD_MSPI_DIS", "DIS_DIRECT_BOOT"],
    ..WITH_PURPOSES
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{device::is_fuse_read, profile::Feature, security::PURPOSE_FUSES};

    /// A fuse that is not read would count as not burnt.
    #[test]
    fn every_switch_is_read() {
        for chip in Chip::ALL {
            let known = of(chip);
            assert_eq!(known.is_some(), chip.has(Feature::SecurityFuses), "{chip}");
            let Some(switches) = known else { continue };
            let mut names =
                vec!["WR_DIS", "RD_DIS", switches.secure_boot_v2, switches.crypt_count.0];
            names.push(switches.download_off);
            names.extend(switches.release.iter().chain(switches.jtag));
            names.extend(switches.secure_boot_v1.into_iter().chain(switches.secure_download));
            names.extend(switches.soft_jtag);
            names.extend(switches.crypt_configuration.map(|(name, _)| name));
            let purposes = chip.has(Feature::KeyPurposes).then_some(PURPOSE_FUSES);
            names.extend(purposes.into_iter().flatten());
            for name in names {
                assert!(is_fuse_read(chip, name), "{chip}: {name} is not read");
            }
            assert_eq!(switches.secure_download.is_some(), chip.has(Feature::SecureDownload));
            assert_eq!(switches.flash_key.is_none(), chip.has(Feature::KeyPurposes), "{chip}");
        }
    }
}
