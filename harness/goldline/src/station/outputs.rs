//! The files that an order's runs are kept in: each place is looked at before anything is touched.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::order::Order;
use crate::{
    output_file::{Existing, OutputError, OutputFile, OutputFolder, Readers, place},
    record::Record,
    report::{RunFiles, junit_report},
};

/// Which files are asked for.
#[derive(Clone, Debug)]
pub struct OutputsRequest {
    /// A folder for record and serial log; numbered ones in it, when there are several units.
    pub out: Option<PathBuf>,
    /// A file for the units' values, secrets included.
    pub save_credentials: Option<PathBuf>,
    /// A file for what came of all units, as test reports have it.
    pub junit: Option<PathBuf>,
    /// What becomes of files that are there.
    pub existing: Existing,
}

/// The places, all of which may be written.
pub struct Outputs {
    /// In the order of the devices; empty without a folder.
    files: Vec<RunFiles>,
    pub(super) credentials: Option<OutputFile>,
    junit: Option<OutputFile>,
}

/// A file must not be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum OutputsError {
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("{} is named for two files of this run", .path.display())]
    Twice { path: PathBuf },
}

impl OutputsError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Twice { .. } => Some("name each file once".to_owned()),
            Self::Output(_) => None,
        }
    }
}

impl Outputs {
    /// Looks at all places; the flash files of simulated units are written too. Makes nothing.
    ///
    /// # Errors
    /// [`OutputsError`] when a file must not be written, or two are named by one place.
    pub fn look(request: &OutputsRequest, order: &Order) -> Result<Self, OutputsError> {
        let OutputsRequest { out, save_credentials, junit, existing } = request;
        let folders = out.iter().flat_map(|out| folders_of(out, order.units()));
        let files: Result<_, _> = folders.map(|folder| RunFiles::at(&folder, *existing)).collect();
        let credentials = save_credentials
            .as_deref()
            .map(|path| in_folder(path, out.as_deref(), *existing, Readers::Owner))
            .transpose();
        let junit = junit
            .as_deref()
            .map(|path| in_folder(path, out.as_deref(), *existing, Readers::AsBefore))
            .transpose();
        let outputs = Self { files: files?, credentials: credentials?, junit: junit? };
        outputs.refuse_one_place_twice(order.flash_files())?;
        Ok(outputs)
    }

    /// Makes the folders.
    pub(super) fn make_folders(&self) -> Result<(), OutputError> {
        self.files.iter().try_for_each(RunFiles::make_folder)
    }

    /// Writes what came of all units, where that is asked for.
    pub(super) fn write_report(&self, records: &[Record]) -> Result<(), OutputError> {
        let Some(junit) = &self.junit else { return Ok(()) };
        junit.write(junit_report(records).as_bytes())
    }

    /// The files of the unit in this place of the order.
    pub(super) fn of_unit(&self, index: usize) -> Option<&RunFiles> {
        self.files.get(index)
    }

    /// The later file would take the place of the earlier one.
    fn refuse_one_place_twice<'a>(
        &self,
        mut flash_files: impl Iterator<Item = &'a Path>,
    ) -> Result<(), OutputsError> {
        let mut places = BTreeSet::new();
        let mut name = |path: &Path| match places.insert(place(path)) {
            true => Ok(()),
            false => Err(OutputsError::Twice { path: path.to_owned() }),
        };
        flash_files.try_for_each(&mut name)?;
        self.files.iter().flat_map(RunFiles::places).try_for_each(&mut name)?;
        self.credentials.iter().map(OutputFile::path).try_for_each(&mut name)?;
        self.junit.iter().map(OutputFile::path).try_for_each(&mut name)?;
        Ok(())
    }
}

/// A file beside those of the runs, perhaps in the folder of `--out`, which the run makes.
fn in_folder(
    path: &Path,
    out: Option<&Path>,
    existing: Existing,
    readers: Readers,
) -> Result<OutputFile, OutputError> {
    match (out, path.file_name().and_then(OsStr::to_str)) {
        (Some(out), Some(name)) if place(&out.join(name)) == place(path) => {
            OutputFolder::at(out)?.file(name, existing, readers)
        }
        _ => OutputFile::at(path, existing, readers),
    }
}

/// One folder for one unit, numbered ones for several.
fn folders_of(out: &Path, units: usize) -> Vec<PathBuf> {
    match units {
        1 => vec![out.to_owned()],
        _ => (1..=units).map(|unit| out.join(format!("{unit:02}"))).collect(),
    }
}
