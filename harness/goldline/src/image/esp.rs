//! An ESP image as the ROM and the bootloader read it: header, segments, checksum, SHA-256, and what may
//! lie behind them.
//!
//! Whoever holds an [`EspImage`] holds a whole and undamaged one. Must not know for which chip or place it
//! is meant.

use sha2::{Digest, Sha256};

/// First byte of every ESP image.
pub(super) const MAGIC: u8 = 0xE9;
const HEADER: usize = 24;
const SEGMENT_HEADER: usize = 8;
const MOST_SEGMENTS: u8 = 16;
const CHECKSUM_SEED: u8 = 0xEF;
/// The checksum is the last byte of a line of so many.
const LINE: usize = 16;
const DIGEST: usize = 32;
/// `esp_app_desc_t` begins so, and stands at the start of an application's first segment.
const APP_DESCRIPTION: [u8; 4] = 0xABCD_5432_u32.to_le_bytes();
/// Of its version, its name, the version of ESP-IDF, and date and time together.
const NAME: usize = 32;
/// First bytes of a partition table.
const TABLE_MAGIC: [u8; 2] = [0xAA, 0x50];
const TABLE_OFFSET: usize = 0x8000;
/// Signatures begin at one, and fill it.
const SECTOR: usize = 0x1000;
/// Of secure boot version 2: magic, the signature itself and its CRC.
const SIGNATURE_BLOCK: usize = 1216;
const SIGNATURE_MAGIC: u8 = 0xE7;
/// Of secure boot version 1: a zero version and the signature.
const OLD_SIGNATURE: usize = 4 + 64;

/// A whole image.
#[derive(Debug)]
pub(super) struct EspImage<'a> {
    /// For which chip.
    pub(super) chip_id: u16,
    /// Of the flash, in bytes; `None` when the header names no size that there is.
    pub(super) flash_size: Option<u64>,
    /// Where it starts to run.
    pub(super) entry: u32,
    /// Where its checksum is; a SHA-256 follows, where the header says so.
    pub(super) checksum_at: usize,
    /// Whether it does.
    pub(super) hashed: bool,
    /// Where it ends; padding and signature lie behind.
    pub(super) end: usize,
    /// In the order of the image.
    pub(super) segments: Vec<Segment<'a>>,
}

/// One segment of an image.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    /// Where the chip sees it.
    pub(super) address: u32,
    /// Where it begins in the image, in bytes.
    pub(super) offset: usize,
    pub(super) data: &'a [u8],
}

/// What an application says of itself; texts end at their first zero.
#[derive(Debug)]
pub(super) struct AppDescription<'a> {
    pub(super) version: &'a [u8],
    pub(super) project: &'a [u8],
    pub(super) idf_version: &'a [u8],
    pub(super) elf_digest: &'a [u8],
}

/// What keeps bytes from being an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum Damage {
    #[error("it is no ESP image but {looks_like}")]
    NoImage { looks_like: &'static str },
    #[error("its header names {count} segments: expected 1 to {MOST_SEGMENTS}")]
    SegmentCount { count: u8 },
    #[error("its header says {value} where 1 announces a SHA-256 and 0 none")]
    HashFlag { value: u8 },
    #[error("it is cut short: it has {found} bytes of {expected} or more")]
    CutShort { expected: u64, found: usize },
    #[error(
        "it is damaged: its checksum is {stored:#04x}, and its segments give {calculated:#04x}"
    )]
    Checksum { stored: u8, calculated: u8 },
    #[error("it is damaged: the SHA-256 at its end is another one's")]
    Hash,
    #[error(
        "it ends at {end:#x}, and what lies behind is neither padding nor a signature{}",
        if *.merged { ": it looks like a whole flash, merged into one file" } else { "" }
    )]
    Trailing { end: usize, merged: bool },
}

