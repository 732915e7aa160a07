//! How the flash controller encrypts what it is handed for that, and decrypts what the chip runs.
//!
//! The ESP32 uses AES-256 backwards with a key that is mixed with the address; later chips use
//! AES-XTS over units of 128 bytes. Both count the bytes of what they encrypt from its end. Keys
//! are what the eFuses hold: blank ones make a key of zeros. Offsets are bytes from the start of
//! the flash chip.

use std::fmt;

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use xts_mode::{Xts128, get_tweak_default};

/// Smallest piece of flash that can be encrypted by itself.
pub(crate) const ENCRYPTION_BLOCK: usize = 16;
const XTS_UNIT: usize = 128;

/// The flash encryption of one chip with its key.
pub(crate) enum FlashCipher {
    /// AES-256 with a key that is mixed with the address.
    Tweaked {
        /// The key, as a key file has it.
        key: [u8; 32],
        /// One bit for each quarter of the key that is mixed.
        quarters: u32,
    },
    /// AES-XTS with two keys of 128 bits.
    Xts128(Box<Xts128<Aes128>>),
    /// AES-XTS with two keys of 256 bits.
    Xts256(Box<Xts128<Aes256>>),
}

impl fmt::Debug for FlashCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlashCipher")
    }
}

impl FlashCipher {
    pub(crate) fn xts_128(key: &[u8; 32]) -> Self {
        let half = |key: &[u8]| Aes128::new_from_slice(key).expect("half of 32 bytes is 16");
        Self::Xts128(Box::new(Xts128::new(half(&key[..16]), half(&key[16..]))))
    }

    pub(crate) fn xts_256(data_key: &[u8; 32], tweak_key: &[u8; 32]) -> Self {
        let cipher = |key: &[u8; 32]| Aes256::new(key.into());
        Self::Xts256(Box::new(Xts128::new(cipher(data_key), cipher(tweak_key))))
    }

    /// Encrypts whole blocks that belong at `offset`, which is where a block begins.
    pub(crate) fn encrypt(&self, offset: u32, data: &mut [u8]) {
        match self {
            Self::Tweaked { key, quarters } => {
                in_tweaked_blocks(key, *quarters, offset, data, |cipher, block| {
                    cipher.decrypt_block(block.into());
                });
            }
            Self::Xts128(cipher) => in_xts_units(offset, data, |unit, address| {
                cipher.encrypt_sector(unit, get_tweak_default(address));
            }),
            Self::Xts256(cipher) => in_xts_units(offset, data, |unit, address| {
                cipher.encrypt_sector(unit, get_tweak_default(address));
            }),
        }
    }

    /// Decrypts whole blocks that were read at `offset`, which is where a block begins.
    pub(crate) fn decrypt(&self, offset: u32, data: &mut [u8]) {
        match self {
            Self::Tweaked { key, quarters } => {
                in_tweaked_blocks(key, *quarters, offset, data, |cipher, block| {
                    cipher.encrypt_block(block.into());
                });
            }
            Self::Xts128(cipher) => in_xts_units(offset, data, |unit, address| {
                cipher.decrypt_sector(unit, get_tweak_default(address));
            }),
            Self::Xts256(cipher) => in_xts_units(offset, data, |unit, address| {
                cipher.decrypt_sector(unit, get_tweak_default(address));
            }),
        }
    }
}

/// Gives each block to `change`, backwards and together with the cipher of its place.
fn in_tweaked_blocks(
    key: &[u8; 32],
    quarters: u32,
    offset: u32,
    data: &mut [u8],
    change: impl Fn(&Aes256, &mut [u8; ENCRYPTION_BLOCK]),
) {
    let (blocks, _) = data.as_chunks_mut();
    for (index, block) in blocks.iter_mut().enumerate() {
        let at = offset + (index * ENCRYPTION_BLOCK) as u32;
        let cipher = Aes256::new(&tweaked_key(key, quarters, at).into());
        block.reverse();
        change(&cipher, block);
        block.reverse();
    }
}

