//! One unit, good or with one defect, run to its record.

use std::{io, sync::Arc};

use tempfile::NamedTempFile;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::mutant::Change;
use crate::{
    engine::Events,
    profile::{AppSource, Profile},
    record::Record,
    station::{JobsError, Specimen, Specimens, SpecimensError},
};

/// A unit could not be run.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The changed firmware has no file.
    #[error("a file for the changed firmware: {0}")]
    Firmware(#[from] io::Error),
    /// The station refuses it.
    #[error(transparent)]
    Specimen(#[from] SpecimensError),
    /// The run broke down.
    #[error("the run of the unit broke down: {0}")]
    Panicked(#[from] JoinError),
}

impl TrialError {
    /// Whether no unit can be so; all else is the bench's fault.
    pub(super) fn says_that_it_cannot_be(&self) -> bool {
        let Self::Specimen(SpecimensError::Jobs(error)) = self else { return false };
        matches!(
            error,
            JobsError::Images(_)
                | JobsError::Values(_)
                | JobsError::Untrusting(_)
                | JobsError::Unfit(_)
        )
    }
}

/// Runs a unit with that change; without one, a good one.
///
/// # Errors
/// [`TrialError`] when no unit can be so: nothing was run.
pub(super) async fn run(
    specimens: &Specimens,
    change: Option<&Change>,
    cancel: CancellationToken,
) -> Result<Record, TrialError> {
    let mut specimen = Specimen::default();
    // The description is read when the images are made, in the call below.
    let mut firmware = None;
    match change {
        None => {}
        Some(Change::Firmware { model, description }) => {
            let file = NamedTempFile::with_suffix(".toml")?;
            std::fs::write(&file, description)?;
            specimen.profile = Some(with_model(specimens.profile(), model, &file).into());
            firmware = Some(file);
        }
        Some(Change::Flash(tampering)) => specimen.tampering = Some(tampering.clone()),
        Some(Change::Fault { fault, seed }) => {
            specimen.faults.push(*fault);
            specimen.seed = *seed;
        }
        Some(Change::Mac(mac)) => specimen.mac = Some(*mac),
        Some(Change::Fuses(burnt)) => specimen.burnt = Some(burnt.clone()),
    }
    let finished = specimens.run(specimen, Events::nobody(), cancel).await?;
    drop(firmware);
    Ok(finished.record)
}

/// The product with the description in that file in the place of one of its own.
fn with_model(profile: &Arc<Profile>, model: &str, file: &NamedTempFile) -> Profile {
    let mut profile = Profile::clone(profile);
    let other = file.path().display().to_string();
    let ota = profile.ota.iter_mut();
    let updates = ota.flat_map(|ota| [&mut ota.update].into_iter().chain(&mut ota.bad_update));
    let apps = updates.map(|update| &mut update.app);
    let factory = profile.factory.iter_mut().map(|factory| &mut factory.app);
    for app in apps.chain(factory).chain([&mut profile.images.app]) {
        if let AppSource::Model { name } = app
            && name == model
        {
            name.clone_from(&other);
        }
    }
    profile
}
