//! One unit, good or with one defect, run to its record.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use goldline_simulator::Tampering;
use tempfile::NamedTempFile;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::mutant::Change;
use crate::{
    engine::Events,
    profile::{AppSource, Profile},
    record::{Record, Verdict},
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
    /// Where it was to be changed, its flash never held what was to be changed: it was a good one.
    #[error(
        "its flash never held what was to be changed, so that a good unit ran; report it with the mutant's id"
    )]
    NeverMade,
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
    let made = Arc::new(AtomicBool::new(!matches!(change, Some(Change::Flash(_)))));
    match change {
        None => {}
        Some(Change::Firmware { model, description }) => {
            let file = NamedTempFile::with_suffix(".toml")?;
            std::fs::write(&file, description)?;
            specimen.profile = Some(with_model(specimens.profile(), model, &file).into());
            firmware = Some(file);
        }
        Some(Change::Flash(tampering)) => specimen.tampering = Some(noting(tampering, &made)),
        Some(Change::Fault { fault, seed }) => {
            specimen.faults.push(*fault);
            specimen.seed = *seed;
        }
        Some(Change::Mac(mac)) => specimen.mac = Some(*mac),
        Some(Change::Fuses(burnt)) => specimen.burnt = Some(burnt.clone()),
    }
    let finished = specimens.run(specimen, Events::nobody(), cancel).await?;
    drop(firmware);
    // One that was stopped is told as such.
    let is_over = finished.record.verdict != Some(Verdict::Aborted);
    match made.load(Ordering::Relaxed) {
        false if is_over => Err(TrialError::NeverMade),
        _ => Ok(finished.record),
    }
}

/// The same tampering, which notes that it changed something.
fn noting(tampering: &Tampering, made: &Arc<AtomicBool>) -> Tampering {
    let (inner, made) = (tampering.clone(), Arc::clone(made));
    let noting = Tampering::new(move |cells| {
        let at = inner.change(cells)?;
        made.store(true, Ordering::Relaxed);
        Some(at)
    });
    match tampering.watched() {
        Some(watched) => noting.watching(watched),
        None => noting,
    }
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
