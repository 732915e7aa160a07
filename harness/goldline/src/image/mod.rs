//! Bootloader, partition table and application as the bytes that go into flash.
//!
//! Made the same way for a product's own ELF and for a firmware model: espflash lays out both.
//! Deterministic: the same profile and trust anchor give the same bytes. What is not made here is proven:
//! no image leaves this module that the profile's chip could not run. Must not know units.

mod application;
mod carried;
mod error;
mod fit;
mod inspect;
mod layout;
mod model;
mod network;
mod says;
mod spoilt;
mod symbols;

use std::{collections::BTreeMap, iter};

use application::{Application, application, compile_update, prove, read};

use layout::{lay_out, partition_table};
use model::signed_as_described;

use crate::{
    esp_image::{self, EspImage},
    hex::hex,
    profile::{AppSource, BootloaderSource, FactoryFirmware, Profile},
    record::FirmwareRecord,
    simulated::simulated,
};

pub use crate::esp_image::Damage;
pub use carried::{Carried, Form, carried};
pub use error::ImageError;
pub use fit::{Role, Unfit};
pub use inspect::{inspect, own_applications};
pub use model::firmware_description;
pub use network::knows_the_radio_only;
pub use spoilt::{NotSpoilt, spoilt};
pub use symbols::Symbols;

/// What is flashed besides a unit's own data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlashImages {
    /// The second-stage bootloader.
    pub bootloader: Vec<u8>,
    /// The partition table with its MD5, 0xC00 bytes.
    pub partition_table: Vec<u8>,
    /// The application.
    pub app: Vec<u8>,
    /// What the build flashes besides, in the order of the profile's list.
    pub others: Vec<Vec<u8>>,
    /// The firmware that writes a unit's values and is then replaced; made for each unit.
    pub factory_app: Option<Vec<u8>>,
    /// What a unit is updated to over the air while it is tested: the update, then the bad one if there is one.
    pub updates: Vec<Vec<u8>>,
}

impl FlashImages {
    /// What the application says of itself; `None` for one that ESP-IDF did not build.
    pub fn description(&self) -> Option<FirmwareRecord> {
        let image = EspImage::parse(&self.app).ok()?;
        let esp_image::AppDescription { version, project, idf_version, elf_digest } =
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
        let partition_table = partition_table(profile)?;
        let own_bootloader = match &profile.images.bootloader {
            BootloaderSource::EspIdf => None,
            BootloaderSource::File(file) => {
                let bytes = read(file)?;
                prove(file.path(), &bytes, Role::Bootloader, profile)?;
                Some((file.path(), bytes))
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
        says::hold(profile, &bootloader, &app)?;
        let others = profile.images.others.iter().map(|other| read(&other.file));
        let others = others.collect::<Result<_, _>>()?;
        let updates = updates(profile, trust_anchor_pem)?;
        Ok(Self { bootloader, partition_table, app, others, factory_app: None, updates })
    }

    /// Refuses what a simulated unit cannot run.
    ///
    /// # Errors
    /// [`ImageError::NotForSimulator`] names the file.
    pub fn refuse_machine_code(&self, profile: &Profile) -> Result<(), ImageError> {
        let AppSource::File(file) = &profile.images.app else { return Ok(()) };
        match goldline_simulator::firmware::is_described(&self.app) {
            true => Ok(()),
            false => Err(ImageError::NotForSimulator { path: file.path().to_owned() }),
        }
    }
}

/// What is needed only in the middle of a run is tried before it begins.
fn refuse_later_images(profile: &Profile) -> Result<(), ImageError> {
    if let Some(FactoryFirmware { app: AppSource::File(file), .. }) = &profile.factory {
        return Err(ImageError::NoConstants { path: file.path().to_owned() });
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
        let AppSource::File(file) = &factory.app else { unreachable!("there are two sources") };
        return Err(ImageError::NoConstants { path: file.path().to_owned() });
    };
    let refuse = |detail: String| ImageError::Model { name: name.clone(), detail };
    let description = firmware_description(name)?;
    let chip = simulated(profile.chip)?;
    let elf =
        goldline_simulator::firmware::compile_with(&description, trust_anchor_pem, constants, chip)
            .map_err(|error| refuse(error.to_string()))?;
    let table = partition_table(profile)?;
    Ok(lay_out(profile, &elf, &table, None)?.1)
}
