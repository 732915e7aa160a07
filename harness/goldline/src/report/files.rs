//! The folder of `--out`: the record and the serial log.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{check::Observations, record::Record};

/// A file of the report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}; name another folder with --out")]
pub struct ReportError {
    /// Which file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Makes the folder of `--out` when it is missing, so that a wrong one is known before a unit is touched.
///
/// # Errors
/// [`ReportError`] names the folder.
pub fn make_folder(folder: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(folder).map_err(|source| ReportError { path: folder.to_owned(), source })
}

/// Writes `record.json` and `console.log` into the folder, which is made when missing.
///
/// # Errors
/// [`ReportError`] names the file.
pub fn write_files(folder: &Path, record: &Record, seen: &Observations) -> Result<(), ReportError> {
    let at = |path: PathBuf| move |source| ReportError { path, source };
    make_folder(folder)?;
    let json = serde_json::to_vec_pretty(record).expect("a record becomes JSON");
    let path = folder.join("record.json");
    fs::write(&path, json).map_err(at(path))?;
    let lines = seen.earlier_console.iter().chain(&seen.console).chain(&seen.update_console);
    let log: String = lines.map(|line| format!("{:8} {}\n", line.at_ms, line.text)).collect();
    let path = folder.join("console.log");
    fs::write(&path, log).map_err(at(path))
}
