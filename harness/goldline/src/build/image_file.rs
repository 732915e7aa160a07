//! A file that is flashed, or the part of one.

use std::{
    fmt, fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

/// A file's bytes, or some of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageFile {
    path: PathBuf,
    part: Option<Range<usize>>,
}

impl ImageFile {
    /// Some bytes of a file: one that holds several images.
    pub(super) fn part(path: &Path, part: Range<usize>) -> Self {
        Self { path: path.to_owned(), part: Some(part) }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes.
    ///
    /// # Errors
    /// When it cannot be read, or ends before the part does.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = fs::read(&self.path)?;
        let Some(part) = &self.part else { return Ok(bytes) };
        if part.end > bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(part.end);
        Ok(bytes.split_off(part.start))
    }

    /// How many bytes there are.
    ///
    /// # Errors
    /// When the file is not there.
    pub fn length(&self) -> io::Result<u64> {
        match &self.part {
            Some(part) => Ok(part.len() as u64),
            None => Ok(fs::metadata(&self.path)?.len()),
        }
    }
}

impl<P: Into<PathBuf>> From<P> for ImageFile {
    fn from(path: P) -> Self {
        Self { path: path.into(), part: None }
    }
}

impl fmt::Display for ImageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            Some(Range { start, end }) => {
                write!(f, "{} ({start:#x} to {end:#x})", self.path.display())
            }
            None => write!(f, "{}", self.path.display()),
        }
    }
}
