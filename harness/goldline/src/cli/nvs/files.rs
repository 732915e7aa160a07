//! Files that a command reads whole, and the places that it may write. Must not know what they hold.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use zeroize::Zeroizing;

use super::problem::NvsProblem;
use crate::output_file::{Existing, OutputError, OutputFile, Readers};

/// No flash of an ESP32 is larger; a larger file, or one without an end, is the wrong one.
pub(super) const LARGEST_BYTES: u64 = 128 << 20;

/// What stands for standard input among the files to read.
pub(super) const STANDARD_INPUT: &str = "-";

/// Reads a whole file, or standard input. What it held is wiped from memory, since it may be a secret.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, NvsProblem> {
    let bytes = match is_standard_input(path) {
        true => read_to_end(&mut io::stdin().lock(), 0),
        false => read_limited(path),
    };
    bytes.map_err(|error| NvsProblem::Read { path: path.to_owned(), error })
}

/// Whether a path stands for standard input.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT
}

/// The same for those who know what to make of the operating system's error.
pub(super) fn read_limited(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = fs::File::open(path)?;
    let known = file.metadata()?.len();
    if known > LARGEST_BYTES {
        return Err(too_large());
    }
    read_to_end(&mut file, usize::try_from(known).unwrap_or(0))
}

fn read_to_end(reader: &mut dyn Read, expected: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    // Room for all of it and for the read that finds the end: a vector that grows leaves copies.
    bytes.reserve_exact(expected + 32);
    reader.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST_BYTES {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

fn too_large() -> io::Error {
    let message = "it is larger than any ESP32's flash, 128 MiB";
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

/// Refuses to write over one of the command's own inputs.
pub(super) fn refuse_input_as_output(output: &Path, inputs: &[&Path]) -> Result<(), NvsProblem> {
    let Ok(existing) = output.canonicalize() else { return Ok(()) };
    let is_same = |input: &&&Path| input.canonicalize().is_ok_and(|input| input == existing);
    match inputs.iter().find(is_same) {
        Some(_) => Err(NvsProblem::OutputIsInput { path: output.to_owned() }),
        None => Ok(()),
    }
}

/// Looks at a place for output. An earlier file stays unless the user says otherwise.
pub(super) fn output(
    path: &Path,
    existing: Existing,
    readers: Readers,
) -> Result<OutputFile, NvsProblem> {
    OutputFile::at(path, existing, readers).map_err(NvsProblem::Output)
}

/// Looks at a file that is to be changed in place. A link's target is changed, not the link.
pub(super) fn in_place(path: &Path, readers: Readers) -> Result<OutputFile, NvsProblem> {
    OutputFile::at(path, Existing::Replace, readers).map_err(NvsProblem::Output)
}

/// Whether a file has these very bytes, and no readers that it should not have.
pub(super) fn holds(path: &Path, bytes: &[u8], readers: Readers) -> bool {
    let is_closed = |found: fs::Metadata| found.permissions().mode() & 0o077 == 0;
    let has_readers =
        readers == Readers::AsBefore || fs::symlink_metadata(path).is_ok_and(is_closed);
    has_readers && read(path).is_ok_and(|held| *held == bytes)
}

/// Looks at a place for a key file: an earlier one is never overwritten.
pub(super) fn new_key_file(path: &Path) -> Result<OutputFile, NvsProblem> {
    OutputFile::at(path, Existing::Refuse, Readers::Owner).map_err(|error| match error {
        OutputError::Exists { path } | OutputError::Link { path } => {
            NvsProblem::KeyFileExists { path }
        }
        error => NvsProblem::Output(error),
    })
}
