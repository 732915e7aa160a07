//! The files that an order's runs are kept in: each place is looked at before anything is touched.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{credentials, order::Order};
use crate::{
    output_file::{Existing, OutputError, OutputFile, place},
    report::RunFiles,
};

/// Which files are asked for.
#[derive(Clone, Debug)]
pub struct OutputsRequest {
    /// A folder for record and serial log; numbered ones in it, when there are several units.
    pub out: Option<PathBuf>,
    /// A file for the units' values, secrets included.
    pub save_credentials: Option<PathBuf>,
    /// What becomes of files that are there.
    pub existing: Existing,
}

/// The places, all of which may be written.
pub struct Outputs {
    /// In the order of the devices; empty without a folder.
    files: Vec<RunFiles>,
    pub(super) credentials: Option<OutputFile>,
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
        let OutputsRequest { out, save_credentials, existing } = request;
        let folders = out.iter().flat_map(|out| folders_of(out, order.units()));
        let files: Result<_, _> = folders.map(|folder| RunFiles::at(&folder, *existing)).collect();
        let credentials = save_credentials
            .as_deref()
            .map(|path| credentials::place(path, out.as_deref(), *existing))
            .transpose();
        let outputs = Self { files: files?, credentials: credentials? };
        outputs.refuse_one_place_twice(order.flash_files())?;
        Ok(outputs)
    }

    /// Makes the folders.
    pub(super) fn make_folders(&self) -> Result<(), OutputError> {
        self.files.iter().try_for_each(RunFiles::make_folder)
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
        Ok(())
    }
}

/// One folder for one unit, numbered ones for several.
fn folders_of(out: &Path, units: usize) -> Vec<PathBuf> {
    match units {
        1 => vec![out.to_owned()],
        _ => (1..=units).map(|unit| out.join(format!("{unit:02}"))).collect(),
    }
}
