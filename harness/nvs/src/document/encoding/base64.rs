//! base64, canonical or as lenient as Python's decoder.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};

use super::EncodingError;
use crate::document::mode::Mode;

/// Line breaks and other white space never matter.
pub(super) fn decode(text: &[u8], mode: Mode) -> Result<Vec<u8>, EncodingError> {
    let kept: Vec<u8> = match mode {
        Mode::Strict => {
            let spaces = |byte: &&u8| !byte.is_ascii_whitespace();
            text.iter().filter(spaces).copied().collect()
        }
        Mode::Compat => lenient_base64(text),
    };
    STANDARD.decode(kept).map_err(|error| EncodingError::NotBase64 {
        // Not the library's own words, which quote a character of the value.
        reason: match error {
            DecodeError::InvalidByte(at, _) => format!("character {} is foreign", at + 1),
            DecodeError::InvalidLength(_) => "its length is wrong".to_owned(),
            DecodeError::InvalidLastSymbol { .. } => {
                "its last character has spare bits set".to_owned()
            }
            DecodeError::InvalidPadding => "its padding is wrong".to_owned(),
        },
    })
}

/// What Python's lenient decoder makes of a text: foreign characters skipped,
/// everything after complete padding ignored, unused last bits dropped.
fn lenient_base64(text: &[u8]) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::with_capacity(text.len());
    let mut pads = 0;
    for &byte in text {
        match byte {
            b'=' if kept.len() % 4 >= 2 => {
                pads += 1;
                if kept.len() % 4 + pads == 4 {
                    break;
                }
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                pads = 0;
                kept.push(byte);
            }
            _ => {}
        }
    }
    clear_unused_bits(&mut kept);
    kept.resize(kept.len() + pads, b'=');
    kept
}

/// Python ignores the bits of the last character that no byte uses; the strict
/// decoder behind does not.
fn clear_unused_bits(kept: &mut [u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let unused_mask = match kept.len() % 4 {
        2 => 0b11_0000,
        3 => 0b11_1100,
        _ => return,
    };
    let last = kept.last_mut().expect("two or three characters are left over");
    let index = ALPHABET.iter().position(|letter| letter == last);
    *last = ALPHABET[index.expect("only letters of the alphabet are kept") & unused_mask];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_is_canonical_and_compatible_is_lenient() {
        let strict = |text: &str| decode(text.as_bytes(), Mode::Strict);
        let lenient = |text: &str| decode(text.as_bytes(), Mode::Compat);
        assert_eq!(strict("TWFu\nTQ=="), Ok(b"ManM".to_vec()));
        assert!(strict("T-Q=").is_err());
        assert!(strict("TR==").is_err());
        assert_eq!(lenient("T-W*Fu"), Ok(b"Man".to_vec()));
        assert_eq!(lenient("TR==TWFu"), Ok(b"M".to_vec()));
        assert!(lenient("TWF").is_err());
    }
}
