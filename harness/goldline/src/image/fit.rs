//! Whether an image is one that this product's chip can run in the place that it is meant for.
//!
//! Must not know files.

use crate::{
    esp_image::{Damage, EspImage},
    profile::{Chip, Profile},
};

/// What an image is meant for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The second-stage bootloader.
    Bootloader,
    /// An application: the product's, or an update of it.
    App,
}

/// Why an image is not flashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum Unfit {
    #[error(transparent)]
    Damage(#[from] Damage),
    #[error("it is for {found}, and the profile's chip is {expected}")]
    Chip { found: String, expected: Chip },
    #[error("its header names no flash size that there is")]
    NoFlashSize,
    #[error("its header says that the flash has {found} bytes, and the profile's has {size}")]
    FlashSize { found: u64, size: u32 },
    #[error(
        "its header says that the flash has {found} bytes, and the last partition ends at {end}: it would refuse the partition table"
    )]
    FlashTooSmall { found: u64, end: u32 },
    #[error("it is {length} bytes long, and its place has {capacity}")]
    TooLarge { length: usize, capacity: u32 },
    #[error(
        "it has no application description and no part that is read through the cache, and so is no application: is it the bootloader?"
    )]
    NoApplication,
    #[error(
        "its flash settings were written over after it was hashed, and the bootloader refuses an application with a wrong SHA-256: take the file that the build made"
    )]
    SettingsEdited,
    #[error("it is an application, and no bootloader")]
    NoBootloader,
    #[error("it starts at {entry:#x}, where none of its segments is")]
    NoEntry { entry: u32 },
}

/// Whether the chip of the profile can run it.
pub(super) fn judge(bytes: &[u8], role: Role, profile: &Profile) -> Result<(), Unfit> {
    let image = EspImage::parse(bytes)?;
    let (chip, flash) = (profile.chip, &profile.flash);
    if image.chip_id != chip.image_id() {
        let known = Chip::ALL.into_iter().find(|chip| chip.image_id() == image.chip_id);
        let found = known.map_or(format!("the chip with the id {}", image.chip_id), named);
        return Err(Unfit::Chip { found, expected: chip });
    }
    // Not every application describes itself: those of Zephyr and NuttX do not, and the bootloader does not ask.
    match (role, image.is_application() || is_mapped(&image, chip)) {
        (Role::Bootloader, true) => return Err(Unfit::NoBootloader),
        (Role::App, false) => return Err(Unfit::NoApplication),
        (Role::App, true) if image.settings_edited => return Err(Unfit::SettingsEdited),
        _ => {}
    }
    if !image.has_its_entry() {
        return Err(Unfit::NoEntry { entry: image.entry });
    }
    let found = image.flash_size.ok_or(Unfit::NoFlashSize)?;
    if found > flash.size().into() {
        return Err(Unfit::FlashSize { found, size: flash.size() });
    }
    let end = flash.partitions().iter().map(|last| last.offset + last.size).max().unwrap_or(0);
    if role == Role::Bootloader && found < end.into() {
        return Err(Unfit::FlashTooSmall { found, end });
    }
    let capacity = match role {
        Role::Bootloader => flash.table_offset() - chip.bootloader_offset(),
        Role::App => {
            flash.partition(&profile.images.app_partition).map_or(0, |partition| partition.size)
        }
    };
    if bytes.len() > capacity as usize {
        return Err(Unfit::TooLarge { length: bytes.len(), capacity });
    }
    Ok(())
}

fn named(chip: Chip) -> String {
    chip.to_string()
}

/// Whether a part of it is read through the cache, which a bootloader sets up for the application only.
fn is_mapped(image: &EspImage<'_>, chip: Chip) -> bool {
    let windows = match chip {
        Chip::Esp32 => [0x3F40_0000..0x3F80_0000, 0x400D_0000..0x4040_0000],
        Chip::Esp32S2 => [0x3F00_0000..0x3F40_0000, 0x4008_0000..0x4080_0000],
        Chip::Esp32S3 => [0x3C00_0000..0x3E00_0000, 0x4200_0000..0x4400_0000],
        Chip::Esp32C2 | Chip::Esp32C3 => [0x3C00_0000..0x3C80_0000, 0x4200_0000..0x4280_0000],
        Chip::Esp32C6 | Chip::Esp32H2 => [0x4200_0000..0x4300_0000, 0x4200_0000..0x4300_0000],
        Chip::Esp32C5 | Chip::Esp32C61 => [0x4200_0000..0x4400_0000, 0x4200_0000..0x4400_0000],
        Chip::Esp32P4 => [0x4000_0000..0x4400_0000, 0x4000_0000..0x4400_0000],
    };
    image.segments.iter().any(|segment| {
        windows.iter().any(|window: &std::ops::Range<u32>| window.contains(&segment.address))
    })
}
