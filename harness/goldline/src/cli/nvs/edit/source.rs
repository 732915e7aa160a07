//! Where the text of an argument comes from: itself, `@FILE` or `$VARIABLE`.

use std::{
    env,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::cli::nvs::{files, problem::NvsProblem};

/// A place to read a value from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli::nvs) enum Source {
    /// The argument itself, which every user of the machine can read.
    Inline(String),
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
}

impl Source {
    pub(in crate::cli::nvs) fn parse(text: &str) -> Self {
        match (text.strip_prefix('@'), text.strip_prefix('$')) {
            (Some(path), _) => Source::File(PathBuf::from(path)),
            (_, Some(variable)) => Source::Variable(variable.to_owned()),
            _ => Source::Inline(text.to_owned()),
        }
    }

    /// The content. One line's end at the end of a file or a variable does not count.
    pub(in crate::cli::nvs) fn read(&self) -> Result<Zeroizing<Vec<u8>>, NvsProblem> {
        match self {
            Source::Inline(text) => Ok(Zeroizing::new(text.clone().into_bytes())),
            Source::File(path) => Ok(without_line_end(files::read(path)?)),
            Source::Variable(variable) => match env::var(variable) {
                Ok(text) => Ok(without_line_end(Zeroizing::new(text.into_bytes()))),
                Err(_) => Err(NvsProblem::Variable { variable: variable.clone() }),
            },
        }
    }

    /// The path of a file, whose bytes count as they are.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Source::File(path) => Some(path),
            Source::Inline(_) | Source::Variable(_) => None,
        }
    }

    /// How a message names the place.
    pub(super) fn place(&self) -> String {
        match self {
            Source::Inline(_) => "the argument".to_owned(),
            Source::File(path) => path.display().to_string(),
            Source::Variable(variable) => format!("the variable {variable}"),
        }
    }
}

fn without_line_end(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let length = match line.len() == bytes.len() {
        true => bytes.len(),
        false => line.strip_suffix(b"\r").unwrap_or(line).len(),
    };
    bytes.truncate(length);
    bytes
}
