//! Images that a unit must refuse, made of a good one: each is wrong in one thing, and as whole as it can be without
//! the author's key.
//!
//! Must not know who is offered one.

use sha2::{Digest, Sha256};

use crate::esp_image::{Damage, EspImage};
use crate::profile::BadImage;

const CHIP_ID: std::ops::Range<usize> = 12..14;
const ESP32: [u8; 2] = [0, 0];
const ESP32_C3: [u8; 2] = [5, 0];
/// Of `esp_app_desc_t`, behind the image's header, the header of its first segment and the magic word.
const SECURE_VERSION: std::ops::Range<usize> = 36..40;
const BYTES_OF_PADDING: [u8; 2] = [0x00, 0xFF];

/// A bad image cannot be made of this one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotSpoilt {
    /// It is none.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// There is no signature to leave out.
    #[error("it carries no signature that could be left out; take unsigned out of [ota] refuses")]
    NotSigned,
    /// None is older.
    #[error(
        "its secure version is 0, and none is smaller; build it with a greater one, or take older out of [ota] refuses"
    )]
    FirstVersion,
}

/// The image with one thing wrong.
///
/// # Errors
/// [`NotSpoilt`] when it is no image, or has not what is to be wrong.
pub fn spoilt(good: &[u8], bad: BadImage) -> Result<Vec<u8>, NotSpoilt> {
    let image = EspImage::parse(good)?;
    let mut bytes = good.to_vec();
    match bad {
        BadImage::Tampered => bytes[image.checksum_at / 2] ^= 1,
        BadImage::Unsigned => {
            if bytes[image.end..].iter().all(|byte| BYTES_OF_PADDING.contains(byte)) {
                return Err(NotSpoilt::NotSigned);
            }
            bytes.truncate(image.end);
        }
        BadImage::WrongChip => {
            let other = if bytes[CHIP_ID] == ESP32 { ESP32_C3 } else { ESP32 };
            bytes[CHIP_ID].copy_from_slice(&other);
            digest_again(&image, &mut bytes);
        }
        BadImage::Older => {
            let word = |bytes: &[u8]| {
                u32::from_le_bytes([0, 1, 2, 3].map(|at| bytes[SECURE_VERSION.start + at]))
            };
            let known = word(&bytes).checked_sub(1).filter(|_| image.is_application());
            let older = known.ok_or(NotSpoilt::FirstVersion)?;
            let changed = word(&bytes) ^ older;
            bytes[SECURE_VERSION].copy_from_slice(&older.to_le_bytes());
            bytes[image.checksum_at] ^=
                changed.to_le_bytes().iter().fold(0, |sum, byte| sum ^ byte);
            digest_again(&image, &mut bytes);
        }
    }
    Ok(bytes)
}

fn digest_again(image: &EspImage<'_>, bytes: &mut [u8]) {
    if image.hashed {
        let at = image.checksum_at + 1;
        let digest = Sha256::digest(&bytes[..at]);
        bytes[at..image.end].copy_from_slice(&digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{image::FlashImages, profile::find};

    fn update() -> Vec<u8> {
        let profile = find("ble-gateway", None).expect("it ships");
        let ca = rcgen::generate_simple_self_signed(Vec::new()).expect("a certificate").cert.pem();
        FlashImages::build(&profile, &ca).expect("its images").updates.swap_remove(0)
    }

    /// What is wrong with it is the one thing that it is named after.
    #[test]
    fn each_bad_image_is_whole_but_for_one_thing() {
        let good = update();
        let read = |bad| spoilt(&good, bad).expect("it can be made");
        assert!(EspImage::parse(&read(BadImage::Tampered)).is_err());
        let chip = EspImage::parse(&good).expect("sound").chip_id;
        let wrong = read(BadImage::WrongChip);
        assert_ne!(EspImage::parse(&wrong).expect("sound").chip_id, chip);
        let older = read(BadImage::Older);
        assert!(EspImage::parse(&older).expect("sound").is_application());
        assert_eq!(older[SECURE_VERSION.start] + 1, good[SECURE_VERSION.start]);
        let unsigned = read(BadImage::Unsigned);
        assert!(EspImage::parse(&unsigned).is_ok() && good.starts_with(&unsigned));
        assert_eq!(spoilt(&unsigned, BadImage::Unsigned), Err(NotSpoilt::NotSigned));
        assert_eq!(spoilt(&older, BadImage::Older), Err(NotSpoilt::FirstVersion));
    }
}
