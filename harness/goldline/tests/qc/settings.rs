//! The environment of a QC run, parsed: which unit, which profiles, who shares a run.
//!
//! Must not touch a device. Relative paths count from the top of the repository, where the command
//! is typed, and not from the package, where cargo starts its tests.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use goldline::{
    device::{DeviceUrl, DeviceUrlError},
    profile::{CatalogError, Listed, list},
};
use uuid::Uuid;

/// Which unit is tested, as what, and who shares its run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// URL of the unit.
    pub device: String,
    /// Whether it is real hardware.
    pub is_real: bool,
    /// The only profile to run; the others are skipped by name.
    pub only: Option<String>,
    /// All profiles there are, sorted by name.
    pub profiles: Vec<Listed>,
    /// The station's state directory, for real units; its default place when not named.
    pub state: Option<PathBuf>,
    /// All cases with the same key and profile share one run.
    pub run_key: String,
    /// The top of the repository.
    pub repository: PathBuf,
}

/// The environment asks for something that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("GOLDLINE_DEVICE: {0}")]
    Device(#[from] DeviceUrlError),
    #[error(
        "GOLDLINE_DEVICE names the real unit {device}: name the profile of the product in the nest with GOLDLINE_PROFILE (there are {existing})"
    )]
    ProfileNotNamed { device: String, existing: String },
    #[error("GOLDLINE_PROFILE is \"{name}\": expected one of {existing}")]
    UnknownProfile { name: String, existing: String },
    #[error("the profiles cannot be listed: {0}")]
    Catalog(#[from] CatalogError),
}

impl Settings {
    /// Parses the variables; an unset one is `None`.
    ///
    /// # Errors
    /// [`SettingsError`] says which variable to change, and to what.
    pub fn new(
        repository: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let device = variable("GOLDLINE_DEVICE").unwrap_or_else(|| "simulator:".to_owned());
        let is_real = device.parse::<DeviceUrl>()?.is_real();
        let own = variable("GOLDLINE_PROFILES").map(|folder| repository.join(folder));
        let profiles = profiles(&repository.join("fixtures/profiles"), own.as_deref())?;
        let only = variable("GOLDLINE_PROFILE");
        check_choice(only.as_deref(), &profiles, is_real.then_some(&device))?;
        Ok(Self {
            run_key: run_key(&variable, &device),
            device,
            is_real,
            only,
            profiles,
            state: variable("GOLDLINE_STATE").map(|folder| repository.join(folder)),
            repository: repository.to_owned(),
        })
    }
}

/// The repository's profiles and a folder of one's own, which wins where both have a name.
fn profiles(shipped: &Path, own: Option<&Path>) -> Result<Vec<Listed>, CatalogError> {
    let folders = [Some(shipped), own];
    let mut by_name = BTreeMap::new();
    for folder in folders.into_iter().flatten() {
        for listed in list(Some(folder))? {
            // A folder's list names the built-in profiles too; they must not hide a file.
            if listed.path.is_some() || !by_name.contains_key(&listed.name) {
                by_name.insert(listed.name.clone(), listed);
            }
        }
    }
    Ok(by_name.into_values().collect())
}

fn check_choice(
    only: Option<&str>,
    profiles: &[Listed],
    real_device: Option<&String>,
) -> Result<(), SettingsError> {
    let existing = || {
        let names: Vec<&str> = profiles.iter().map(|listed| listed.name.as_str()).collect();
        names.join(", ")
    };
    match (only, real_device) {
        (None, Some(device)) => {
            Err(SettingsError::ProfileNotNamed { device: device.clone(), existing: existing() })
        }
        (Some(name), _) if profiles.iter().all(|listed| listed.name != name) => {
            Err(SettingsError::UnknownProfile { name: name.to_owned(), existing: existing() })
        }
        _ => Ok(()),
    }
}

/// Nextest gives all processes of one run the same id, and counts the rounds of a stress run. The
/// attempt is left out on purpose: a retried case gets the result that is there. Without nextest one
/// process holds all cases.
fn run_key(variable: impl Fn(&str) -> Option<String>, device: &str) -> String {
    let run = variable("NEXTEST_RUN_ID").unwrap_or_else(|| Uuid::new_v4().to_string());
    let round = variable("NEXTEST_STRESS_CURRENT").unwrap_or_default();
    format!("{run}\n{round}\n{device}")
}
