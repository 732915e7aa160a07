//! The signature behind an application, in the form of ESP-IDF's secure boot version 2: a block of 1216 bytes in a
//! sector of its own.
//!
//! What signs is a stand-in: a MAC with a key that every firmware of this simulator has. A signature that can only be
//! verified with such a key would be none on a real unit; whether one is asked for shows all the same.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const SECTOR: usize = 0x1000;
const MAGIC: [u8; 4] = [0xE7, 2, 0, 0];
const DIGEST: std::ops::Range<usize> = 4..36;
const MAC: std::ops::Range<usize> = 812..844;
const BLOCK: usize = 1216;
const KEY: &[u8] = b"the simulator's author";

/// Why an image is not taken for the author's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsigned {
    /// There is none.
    #[error("secure_boot_v2: no signature block found")]
    Missing,
    /// It is another image's, or another author's.
    #[error("secure_boot_v2: signature verification failed")]
    Wrong,
}

/// The image, padded to a sector, with its signature behind it.
pub(super) fn sign(mut image: Vec<u8>) -> Vec<u8> {
    image.resize(image.len().next_multiple_of(SECTOR), 0xFF);
    let mut sector = vec![0xFF; SECTOR];
    sector[..BLOCK].fill(0);
    sector[..MAGIC.len()].copy_from_slice(&MAGIC);
    sector[DIGEST].copy_from_slice(&Sha256::digest(&image));
    sector[MAC].copy_from_slice(&mac(&image));
    image.extend(sector);
    image
}

/// Whether the author signed exactly this image.
pub(super) fn verify(image: &[u8]) -> Result<(), Unsigned> {
    let (signed, sector) =
        image.len().checked_sub(SECTOR).map(|at| image.split_at(at)).ok_or(Unsigned::Missing)?;
    if !sector.starts_with(&MAGIC) {
        return Err(Unsigned::Missing);
    }
    let own = sector[DIGEST] == Sha256::digest(signed)[..] && sector[MAC] == mac(signed);
    if own { Ok(()) } else { Err(Unsigned::Wrong) }
}

fn mac(image: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("a key of any length");
    mac.update(image);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_is_verified() {
        let signed = sign(vec![7; 5000]);
        assert_eq!(verify(&signed), Ok(()));
        assert_eq!(verify(&signed[..5000]), Err(Unsigned::Missing));
        assert_eq!(verify(&[7; 10]), Err(Unsigned::Missing));
        for at in [0, 4999, 5000, signed.len() - SECTOR + MAC.start] {
            let mut tampered = signed.clone();
            tampered[at] ^= 1;
            assert_eq!(verify(&tampered), Err(Unsigned::Wrong), "{at}");
        }
    }
}
