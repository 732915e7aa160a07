//! A firmware as an ELF file, and found again in an application image in flash.
//!
//! The ELF file has what a linker would give: mapped constants that begin with ESP-IDF's
//! application descriptor, and a little code in instruction RAM. Behind the descriptor are the
//! description and the CA certificate. Integrity is the image's business: checksum and SHA-256
//! cover all of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::description::{App, Description, DescriptionError};
use crate::boot::Application;
use crate::chip::{Chip, Model};
use crate::flash::mapped::MappedFlash;
use crate::hex::hex;
use crate::layout::image::Image;
use crate::layout::partitions::{Partition, PartitionTable};

const DESCRIPTOR_MAGIC: u32 = 0xABCD_5432;
const DESCRIPTOR_SIZE: usize = 256;
const ELF_DIGEST: std::ops::Range<usize> = 144..176;
const PAYLOAD_MAGIC: &[u8; 8] = b"GOLDFIRM";
/// Before the constants that a build was given; a build that was given none has no such part.
const CONSTANTS_MAGIC: &[u8; 8] = b"GOLDCONS";

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
    compile_with(description_toml, trust_anchor_pem, &BTreeMap::new(), chip)
}

/// The image of a firmware with a signature behind it, where its description's `[ota]` asks for one.
pub fn sign_as_described(description_toml: &str, image: Vec<u8>) -> Vec<u8> {
    let description = Description::parse(description_toml).ok();
    let signed = description.and_then(|described| described.ota).is_some_and(|ota| ota.signed);
    if signed { super::signature::sign(image) } else { image }
}

/// Whether a description can be compiled, whatever it will trust.
pub fn check(description_toml: &str) -> Result<(), CompileError> {
    Description::parse(description_toml)?;
    Ok(())
}

/// Like [`compile`], with other values for some of the description's `[constants]`: what a build
/// for one unit defines.
pub fn compile_with(
    description_toml: &str,
    trust_anchor_pem: &str,
    given: &BTreeMap<String, String>,
    chip: &Model,
) -> Result<Vec<u8>, CompileError> {
    let description = Description::parse(description_toml)?.with_constants(given)?;
    if super::trust::certificates(trust_anchor_pem).is_empty() {
        return Err(CompileError::TrustAnchor);
    }
    let mut constants = descriptor(&description.app);
    constants.extend(PAYLOAD_MAGIC);
    append(&mut constants, description_toml);
    append(&mut constants, trust_anchor_pem);
    if !given.is_empty() {
        constants.extend(CONSTANTS_MAGIC);
        constants.extend((given.len() as u32).to_le_bytes());
        for text in given.iter().flat_map(|(name, value)| [name, value]) {
            append(&mut constants, text);
        }
    }
    constants.resize(constants.len().next_multiple_of(4), 0);
    Ok(super::elf::write(chip, &constants))
}

/// Writes a text behind its length.
fn append(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// ESP-IDF's `esp_app_desc_t`.
fn descriptor(app: &App) -> Vec<u8> {
    let mut bytes = DESCRIPTOR_MAGIC.to_le_bytes().to_vec();
    bytes.extend(app.secure_version.to_le_bytes());
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
    let (trust_anchor, rest) = part(rest)?;
    let given = given_constants(rest)?;
    let elf_digest = hex(&constants[ELF_DIGEST][..8]);
    Some(Program {
        description: Description::parse(description).ok()?.with_constants(&given).ok()?,
        trust_anchor: trust_anchor.to_owned(),
        partition,
        table,
        elf_digest,
    })
}

/// Whether an application image holds a firmware that this simulator can run: machine code it cannot.
pub fn is_described(image: &[u8]) -> bool {
    let behind = image.windows(PAYLOAD_MAGIC.len()).enumerate();
    let mut packages = behind.filter(|(_, word)| word == PAYLOAD_MAGIC).map(|(at, _)| at);
    packages.any(|at| {
        let descriptor = at.checked_sub(DESCRIPTOR_SIZE).map(|start| &image[start..at]);
        let described =
            descriptor.is_some_and(|it| it.starts_with(&DESCRIPTOR_MAGIC.to_le_bytes()));
        let description = part(&image[at + PAYLOAD_MAGIC.len()..]);
        described && description.is_some_and(|(text, _)| Description::parse(text).is_ok())
    })
}

fn constants<'a>(flash: &MappedFlash<'a>, image: &Image) -> Option<Cow<'a, [u8]>> {
    image.segments.iter().find_map(|segment| {
        let data = flash.read(segment.flash_offset, segment.length).ok()?;
        let described = data.starts_with(&DESCRIPTOR_MAGIC.to_le_bytes());
        (described && data.len() > DESCRIPTOR_SIZE).then_some(data)
    })
}

/// What the build defined; nothing when the part is there and broken.
fn given_constants(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut given = BTreeMap::new();
    let Some(rest) = bytes.strip_prefix(CONSTANTS_MAGIC) else {
        return Some(given);
    };
    let (count, mut rest) = rest.split_first_chunk()?;
    for _ in 0..u32::from_le_bytes(*count) {
        let (name, after) = part(rest)?;
        let (value, after) = part(after)?;
        given.insert(name.to_owned(), value.to_owned());
        rest = after;
    }
    Some(given)
}

/// A text behind its length.
fn part(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::ESP32;

    const FIRMWARE: &str = "[app]\nname = 'a'\nversion = '1'\nidf_version = 'v5'\ntag = 't'\n\
        [settings]\npartition = 'nvs'\nnamespace = 'n'\n[settings.values]\n\
        [constants]\nhost = 'built.example.test'\n";

    fn given(name: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), "other.example.test".to_owned())])
    }

    #[test]
    fn a_build_gives_constants_that_the_firmware_has_and_no_others() {
        let compiled = compile_with(FIRMWARE, super::super::trust::STRANGER, &given("host"), ESP32);
        assert_ne!(
            compiled.unwrap(),
            compile(FIRMWARE, super::super::trust::STRANGER, ESP32).unwrap()
        );
        let error = compile_with(FIRMWARE, super::super::trust::STRANGER, &given("hst"), ESP32);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no constant \"hst\""), "{error}");
    }

    #[test]
    fn what_the_build_gave_is_read_back_and_a_cut_part_is_no_firmware() {
        let mut bytes = CONSTANTS_MAGIC.to_vec();
        bytes.extend(1u32.to_le_bytes());
        append(&mut bytes, "host");
        append(&mut bytes, "other.example.test");
        assert_eq!(given_constants(&bytes), Some(given("host")));
        assert_eq!(given_constants(&bytes[..bytes.len() - 1]), None);
        assert_eq!(given_constants(&[0, 0]), Some(BTreeMap::new()));
    }
}
