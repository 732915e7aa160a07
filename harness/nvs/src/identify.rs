//! What a file is: an NVS image, plain or encrypted, a key file, or none.
//!
//! Decides by what a device writes and chance does not; says nothing of damage.

use std::fmt;

use crate::format::{self, EntryState, PageState, header, is_blank};
use crate::image::{Image, Page};
use crate::keys::{Keys, KeysError};
use crate::limits::PAGE_BYTES;

/// What bytes seem to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No bytes at all.
    Empty,
    /// Erased flash: an NVS partition before its first use, among others.
    Blank,
    /// An NVS image whose entries can be read.
    Nvs,
    /// An NVS image whose entries are noise under sound page headers:
    /// encrypted, or decrypted with a wrong key.
    EncryptedNvs,
    /// An `nvs_keys` partition.
    KeyPartition,
    /// An `nvs_keys` partition whose own CRC does not match.
    DamagedKeyPartition,
    /// 32 bytes: the length of an HMAC key.
    HmacKey,
    /// Less than a page, or no page that looks like NVS.
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Empty => "an empty file",
            Kind::Blank => "erased flash",
            Kind::Nvs => "an NVS image",
            Kind::EncryptedNvs => "an encrypted NVS image",
            Kind::KeyPartition => "a key partition",
            Kind::DamagedKeyPartition => "a damaged key partition",
            Kind::HmacKey => "an HMAC key",
            Kind::Other => "something else",
        })
    }
}

/// Says what `bytes` are.
pub fn identify(bytes: &[u8]) -> Kind {
    match bytes.len() {
        0 => return Kind::Empty,
        32 => return Kind::HmacKey,
        _ => {}
    }
    if is_blank(bytes) {
        return Kind::Blank;
    }
    if let Some(kind) = key_partition(bytes) {
        return kind;
    }
    match Image::decode(bytes) {
        Ok(image) => of_image(&image),
        Err(_) => Kind::Other,
    }
}

/// The same of an image that is decoded already, which is never a key file.
pub(crate) fn of_image(image: &Image<'_>) -> Kind {
    let pages = image.pages();
    if pages.iter().all(Page::is_blank) {
        return Kind::Blank;
    }
    if !pages.iter().any(looks_like_nvs) {
        return Kind::Other;
    }
    let has_sound_item = image.items().any(|item| item.fault.is_none());
    match !has_sound_item && pages.iter().any(begins_with_noise) {
        true => Kind::EncryptedNvs,
        false => Kind::Nvs,
    }
}

/// 64 bytes of keys, 4 of CRC, nothing else.
pub(crate) fn key_partition(bytes: &[u8]) -> Option<Kind> {
    const WITH_CRC: usize = 68;
    let is_shaped = bytes.len() == PAGE_BYTES && is_blank(&bytes[WITH_CRC..]);
    if !is_shaped || PageState::from_word(format::read_u32(bytes, 0)).holds_items() {
        return None;
    }
    match Keys::from_partition(bytes) {
        Ok(_) => Some(Kind::KeyPartition),
        Err(KeysError::Crc { .. }) => Some(Kind::DamagedKeyPartition),
        Err(_) => None,
    }
}

/// A state that devices write, and either a sound header or its blank bytes.
pub(crate) fn looks_like_nvs(page: &Page<'_>) -> bool {
    let state_is_known = page.state().is_written();
    let reserved = &page.bytes()[header::VERSION + 1..header::CRC];
    let has_header = page.stored_crc() == page.computed_crc() || is_blank(reserved);
    (state_is_known && has_header) || page.items().iter().any(|item| item.fault.is_none())
}

/// Whether the first written entry cannot be a header, not even a damaged one:
/// of a plain header the type is known and the key's last byte is NUL.
fn begins_with_noise(page: &Page<'_>) -> bool {
    if !page.state().holds_items() {
        return false;
    }
    let first =
        page.entries().find(|entry| entry.state == EntryState::Written && !is_blank(entry.bytes));
    first.is_some_and(|entry| {
        let is_known = !matches!(entry.item_type(), crate::ItemType::Unknown(_));
        !is_known || entry.key().field()[15] != 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Value, Version, crypt, generate};

    fn image() -> Vec<u8> {
        let mut document = Document::new();
        document.insert("ns", "key", Value::str("value")).unwrap();
        generate(&document, 0x3000, Version::V2).unwrap()
    }

    #[test]
    fn files_are_told_apart() {
        let keys = Keys::new([9; 64]);
        let mut damaged_keys = keys.to_partition().to_vec();
        damaged_keys[1] ^= 4;
        assert_eq!(identify(&[]), Kind::Empty);
        assert_eq!(identify(&[0xFF; 0x3000]), Kind::Blank);
        assert_eq!(identify(&image()), Kind::Nvs);
        assert_eq!(identify(&crypt::encrypt(&image(), &keys)), Kind::EncryptedNvs);
        assert_eq!(identify(&keys.to_partition()), Kind::KeyPartition);
        assert_eq!(identify(&damaged_keys), Kind::DamagedKeyPartition);
        assert_eq!(identify(&[1; 32]), Kind::HmacKey);
        assert_eq!(identify(&[1; 100]), Kind::Other);
        assert_eq!(identify(&[0xE9; 0x3000]), Kind::Other);
    }

    #[test]
    fn a_wrong_key_and_a_plain_image_are_told() {
        let encrypted = crypt::encrypt(&image(), &Keys::new([9; 64]));
        let decrypt = |bytes: &[u8], key| crypt::decrypt(bytes, &Keys::new([key; 64]));
        assert_eq!(decrypt(&encrypted, 9), Ok(image()));
        assert_eq!(decrypt(&encrypted, 8), Err(crypt::DecryptError::WrongKey));
        assert_eq!(decrypt(&image(), 9), Err(crypt::DecryptError::NotEncrypted));
        let other = crypt::DecryptError::NotNvs(Kind::Other);
        assert_eq!(decrypt(&[0xE9; 0x1000], 9), Err(other));
    }
}
