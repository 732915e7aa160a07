//! Bootloader, partition table and application as the bytes that go into flash.
//!
//! Made the same way for a product's own ELF and for a firmware model: espflash lays out both.
//! Deterministic: the same profile and trust anchor give the same bytes. Must not know units.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use esp_idf_part::PartitionTable;
use espflash::{
    flasher::{FlashData, FlashSettings, FlashSize},
    image_format::idf::IdfBootloaderFormat,
    target::{Chip as EspChip, XtalFrequency},
};

use crate::{
    profile::{AppSource, BootloaderSource, Chip, FactoryFirmware, FlashMap, Profile},
    simulated::simulated,
};

/// The firmware descriptions that ship with Goldline, by name.
const FIRMWARE_MODELS: &[(&str, &str)] = &[
    ("espvault", include_str!("../../../fixtures/firmware/espvault.toml")),
    ("espvault-encrypted", include_str!("../../../fixtures/firmware/espvault-encrypted.toml")),
    ("espvault-hmac", include_str!("../../../fixtures/firmware/espvault-hmac.toml")),
    (
        "espvault-certificates",
        include_str!("../../../fixtures/firmware/espvault-certificates.toml"),
    ),
    ("safesignal", include_str!("../../../fixtures/firmware/safesignal.toml")),
    ("zeroconf-ca", include_str!("../../../fixtures/firmware/zeroconf-ca.toml")),
    ("zeroconf-ca-console", include_str!("../../../fixtures/firmware/zeroconf-ca-console.toml")),
    ("ble-gateway", include_str!("../../../fixtures/firmware/ble-gateway.toml")),
    ("ble-gateway-next", include_str!("../../../fixtures/firmware/ble-gateway-next.toml")),
    ("ble-gateway-bad", include_str!("../../../fixtures/firmware/ble-gateway-bad.toml")),
    ("ble-gateway-factory", include_str!("../../../fixtures/firmware/ble-gateway-factory.toml")),
    ("zeroconf", include_str!("../../../fixtures/firmware/zeroconf.toml")),
];

/// First byte of every ESP image.
const ESP_IMAGE_MAGIC: u8 = 0xE9;

/// What is flashed besides a unit's own data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlashImages {
    /// The second-stage bootloader.
    pub bootloader: Vec<u8>,
    /// The partition table with its MD5, 0xC00 bytes.
    pub partition_table: Vec<u8>,
    /// The application.
    pub app: Vec<u8>,
    /// The firmware that writes a unit's values and is then replaced; made for each unit.
    pub factory_app: Option<Vec<u8>>,
}

/// An image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file of the profile cannot be read.
    #[error("cannot read {path}: {source}; correct the path in [images]")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A firmware model that does not exist.
    #[error(
        "no firmware model \"{name}\": shipped are {shipped}; or give the path of a description"
    )]
    UnknownModel {
        /// As the profile names it.
        name: String,
        /// The names there are.
        shipped: String,
    },
    /// The firmware description is wrong.
    #[error("the firmware model \"{name}\" does not compile: {detail}")]
    Model {
        /// As the profile names it.
        name: String,
        /// The compiler's words.
        detail: String,
    },
    /// A ready image came without its bootloader.
    #[error(
        "{path} is a ready ESP image: name its bootloader's file in [images] too, or give the ELF"
    )]
    BootloaderNeeded {
        /// The image.
        path: PathBuf,
    },
    /// A ready image was to carry the values of each unit.
    #[error(
        "{path} cannot carry the values of each unit: a provisioning firmware is compiled for each, from a model"
    )]
    NoConstants {
        /// The image.
        path: PathBuf,
    },
    /// The partition table cannot be encoded.
    #[error("cannot encode the partition table: {0}")]
    Table(#[from] esp_idf_part::Error),
    /// espflash cannot lay the images out.
    #[error("cannot lay out the application for {chip}: {detail}")]
    Layout {
        /// The chip.
        chip: Chip,
        /// espflash's own words.
        detail: String,
    },
    /// The flash size is none that a chip has.
    #[error(
        "{size} bytes is no flash size that the image header can name: expected 1, 2, 4, 8, 16 MB and up by powers of two"
    )]
    FlashSize {
        /// In bytes.
        size: u32,
    },
    /// A temporary file cannot be used.
    #[error("cannot hold the partition table in a temporary file: {0}")]
    Scratch(io::Error),
}

