//! Encrypted NVS: what a device's driver does with each 32-byte entry.
//!
//! AES-256-XTS with the entry's byte offset in the partition as tweak; headers and bitmaps are plain. The
//! keys lie in a partition of their own, or are made of an HMAC key in the eFuses.

use std::fmt;

use aes::Aes256;
use aes::cipher::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use xts_mode::{Xts128, get_tweak_default};

use super::description::Encryption;
use super::nvs_error::NvsError;
use crate::chip::Chip;
use crate::layout::partitions::PartitionTable;

const PAGE: usize = 4096;
const ENTRY: usize = 32;
const BITMAP: std::ops::Range<usize> = 32..64;
/// Behind the header and the bitmap.
const FIRST_ENTRY: usize = 64;
const PAGE_EMPTY: [u8; 4] = [0xFF; 4];
const KEY: usize = 32;
/// `NVS_KEY_SIZE` twice and the CRC behind it.
const KEYS_AND_CRC: u32 = 68;
/// ESP-IDF's seeds of the HMAC scheme, eight times each.
const DATA_SEED: [u8; 4] = [0x5A, 0x5A, 0xBE, 0xAE];
const TWEAK_SEED: [u8; 4] = [0xA5, 0xA5, 0xDE, 0xCE];

/// The keys of one partition.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct NvsKeys([u8; 2 * KEY]);

impl fmt::Debug for NvsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NvsKeys(…)")
    }
}

impl NvsKeys {
    /// Finds the keys where the firmware was built to look for them.
    pub(super) fn find(
        encryption: &Encryption,
        table: &PartitionTable,
        chip: &Chip,
    ) -> Result<Self, NvsError> {
        match encryption {
            Encryption::NvsKeys { partition } => {
                let partition = table.labelled(partition).ok_or(NvsError::PartitionNotFound)?;
                let bytes = chip.flash.read(partition.offset, KEYS_AND_CRC);
                Self::in_partition(bytes.map_err(|_| NvsError::Corrupt)?)
            }
            Encryption::Hmac => {
                let key = chip.registers.efuse().hmac_key().ok_or(NvsError::KeysNotInitialized)?;
                Ok(Self::of_hmac(&key))
            }
        }
    }

    fn in_partition(bytes: &[u8]) -> Result<Self, NvsError> {
        let (keys, crc) = bytes.split_at(2 * KEY);
        if bytes.iter().all(|byte| *byte == 0xFF) {
            return Err(NvsError::KeysNotInitialized);
        }
        if crc != checksum(keys).to_le_bytes() {
            return Err(NvsError::Corrupt);
        }
        Ok(Self(keys.try_into().map_err(|_| NvsError::Corrupt)?))
    }

    fn of_hmac(key: &[u8; KEY]) -> Self {
        let mut keys = [0; 2 * KEY];
        for (half, seed) in keys.chunks_exact_mut(KEY).zip([DATA_SEED, TWEAK_SEED]) {
            let mut mac =
                <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("a key of any length");
            mac.update(&seed.repeat(8));
            half.copy_from_slice(&mac.finalize().into_bytes());
        }
        Self(keys)
    }

    /// The partition as the driver reads it.
    pub(super) fn decrypt(&self, bytes: &[u8]) -> Vec<u8> {
        let cipher = self.cipher();
        let mut plain = bytes.to_vec();
        for_each_entry(&mut plain, |offset, entry| {
            cipher.decrypt_sector(entry, get_tweak_default(offset as u128));
        });
        plain
    }

    /// The partition as it is written: an entry that did not change keeps its bytes.
    pub(super) fn encrypt(&self, plain: &[u8], before: &[u8]) -> Vec<u8> {
        let cipher = self.cipher();
        let unchanged = self.decrypt(before);
        let mut bytes = plain.to_vec();
        for_each_entry(&mut bytes, |offset, entry| {
            let place = offset..offset + ENTRY;
            if unchanged[place.clone()] == *entry && before[place.clone()] != [0xFF; ENTRY] {
                entry.copy_from_slice(&before[place]);
            } else {
                cipher.encrypt_sector(entry, get_tweak_default(offset as u128));
            }
        });
        bytes
    }

