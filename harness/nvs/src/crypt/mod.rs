//! Encrypted partitions: keys and the transform of whole images.
//!
//! AES-256-XTS over each 32-byte entry, with the entry's byte offset in the
//! partition as tweak. Page headers and bitmaps stay plain. The same keys come
//! either from an `nvs_keys` partition or from an HMAC key in eFuse.
//!
//! Key material is zeroed when dropped and never printed. Random bytes come
//! from the caller: this crate has no source of its own.
//!
//! ```
//! use goldline_nvs::crypt::{Keys, decrypt, encrypt};
//! # use goldline_nvs::{Document, Value, Version, generate};
//! # let mut document = Document::new();
//! # document.insert("ns", "key", Value::U8(1))?;
//! # let plain = generate(&document, 0x3000, Version::V2)?;
//! # let from_the_system: [u8; 64] = std::array::from_fn(|at| at as u8);
//! let keys = Keys::new(from_the_system);
//! let image = encrypt(&plain, &keys);
//! // What goes into the nvs_keys partition of the device.
//! let partition = keys.to_partition();
//! assert_eq!(decrypt(&image, &Keys::from_partition(&partition)?)?, plain);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod xts;

use crate::format::{BITMAP_OFFSET, EntryState, PageState, bitmap_state, entry_offset, is_blank};
use crate::identify::{Kind, identify};
use crate::limits::{ENTRIES_PER_PAGE, ENTRY_BYTES, PAGE_BYTES};
use xts::Cipher;

pub use crate::keys::{HmacKey, Keys, KeysError};

/// Why an image is not decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Its entries are readable as they are.
    #[error("the image is not encrypted; read it without keys")]
    NotEncrypted,
    /// What comes out is noise as well.
    #[error(
        "these are not the keys of this image: nothing readable comes out; check which unit the key file belongs to"
    )]
    WrongKey,
    /// No page of it looks like NVS.
    #[error("this is {0}, not an NVS image; read the NVS partition")]
    NotNvs(Kind),
}

/// Encrypts every written entry of a plain image, as the reference generator
/// and the device do.
///
/// An image must be encrypted for the partition's start: the tweak counts from
/// there. Bytes behind the last whole page stay as they are.
pub fn encrypt(plain: &[u8], keys: &Keys) -> Vec<u8> {
    let cipher = Cipher::new(keys);
    transform(plain, |offset, state, entry| {
        if state == EntryState::Written || !is_blank(entry) {
            cipher.encrypt(offset, entry);
        }
    })
}

/// Decrypts a whole image. Entries never written stay blank.
///
/// # Errors
/// The image is plain, is none, or the keys are not its keys. An image with
/// nothing written decrypts to itself.
pub fn decrypt(bytes: &[u8], keys: &Keys) -> Result<Vec<u8>, DecryptError> {
    match identify(bytes) {
        Kind::EncryptedNvs | Kind::Blank => {}
        Kind::Nvs => return Err(DecryptError::NotEncrypted),
        other => return Err(DecryptError::NotNvs(other)),
    }
    let cipher = Cipher::new(keys);
    let plain = transform(bytes, |offset, _, entry| {
        if !is_blank(entry) {
            cipher.decrypt(offset, entry);
        }
    });
    match identify(&plain) {
        Kind::EncryptedNvs => Err(DecryptError::WrongKey),
        _ => Ok(plain),
    }
}

/// Applies `change` to the entries of all pages in use, given their offsets.
fn transform(
    bytes: &[u8],
    mut change: impl FnMut(usize, EntryState, &mut [u8; ENTRY_BYTES]),
) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let (pages, _) = out.as_chunks_mut::<PAGE_BYTES>();
    for (index, page) in pages.iter_mut().enumerate() {
        if PageState::from_word(crate::format::read_u32(page, 0)) == PageState::Empty {
            continue;
        }
        let bitmap =
            *page[BITMAP_OFFSET..].first_chunk().expect("a page is longer than its bitmap");
        for entry in 0..ENTRIES_PER_PAGE {
            let offset = entry_offset(entry);
            let content = page[offset..].first_chunk_mut().expect("126 entries fit a page");
            let state = bitmap_state(&bitmap, entry);
            change(index * PAGE_BYTES + offset, state, content);
        }
    }
    out
}
