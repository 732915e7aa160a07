//! Bootloader, partition table and application as the bytes that go into flash.
//!
//! Made the same way for a product's own ELF and for a firmware model: espflash lays out both.
//! Deterministic: the same profile and trust anchor give the same bytes. What is not made here is proven:
//! no image leaves this module that the profile's chip could not run. Must not know units.

mod esp;
mod fit;
mod spoilt;

use std::{
    collections::BTreeMap,
    fs, io, iter,
    path::{Path, PathBuf},
};

use esp_idf_part::PartitionTable;
use espflash::{
    flasher::{FlashData, FlashSettings, FlashSize},
    image_format::idf::IdfBootloaderFormat,
    target::{Chip as EspChip, XtalFrequency},
};

use esp::EspImage;

use crate::{
    hex::hex,
    profile::{AppSource, BootloaderSource, Chip, FactoryFirmware, FlashMap, Profile},
    record::FirmwareRecord,
    simulated::simulated,
};

/// The firmware descriptions that ship with Goldline, by name.
const FIRMWARE_MODELS: &[(&str, &str)] = &[
    ("espvault", include_str!("../../../../fixtures/firmware/espvault.toml")),
    ("espvault-encrypted", include_str!("../../../../fixtures/firmware/espvault-encrypted.toml")),
    ("espvault-hmac", include_str!("../../../../fixtures/firmware/espvault-hmac.toml")),
    (
        "espvault-certificates",
        include_str!("../../../../fixtures/firmware/espvault-certificates.toml"),
    ),
    ("safesignal", include_str!("../../../../fixtures/firmware/safesignal.toml")),
    (
        "safesignal-certificates",
        include_str!("../../../../fixtures/firmware/safesignal-certificates.toml"),
    ),
    ("zeroconf-ca", include_str!("../../../../fixtures/firmware/zeroconf-ca.toml")),
    ("zeroconf-ca-console", include_str!("../../../../fixtures/firmware/zeroconf-ca-console.toml")),
    ("ble-gateway", include_str!("../../../../fixtures/firmware/ble-gateway.toml")),
    ("ble-gateway-next", include_str!("../../../../fixtures/firmware/ble-gateway-next.toml")),
    ("ble-gateway-bad", include_str!("../../../../fixtures/firmware/ble-gateway-bad.toml")),
    ("ble-gateway-factory", include_str!("../../../../fixtures/firmware/ble-gateway-factory.toml")),
    ("zeroconf-portal", include_str!("../../../../fixtures/firmware/zeroconf-portal.toml")),
    ("zeroconf", include_str!("../../../../fixtures/firmware/zeroconf.toml")),
];

pub use esp::Damage;
pub use fit::{Role, Unfit};
pub use spoilt::{NotSpoilt, spoilt};

