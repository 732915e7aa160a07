//! The files that a run was asked for, `--out` and `--save-credentials`: each place is looked at before
//! anything is touched.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    arguments::RunArguments,
    credentials,
    problem::{usage, usage_with_help},
};
use crate::{
    output_file::{OutputFile, place},
    report::RunFiles,
};

/// The places, all of which may be written.
pub(super) struct RunOutputs {
    /// In the order of the devices; empty without `--out`.
    files: Vec<RunFiles>,
    pub(super) credentials: Option<OutputFile>,
}

impl RunOutputs {
    /// Looks at all places. `flash_files` are those of simulated units, which are written too.
    pub(super) fn look<'a>(
        arguments: &RunArguments,
        units: usize,
        flash_files: impl Iterator<Item = &'a Path>,
    ) -> miette::Result<Self> {
        let existing = arguments.overwrite.existing();
        let folders = arguments.out.iter().flat_map(|out| folders_of(out, units));
        let files: Result<_, _> = folders.map(|folder| RunFiles::at(&folder, existing)).collect();
        let credentials = arguments.save_credentials.as_deref();
        let out = arguments.out.as_deref();
        let credentials =
            credentials.map(|path| credentials::place(path, out, existing)).transpose();
        let outputs =
            Self { files: files.map_err(usage)?, credentials: credentials.map_err(usage)? };
        outputs.refuse_one_place_twice(flash_files)?;
        Ok(outputs)
    }

    /// Makes the folders of `--out`.
    pub(super) fn make_folders(&self) -> miette::Result<()> {
        self.files.iter().try_for_each(RunFiles::make_folder).map_err(usage)
    }

    /// The files of the unit in this place of the arguments.
    pub(super) fn of_unit(&self, index: usize) -> Option<&RunFiles> {
        self.files.get(index)
    }

    /// The later file would take the place of the earlier one.
    fn refuse_one_place_twice<'a>(
        &self,
        mut flash_files: impl Iterator<Item = &'a Path>,
    ) -> miette::Result<()> {
        let mut places = BTreeSet::new();
        let mut name = |path: &Path| match places.insert(place(path)) {
            true => Ok(()),
            false => Err(usage_with_help(
                format!("{} is named for two files of this run", path.display()),
                "name each file once",
            )),
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
