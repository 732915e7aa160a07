//! Where the register's URL is read from: it holds a password, and so never stands in arguments.

use std::path::{Path, PathBuf};

use crate::{
    profile::{SecretError, SecretSource, StationFile, StationFileError},
    registry::{RegistryUrl, UrlError},
};

/// The register's URL cannot be had. No message repeats it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum RegistryUrlError {
    #[error(
        "the registry's URL never goes through arguments, which every user of the machine can read"
    )]
    InArguments,
    #[error("no registry is named")]
    NotNamed,
    #[error(transparent)]
    StationFile(#[from] StationFileError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Url(#[from] UrlError),
}

impl RegistryUrlError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        let action = match self {
            Self::InArguments => {
                "put it into a variable or a file: --registry '$VARIABLE' or --registry @FILE"
            }
            Self::NotNamed => {
                "give --registry '$VARIABLE' or --registry @FILE, or [services.registry] in a --station file"
            }
            Self::StationFile(_) | Self::Secret(_) | Self::Url(_) => return None,
        };
        Some(action.to_owned())
    }
}

/// The URL at the place that was named, else that of the station file.
///
/// # Errors
/// [`RegistryUrlError`] when neither has one, or it cannot be read.
pub fn registry_url(
    place: Option<&str>,
    station_file: Option<&Path>,
) -> Result<RegistryUrl, RegistryUrlError> {
    let station = station_file.map(StationFile::load).transpose()?;
    registry_url_if_any(place, station.as_ref())?.ok_or(RegistryUrlError::NotNamed)
}

/// The URL at the place that was named, else that of the station file, else none.
pub(super) fn registry_url_if_any(
    place: Option<&str>,
    station: Option<&StationFile>,
) -> Result<Option<RegistryUrl>, RegistryUrlError> {
    let source = match place {
        Some(place) => Some(source_of(place)?),
        None => station
            .and_then(|station| station.registry.as_ref())
            .map(|registry| registry.url.clone()),
    };
    let Some(source) = source else { return Ok(None) };
    Ok(Some(RegistryUrl::parse(&source.read()?)?))
}

/// The text is not repeated, in case it is the URL itself.
fn source_of(place: &str) -> Result<SecretSource, RegistryUrlError> {
    if let Some(path) = place.strip_prefix('@') {
        return Ok(SecretSource::File(PathBuf::from(path)));
    }
    if let Some(variable) = place.strip_prefix('$') {
        return Ok(SecretSource::environment(variable));
    }
    Err(RegistryUrlError::InArguments)
}