/// First bytes of an ELF file, and where it names its processor.
const ELF_MAGIC: [u8; 4] = *b"\x7FELF";
const ELF_MACHINE: std::ops::Range<usize> = 18..20;

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
    /// What a unit is updated to over the air while it is tested: the update, then the bad one if there is one.
    pub updates: Vec<Vec<u8>>,
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
    /// A file of the profile is nothing that its chip can run.
    #[error("{path} cannot be flashed: {reason}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Unfit,
    },
    /// An ELF file for another processor.
    #[error("{path} is an ELF file for {found}, and the profile's chip {chip} is a {expected}")]
    Machine {
        /// The file.
        path: PathBuf,
        /// Its processor.
        found: String,
        /// The profile's chip.
        chip: Chip,
        /// Its processor.
        expected: &'static str,
    },
    /// No bad image can be made of the update.
    #[error("{what} cannot be made of the update {version}: {reason}")]
    NotSpoilt {
        /// Which one.
        what: &'static str,
        /// Version of the update.
        version: String,
        /// Why not.
        reason: NotSpoilt,
    },
    /// The simulator was to run machine code.
    #[error(
        "{path} holds machine code, and the simulator runs firmware descriptions only: name a model, or a device that runs it: a chip on a serial port"
    )]
    NotForSimulator {
        /// The file.
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
    /// What the application says of itself; `None` for one that ESP-IDF did not build.
    pub fn description(&self) -> Option<FirmwareRecord> {
        let image = EspImage::parse(&self.app).ok()?;
        let esp::AppDescription { version, project, idf_version, elf_digest } =
            image.description()?;
        let text = |field: &[u8]| {
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).into_owned()
        };
        Some(FirmwareRecord {
            project: text(project),
            version: text(version),
            idf_version: text(idf_version),
            elf_sha256: hex(elf_digest),
        })
    }

    /// Makes the images of a profile. A firmware model trusts `trust_anchor_pem`; an application of
    /// the product's own carries what it carries.
    ///
    /// # Errors
    /// [`ImageError`] names the file or the reason.
    pub fn build(profile: &Profile, trust_anchor_pem: &str) -> Result<Self, ImageError> {
        let partition_table = encode_table(&profile.flash)?;
        let own_bootloader = match &profile.images.bootloader {
            BootloaderSource::EspIdf => None,
            BootloaderSource::File(path) => {
                let bytes = read(path)?;
                prove(path, &bytes, Role::Bootloader, profile)?;
                Some((path.as_path(), bytes))
            }
        };
        let (bootloader, app) = match application(profile, &profile.images.app, trust_anchor_pem)? {
            Application::Ready(path, app) => match own_bootloader {
                Some((_, bootloader)) => (bootloader, app),
                None => return Err(ImageError::BootloaderNeeded { path: path.to_owned() }),
            },
            Application::Elf(path, elf) => {
                let bootloader = own_bootloader.as_ref().map(|(path, _)| *path);
                let (bootloader, app) = lay_out(profile, &elf, &partition_table, bootloader)?;
                let app = signed_as_described(&profile.images.app, app)?;
                if let Some(path) = path {
                    prove(path, &app, Role::App, profile)?;
                }
                (bootloader, app)
            }
        };
        refuse_later_images(profile)?;
        let updates = updates(profile, trust_anchor_pem)?;
        Ok(Self { bootloader, partition_table, app, factory_app: None, updates })
    }

    /// Refuses what a simulated unit cannot run.
    ///
    /// # Errors
    /// [`ImageError::NotForSimulator`] names the file.
    pub fn refuse_machine_code(&self, profile: &Profile) -> Result<(), ImageError> {
        let AppSource::File(path) = &profile.images.app else { return Ok(()) };
        match goldline_simulator::firmware::is_described(&self.app) {
            true => Ok(()),
            false => Err(ImageError::NotForSimulator { path: path.clone() }),
        }
    }
}

/// What a profile names as an application: a file of the product's has its path.
enum Application<'a> {
    /// Proven, as it lies in flash.
    Ready(&'a Path, Vec<u8>),
    /// To be laid out.
    Elf(Option<&'a Path>, Vec<u8>),
}

fn application<'a>(
    profile: &Profile,
    source: &'a AppSource,
    trust_anchor_pem: &str,
) -> Result<Application<'a>, ImageError> {
    let path = match source {
        AppSource::Model { name } => {
            let elf = compile_model(name, trust_anchor_pem, profile.chip)?;
            return Ok(Application::Elf(None, elf));
        }
        AppSource::File(path) => path,
    };
    let bytes = read(path)?;
    if bytes.starts_with(&ELF_MAGIC) {
        refuse_machine(path, &bytes, profile.chip)?;
        return Ok(Application::Elf(Some(path), bytes));
    }
    prove(path, &bytes, Role::App, profile)?;
    Ok(Application::Ready(path, bytes))
}

/// Proves that the profile's chip can run what a file holds.
fn prove(path: &Path, bytes: &[u8], role: Role, profile: &Profile) -> Result<(), ImageError> {
    fit::judge(bytes, role, profile)
        .map_err(|reason| ImageError::Unfit { path: path.to_owned(), reason })
}

fn refuse_machine(path: &Path, elf: &[u8], chip: Chip) -> Result<(), ImageError> {
    let machine = elf.get(ELF_MACHINE).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let xtensa = matches!(chip, Chip::Esp32 | Chip::Esp32S2 | Chip::Esp32S3);
    let (wanted, expected) = if xtensa { (94, "Xtensa") } else { (243, "RISC-V") };
    if machine == Some(wanted) {
        return Ok(());
    }
    let found = match machine {
        Some(94) => "Xtensa".to_owned(),
        Some(243) => "RISC-V".to_owned(),
        Some(other) => format!("processor {other}"),
        None => "no processor: it is cut short".to_owned(),
    };
    Err(ImageError::Machine { path: path.to_owned(), found, chip, expected })
}

