//! Flash as the running chip sees it: through the cache, which decrypts when the fuses say so.
//!
//! A loader's reads go past the cache and show what is in the cells. Offsets are bytes from the
//! start of the flash chip.

use std::borrow::Cow;

use super::encryption::{ENCRYPTION_BLOCK, FlashCipher};
use crate::flash::{Nor, OutOfRange};

/// A look at the flash through the cache.
#[derive(Debug)]
pub struct MappedFlash<'a> {
    flash: &'a Nor,
    cipher: Option<FlashCipher>,
}

impl<'a> MappedFlash<'a> {
    /// Through a cache that decrypts what it reads, or one that does not.
    pub(crate) fn new(flash: &'a Nor, cipher: Option<FlashCipher>) -> Self {
        Self { flash, cipher }
    }

    /// Size of the flash chip in bytes.
    pub fn size(&self) -> u32 {
        self.flash.size()
    }

    /// Reads `length` bytes.
    pub fn read(&self, offset: u32, length: u32) -> Result<Cow<'a, [u8]>, OutOfRange> {
        let cells = self.flash.read(offset, length)?;
        let Some(cipher) = &self.cipher else {
            return Ok(Cow::Borrowed(cells));
        };
        let before = offset % ENCRYPTION_BLOCK as u32;
        let whole = (before + length).next_multiple_of(ENCRYPTION_BLOCK as u32);
        let mut blocks = self.flash.read(offset - before, whole)?.to_vec();
        cipher.decrypt(offset - before, &mut blocks);
        blocks.truncate((before + length) as usize);
        Ok(Cow::Owned(blocks.split_off(before as usize)))
    }
}