impl<'a> EspImage<'a> {
    /// Reads an image and proves it whole.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        if bytes.first() != Some(&MAGIC) {
            return Err(Damage::NoImage { looks_like: looks_like(bytes) });
        }
        let header = take(bytes, 0, HEADER as u64)?;
        let count = header[1];
        if !(1..=MOST_SEGMENTS).contains(&count) {
            return Err(Damage::SegmentCount { count });
        }
        let hashed = match header[23] {
            0 => false,
            1 => true,
            value => return Err(Damage::HashFlag { value }),
        };
        let mut segments = Vec::with_capacity(count.into());
        let mut at = HEADER;
        for _ in 0..count {
            let segment = segment(bytes, at)?;
            at += SEGMENT_HEADER + segment.data.len();
            segments.push(segment);
        }
        let checksum_at = at | (LINE - 1);
        let stored = take(bytes, checksum_at, 1)?[0];
        let data = segments.iter().flat_map(|segment| segment.data);
        let calculated = data.fold(CHECKSUM_SEED, |sum, byte| sum ^ byte);
        if stored != calculated {
            return Err(Damage::Checksum { stored, calculated });
        }
        let mut end = checksum_at + 1;
        if hashed {
            if take(bytes, end, DIGEST as u64)? != &Sha256::digest(&bytes[..end])[..] {
                return Err(Damage::Hash);
            }
            end += DIGEST;
        }
        if !may_lie_behind(&bytes[end..], end) {
            return Err(Damage::Trailing { end, merged: holds_table(bytes) });
        }
        Ok(Self {
            chip_id: u16::from_le_bytes([header[12], header[13]]),
            flash_size: flash_size(header[3] >> 4),
            entry: u32::from_le_bytes([header[4], header[5], header[6], header[7]]),
            checksum_at,
            hashed,
            end,
            segments,
        })
    }

    /// Whether it is what ESP-IDF's bootloader starts.
    pub(super) fn is_application(&self) -> bool {
        self.segments.first().is_some_and(|first| first.data.starts_with(&APP_DESCRIPTION))
    }

    /// What an application says of itself, field by field: `esp_app_desc_t` of ESP-IDF.
    pub(super) fn description(&self) -> Option<AppDescription<'a>> {
        let data = self.segments.first()?.data.strip_prefix(&APP_DESCRIPTION)?;
        // Versions for secure boot and reserved words come first, time and date in between.
        let (_, data) = data.split_at_checked(12)?;
        let (version, data) = data.split_at_checked(NAME)?;
        let (project, data) = data.split_at_checked(NAME)?;
        let (_, data) = data.split_at_checked(NAME)?;
        let (idf_version, data) = data.split_at_checked(NAME)?;
        let (elf_digest, _) = data.split_at_checked(DIGEST)?;
        Some(AppDescription { version, project, idf_version, elf_digest })
    }

    /// Whether it starts to run in a segment of its own.
    pub(super) fn has_its_entry(&self) -> bool {
        self.segments.iter().any(|segment| {
            let into = self.entry.checked_sub(segment.address).map(|into| into as usize);
            into.is_some_and(|into| into < segment.data.len())
        })
    }
}

/// As many bytes from there on.
fn take(bytes: &[u8], at: usize, length: u64) -> Result<&[u8], Damage> {
    let expected = at as u64 + length;
    let end = usize::try_from(expected).ok();
    end.and_then(|end| bytes.get(at..end)).ok_or(Damage::CutShort { expected, found: bytes.len() })
}

fn segment(bytes: &[u8], at: usize) -> Result<Segment<'_>, Damage> {
    let header = take(bytes, at, SEGMENT_HEADER as u64)?;
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
    let data = take(bytes, at + SEGMENT_HEADER, word(4).into())?;
    Ok(Segment { address: word(0), offset: at + SEGMENT_HEADER, data })
}

/// Bytes, by the header's four bits.
fn flash_size(bits: u8) -> Option<u64> {
    (bits <= 7).then(|| 1 << (20 + bits))
}

/// Padding, or the signature of secure boot of either version. The boundary of version 2 is the flash's,
/// and an image begins at one.
fn may_lie_behind(rest: &[u8], end: usize) -> bool {
    let old_signature = rest.get(..OLD_SIGNATURE).is_some_and(|block| block.starts_with(&[0; 4]));
    if is_padding(rest) || old_signature && is_padding(&rest[OLD_SIGNATURE..]) {
        return true;
    }
    let gap = end.next_multiple_of(SECTOR) - end;
    let Some((gap, signature)) = rest.split_at_checked(gap) else { return false };
    let sector = &signature[..signature.len().min(SECTOR)];
    let blocks = sector.chunks(SIGNATURE_BLOCK).take_while(|block| is_signature(block));
    let signed = blocks.map(<[u8]>::len).sum();
    signed >= SIGNATURE_BLOCK && is_padding(gap) && is_padding(&signature[signed..])
}

/// Of version 2 or, with other keys, 3; two bytes of padding follow.
fn is_signature(block: &[u8]) -> bool {
    matches!(block, [SIGNATURE_MAGIC, 2 | 3, 0, 0, ..])
}

fn is_padding(bytes: &[u8]) -> bool {
    [0xFF, 0].iter().any(|blank| bytes.iter().all(|byte| byte == blank))
}

fn holds_table(bytes: &[u8]) -> bool {
    bytes.get(TABLE_OFFSET..).is_some_and(|rest| rest.starts_with(&TABLE_MAGIC))
}

/// What somebody may have taken for an image.
fn looks_like(bytes: &[u8]) -> &'static str {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    // State and version of an NVS page.
    let nvs = bytes.get(1..4) == Some(&[0xFF; 3]) && bytes.get(8) == Some(&0xFE);
    match bytes {
        [] => "an empty file",
        _ if is_padding(bytes) => "blank",
        _ if holds_table(bytes) => "a whole flash, merged into one file",
        [0x7F, b'E', b'L', b'F', ..] => "an ELF file",
        [0xAA, 0x50, ..] => "a partition table",
        [0x1F, 0x8B, ..] => "a gzip archive",
        [b'P', b'K', ..] => "a zip archive",
        _ if nvs => "an NVS partition",
        _ if bytes.iter().take(256).all(is_text) => "a text",
        _ => "something else, or encrypted",
    }
}
