//! ESP images: header, segments, checksum and digest, checked as the ROM and the bootloader do.

use sha2::{Digest, Sha256};

use crate::flash::OutOfRange;
use crate::flash::mapped::MappedFlash;

/// First byte of every image.
pub const MAGIC: u8 = 0xE9;
const HEADER: u32 = 24;
const SEGMENT_HEADER: u32 = 8;
const MOST_SEGMENTS: u8 = 16;
const LONGEST_SEGMENT: u32 = 16 << 20;
const CHECKSUM_SEED: u8 = 0xEF;
const DIGEST: u32 = 32;

/// Why an image is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The image passes the end of the flash.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The first byte is not the magic number.
    #[error("image at {offset:#x} has invalid magic byte (nothing flashed here?)")]
    Magic {
        /// Where the image should be.
        offset: u32,
        /// The first four bytes.
        word: u32,
    },
    /// More segments than an image can have.
    #[error("image at {offset:#x} segment count {count} exceeds max {MOST_SEGMENTS}")]
    SegmentCount {
        /// Where the image is.
        offset: u32,
        /// How many it claims.
        count: u8,
    },
    /// The image is for another chip.
    #[error("mismatch chip ID, expected {expected}, found {found}")]
    ChipId {
        /// The chip's id.
        expected: u16,
        /// The id in the image.
        found: u16,
    },
    /// The image asks for newer silicon.
    #[error(
        "chip revision check failed. Required >= v{}.{}, found v{}.{}.",
        .required / 100, .required % 100, .found / 100, .found % 100
    )]
    TooOld {
        /// Least revision, major × 100 + minor.
        required: u16,
        /// The chip's.
        found: u16,
    },
    /// The image does not know silicon as new as this.
    #[error(
        "chip revision check failed. Required <= v{}.{}, found v{}.{}.",
        .latest / 100, .latest % 100, .found / 100, .found % 100
    )]
    TooNew {
        /// Greatest revision, major × 100 + minor.
        latest: u16,
        /// The chip's.
        found: u16,
    },
    /// A segment is longer than any can be.
    #[error("invalid segment length {length:#x}")]
    SegmentLength {
        /// Length that it claims.
        length: u32,
    },
    /// The image does not fit its partition.
    #[error("Image length {length} doesn't fit in partition length {partition}")]
    TooLong {
        /// Bytes of the image.
        length: u32,
        /// Bytes of the partition.
        partition: u32,
    },
    /// The XOR of all segments is wrong.
    #[error("Checksum failed. Calculated {calculated:#x} read {stored:#x}")]
    Checksum {
        /// From the segments.
        calculated: u8,
        /// In the image.
        stored: u8,
    },
    /// The appended SHA-256 is wrong.
    #[error("Image hash failed - image is corrupt")]
    Digest,
}

/// One segment of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where its data is in flash.
    pub flash_offset: u32,
    /// Where the chip sees it.
    pub address: u32,
    /// Bytes.
    pub length: u32,
}

/// An image whose header makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where it begins in flash.
    pub offset: u32,
    /// Address at which it starts to run.
    pub entry: u32,
    /// Its segments in the order of the image.
    pub segments: Vec<Segment>,
    /// Bytes, with checksum and digest.
    pub length: u32,
    /// Flash mode byte of the header.
    pub flash_mode: u8,
    /// Flash size (high) and frequency (low) of the header.
    pub flash_config: u8,
    checksum_at: u32,
    has_digest: bool,
}

/// What an image must fit.
#[derive(Debug, Clone, Copy)]
pub struct Fit {
    /// The chip's id.
    pub chip_id: u16,
    /// The chip's revision, major × 100 + minor.
    pub revision: u16,
}

impl Image {
    /// Reads header and segment headers at `offset`.
    pub fn parse(flash: &MappedFlash<'_>, offset: u32, fit: Fit) -> Result<Self, ImageError> {
        let header = flash.read(offset, HEADER)?;
        if header[0] != MAGIC {
            let word = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
            return Err(ImageError::Magic { offset, word });
        }
        let count = header[1];
        if count > MOST_SEGMENTS {
            return Err(ImageError::SegmentCount { offset, count });
        }
        check_chip(&header, fit)?;
        let mut segments = Vec::new();
        let mut at = offset + HEADER;
        for _ in 0..count {
            let segment = segment(flash, at)?;
            at = segment
                .flash_offset
                .checked_add(segment.length)
                .ok_or(ImageError::SegmentLength { length: segment.length })?;
            segments.push(segment);
        }
        // The checksum is the last byte of a 16-byte line.
        let checksum_at = offset + ((at - offset) | 15);
        let has_digest = header[23] == 1;
        let end = checksum_at + 1 + if has_digest { DIGEST } else { 0 };
        flash.read(offset, end - offset)?;
        Ok(Self {
            offset,
            entry: u32::from_le_bytes([header[4], header[5], header[6], header[7]]),
            segments,
            length: end - offset,
            flash_mode: header[2],
            flash_config: header[3],
            checksum_at,
            has_digest,
        })
    }

    /// Checks the XOR of all segment bytes.
    pub fn verify_checksum(&self, flash: &MappedFlash<'_>) -> Result<(), ImageError> {
        let mut calculated = CHECKSUM_SEED;
        for segment in &self.segments {
            let data = flash.read(segment.flash_offset, segment.length)?;
            calculated = data.iter().fold(calculated, |sum, byte| sum ^ byte);
        }
        let stored = flash.read(self.checksum_at, 1)?[0];
        if calculated == stored { Ok(()) } else { Err(ImageError::Checksum { calculated, stored }) }
    }

    /// Checks the appended SHA-256, when there is one.
    pub fn verify_digest(&self, flash: &MappedFlash<'_>) -> Result<(), ImageError> {
        if !self.has_digest {
            return Ok(());
        }
        let body = self.length - DIGEST;
        let digest = Sha256::digest(flash.read(self.offset, body)?);
        if flash.read(self.offset + body, DIGEST)? == &digest[..] {
            Ok(())
        } else {
            Err(ImageError::Digest)
        }
    }

    /// Checks that the image ends inside its partition.
    pub fn verify_fits(&self, partition: u32) -> Result<(), ImageError> {
        if self.length <= partition {
            Ok(())
        } else {
            Err(ImageError::TooLong { length: self.length, partition })
        }
    }
}

fn check_chip(header: &[u8], fit: Fit) -> Result<(), ImageError> {
    let found = u16::from_le_bytes([header[12], header[13]]);
    if found != fit.chip_id {
        return Err(ImageError::ChipId { expected: fit.chip_id, found });
    }
    let found = fit.revision;
    let required = u16::from_le_bytes([header[15], header[16]]);
    if found < required {
        return Err(ImageError::TooOld { required, found });
    }
    let latest = u16::from_le_bytes([header[17], header[18]]);
    if latest != 0 && found > latest {
        return Err(ImageError::TooNew { latest, found });
    }
    Ok(())
}

fn segment(flash: &MappedFlash<'_>, at: u32) -> Result<Segment, ImageError> {
    let header = flash.read(at, SEGMENT_HEADER)?;
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    if length > LONGEST_SEGMENT {
        return Err(ImageError::SegmentLength { length });
    }
    Ok(Segment {
        flash_offset: at + SEGMENT_HEADER,
        address: u32::from_le_bytes([header[0], header[1], header[2], header[3]]),
        length,
    })
}
