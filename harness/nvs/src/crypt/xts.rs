//! AES-256-XTS of one entry. The ciphers zero their round keys when dropped.

use aes::Aes256;
use aes::cipher::KeyInit;
use xts_mode::{Xts128, get_tweak_default};

use super::Keys;
use crate::limits::ENTRY_BYTES;

pub(super) struct Cipher(Xts128<Aes256>);

impl Cipher {
    pub fn new(keys: &Keys) -> Self {
        let aes = |key: &[u8]| Aes256::new_from_slice(key).expect("each key has 32 bytes");
        Self(Xts128::new(aes(keys.data_key()), aes(keys.tweak_key())))
    }

    /// `offset` counts bytes from the partition's start.
    pub fn encrypt(&self, offset: usize, entry: &mut [u8; ENTRY_BYTES]) {
        self.0.encrypt_sector(entry, get_tweak_default(offset as u128));
    }

    /// `offset` counts bytes from the partition's start.
    pub fn decrypt(&self, offset: usize, entry: &mut [u8; ENTRY_BYTES]) {
        self.0.decrypt_sector(entry, get_tweak_default(offset as u128));
    }
}
