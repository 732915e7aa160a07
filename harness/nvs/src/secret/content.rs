//! Bytes → the secret that they show by themselves, whatever their name.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};

use super::{Reason, credentials, private_key, text};

/// Shorter texts in base64 or hexadecimal digits hold no key and no record.
const ENCODED_MIN: usize = 40;

/// The first secret of each kind in bytes of any kind, with its place: in a value, an erased entry,
/// the slack of a page.
pub(super) fn find(bytes: &[u8]) -> Vec<(usize, Reason)> {
    let mut found = direct(bytes);
    for (at, decoded) in encoded(bytes) {
        found.extend(direct(&decoded).into_iter().map(|(_, reason)| (at, reason)));
    }
    found
}

/// Strongest first.
fn direct(bytes: &[u8]) -> Vec<(usize, Reason)> {
    let credentials = credentials::find(bytes).map(|passphrase| passphrase.start);
    let kinds = [
        (private_key::find(bytes), Reason::PrivateKey),
        (credentials, Reason::WifiCredentials),
        (text::find_token(bytes), Reason::Token),
        (text::find_url_password(bytes), Reason::UrlPassword),
        (text::find_named_secret(bytes), Reason::NamedValue),
    ];
    kinds.into_iter().filter_map(|(at, reason)| Some((at?, reason))).collect()
}

/// Runs of base64 or hexadecimal digits, over line ends, decoded. A run begins where the characters
/// of one do, behind an `=` and at each line, since words may stand before it.
fn encoded(text: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let is_of_run = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(byte);
    let mut at = 0;
    let runs = text.chunk_by(move |a, b| is_of_run(a) == is_of_run(b)).map(move |run| {
        let start = at;
        at += run.len();
        (start, run)
    });
    runs.filter(|(_, run)| run.len() >= ENCODED_MIN).flat_map(|(at, run)| {
        // Padding ends a run, so what stands behind an equals sign is another.
        let begins = |from: &usize| match from.checked_sub(1).map(|before| run[before]) {
            None => true,
            Some(before) => b"=\n\r".contains(&before) && run[*from].is_ascii_alphanumeric(),
        };
        let starts: Vec<usize> = (0..run.len()).filter(begins).take(STARTS_MAX).collect();
        let decoded = starts.into_iter().flat_map(move |from| {
            let end = run[from..].iter().position(|byte| *byte == b'=');
            let digits = &run[from..end.map_or(run.len(), |end| from + end)];
            decoded(digits).into_iter().map(move |bytes| (at + from, bytes))
        });
        decoded.collect::<Vec<_>>()
    })
}

/// Lines before a key that are looked behind; more would cost time and hold no words.
const STARTS_MAX: usize = 8;

/// In hexadecimal digits, and in both alphabets of base64.
fn decoded(run: &[u8]) -> Vec<Vec<u8>> {
    let digits: Vec<u8> = run.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if digits.len() < ENCODED_MIN {
        return Vec::new();
    }
    if let Some(bytes) = hexadecimal(digits.strip_prefix(b"0x").unwrap_or(&digits)) {
        return vec![bytes];
    }
    // A text cut short has no padding, and its last character may be half used.
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabets = [&alphabet::STANDARD, &alphabet::URL_SAFE];
    let foreign: [&[u8]; 2] = [b"-_", b"+/"];
    let decode = |(alphabet, foreign): (&alphabet::Alphabet, &[u8])| {
        let end = digits.iter().position(|byte| foreign.contains(byte)).unwrap_or(digits.len());
        let whole = &digits[..end / 4 * 4];
        GeneralPurpose::new(alphabet, config).decode(whole).ok()
    };
    alphabets.into_iter().zip(foreign).filter_map(decode).collect()
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, _half) = digits.as_chunks::<2>();
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

/// Whether bytes of unknown meaning may be a secret: text in a record, or what looks drawn by lot.
pub(super) fn is_opaque(bytes: &[u8]) -> bool {
    !is_text(bytes) && !is_certificate(bytes) && (holds_text(bytes) || looks_random(bytes))
}

/// Whether a text is nothing but hexadecimal digits or base64 of what may be a key: of a usual length,
/// or the body of a longer one without its label. A certificate is none.
pub(super) fn is_encoded_key(text: &str) -> bool {
    const LENGTHS: [usize; 4] = [16, 24, 32, 64];
    const LONG: usize = 40;
    let text = text.replace("\\n", "");
    let digits: Vec<u8> =
        text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').collect();
    let apart: Vec<u8> = digits.iter().copied().filter(|byte| *byte != b':').collect();
    let of_hex = hexadecimal(&apart).filter(|_| apart.len().is_multiple_of(2));
    let engine = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let whole = || engine.decode(&digits).ok();
    // Cut short, its last characters may stand for less than a byte.
    let cut = || engine.decode(&digits[..digits.len() / 4 * 4]).ok();
    let key = of_hex.or_else(whole).or_else(cut);
    let is_long_enough = |key: &[u8]| LENGTHS.contains(&key.len()) || key.len() >= LONG;
    key.is_some_and(|key| is_long_enough(&key) && looks_random(&key) && !is_certificate(&key))
}

/// Whether it is a text, with a NUL behind it or without: what it tells is judged as such. One that
/// fills a larger field, as a passphrase does, and one behind its length are none.
fn is_text(bytes: &[u8]) -> bool {
    const PASSPHRASE: std::ops::RangeInclusive<usize> = 8..=64;
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let padding = &bytes[text.len()..];
    // As long as the field of a passphrase is, with its NUL or without.
    let is_a_field = [64, 65].contains(&bytes.len());
    let fills_a_field = (padding.len() > 1 || is_a_field) && PASSPHRASE.contains(&text.len());
    let is_padded = padding.iter().all(|byte| *byte == 0) && !fills_a_field;
    let begins = text.first().is_some_and(|first| *first >= b' ' || *first == b'\n');
    is_padded
        && begins
        && std::str::from_utf8(text)
            .is_ok_and(|text| text.chars().all(|c| !c.is_control() || "\n\r\t".contains(c)))
}

