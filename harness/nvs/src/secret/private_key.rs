//! Private keys, by how PEM and DER spell them, wherever they lie in some bytes.
//!
//! DER: PKCS#8 (RFC 5958), plain and encrypted, SEC 1 (RFC 5915), PKCS#1 (RFC 8017) and PKCS#12
//! (RFC 7292). Only the head is looked at, so that a key cut short is found too. A certificate and a
//! public key are none.

/// Labels of private keys in text end so (PKCS#8, SEC 1, PKCS#1, OpenSSH, encrypted; PGP; SSH2), or
/// their bodies begin so (OpenSSH's without its label, OpenVPN's).
const MARKS: [&[u8]; 5] = [
    b"PRIVATE KEY-----",
    b"PRIVATE KEY BLOCK-----",
    b"PRIVATE KEY ----",
    b"openssh-key-v1",
    b"OpenVPN Static key",
];
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// PBES2 and the older PBES1 share this arc, PKCS#5.
const PKCS5: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x05];
/// The sequence of a private key is longer than this.
const SHORTEST: usize = 24;

/// Where the first private key begins.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    let mark = |mark: &&[u8]| bytes.windows(mark.len()).position(|window| window == *mark);
    let marked = MARKS.iter().filter_map(mark).min();
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == SEQUENCE);
    let der = starts.map(|(at, _)| at).find(|at| is_key(&bytes[*at..]));
    marked.into_iter().chain(der).min()
}

/// Whether the bytes begin with a private key in DER.
fn is_key(bytes: &[u8]) -> bool {
    let Some((length, inside)) = header(bytes, SEQUENCE) else { return false };
    if length < SHORTEST {
        return false;
    }
    is_encrypted(inside) || has_version(inside)
}

/// EncryptedPrivateKeyInfo: an algorithm of PKCS#5 before anything else.
fn is_encrypted(inside: &[u8]) -> bool {
    let algorithm = header(inside, SEQUENCE).and_then(|(_, rest)| header(rest, OBJECT_IDENTIFIER));
    algorithm.is_some_and(|(_, oid)| oid.starts_with(PKCS5))
}

/// A version, and behind it what only a private key has there.
fn has_version(inside: &[u8]) -> bool {
    let [INTEGER, 1, version, rest @ ..] = inside else { return false };
    match version {
        // PKCS#8: an algorithm with its identifier; PKCS#1: the modulus, which is long.
        0 | 1 => match rest.first() {
            Some(&SEQUENCE) => {
                let algorithm = header(rest, SEQUENCE);
                algorithm.is_some_and(|(_, oid)| oid.first() == Some(&OBJECT_IDENTIFIER))
            }
            Some(&INTEGER) => header(rest, INTEGER).is_some_and(|(length, _)| length >= 64),
            // SEC 1: the key itself, of a curve's length.
            Some(&OCTET_STRING) => {
                let key = header(rest, OCTET_STRING);
                *version == 1 && key.is_some_and(|(length, _)| (20..=66).contains(&length))
            }
            _ => false,
        },
        // PKCS#12: its content's type follows.
        3 => header(rest, SEQUENCE).is_some_and(|(_, oid)| oid.first() == Some(&OBJECT_IDENTIFIER)),
        _ => false,
    }
}

/// The length that a DER element of this tag promises, and what there is of its content.
fn header(bytes: &[u8], tag: u8) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first != tag {
        return None;
    }
    let (&length, rest) = rest.split_first()?;
    match length {
        0..=0x7F => Some((usize::from(length), rest)),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest)),
        0x82 => rest
            .split_first_chunk()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heads of DER, each with what it is.
    fn heads() -> Vec<(&'static str, Vec<u8>)> {
        let filled = |head: &[u8], length: usize| {
            let mut bytes = head.to_vec();
            bytes.resize(length, 0x5A);
            bytes
        };
        let pkcs8_ec =
            [0x30, 0x81, 0x87, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
        let ed25519 = [0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let encrypted =
            [0x30, 0x81, 0xEC, 0x30, 0x57, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5, 0x0D];
        let pkcs12 = [0x30, 0x82, 9, 0x61, 2, 1, 3, 0x30, 0x82, 9, 0x27, 6, 9, 0x2A];
        vec![
            ("PKCS#8 EC", filled(&pkcs8_ec, 138)),
            ("PKCS#8 Ed25519", filled(&ed25519, 48)),
            ("SEC 1", filled(&[0x30, 0x77, 2, 1, 1, 4, 0x20], 121)),
            ("PKCS#1", filled(&[0x30, 0x82, 4, 0xA4, 2, 1, 0, 2, 0x82, 1, 1, 0], 1192)),
            ("encrypted PKCS#8", filled(&encrypted, 239)),
            ("PKCS#12", filled(&pkcs12, 2401)),
        ]
    }

    #[test]
    fn keys_are_found_wherever_they_lie_and_when_cut_short() {
        for (name, key) in heads() {
            assert_eq!(find(&key), Some(0), "{name}");
            assert_eq!(find(&[&[0x30; 5][..], &key].concat()), Some(5), "{name}");
            assert_eq!(find(&key[..20]), Some(0), "{name} cut short");
        }
        assert_eq!(find(b"xx-----BEGIN EC PRIVATE KEY-----\nAA"), Some(16));
        assert_eq!(find(b"-----BEGIN OPENSSH PRIVATE KEY-----"), Some(19));
        assert_eq!(find(b"-----BEGIN PGP PRIVATE KEY BLOCK-----"), Some(15));
        assert_eq!(find(b"openssh-key-v1\0\0"), Some(0));
    }

    #[test]
    fn certificates_public_keys_and_noise_are_none() {
        let certificate = [0x30, 0x82, 1, 0x90, 0x30, 0x82, 1, 0x36, 0xA0, 3, 2, 1, 2, 2, 0x14];
        let public = [0x30, 0x59, 0x30, 0x13, 6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1, 6, 8];
        let signature = [0x30, 0x45, 2, 0x21, 0, 0x5A, 0x5A, 2, 0x20, 0x5A];
        let rsa_public = [0x30, 0x82, 1, 0x0A, 2, 0x82, 1, 1, 0, 0x5A];
        for head in [&certificate[..], &public, &signature, &rsa_public] {
            let mut bytes = head.to_vec();
            bytes.resize(400, 0x5A);
            assert_eq!(find(&bytes), None, "{head:x?}");
        }
        assert_eq!(find(b"-----BEGIN PUBLIC KEY-----"), None);
        assert_eq!(find(&[0x30; 200]), None);
        let counting: Vec<u8> = (0..=255).collect();
        assert_eq!(find(&counting), None);
    }
}
