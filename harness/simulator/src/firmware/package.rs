//! A firmware as an ELF file, and found again in an application image in flash.
//!
//! The ELF file has what a linker would give: mapped constants that begin with ESP-IDF's
//! application descriptor, and a little code in instruction RAM. Behind the descriptor are the
//! description and the CA certificate. Integrity is the image's business: checksum and SHA-256
//! cover all of it.

use std::borrow::Cow;

use super::description::{App, Description, DescriptionError};
use crate::boot::Application;
use crate::boot::image::Image;
use crate::boot::partitions::{Partition, PartitionTable};
use crate::chip::mapped::MappedFlash;
use crate::chip::{Chip, Model};

const DESCRIPTOR_MAGIC: u32 = 0xABCD_5432;
const DESCRIPTOR_SIZE: usize = 256;
const ELF_DIGEST: std::ops::Range<usize> = 144..176;
const PAYLOAD_MAGIC: &[u8; 8] = b"GOLDFIRM";

/// Why a firmware cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The description is wrong.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// The trust anchor is not a certificate.
    #[error("the trust anchor holds no PEM certificate: give the CA's certificate")]
    TrustAnchor,
}

/// Makes the ELF file of a firmware: 32-bit, for the chip's memory map.
///
/// The same input gives the same bytes. `trust_anchor_pem` is the CA certificate that is embedded.
pub fn compile(
    description_toml: &str,
    trust_anchor_pem: &str,
    chip: &Model,
) -> Result<Vec<u8>, CompileError> {
    let description = Description::parse(description_toml)?;
    if super::trust::certificates(trust_anchor_pem).is_empty() {
        return Err(CompileError::TrustAnchor);
    }
    let mut constants = descriptor(&description.app);
    constants.extend(PAYLOAD_MAGIC);
    for part in [description_toml, trust_anchor_pem] {
        constants.extend((part.len() as u32).to_le_bytes());
        constants.extend(part.as_bytes());
    }
    constants.resize(constants.len().next_multiple_of(4), 0);
    Ok(super::elf::write(chip, &constants))
}

/// ESP-IDF's `esp_app_desc_t`.
fn descriptor(app: &App) -> Vec<u8> {
    let mut bytes = DESCRIPTOR_MAGIC.to_le_bytes().to_vec();
    bytes.resize(16, 0);
    for (text, length) in [
        (app.version.as_str(), 32),
        (&app.name, 32),
        ("00:00:00", 16),
        ("Jan  1 2025", 16),
        (&app.idf_version, 32),
    ] {
        let end = bytes.len() + length;
        bytes.extend(text.as_bytes());
        bytes.resize(end, 0);
    }
    bytes.resize(DESCRIPTOR_SIZE, 0);
    // No upper limit for the revision of the eFuse block.
    bytes[178..180].copy_from_slice(&u16::MAX.to_le_bytes());
    bytes
}

/// A program that found its way back from flash.
#[derive(Debug)]
pub(crate) struct Program {
    pub(super) description: Description,
    /// PEM of the CA that the firmware was built with.
    pub(super) trust_anchor: String,
    pub(super) partition: Partition,
    pub(super) table: PartitionTable,
    /// First digits of the ELF file's SHA-256, as the application prints them.
    pub(super) elf_digest: String,
}

/// Finds the firmware in a booted application; an application that is none gives nothing.
pub(crate) fn load(chip: &Chip, application: Application) -> Option<Program> {
    let Application { partition, image, table } = application;
    let constants = constants(&chip.mapped_flash(), &image)?;
    let payload = constants[DESCRIPTOR_SIZE..].strip_prefix(PAYLOAD_MAGIC)?;
    let (description, rest) = part(payload)?;
    let (trust_anchor, _) = part(rest)?;
    let elf_digest = constants[ELF_DIGEST][..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Program {
        description: Description::parse(description).ok()?,
        trust_anchor: trust_anchor.to_owned(),
        partition,
        table,
        elf_digest,
    })
}

fn constants<'a>(flash: &MappedFlash<'a>, image: &Image) -> Option<Cow<'a, [u8]>> {
    image.segments.iter().find_map(|segment| {
        let data = flash.read(segment.flash_offset, segment.length).ok()?;
        let described = data.starts_with(&DESCRIPTOR_MAGIC.to_le_bytes());
        (described && data.len() > DESCRIPTOR_SIZE).then_some(data)
    })
}

/// A text behind its length.
fn part(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}
