//! What a profile names as an application: a file of the product's, proven, or a firmware model.
//!
//! Must not know what else is flashed.

use std::path::Path;

use super::{
    error::ImageError,
    fit::{self, Role},
    layout::{lay_out, partition_table},
    model::{compile_model, signed_as_described},
};
use crate::{
    build::ImageFile,
    profile::{AppSource, Chip, Profile},
};

pub(super) use crate::build::ELF_MAGIC;

/// Where an ELF file names its processor.
const ELF_MACHINE: std::ops::Range<usize> = 18..20;

/// What a profile names as an application: a file of the product's has its path.
pub(super) enum Application<'a> {
    /// Proven, as it lies in flash.
    Ready(&'a Path, Vec<u8>),
    /// To be laid out.
    Elf(Option<&'a Path>, Vec<u8>),
}

pub(super) fn application<'a>(
    profile: &Profile,
    source: &'a AppSource,
    trust_anchor_pem: &str,
) -> Result<Application<'a>, ImageError> {
    let file = match source {
        AppSource::Model { name } => {
            let elf = compile_model(name, trust_anchor_pem, profile.chip)?;
            return Ok(Application::Elf(None, elf));
        }
        AppSource::File(file) => file,
    };
    let bytes = read(file)?;
    let path = file.path();
    if bytes.starts_with(&ELF_MAGIC) {
        refuse_machine(path, &bytes, profile.chip)?;
        return Ok(Application::Elf(Some(path), bytes));
    }
    prove(path, &bytes, Role::App, profile)?;
    Ok(Application::Ready(path, bytes))
}

/// Proves that the profile's chip can run what a file holds.
pub(super) fn prove(
    path: &Path,
    bytes: &[u8],
    role: Role,
    profile: &Profile,
) -> Result<(), ImageError> {
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

pub(super) fn read(file: &ImageFile) -> Result<Vec<u8>, ImageError> {
    let path = || file.path().to_owned();
    file.read().map_err(|source| ImageError::File { path: path(), source })
}

/// An application that is sent over the air, as it lies in flash.
///
/// # Errors
/// As [`super::FlashImages::build`].
pub(super) fn compile_update(
    profile: &Profile,
    app: &AppSource,
    trust_anchor_pem: &str,
) -> Result<Vec<u8>, ImageError> {
    match application(profile, app, trust_anchor_pem)? {
        Application::Ready(_, app) => Ok(app),
        Application::Elf(path, elf) => {
            let (_, laid_out) = lay_out(profile, &elf, &partition_table(profile)?, None)?;
            if let Some(path) = path {
                prove(path, &laid_out, Role::App, profile)?;
            }
            signed_as_described(app, laid_out)
        }
    }
}
