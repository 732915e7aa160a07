//! How long erasing and digesting take: erasing as the data sheets of common chips give it (typical
//! values), digesting as a stub does it, which reads the flash and reckons at once.

use std::time::Duration;

use super::{BLOCK_SIZE, SECTOR_SIZE};

const SECTOR: Duration = Duration::from_millis(45);
const BLOCK: Duration = Duration::from_millis(150);
/// For each megabyte of the chip: 10 s for 4 MB.
const MEGABYTE_OF_CHIP: Duration = Duration::from_millis(2500);

const MEGABYTE_OF_DIGEST: Duration = Duration::from_millis(150);

/// For the MD5 of so many bytes.
pub(super) fn of_digest(length: u32) -> Duration {
    MEGABYTE_OF_DIGEST.mul_f64(f64::from(length) / f64::from(1 << 20))
}

/// For whole sectors from `start` to `end`: whole blocks among them are erased as such.
pub(super) fn of_sectors(start: u32, end: u32) -> Duration {
    let blocks = (end / BLOCK_SIZE).saturating_sub(start.div_ceil(BLOCK_SIZE));
    let sectors = (end - start - blocks * BLOCK_SIZE) / SECTOR_SIZE;
    BLOCK * blocks + SECTOR * sectors
}

/// For a whole chip of `size` bytes.
pub(super) fn of_chip(size: u32) -> Duration {
    MEGABYTE_OF_CHIP.mul_f64(f64::from(size) / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_block_takes_less_than_its_sectors() {
        assert_eq!(of_sectors(0x1000, 0x3000), SECTOR * 2);
        assert_eq!(of_sectors(0x1_0000, 0x3_0000), BLOCK * 2);
        assert_eq!(of_sectors(0xF000, 0x2_1000), SECTOR * 2 + BLOCK);
        assert_eq!(of_sectors(0x1000, 0x1_0000), SECTOR * 15);
        assert_eq!(of_sectors(0x1000, 0x1000), Duration::ZERO);
    }

    #[test]
    fn a_chip_takes_ten_seconds_for_four_megabytes() {
        assert_eq!(of_chip(4 << 20), Duration::from_secs(10));
    }
}