/// A run as long as the shortest passphrase, in UTF-8 or in UTF-16.
fn holds_text(bytes: &[u8]) -> bool {
    const SHORTEST: usize = 8;
    let is_long =
        |text: &str| text.split(char::is_control).any(|run| run.chars().count() >= SHORTEST);
    let is_wide = |window: &[u8; 2 * SHORTEST]| {
        window.chunks(2).all(|pair| (b' '..=b'~').contains(&pair[0]) && pair[1] == 0)
    };
    bytes.utf8_chunks().any(|chunk| is_long(chunk.valid())) || bytes.array_windows().any(is_wide)
}

/// Sixteen bytes or more, nearly all different: a key looks so, a counter and a table do not.
fn looks_random(bytes: &[u8]) -> bool {
    const KEY_MIN: usize = 16;
    if bytes.len() < KEY_MIN {
        return false;
    }
    bytes.array_windows::<KEY_MIN>().any(|window| {
        let mut seen = [false; 256];
        let distinct =
            window.iter().filter(|byte| !std::mem::replace(&mut seen[usize::from(**byte)], true));
        let is_varied = distinct.count() >= 13;
        let steps = window.array_windows().filter(|[a, b]| a.abs_diff(*b) <= 2).count();
        is_varied && steps <= 4
    })
}

/// An X.509 certificate or a public key in DER: a sequence as long as the bytes, which begins with
/// another and no version.
fn is_certificate(bytes: &[u8]) -> bool {
    let (header, length) = match bytes {
        [0x30, 0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        [0x30, 0x81, length, ..] => (3, usize::from(*length)),
        [0x30, length @ 0..=0x7F, ..] => (2, usize::from(*length)),
        _ => return false,
    };
    let end = header + length;
    bytes.get(header) == Some(&0x30)
        && bytes.get(end..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(bytes: &[u8]) -> Option<Reason> {
        find(bytes).first().map(|(_, reason)| *reason)
    }

    #[test]
    fn an_encoded_key_is_found() {
        let mut key = vec![0x30, 0x77, 2, 1, 1, 4, 0x20];
        key.resize(121, 0x5A);
        let base64 = base64::engine::general_purpose::STANDARD.encode(&key);
        let hex: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
        let behind_words = [format!("cert={base64}"), format!("id7\n{base64}"), format!("k={hex}")];
        for text in &behind_words {
            assert_eq!(reason(text.as_bytes()), Some(Reason::PrivateKey), "{text}");
        }
        for text in [&base64, &hex, &base64[..80], &format!("{}\n{}", &base64[..64], &base64[64..])]
        {
            assert_eq!(reason(text.as_bytes()), Some(Reason::PrivateKey), "{text}");
        }
        let record = crate::record::network("net", "Tulip-Ladder-77", [1; 32]);
        let base64 = base64::engine::general_purpose::STANDARD.encode(record);
        assert_eq!(reason(base64.as_bytes()), Some(Reason::WifiCredentials));
    }

    #[test]
    fn the_body_of_a_key_is_told_from_words_and_certificates() {
        let bytes: Vec<u8> =
            (0..120u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let body = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let hex =
            bytes[..16].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
        let aes = base64::engine::general_purpose::STANDARD.encode(&bytes[..32]);
        for text in [&body[..], &aes, &body.replace("c", "c\n"), &body[..64], &hex] {
            assert!(is_encoded_key(text), "{text}");
        }
        for text in
            ["24:0a:c4:00:01:10", "a/topic/of/a/broker/for/all/units/in/the/house", "0000", ""]
        {
            assert!(!is_encoded_key(text), "{text}");
        }
    }

    #[test]
    fn a_certificate_is_as_long_as_it_says() {
        let mut certificate = vec![0x30, 0x82, 1, 0x90, 0x30, 0x82, 1, 0x36, 0xA0, 3, 2, 1, 2];
        certificate
            .extend((0..0x194 - 13).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8));
        assert!(!is_opaque(&certificate));
        certificate.extend([7; 40]);
        assert!(is_opaque(&certificate));
        assert!(is_opaque(b"0.0.0.0\0\x01Tulip-Ladder-77"));
    }

    #[test]
    fn opaque_is_what_may_hide_something() {
        let random = [
            0x6A, 0x06, 0x1D, 0xB3, 0x6E, 0x9D, 0x30, 0x42, 0x7F, 0x99, 0x2E, 0x4E, 0x2D, 0xB8,
            0xA2, 0x31,
        ];
        assert!(is_opaque(&random));
        assert!(is_opaque(b"\x01\x02Tulip-Ladder-77\0"));
        let counting: Vec<u8> = (0..=255).collect();
        let passphrase = [&b"Tulip-Ladder-77"[..], &[0; 50]].concat();
        assert!(is_opaque(&passphrase));
        assert!(is_opaque(b"\x0flabnet-and-more"));
        assert!(is_opaque(
            "\u{1}\u{2}\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c}\u{43d}\u{43e}".as_bytes()
        ));
        assert!(is_opaque(b"T\0u\0l\0i\0p\0-\x007\x007\0\0\0"));
        for harmless in [&counting[..32], &[0xAB; 40], &[0; 32], b"a sentence of a text\0", &[1, 2]]
        {
            assert!(!is_opaque(harmless), "{harmless:x?}");
        }
    }
}
