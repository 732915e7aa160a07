//! Pairs of a network's name and its passphrase in a record, whoever laid it out.
//!
//! A record is told by its fields: two texts in places of their own, the rest of each place filled
//! with NULs. The first is as long as an SSID may be (1 to 32), the second as a passphrase (8 to 64).
//! ESP-IDF's `sta.apinfo`, ESPHome's 33 and 65 bytes and C structs of most firmware are so.

use std::ops::Range;

/// Longest SSID.
const SSID_MAX: usize = 32;
/// Lengths of a WPA passphrase; 64 are its key in hexadecimal digits.
const PASSPHRASE: std::ops::RangeInclusive<usize> = 8..=64;
/// From one text's beginning to the other's: a name's place, with a length or a BSSID.
const PLACE: std::ops::RangeInclusive<usize> = 16..=80;

/// Where the first such pair lies: the place of its passphrase.
pub(super) fn find(bytes: &[u8]) -> Option<Range<usize>> {
    let texts: Vec<Range<usize>> =
        texts(bytes).flat_map(|text| cut_at_full_field(bytes, text)).collect();
    let pairs = texts.array_windows();
    let mut found = pairs.filter(|[name, passphrase]| is_pair(bytes, name, passphrase));
    found.next().map(|[_, passphrase]| passphrase.clone())
}

/// Runs of text, each with a NUL behind it or the end.
fn texts(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(|byte| is_text(*byte))?;
        let length = bytes[start..].iter().position(|byte| !is_text(*byte));
        let end = length.map_or(bytes.len(), |length| start + length);
        at = end;
        Some(start..end)
    })
}

/// A name that fills its place of 32 bytes runs into the passphrase behind it, and a key in 64
/// hexadecimal digits into whatever follows.
fn cut_at_full_field(bytes: &[u8], text: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let is_long = text.len() > SSID_MAX && PASSPHRASE.contains(&(text.len() - SSID_MAX));
    let digits = &bytes[text.start..text.end.min(text.start + PASSPHRASE.end())];
    let is_key = text.len() >= *PASSPHRASE.end() && digits.iter().all(u8::is_ascii_hexdigit);
    let cut = match (is_key, is_long) {
        (true, _) => text.start + PASSPHRASE.end(),
        (_, true) => text.start + SSID_MAX,
        _ => text.end,
    };
    [text.start..cut, cut..text.end].into_iter().filter(|part| !part.is_empty())
}

fn is_pair(bytes: &[u8], name: &Range<usize>, passphrase: &Range<usize>) -> bool {
    let gap = &bytes[name.end..passphrase.start];
    (1..=SSID_MAX).contains(&name.len())
        && PASSPHRASE.contains(&passphrase.len())
        && PLACE.contains(&(passphrase.start - name.start))
        && gap.iter().all(|byte| *byte == 0)
        && (is_key(bytes, passphrase)
            || bytes.get(passphrase.end).is_none_or(|byte| [0, 0xFF].contains(byte)))
        && is_name_place(bytes, name)
        && !is_a_sentence(bytes, name, passphrase)
        && !names_a_host(&bytes[passphrase.clone()])
}

fn is_key(bytes: &[u8], text: &Range<usize>) -> bool {
    text.len() == *PASSPHRASE.end() && bytes[text.clone()].iter().all(u8::is_ascii_hexdigit)
}

/// What stands before a name: nothing, or its length, or the padding of what was before.
fn is_name_place(bytes: &[u8], name: &Range<usize>) -> bool {
    let Some(before) = name.start.checked_sub(1).map(|last| bytes[last]) else { return true };
    before == 0 || before == 0xFF || usize::from(before) == name.len() || before < b' '
}

/// One text without a NUL in it is a record only where the place behind it is padded like one.
fn is_a_sentence(bytes: &[u8], name: &Range<usize>, passphrase: &Range<usize>) -> bool {
    let padding = bytes.get(passphrase.end..name.start + SSID_MAX + PASSPHRASE.end() - 1);
    let is_padded = padding.is_some_and(|padding| padding.iter().all(|byte| *byte == 0));
    name.end == passphrase.start && !is_padded
}

/// A host's name or an address beside a short text is how a server is configured.
fn names_a_host(text: &[u8]) -> bool {
    let host = text.rsplit(|byte| *byte == b'/').find(|part| !part.is_empty()).unwrap_or_default();
    let host = host.split(|byte| *byte == b':').next().unwrap_or_default();
    let labels: Vec<&[u8]> = host.split(|byte| *byte == b'.').collect();
    let is_label = |label: &&[u8]| {
        let is_of_name =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        !label.is_empty() && label.iter().all(is_of_name)
    };
    let is_number = |label: &&[u8]| label.iter().all(u8::is_ascii_digit);
    let [.., last] = labels[..] else { return false };
    let ends_as_a_name = last.len() >= 2 && last.iter().all(u8::is_ascii_lowercase);
    labels.len() > 1
        && labels.iter().all(is_label)
        && (ends_as_a_name || labels.len() == 4 && labels.iter().all(is_number))
}

fn is_text(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) || (0x80..0xFE).contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts in places of their own.
    fn record(fields: &[(&str, usize)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (text, place) in fields {
            let end = bytes.len() + place;
            bytes.extend(text.bytes());
            bytes.resize(end, 0);
        }
        bytes
    }

    #[test]
    fn pairs_of_common_layouts_are_found() {
        for places in [(32, 64), (33, 65), (33, 64), (64, 64), (32, 32), (36, 65)] {
            let mut bytes = record(&[("labnet-guest", places.0), ("Tulip-Ladder-77", places.1)]);
            let at = places.0..places.0 + 15;
            assert_eq!(find(&bytes), Some(at.clone()), "{places:?}");
            bytes.truncate(at.end);
            assert_eq!(find(&bytes), Some(at), "{places:?}, without padding");
        }
        let full = record(&[("a-network-name-that-fills-all-32", 32), ("Tulip-Ladder-77", 64)]);
        assert_eq!(find(&full), Some(32..47));
        let dotted = record(&[("labnet", 33), ("Summer.2024", 65)]);
        assert_eq!(find(&dotted), Some(33..44));
        let digits = "0123456789abcdef".repeat(4);
        let key = [&record(&[("labnet", 32), (&digits, 64)])[..], &[0x91; 32]].concat();
        assert_eq!(find(&key), Some(32..96));
        let network = crate::record::network("labnet-guest", "Tulip-Ladder-77", [0x6A; 32]);
        assert_eq!(find(&network), Some(36..51));
        let behind = [&[0xFF; 12][..], &network].concat();
        assert_eq!(find(&behind), Some(48..63));
    }

    #[test]
    fn other_records_are_none() {
        for fields in [
            &[("unit-7", 32), ("broker.example.test", 64)][..],
            &[("kitchen", 32), ("lamp", 32)],
            &[("only one text in here", 64)],
            &[("a", 4), ("Tulip-Ladder-77", 64)],
        ] {
            assert_eq!(find(&record(fields)), None, "{fields:?}");
        }
        assert_eq!(find(b"a sentence\0and another one\0"), None);
        let sentence = b"one text of more than thirty-two characters";
        assert_eq!((find(sentence), find(&[])), (None, None));
        assert_eq!(find(&[&sentence[..], b"\0"].concat()), None);
    }
}
