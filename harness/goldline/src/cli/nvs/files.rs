//! Files: read whole, written whole or not at all. Must not know what they hold.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::problem::NvsProblem;

/// No flash of an ESP32 is larger; a larger file, or one without an end, is the wrong one.
pub(super) const LARGEST_BYTES: u64 = 128 << 20;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Whoever could read the file before; of a new file, whoever the umask lets.
    AsBefore,
    /// Its owner only.
    Owner,
}

/// Reads a whole file. What it held is wiped from memory, since it may be a secret.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, NvsProblem> {
    read_limited(path).map_err(|error| NvsProblem::Read { path: path.to_owned(), error })
}

/// The same for those who know what to make of the operating system's error.
pub(super) fn read_limited(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = fs::File::open(path)?;
    let too_large = || {
        let message = "it is larger than any ESP32's flash, 128 MiB";
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    let known = file.metadata()?.len();
    if known > LARGEST_BYTES {
        return Err(too_large());
    }
    // Room for all of it and for the read that finds the end: a vector that grows leaves copies.
    bytes.reserve_exact(usize::try_from(known).unwrap_or(0) + 32);
    file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST_BYTES {
        true => Err(too_large()),
        false => Ok(bytes),
    }
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

/// Writes a file whole or leaves what was there. A link's target is written, not the link.
pub(super) fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), NvsProblem> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let failed = |error| NvsProblem::Write { path: path.to_owned(), error };
    match fs::metadata(&target) {
        // A device or a pipe cannot be replaced, and nobody finds half a file in it.
        Ok(existing) if !existing.is_file() => fs::write(&target, bytes).map_err(failed),
        existing => {
            let mode = existing.ok().map(|existing| existing.permissions().mode());
            let file = temporary(&target, bytes, readers, mode).map_err(failed)?;
            file.persist(&target).map_err(|error| failed(error.error))?;
            Ok(())
        }
    }
}

/// Writes a file that must not be there yet, readable by its owner only.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), NvsProblem> {
    let failed = |error| NvsProblem::Write { path: path.to_owned(), error };
    let file = temporary(path, bytes, Readers::Owner, None).map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(NvsProblem::KeyFileExists { path: path.to_owned() })
        }
        Err(error) => Err(failed(error.error)),
    }
}

/// The content in a file beside its place, safe from a loss of power.
fn temporary(
    target: &Path,
    bytes: &[u8],
    readers: Readers,
    mode_before: Option<u32>,
) -> io::Result<tempfile::NamedTempFile> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
    let mut builder = tempfile::Builder::new();
    if readers == Readers::AsBefore {
        // The umask still applies to it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    if let (Readers::AsBefore, Some(mode)) = (readers, mode_before) {
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    Ok(file)
}
