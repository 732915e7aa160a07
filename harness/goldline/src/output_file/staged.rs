//! A file's bytes beside its place, until it takes that place in one step.
//!
//! Dropped before that, it leaves nothing behind.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
};

use tempfile::NamedTempFile;

use super::{OutputError, OutputFile, Readers, Target, folder_of};

pub(super) struct Staged<'a> {
    output: &'a OutputFile,
    bytes: &'a [u8],
    target: Target,
    file: NamedTempFile,
}

impl<'a> Staged<'a> {
    /// Puts the bytes on the disk, if the place may still be written.
    pub(super) fn new(output: &'a OutputFile, bytes: &'a [u8]) -> Result<Self, OutputError> {
        let target = output.look()?;
        let file = stage(output, &target, bytes).map_err(|source| failed(output, source))?;
        Ok(Self { output, bytes, target, file })
    }

    /// Takes the place.
    pub(super) fn take_place(self) -> Result<(), OutputError> {
        let Self { output, bytes, target, file } = self;
        let path = target.path();
        let taken = match &target {
            Target::Free(path) => file.persist_noclobber(path),
            Target::Taken { path, .. } => {
                // A device may have come there since; a regular file is what was to be replaced.
                output.look()?;
                file.persist(path)
            }
        };
        match taken.map_err(|failure| failure.error) {
            Ok(_) => {}
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(output, error));
            }
            Err(_) if output.holds(bytes) => {}
            Err(_) => return Err(OutputError::Exists { path: output.path.clone() }),
        }
        // The file itself is safe already; not every file system can say the same of a folder.
        let _synced = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

fn failed(output: &OutputFile, source: io::Error) -> OutputError {
    OutputError::Write { path: output.path.clone(), source }
}

fn stage(output: &OutputFile, target: &Target, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    if output.readers == Readers::AsBefore {
        // The umask still applies to it.
        builder.permissions(Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder_of(target.path()))?;
    if let (Readers::AsBefore, Target::Taken { mode, .. }) = (output.readers, target) {
        file.as_file().set_permissions(Permissions::from_mode(*mode))?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}
