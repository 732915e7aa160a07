//! Applications that are whole, and not the product's: another version, another chip.

use sha2::{Digest, Sha256};

use crate::{esp_image::EspImage, image::spoilt, profile::BadImage};

/// Of `esp_app_desc_t`, behind the image's header, the header of its first segment and three words.
const VERSION: usize = 48;

/// The image for another chip, whole otherwise; `None` of what is no image.
pub(super) fn for_another_chip(image: &[u8]) -> Option<Vec<u8>> {
    let image = &image[..EspImage::at_start_of(image).ok()?.end];
    spoilt(image, BadImage::WrongChip).ok()
}

/// The image of an earlier version, whole otherwise; `None` of what ESP-IDF did not build.
pub(super) fn of_another_version(image: &[u8]) -> Option<Vec<u8>> {
    let parsed = EspImage::at_start_of(image).ok()?;
    parsed.description()?;
    let mut bytes = image[..parsed.end].to_vec();
    let other = match bytes[VERSION] {
        b'0' => b'1',
        _ => b'0',
    };
    bytes[parsed.checksum_at] ^= bytes[VERSION] ^ other;
    bytes[VERSION] = other;
    if parsed.hashed {
        let end = parsed.checksum_at + 1;
        let digest = Sha256::digest(&bytes[..end]);
        bytes[end..parsed.end].copy_from_slice(&digest);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::FlashImages, profile::find};

    #[test]
    fn the_other_images_are_whole() {
        let profile = find("espvault", None).expect("it ships");
        let ca = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate").cert.pem();
        let FlashImages { app, bootloader, .. } =
            FlashImages::build(&profile, &ca).expect("its images");
        let version = |bytes: &[u8]| {
            let image = EspImage::at_start_of(bytes).expect("whole");
            String::from_utf8_lossy(image.description().expect("an application").version)
                .trim_end_matches('\0')
                .to_owned()
        };
        assert_eq!(version(&app), "1.4.2");
        assert_eq!(version(&of_another_version(&app).expect("it can be made")), "0.4.2");
        let chip = |bytes: &[u8]| EspImage::at_start_of(bytes).expect("whole").chip_id;
        for image in [&app, &bootloader] {
            assert_ne!(chip(&for_another_chip(image).expect("it can be made")), chip(image));
        }
        assert!(of_another_version(&bootloader).is_none());
    }
}
