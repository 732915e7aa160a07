//! The certificates that an application carries: whom it may be made to trust.
//!
//! Bytes → where each stands. Must not know whom a bench shows, nor whether the firmware uses what it carries.
//! Each segment of an ESP image is searched by itself, for what an application reads lies in one. Not found:
//! what is compressed or encrypted, and trust anchors that are neither a certificate nor a bundle's entry, such
//! as those that rustls compiles in.

use std::{fmt, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use regex::bytes::Regex;

use crate::esp_image::EspImage;
use crate::tls::Issuer;

/// A certificate's text, with line ends as they are or as a source writes them.
static PEM: LazyLock<Regex> = LazyLock::new(|| {
    bytes_pattern(
        r#"-----BEGIN CERTIFICATE-----((?:[A-Za-z0-9+/=\s"]|\\[rnt])+)-----END CERTIFICATE-----"#,
    )
});
/// How a certificate begins as DER: two sequences, the outer one of 128 bytes or more.
static DER: LazyLock<Regex> =
    LazyLock::new(|| bytes_pattern(r"(?s-u)\x30(?:\x81.|\x82..)\x30[\x81\x82]"));
/// How an entry of a bundle begins behind its two lengths: the sequence of a name, and its first set in it.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| bytes_pattern(r"(?s-u)\x30(?:\x00|[\x01-\x7F]\x31|\x81.\x31|\x82..\x31)"));
/// The lengths of name and key.
const LENGTHS: usize = 4;

/// A certificate in an application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Carried {
    /// Where it begins: bytes from the start of the file.
    pub offset: usize,
    /// Where the chip sees it, in an ESP image.
    pub address: Option<u32>,
    /// How it is written.
    pub form: Form,
    /// Whose it is.
    pub issuer: Issuer,
}

/// How a certificate is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As text.
    Pem,
    /// As it is.
    Der,
    /// As name and key, in a certificate bundle of ESP-IDF or Arduino.
    Bundle,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem => "PEM",
            Self::Der => "DER",
            Self::Bundle => "bundle",
        })
    }
}

/// Every certificate in an ESP image, or in a file of any other kind, in the order of the file.
pub fn carried(file: &[u8]) -> Vec<Carried> {
    let mut found = Vec::new();
    match EspImage::parse(file) {
        Ok(image) => {
            for segment in &image.segments {
                found.extend(search(segment.data).into_iter().map(|mut carried| {
                    let into = u32::try_from(carried.offset).unwrap_or(u32::MAX);
                    carried.address = Some(segment.address.wrapping_add(into));
                    carried.offset += segment.offset;
                    carried
                }));
            }
        }
        Err(_) => found = search(file),
    }
    found.sort_by_key(|carried| carried.offset);
    found
}

fn search(bytes: &[u8]) -> Vec<Carried> {
    let mut found = texts(bytes);
    found.extend(certificates(bytes));
    found.extend(bundles(bytes));
    found
}

fn texts(bytes: &[u8]) -> Vec<Carried> {
    let read = |text: &[u8]| Issuer::of_certificate(&STANDARD.decode(without_breaks(text)).ok()?);
    let texts = PEM.captures_iter(bytes).filter_map(|text| {
        let offset = text.get(0)?.start();
        Some(Carried { offset, address: None, form: Form::Pem, issuer: read(&text[1])? })
    });
    texts.collect()
}

/// The digits alone: a backslash takes the letter behind it along.
fn without_breaks(text: &[u8]) -> Vec<u8> {
    let mut digits = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => {}
            byte if byte.is_ascii_whitespace() => {}
            byte => digits.push(byte),
        }
    }
    digits
}

fn certificates(bytes: &[u8]) -> Vec<Carried> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(place) = DER.find_at(bytes, from) {
        let offset = place.start();
        from = offset + 1;
        let Some(der) = sequence(&bytes[offset..]) else { continue };
        let Some(issuer) = Issuer::of_certificate(der) else { continue };
        from = offset + der.len();
        found.push(Carried { offset, address: None, form: Form::Der, issuer });
    }
    found
}