impl FlashImages {
    /// Makes the images of a profile. A firmware model trusts `trust_anchor_pem`; an application of
    /// the product's own carries what it carries.
    ///
    /// # Errors
    /// [`ImageError`] names the file or the reason.
    pub fn build(profile: &Profile, trust_anchor_pem: &str) -> Result<Self, ImageError> {
        let partition_table = encode_table(&profile.flash)?;
        let app = match &profile.images.app {
            AppSource::Model { name } => compile_model(name, trust_anchor_pem, profile.chip)?,
            AppSource::File(path) => read(path)?,
        };
        let own_bootloader = match &profile.images.bootloader {
            BootloaderSource::EspIdf => None,
            BootloaderSource::File(path) => Some((path, read(path)?)),
        };
        if app.first() == Some(&ESP_IMAGE_MAGIC) {
            let Some((_, bootloader)) = own_bootloader else {
                let AppSource::File(path) = &profile.images.app else {
                    unreachable!("a compiled model is an ELF file")
                };
                return Err(ImageError::BootloaderNeeded { path: path.clone() });
            };
            return Ok(Self { bootloader, partition_table, app, factory_app: None });
        }
        let bootloader_path = own_bootloader.as_ref().map(|(path, _)| path.as_path());
        let (bootloader, app) = lay_out(profile, &app, &partition_table, bootloader_path)?;
        Ok(Self { bootloader, partition_table, app, factory_app: None })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    fs::read(path).map_err(|source| ImageError::File { path: path.to_owned(), source })
}

/// A firmware description by the name of a shipped one, or by path.
///
/// # Errors
/// [`ImageError::UnknownModel`] or [`ImageError::File`].
pub fn firmware_description(name: &str) -> Result<String, ImageError> {
    if let Some((_, text)) = FIRMWARE_MODELS.iter().find(|(shipped, _)| *shipped == name) {
        return Ok((*text).to_owned());
    }
    if !name.contains(['/', '.']) {
        let shipped: Vec<&str> = FIRMWARE_MODELS.iter().map(|(name, _)| *name).collect();
        return Err(ImageError::UnknownModel {
            name: name.to_owned(),
            shipped: shipped.join(", "),
        });
    }
    fs::read_to_string(name).map_err(|source| ImageError::File { path: name.into(), source })
}

/// The firmware that carries one unit's values as constants, laid out for the application's partition.
///
/// # Errors
/// As [`FlashImages::build`]; an application of the product's own cannot be made for each unit here.
pub fn compile_factory_app(
    profile: &Profile,
    factory: &FactoryFirmware,
    constants: &BTreeMap<String, String>,
    trust_anchor_pem: &str,
) -> Result<Vec<u8>, ImageError> {
    let AppSource::Model { name } = &factory.app else {
        let AppSource::File(path) = &factory.app else { unreachable!("there are two sources") };
        return Err(ImageError::NoConstants { path: path.clone() });
    };
    let refuse = |detail: String| ImageError::Model { name: name.clone(), detail };
    let description = firmware_description(name)?;
    let chip = simulated(profile.chip);
    let elf =
        goldline_simulator::firmware::compile_with(&description, trust_anchor_pem, constants, chip)
            .map_err(|error| refuse(error.to_string()))?;
    let table = encode_table(&profile.flash)?;
    Ok(lay_out(profile, &elf, &table, None)?.1)
}

/// An application that is sent over the air, as it lies in flash.
///
/// # Errors
/// As [`FlashImages::build`].
pub fn compile_update(
    profile: &Profile,
    app: &AppSource,
    trust_anchor_pem: &str,
) -> Result<Vec<u8>, ImageError> {
    let app = match app {
        AppSource::Model { name } => compile_model(name, trust_anchor_pem, profile.chip)?,
        AppSource::File(path) => read(path)?,
    };
    if app.first() == Some(&ESP_IMAGE_MAGIC) {
        return Ok(app);
    }
    Ok(lay_out(profile, &app, &encode_table(&profile.flash)?, None)?.1)
}

fn compile_model(name: &str, trust_anchor_pem: &str, chip: Chip) -> Result<Vec<u8>, ImageError> {
    let refuse = |detail: String| ImageError::Model { name: name.to_owned(), detail };
    let description = firmware_description(name)?;
    goldline_simulator::firmware::compile(&description, trust_anchor_pem, simulated(chip))
        .map_err(|error| refuse(error.to_string()))
}

fn encode_table(flash: &FlashMap) -> Result<Vec<u8>, ImageError> {
    let mut csv = String::new();
    for partition in flash.partitions() {
        let flags = if partition.encrypted { "encrypted" } else { "" };
        csv += &format!(
            "{},{},{},{:#x},{:#x},{flags}\n",
            partition.name,
            partition.kind.kind,
            partition.kind.subtype,
            partition.offset,
            partition.size
        );
    }
    Ok(PartitionTable::try_from_str(csv)?.to_bin()?)
}

/// Bootloader and application as espflash lays them out.
fn lay_out(
    profile: &Profile,
    elf: &[u8],
    table: &[u8],
    bootloader: Option<&Path>,
) -> Result<(Vec<u8>, Vec<u8>), ImageError> {
    let layout = |detail: String| ImageError::Layout { chip: profile.chip, detail };
    // espflash takes a table by path only, and tells a binary from a CSV by its content.
    let folder = tempfile::tempdir().map_err(ImageError::Scratch)?;
    let table_path = folder.path().join("partitions.bin");
    fs::write(&table_path, table).map_err(ImageError::Scratch)?;
    let settings = FlashSettings::new(None, Some(flash_size(profile.flash.size())?), None);
    let chip = esp_chip(profile.chip);
    let data = FlashData::new(settings, 0, None, chip, crystal(profile.chip));
    let format = IdfBootloaderFormat::new(
        elf,
        &data,
        Some(&table_path),
        bootloader,
        Some(profile.flash.table_offset()),
        Some(&profile.images.app_partition),
    )
    .map_err(|error| layout(error.to_string()))?;
    let app_offset = profile.flash.partition(&profile.images.app_partition).map(|app| app.offset);
    let (mut bootloader, mut app) = (None, None);
    for segment in format.flash_segments() {
        if segment.addr == profile.chip.bootloader_offset() {
            bootloader = Some(segment.data().to_vec());
        } else if Some(segment.addr) == app_offset {
            app = Some(segment.data().to_vec());
        }
    }
    let bootloader = bootloader.ok_or_else(|| layout("no bootloader came out".to_owned()))?;
    let app = app.ok_or_else(|| layout("no application came out".to_owned()))?;
    Ok((bootloader, app))
}

fn flash_size(size: u32) -> Result<FlashSize, ImageError> {
    const MB: u32 = 1024 * 1024;
    Ok(match size {
        s if s == MB => FlashSize::_1Mb,
        s if s == 2 * MB => FlashSize::_2Mb,
        s if s == 4 * MB => FlashSize::_4Mb,
        s if s == 8 * MB => FlashSize::_8Mb,
        s if s == 16 * MB => FlashSize::_16Mb,
        s if s == 32 * MB => FlashSize::_32Mb,
        _ => return Err(ImageError::FlashSize { size }),
    })
}

fn esp_chip(chip: Chip) -> EspChip {
    match chip {
        Chip::Esp32 => EspChip::Esp32,
        Chip::Esp32S2 => EspChip::Esp32s2,
        Chip::Esp32S3 => EspChip::Esp32s3,
        Chip::Esp32C2 => EspChip::Esp32c2,
        Chip::Esp32C3 => EspChip::Esp32c3,
        Chip::Esp32C6 => EspChip::Esp32c6,
        Chip::Esp32H2 => EspChip::Esp32h2,
    }
}

fn crystal(chip: Chip) -> XtalFrequency {
    match chip {
        Chip::Esp32H2 => XtalFrequency::_32Mhz,
        _ => XtalFrequency::_40Mhz,
    }
}
