//! An ESP image as the ROM and the bootloader read it: header, segments, checksum, SHA-256, and what may
//! lie behind them.
//!
//! Whoever holds an [`EspImage`] holds a whole and undamaged one, but for flash settings that a tool wrote
//! into its header afterwards. Must not know for which chip or place it is meant.

use sha2::{Digest, Sha256};

/// First byte of every ESP image.
pub(crate) const MAGIC: u8 = 0xE9;
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
pub(crate) struct EspImage<'a> {
    /// For which chip.
    pub(crate) chip_id: u16,
    /// Of the flash, in bytes; `None` when the header names no size that there is.
    pub(crate) flash_size: Option<u64>,
    /// Where it starts to run.
    pub(crate) entry: u32,
    /// Where its checksum is; a SHA-256 follows, where the header says so.
    pub(crate) checksum_at: usize,
    /// Whether it does.
    pub(crate) hashed: bool,
    /// Whether its flash settings were written over after it was hashed, as old versions of esptool did with a
    /// bootloader: its ROM asks for no hash.
    pub(crate) settings_edited: bool,
    /// Where it ends; padding and signature lie behind.
    pub(crate) end: usize,
    /// In the order of the image.
    pub(crate) segments: Vec<Segment<'a>>,
}

/// One segment of an image.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    /// Where the chip sees it.
    pub(crate) address: u32,
    /// Where it begins in the image, in bytes.
    pub(crate) offset: usize,
    pub(crate) data: &'a [u8],
}

/// What an application says of itself; texts end at their first zero.
#[derive(Debug)]
pub(crate) struct AppDescription<'a> {
    pub(crate) version: &'a [u8],
    pub(crate) project: &'a [u8],
    pub(crate) idf_version: &'a [u8],
    pub(crate) elf_digest: &'a [u8],
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
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Damage> {
        let image = Self::at_start_of(bytes)?;
        if !is_padding(&bytes[image.signed_end(bytes)..]) {
            return Err(Damage::Trailing { end: image.end, merged: holds_table(bytes) });
        }
        Ok(image)
    }

    /// The same of an image that lies in a flash, with whatever was there before behind it.
    pub(crate) fn at_start_of(bytes: &'a [u8]) -> Result<Self, Damage> {
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
        let mut settings_edited = false;
        if hashed {
            let stored = take(bytes, end, DIGEST as u64)?;
            if stored != &Sha256::digest(&bytes[..end])[..] {
                settings_edited = had_other_settings(&bytes[..end], stored);
                if !settings_edited {
                    return Err(Damage::Hash);
                }
            }
            end += DIGEST;
        }
        Ok(Self {
            chip_id: u16::from_le_bytes([header[12], header[13]]),
            flash_size: flash_size(header[3] >> 4),
            entry: u32::from_le_bytes([header[4], header[5], header[6], header[7]]),
            checksum_at,
            hashed,
            settings_edited,
            end,
            segments,
        })
    }

    /// Where it ends with the signature of secure boot of either version, if there is one. The boundary of
    /// version 2 is the flash's, and an image begins at one.
    pub(crate) fn signed_end(&self, bytes: &[u8]) -> usize {
        let rest = &bytes[self.end..];
        if rest.get(..OLD_SIGNATURE).is_some_and(|block| block.starts_with(&[0; 4])) {
            return self.end + OLD_SIGNATURE;
        }
        let gap = self.end.next_multiple_of(SECTOR) - self.end;
        let Some((gap, signature)) = rest.split_at_checked(gap) else { return self.end };
        let sector = &signature[..signature.len().min(SECTOR)];
        let blocks = sector.chunks(SIGNATURE_BLOCK).take_while(|block| is_signature(block));
        let signed: usize = blocks.map(<[u8]>::len).sum();
        match signed >= SIGNATURE_BLOCK && is_padding(gap) {
            true => self.end + gap.len() + signed,
            false => self.end,
        }
    }

    /// Whether it is what ESP-IDF's bootloader starts.
    pub(crate) fn is_application(&self) -> bool {
        self.segments.first().is_some_and(|first| first.data.starts_with(&APP_DESCRIPTION))
    }

    /// What an application says of itself, field by field: `esp_app_desc_t` of ESP-IDF.
    pub(crate) fn description(&self) -> Option<AppDescription<'a>> {
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
    pub(crate) fn has_its_entry(&self) -> bool {
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

/// Whether an image had that digest with other flash settings: mode, speed and size of the flash, which a tool
/// may write anew.
fn had_other_settings(image: &[u8], digest: &[u8]) -> bool {
    const MODES: u8 = 6;
    let mut linked = image.to_vec();
    (0..MODES).any(|mode| {
        (0..=u8::MAX).any(|speed_and_size| {
            linked[2] = mode;
            linked[3] = speed_and_size;
            digest == &Sha256::digest(&linked)[..]
        })
    })
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
