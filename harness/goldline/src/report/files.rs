//! The folder of `--out`: the record and the serial log.

use std::path::Path;

use crate::{
    check::Observations,
    output_file::{Existing, OutputError, OutputFile, OutputFolder, Readers},
    record::Record,
};

/// The places of one run's record and serial log, looked at before a unit is touched.
pub struct RunFiles {
    folder: OutputFolder,
    record: OutputFile,
    log: OutputFile,
}

impl RunFiles {
    /// Looks at the folder and at `record.json` and `console.log` in it. Makes and changes nothing.
    ///
    /// # Errors
    /// [`OutputError`] when the folder is none, or a file must not be written.
    pub fn at(folder: &Path, existing: Existing) -> Result<Self, OutputError> {
        let folder = OutputFolder::at(folder)?;
        let file = |name| folder.file(name, existing, Readers::AsBefore);
        Ok(Self { record: file("record.json")?, log: file("console.log")?, folder })
    }

    /// Both places.
    pub fn places(&self) -> [&Path; 2] {
        [self.record.path(), self.log.path()]
    }

    /// Makes the folder when it is missing.
    ///
    /// # Errors
    /// [`OutputError`] names the folder.
    pub fn make_folder(&self) -> Result<(), OutputError> {
        self.folder.make(Readers::AsBefore)
    }

    /// The same places, for a run that takes the place of one that was written there.
    pub fn of_our_own(&self) -> Self {
        let Self { folder, record, log } = self;
        Self { folder: folder.clone(), record: record.of_our_own(), log: log.of_our_own() }
    }

    /// Writes both files, whole or not at all.
    ///
    /// # Errors
    /// [`OutputError`] names the file.
    pub fn write(&self, record: &Record, seen: &Observations) -> Result<(), OutputError> {
        let json = serde_json::to_vec_pretty(record).expect("a record becomes JSON");
        let log = serial_log(seen);
        OutputFile::write_all([(&self.record, json.as_slice()), (&self.log, log.as_bytes())])
    }
}

/// All that a run's unit printed, line by line, each with its milliseconds since the port was opened; without
/// secrets.
pub fn serial_log(seen: &Observations) -> String {
    let lines = seen.earlier_console.iter().chain(seen.console.lines()).chain(&seen.update_console);
    lines.map(|line| format!("{:8} {}\n", line.at_ms, line.text)).collect()
}