/// Mixes bits 5 to 23 of an address into the key, over and over from its highest bit.
///
/// The count starts anew at each quarter; the quarters have 67, 65, 63 and 61 bits.
fn tweaked_key(key: &[u8; 32], quarters: u32, address: u32) -> [u8; 32] {
    const HIGHEST: u32 = 23;
    const LOWEST: u32 = 5;
    let mut key = *key;
    let mut position = 0;
    for quarter in 0..4 {
        let run = (LOWEST..=HIGHEST).rev();
        let last_run = (LOWEST..=14 - 2 * quarter).rev();
        for bit in run.clone().chain(run.clone()).chain(run).chain(last_run) {
            let mixed = (address >> bit) & (quarters >> quarter) & 1;
            key[position / 8] ^= (mixed as u8) << (7 - position % 8);
            position += 1;
        }
    }
    key
}

/// Gives each unit that `data` touches to `change`, together with its address.
fn in_xts_units(offset: u32, data: &mut [u8], change: impl Fn(&mut [u8; XTS_UNIT], u128)) {
    let mut start = offset as usize % XTS_UNIT;
    let mut unit_offset = offset as usize - start;
    let mut rest = data;
    while !rest.is_empty() {
        let length = rest.len().min(XTS_UNIT - start);
        let (part, behind) = rest.split_at_mut(length);
        let mut unit = [0; XTS_UNIT];
        unit[start..start + length].copy_from_slice(part);
        unit.reverse();
        change(&mut unit, unit_offset as u128);
        unit.reverse();
        part.copy_from_slice(&unit[start..start + length]);
        (start, unit_offset, rest) = (0, unit_offset + XTS_UNIT, behind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";

    fn ciphers() -> [FlashCipher; 3] {
        [
            FlashCipher::Tweaked { key: KEY, quarters: 0xF },
            FlashCipher::xts_128(&KEY),
            FlashCipher::xts_256(&KEY, &[7; 32]),
        ]
    }

    #[test]
    fn pieces_encrypt_as_the_whole_does() {
        for cipher in ciphers() {
            let mut whole: Vec<u8> = (0..=255).collect();
            let mut pieces = whole.clone();
            cipher.encrypt(0x1_0050, &mut whole);
            cipher.encrypt(0x1_0050, &mut pieces[..0x20]);
            cipher.encrypt(0x1_0070, &mut pieces[0x20..]);
            assert_eq!(whole, pieces);
        }
    }

    #[test]
    fn what_was_encrypted_is_decrypted_at_its_own_place_only() {
        for cipher in ciphers() {
            let plain: Vec<u8> = (0..=255).collect();
            let mut data = plain.clone();
            cipher.encrypt(0x1_0050, &mut data);
            assert_ne!(data, plain);
            let mut elsewhere = data.clone();
            cipher.decrypt(0x1_0050, &mut data);
            cipher.decrypt(0x1_0070, &mut elsewhere);
            assert_eq!(data, plain);
            assert_ne!(elsewhere, plain);
        }
    }

    #[test]
    fn the_same_bytes_differ_from_place_to_place() {
        for cipher in ciphers() {
            let (mut here, mut there) = ([0; 16], [0; 16]);
            cipher.encrypt(0x1000, &mut here);
            cipher.encrypt(0x8000, &mut there);
            assert_ne!(here, there);
        }
    }

    #[test]
    fn a_key_of_which_no_quarter_is_mixed_encrypts_alike_everywhere() {
        let cipher = FlashCipher::Tweaked { key: [0; 32], quarters: 0 };
        let mut blocks = [0; 64];
        cipher.encrypt(0x1000, &mut blocks);
        assert_ne!(blocks[..16], [0; 16]);
        assert!(blocks.chunks(16).all(|block| *block == blocks[..16]));
    }

    #[test]
    fn each_quarter_mixes_its_own_bits_of_the_key() {
        let mixed = |quarters| tweaked_key(&[0; 32], quarters, u32::MAX);
        let ones = |quarters: u32| mixed(quarters).iter().map(|b| b.count_ones()).sum::<u32>();
        assert_eq!([1, 2, 4, 8].map(ones), [67, 65, 63, 61]);
        assert_eq!(mixed(0xF), [0xFF; 32]);
        // The highest bit of the key is mixed with the highest bit of the address.
        assert_eq!(tweaked_key(&[0; 32], 1, 1 << 23)[..4], [0x80, 0, 0x10, 0]);
    }
}
