//! The station's key and what is sealed with it.
//!
//! ChaCha20-Poly1305 with a fresh random nonce for each sealing; the file's name is authenticated
//! with it, so that one unit's secrets cannot be passed off as another's.

use std::{fmt, path::Path};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use zeroize::Zeroizing;

use super::{
    StoreError,
    inventory::{self, Inventory},
    private, write_private,
};
use crate::secret::FingerprintKey;

const KEY_BYTES: usize = 32;
const FILE: &str = "station.key";

/// 32 bytes that never leave the state directory.
#[derive(Clone)]
pub(super) struct StationKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for StationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StationKey(..)")
    }
}

impl StationKey {
    /// The key of the state directory, made where no station was at work yet.
    pub(super) fn load_or_create(root: &Path) -> Result<Self, StoreError> {
        let _lock = super::lock(&root.join("station.lock"))?;
        let mut inventory = Inventory::open(root)?;
        let path = root.join(FILE);
        if !path.exists() {
            if inventory.has_traces() {
                return Err(inventory.refuse(FILE, "is gone"));
            }
            return Self::create(root, &mut inventory);
        }
        let bytes = private::read(&path)?;
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice())
            .map_err(|_| inventory.refuse(FILE, "does not hold 32 bytes"))?;
        let key = Self(Zeroizing::new(key));
        inventory.require(&[(FILE, key.check().as_ref())])?;
        Ok(key)
    }

    /// Makes a new key in the place of one that is lost, or is to be.
    pub(super) fn renew(root: &Path) -> Result<(), StoreError> {
        let _lock = super::lock(&root.join("station.lock"))?;
        let mut inventory = Inventory::open(root)?;
        inventory::set_aside(&root.join(FILE))?;
        Self::create(root, &mut inventory).map(drop)
    }

    fn create(root: &Path, inventory: &mut Inventory) -> Result<Self, StoreError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut()).map_err(StoreError::Random)?;
        write_private(&root.join(FILE), key.as_ref())?;
        let key = Self(key);
        inventory.renew(&[(FILE, key.check().as_ref())])?;
        Ok(key)
    }

    /// What tells this key from another one, and nothing of it.
    fn check(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.derive(b"check")
    }

    /// The key of fingerprints, which tells nothing of the sealing key.
    pub(super) fn fingerprints(&self) -> FingerprintKey {
        FingerprintKey::new(&self.derive(b"fingerprints"))
    }

    /// Nonce and ciphertext.
    pub(super) fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(StoreError::Random)?;
        let mut sealed = plain.to_vec();
        self.sealing_key()
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .expect("a ledger entry is far below the cipher's limit");
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// The plain bytes; `None` when they were changed, moved or sealed by another station.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(name.as_bytes());
        let length = self.sealing_key().open_in_place(nonce, aad, &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }

    fn sealing_key(&self) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, self.derive(b"sealing").as_ref());
        LessSafeKey::new(key.expect("the derived key has the cipher's length"))
    }

    fn derive(&self, purpose: &'static [u8]) -> Zeroizing<[u8; KEY_BYTES]> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"goldline station").extract(self.0.as_ref());
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        root.expand(&[purpose], hkdf::HKDF_SHA256)
            .and_then(|derived| derived.fill(key.as_mut()))
            .expect("32 bytes are within HKDF's limit");
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_station_and_name_open_it() {
        let (one, two) = (StationKey(Zeroizing::new([1; 32])), StationKey(Zeroizing::new([2; 32])));
        let sealed = one.seal("unit a", b"DeviceSecretKey").expect("sealed");
        assert!(!sealed.windows(15).any(|window| window == b"DeviceSecretKey"));
        assert_eq!(
            one.open("unit a", &sealed).as_deref().map(Vec::as_slice),
            Some(&b"DeviceSecretKey"[..])
        );
        assert!(one.open("unit b", &sealed).is_none());
        assert!(two.open("unit a", &sealed).is_none());
        assert!(one.open("unit a", &sealed[..20]).is_none());
    }
}
