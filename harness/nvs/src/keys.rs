//! Keys of an encrypted partition and the files they come in.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::format::{crc32, is_blank, read_u32};
use crate::limits::PAGE_BYTES;

/// Encryption key and tweak key.
const KEYS_BYTES: usize = 64;
const HMAC_KEY_BYTES: usize = 32;

/// The two AES-256 keys of a partition: for the data and for the tweak.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Keys([u8; KEYS_BYTES]);

/// The key in eFuse from which the HMAC scheme derives [`Keys`].
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct HmacKey([u8; HMAC_KEY_BYTES]);

/// Why bytes are not the key file they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// 32 bytes where a key partition is expected.
    #[error("these 32 bytes are an HMAC key, not a key partition; give them as the HMAC key")]
    IsHmacKey,
    /// A key partition where an HMAC key is expected.
    #[error("this is a key partition, not an HMAC key of 32 bytes; give it as the key file")]
    IsKeyPartition,
    /// Too short for a key partition.
    #[error(
        "the file has {bytes} bytes; a key file is an `nvs_keys` partition, 4096 bytes: 64 of keys, their CRC, then 0xFF (68 bytes are the least); look for the whole file, and keep this one until it is found"
    )]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// Erased: the device would generate keys at its first boot.
    #[error(
        "the key partition is erased, the device has not generated its keys yet; boot it once or generate keys"
    )]
    Blank,
    /// The keys' own CRC does not match.
    #[error(
        "the key file's CRC is {stored:08x}, its keys have {computed:08x}; the file is damaged, take another copy"
    )]
    Crc {
        /// In the file.
        stored: u32,
        /// Of its keys.
        computed: u32,
    },
    /// Not of an HMAC key's length.
    #[error("the HMAC key has {bytes} bytes, it must have 32")]
    HmacKeyLength {
        /// Its length.
        bytes: usize,
    },
}

impl Keys {
    /// Keys from 64 bytes: the data key, then the tweak key. For new keys these
    /// must come from the operating system's CSPRNG.
    pub const fn new(bytes: [u8; KEYS_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads an `nvs_keys` partition or the reference's key file, which is one.
    ///
    /// # Errors
    /// The bytes are something else, or the keys' CRC does not match.
    pub fn from_partition(bytes: &[u8]) -> Result<Self, KeysError> {
        if bytes.len() == HMAC_KEY_BYTES {
            return Err(KeysError::IsHmacKey);
        }
        let Some(keys) = bytes.first_chunk::<{ KEYS_BYTES + 4 }>() else {
            let bytes = bytes.len();
            return Err(KeysError::TooShort { bytes });
        };
        if is_blank(keys) {
            return Err(KeysError::Blank);
        }
        let (stored, computed) = (read_u32(keys, KEYS_BYTES), crc32(&keys[..KEYS_BYTES]));
        if stored != computed {
            return Err(KeysError::Crc { stored, computed });
        }
        let mut copy = Self([0; KEYS_BYTES]);
        copy.0.copy_from_slice(&keys[..KEYS_BYTES]);
        Ok(copy)
    }

    /// The `nvs_keys` partition, 4096 bytes: the keys, their CRC, then 0xFF.
    pub fn to_partition(&self) -> Zeroizing<Vec<u8>> {
        let mut partition = Zeroizing::new(vec![0xFF; PAGE_BYTES]);
        partition[..KEYS_BYTES].copy_from_slice(&self.0);
        let crc = crc32(&self.0).to_le_bytes();
        partition[KEYS_BYTES..KEYS_BYTES + crc.len()].copy_from_slice(&crc);
        partition
    }

    pub(crate) fn data_key(&self) -> &[u8] {
        &self.0[..KEYS_BYTES / 2]
    }

    pub(crate) fn tweak_key(&self) -> &[u8] {
        &self.0[KEYS_BYTES / 2..]
    }
}

impl HmacKey {
    /// The key as it is burned into eFuse, byte for byte. A new one must come
    /// from the operating system's CSPRNG.
    ///
    /// # Errors
    /// Not 32 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, KeysError> {
        match bytes.try_into() {
            Ok(key) => Ok(Self(key)),
            Err(_) if Keys::from_partition(bytes).is_ok() => Err(KeysError::IsKeyPartition),
            Err(_) => Err(KeysError::HmacKeyLength { bytes: bytes.len() }),
        }
    }

    /// The partition keys that the device derives from it.
    pub fn derive(&self) -> Keys {
        const DATA_SEED: [u8; 4] = [0x5A, 0x5A, 0xBE, 0xAE];
        const TWEAK_SEED: [u8; 4] = [0xA5, 0xA5, 0xDE, 0xCE];
        let mut keys = Keys([0; KEYS_BYTES]);
        let (data, tweak) = keys.0.split_at_mut(KEYS_BYTES / 2);
        self.hmac(DATA_SEED, data);
        self.hmac(TWEAK_SEED, tweak);
        keys
    }

    fn hmac(&self, seed: [u8; 4], out: &mut [u8]) {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0)
            .expect("HMAC takes a key of any length");
        mac.update(&seed.repeat(8));
        let mut derived = mac.finalize().into_bytes();
        out.copy_from_slice(&derived);
        derived.zeroize();
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_partition_survives_a_round_trip() {
        let keys = Keys::new(std::array::from_fn(|index| index as u8));
        let partition = keys.to_partition();
        assert_eq!(partition.len(), 4096);
        assert_eq!(Keys::from_partition(&partition), Ok(keys));
    }

    #[test]
    fn a_wrong_file_is_named() {
        let keys = Keys::new([7; 64]);
        let mut damaged = keys.to_partition();
        damaged[3] ^= 1;
        let read = |bytes: &[u8]| Keys::from_partition(bytes).unwrap_err();
        assert!(matches!(read(&damaged), KeysError::Crc { .. }));
        assert_eq!(read(&[0; 32]), KeysError::IsHmacKey);
        assert_eq!(read(&[0; 64]), KeysError::TooShort { bytes: 64 });
        let message = read(&[0; 64]).to_string();
        assert!(
            message.starts_with("the file has 64 bytes; a key file is an `nvs_keys` partition")
        );
        assert!(!message.contains("generate"), "new keys open no image that there is: {message}");
        assert_eq!(read(&[0xFF; 4096]), KeysError::Blank);
        let hmac = |bytes: &[u8]| HmacKey::new(bytes).unwrap_err();
        assert_eq!(hmac(&keys.to_partition()), KeysError::IsKeyPartition);
        assert_eq!(hmac(&[0; 31]), KeysError::HmacKeyLength { bytes: 31 });
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Keys::new([7; 64])), "Keys(…)");
        let hmac = HmacKey::new(&[7; 32]).unwrap();
        assert_eq!(format!("{hmac:?}"), "HmacKey(…)");
    }
}
