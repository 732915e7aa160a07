//! What a build says of its images, held against them: settings of the flash, and the ELF of the application.
//!
//! By content, never by the time of a file: an artifact of a CI is younger than what it was made of.

use sha2::{Digest, Sha256};

use super::{application::read, error::ImageError};
use crate::esp_image::EspImage;
use crate::{
    hex::hex,
    profile::{AppSource, BootloaderSource, BuildSays, Profile},
};

const MODES: [&str; 4] = ["qio", "qout", "dio", "dout"];

/// Whether the images are those that the build tells of.
pub(super) fn hold(profile: &Profile, bootloader: &[u8], app: &[u8]) -> Result<(), ImageError> {
    let Some(says) = &profile.images.build else { return Ok(()) };
    hold_settings(says, bootloader)?;
    hold_elf(says, app)
}

/// The same, with the images still in their files.
pub(super) fn inspect(profile: &Profile) -> Result<(), ImageError> {
    let images = &profile.images;
    let (Some(says), AppSource::File(app)) = (&images.build, &images.app) else { return Ok(()) };
    if let BootloaderSource::File(bootloader) = &images.bootloader {
        hold_settings(says, &read(bootloader)?)?;
    }
    hold_elf(says, &read(app)?)
}

fn hold_settings(says: &BuildSays, bootloader: &[u8]) -> Result<(), ImageError> {
    let Some(&[_, _, mode, size]) = bootloader.first_chunk() else { return Ok(()) };
    let mode = MODES.get(usize::from(mode)).map_or_else(|| mode.to_string(), |&mode| mode.into());
    let size = format!("{}MB", 1_u32 << (size >> 4));
    for (said, found) in [(&says.flash_mode, mode), (&says.flash_size, size)] {
        if let Some(said) = said
            && *said != found
        {
            return Err(ImageError::Settings { found, said: said.clone() });
        }
    }
    Ok(())
}

/// esptool writes into an application the SHA-256 of the ELF that it is made of; what is no whole image, or an
/// ELF itself, says nothing.
fn hold_elf(says: &BuildSays, app: &[u8]) -> Result<(), ImageError> {
    let Some(path) = &says.elf else { return Ok(()) };
    let image = EspImage::parse(app).ok();
    let Some(description) = image.as_ref().and_then(EspImage::description) else { return Ok(()) };
    let found = description.elf_digest;
    if found.iter().all(|byte| *byte == 0) || *found == Sha256::digest(read(&path.into())?)[..] {
        return Ok(());
    }
    Err(ImageError::OtherElf { elf: path.clone(), found: hex(found) })
}
