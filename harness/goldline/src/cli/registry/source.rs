//! Where the register's URL is read from: it holds a password, and so never stands in arguments.

use std::path::{Path, PathBuf};

use super::no_source;
use crate::{
    cli::problem::{usage, usage_with_help},
    profile::{SecretSource, StationFile},
    registry::RegistryUrl,
};

/// The URL of `--registry`, else of the station file.
pub(super) fn url(argument: Option<&str>, station: Option<&Path>) -> miette::Result<RegistryUrl> {
    let source = match argument {
        Some(argument) => of_argument(argument)?,
        None => of_station(station)?,
    };
    let text = source.read().map_err(usage)?;
    RegistryUrl::parse(&text).map_err(usage)
}

/// The URL of `--registry`, else of the station file, else none.
pub(in crate::cli) fn url_if_any(
    argument: Option<&str>,
    station: Option<&Path>,
) -> miette::Result<Option<RegistryUrl>> {
    let known = station.map(StationFile::load).transpose().map_err(usage)?;
    let in_station = known.is_some_and(|station| station.registry.is_some());
    (argument.is_some() || in_station).then(|| url(argument, station)).transpose()
}

/// The argument is not repeated, in case it is the URL itself.
fn of_argument(argument: &str) -> miette::Result<SecretSource> {
    if let Some(path) = argument.strip_prefix('@') {
        return Ok(SecretSource::File(PathBuf::from(path)));
    }
    if let Some(variable) = argument.strip_prefix('$') {
        return Ok(SecretSource::Environment(variable.to_owned()));
    }
    Err(usage_with_help(
        "the registry's URL never goes through arguments, which every user of the machine can read",
        "put it into a variable or a file: --registry '$VARIABLE' or --registry @FILE",
    ))
}

fn of_station(path: Option<&Path>) -> miette::Result<SecretSource> {
    let station = path.map(StationFile::load).transpose().map_err(usage)?;
    let registry = station.and_then(|station| station.registry);
    registry.map(|registry| registry.url).ok_or_else(no_source)
}