/// Everything that is wrong with the files and models that a profile names: as [`FlashImages::build`]
/// would find it, without a bench to trust.
pub fn inspect(profile: &Profile) -> Vec<ImageError> {
    let mut found = Vec::new();
    let mut note = |outcome: Result<(), ImageError>| found.extend(outcome.err());
    if let BootloaderSource::File(path) = &profile.images.bootloader {
        note(read(path).and_then(|bytes| prove(path, &bytes, Role::Bootloader, profile)));
    }
    note(inspect_application(profile, &profile.images.app, true));
    if let Some(factory) = &profile.factory {
        note(match &factory.app {
            AppSource::Model { .. } => inspect_application(profile, &factory.app, false),
            AppSource::File(path) => Err(ImageError::NoConstants { path: path.clone() }),
        });
    }
    for update in profile.ota.iter().flat_map(|ota| iter::once(&ota.update).chain(&ota.bad_update))
    {
        note(inspect_application(profile, &update.app, false));
    }
    found
}

fn inspect_application(
    profile: &Profile,
    source: &AppSource,
    with_bootloader: bool,
) -> Result<(), ImageError> {
    if let AppSource::Model { name } = source {
        let refuse = |detail: String| ImageError::Model { name: name.clone(), detail };
        let description = firmware_description(name)?;
        return goldline_simulator::firmware::check(&description)
            .map_err(|error| refuse(error.to_string()));
    }
    match application(profile, source, "")? {
        Application::Ready(path, _)
            if with_bootloader && profile.images.bootloader == BootloaderSource::EspIdf =>
        {
            Err(ImageError::BootloaderNeeded { path: path.to_owned() })
        }
        Application::Ready(..) => Ok(()),
        Application::Elf(path, elf) => {
            let (_, app) = lay_out(profile, &elf, &encode_table(&profile.flash)?, None)?;
            path.map_or(Ok(()), |path| prove(path, &app, Role::App, profile))
        }
    }
}

/// What is needed only in the middle of a run is tried before it begins.
fn refuse_later_images(profile: &Profile) -> Result<(), ImageError> {
    if let Some(FactoryFirmware { app: AppSource::File(path), .. }) = &profile.factory {
        return Err(ImageError::NoConstants { path: path.clone() });
    }
    Ok(())
}

fn updates(profile: &Profile, trust_anchor_pem: &str) -> Result<Vec<Vec<u8>>, ImageError> {
    let Some(ota) = &profile.ota else { return Ok(Vec::new()) };
    let tried = iter::once(&ota.update).chain(&ota.bad_update);
    let updates: Vec<Vec<u8>> = tried
        .map(|update| compile_update(profile, &update.app, trust_anchor_pem))
        .collect::<Result<_, _>>()?;
    for bad in &ota.refuses {
        let (what, version) = (bad.words(), ota.update.version.clone());
        spoilt(&updates[0], *bad).map_err(|reason| ImageError::NotSpoilt {
            what,
            version,
            reason,
        })?;
    }
    Ok(updates)
}

/// A firmware model's image with the signature that its description asks for.
fn signed_as_described(source: &AppSource, image: Vec<u8>) -> Result<Vec<u8>, ImageError> {
    match source {
        AppSource::File(_) => Ok(image),
        AppSource::Model { name } => {
            Ok(goldline_simulator::firmware::sign_as_described(&firmware_description(name)?, image))
        }
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
fn compile_update(
    profile: &Profile,
    app: &AppSource,
    trust_anchor_pem: &str,
) -> Result<Vec<u8>, ImageError> {
    match application(profile, app, trust_anchor_pem)? {
        Application::Ready(_, app) => Ok(app),
        Application::Elf(path, elf) => {
            let (_, laid_out) = lay_out(profile, &elf, &encode_table(&profile.flash)?, None)?;
            if let Some(path) = path {
                prove(path, &laid_out, Role::App, profile)?;
            }
            signed_as_described(app, laid_out)
        }
    }
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