    fn cipher(&self) -> Xts128<Aes256> {
        let aes = |key: &[u8]| Aes256::new_from_slice(key).expect("each key has 32 bytes");
        Xts128::new(aes(&self.0[..KEY]), aes(&self.0[KEY..]))
    }
}

/// ESP-IDF's CRC-32 begins with all bits set, and inverts them once more than others do.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(u32::MAX);
    hasher.update(bytes);
    hasher.finalize()
}

/// Whether the bitmap calls an entry written.
fn is_written(bitmap: &[u8], number: usize) -> bool {
    bitmap[number / 4] >> (number % 4 * 2) & 0b11 == 0b10
}

/// Every entry that holds something, with its offset in the partition. One that is written may hold
/// nothing but ones, which is encrypted like any other content.
fn for_each_entry(bytes: &mut [u8], mut change: impl FnMut(usize, &mut [u8])) {
    for (index, page) in bytes.chunks_exact_mut(PAGE).enumerate() {
        if page[..4] == PAGE_EMPTY {
            continue;
        }
        let (head, entries) = page.split_at_mut(FIRST_ENTRY);
        for (number, entry) in entries.chunks_exact_mut(ENTRY).enumerate() {
            let holds = is_written(&head[BITMAP], number) || *entry != [0xFF; ENTRY];
            if holds {
                change(index * PAGE + FIRST_ENTRY + number * ENTRY, entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HMAC_VECTOR: &str = "813a141220ddb819f4d73d59fa3032ab9f592cc26a18cf1fde692f712b6a025c\
         b20ad6b6ddd1658a6e14d1b5b726e42356adf4ff2f68fcd8826ac2908408addf";

    #[test]
    fn what_did_not_change_keeps_its_bytes_and_what_was_never_written_stays_blank() {
        let keys = NvsKeys(std::array::from_fn(|at| at as u8));
        let mut plain = vec![0xFF; 2 * PAGE];
        plain[..4].copy_from_slice(&[0xFE, 0xFF, 0xFF, 0xFF]);
        plain[64..96].fill(1);
        let first = keys.encrypt(&plain, &vec![0xFF; 2 * PAGE]);
        assert_ne!(first[64..96], plain[64..96]);
        assert_eq!(keys.decrypt(&first), plain);
        plain[96..128].fill(2);
        let second = keys.encrypt(&plain, &first);
        assert_eq!(second[64..96], first[64..96]);
        assert_eq!(second[128..], first[128..]);
        assert_eq!(keys.decrypt(&second), plain);
    }

    #[test]
    fn a_written_entry_of_nothing_but_ones_is_encrypted_too() {
        let keys = NvsKeys(std::array::from_fn(|at| at as u8));
        let blank = vec![0xFF; PAGE];
        let mut plain = blank.clone();
        plain[..4].copy_from_slice(&[0xFE, 0xFF, 0xFF, 0xFF]);
        plain[32] = 0b1111_1110;
        let bytes = keys.encrypt(&plain, &blank);
        assert_ne!(bytes[64..96], [0xFF; ENTRY]);
        assert_eq!(bytes[96..], blank[96..]);
        assert_eq!(keys.decrypt(&bytes), plain);
        assert_eq!(keys.encrypt(&plain, &bytes), bytes);
    }

    /// The entry offsets, seeds and order of the halves, computed by another implementation.
    #[test]
    fn keys_of_the_hmac_scheme_are_those_of_esp_idf() {
        let keys = NvsKeys::of_hmac(&std::array::from_fn(|at| at as u8));
        let hex = crate::hex::hex(&keys.0);
        assert_eq!(hex, HMAC_VECTOR);
    }

    #[test]
    fn a_damaged_key_partition_is_refused() {
        let mut bytes = vec![7; 64];
        bytes.extend(checksum(&bytes).to_le_bytes());
        assert!(NvsKeys::in_partition(&bytes).is_ok());
        bytes[3] ^= 1;
        assert_eq!(NvsKeys::in_partition(&bytes), Err(NvsError::Corrupt));
        assert_eq!(NvsKeys::in_partition(&[0xFF; 68]), Err(NvsError::KeysNotInitialized));
    }
}