/// A sequence of DER with its header, where all of it is there.
fn sequence(bytes: &[u8]) -> Option<&[u8]> {
    let length = match *bytes.get(..4)? {
        [0x30, short @ ..=0x7F, _, _] => 2 + usize::from(short),
        [0x30, 0x81, length, _] => 3 + usize::from(length),
        [0x30, 0x82, high, low] => 4 + usize::from(u16::from_be_bytes([high, low])),
        _ => return None,
    };
    bytes.get(..length)
}

/// The entries of every bundle. A bundle has no mark of its own: where an entry is one, what stands before it
/// must be a bundle's head for exactly such entries.
fn bundles(bytes: &[u8]) -> Vec<Carried> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(place) = NAME.find_at(bytes, from) {
        from = place.start() + 1;
        let Some(first) = place.start().checked_sub(LENGTHS) else { continue };
        let bundle = [Order::Counted, Order::Listed]
            .into_iter()
            .find_map(|order| bundle(bytes, first, order));
        let Some(bundle) = bundle else { continue };
        from = bundle.end;
        found.extend(bundle.entries);
    }
    found
}

/// The two kinds of bundles there are. Both have entries of two lengths of 16 bits, of name and key, and then
/// both as DER.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// A count of 16 bits stands in front, and all numbers have their high byte first.
    Counted,
    /// A list of offsets of 32 bits stands in front, one for each entry and from the start of the list, and
    /// all numbers have their low byte first.
    Listed,
}

struct Bundle {
    entries: Vec<Carried>,
    end: usize,
}

/// The bundle whose first entry is there.
fn bundle(bytes: &[u8], first: usize, order: Order) -> Option<Bundle> {
    // At a place that is none, this says so at once.
    entry(bytes, first, order)?;
    match order {
        Order::Counted => {
            let count = bytes.get(first.checked_sub(2)?..first)?;
            let count = u16::from_be_bytes([count[0], count[1]]);
            let mut entries = Vec::new();
            let mut at = first;
            for _ in 0..count {
                let (carried, end) = entry(bytes, at, order)?;
                entries.push(carried);
                at = end;
            }
            (count > 0).then_some(Bundle { entries, end: at })
        }
        Order::Listed => listed(bytes, first),
    }
}

/// The list ends where the first entry begins, and its first offset is its own length.
fn listed(bytes: &[u8], first: usize) -> Option<Bundle> {
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..at + 4)?.first_chunk()?));
    let lengths = (4..=first).step_by(4);
    // A list as long as this one says it is.
    for length in lengths.take(usize::from(u16::MAX)) {
        let start = first - length;
        if word(start).is_some_and(|offset| offset as usize == length) {
            let places = (0..length).step_by(4).map(|into| word(start + into));
            let read: Option<Vec<_>> = places
                .map(|offset| entry(bytes, start.checked_add(offset? as usize)?, Order::Listed))
                .collect();
            let Some(read) = read else { continue };
            let end = read.iter().map(|(_, end)| *end).max()?;
            return Some(Bundle {
                entries: read.into_iter().map(|(entry, _)| entry).collect(),
                end,
            });
        }
    }
    None
}

/// One entry, and where it ends.
fn entry(bytes: &[u8], at: usize, order: Order) -> Option<(Carried, usize)> {
    let lengths = bytes.get(at..at + LENGTHS)?;
    let read = |pair: [u8; 2]| match order {
        Order::Counted => usize::from(u16::from_be_bytes(pair)),
        Order::Listed => usize::from(u16::from_le_bytes(pair)),
    };
    let name_length = read([lengths[0], lengths[1]]);
    let key_length = read([lengths[2], lengths[3]]);
    let name_at = at + LENGTHS;
    let key_at = name_at + name_length;
    let end = key_at + key_length;
    let (name, key) = (bytes.get(name_at..key_at)?, bytes.get(key_at..end)?);
    // Two bytes are an empty name.
    let is_whole = |der: &[u8]| der == [0x30, 0] || sequence(der).is_some_and(|it| it == der);
    let both = is_whole(name) && is_whole(key);
    let issuer = both.then(|| Issuer::of_name_and_key(name, key))??;
    Some((Carried { offset: at, address: None, form: Form::Bundle, issuer }, end))
}

fn bytes_pattern(text: &str) -> Regex {
    Regex::new(text).expect("it is a pattern")
}
