//! Everything that is wrong with a profile's files, without a bench to trust.
//!
//! Must not know what is done with them.

use std::{iter, path::Path};

use super::{
    application::{Application, ELF_MAGIC, application, compile_update, prove, read},
    error::ImageError,
    fit::Role,
    layout::{lay_out, partition_table},
    model::firmware_description,
    says,
};
use crate::{
    profile::{AppSource, BootloaderSource, Profile},
    simulated::simulated,
};

/// Everything that is wrong with the files and models that a profile names: as [`super::FlashImages::build`]
/// would find it, without a bench to trust.
pub fn inspect(profile: &Profile) -> Vec<ImageError> {
    let mut found = Vec::new();
    let mut note = |outcome: Result<(), ImageError>| found.extend(outcome.err());
    if let BootloaderSource::File(file) = &profile.images.bootloader {
        note(read(file).and_then(|bytes| prove(file.path(), &bytes, Role::Bootloader, profile)));
    }
    note(says::inspect(profile));
    for other in &profile.images.others {
        note(read(&other.file).map(drop));
    }
    if let Some(elf) = &profile.images.elf {
        note(read(elf).and_then(|bytes| match bytes.starts_with(&ELF_MAGIC) {
            true => Ok(()),
            false => Err(ImageError::NoElf { path: elf.path().to_owned() }),
        }));
    }
    note(inspect_application(profile, &profile.images.app, true));
    if let Some(factory) = &profile.factory {
        note(match &factory.app {
            AppSource::Model { .. } => inspect_application(profile, &factory.app, false),
            AppSource::File(file) => Err(ImageError::NoConstants { path: file.path().to_owned() }),
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
        simulated(profile.chip)?;
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
            let (_, app) = lay_out(profile, &elf, &partition_table(profile)?, None)?;
            path.map_or(Ok(()), |path| prove(path, &app, Role::App, profile))
        }
    }
}

/// The applications that are files of the product's, as they would lie in flash, with what each is: none of
/// them carries anything of a bench.
///
/// # Errors
/// As [`inspect`].
pub fn own_applications(profile: &Profile) -> Result<Vec<(&Path, Vec<u8>)>, ImageError> {
    let updates = profile.ota.iter().map(|ota| &ota.update.app);
    let mut applications = Vec::new();
    for source in iter::once(&profile.images.app).chain(updates) {
        if let AppSource::File(file) = source {
            applications.push((file.path(), compile_update(profile, source, "")?));
        }
    }
    Ok(applications)
}
