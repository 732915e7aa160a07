//! What a person or a station gives for one unit, before it is joined with the profile's own values.
//!
//! Knows which of several givers wins, and that a secret must not stand in the process's arguments,
//! where every user of the machine can read it. Must not check lengths: the bindings do.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Origin, UnitRow};
use crate::{
    profile::{
        BENCH_ROOT, Profile, SecretError, SecretSource, Setting, StationFile, ValueSpec,
        did_you_mean,
    },
    secret::Secret,
};

/// Values by name, each from the giver that outranks the others.
#[derive(Clone, Debug, Default)]
pub struct Given {
    values: BTreeMap<String, (Secret, Origin)>,
    /// Salts before those in force, which are valid still.
    previous: BTreeMap<String, Secret>,
}

/// What was given cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum GivenError {
    #[error("the argument of --set has no \"=\": expected KEY=VALUE, KEY=@FILE or KEY=$VARIABLE")]
    NoEquals,
    #[error("the profile has no value \"{name}\": it has {}{}", .existing.join(", "), did_you_mean(.name, .existing.iter().map(String::as_str)))]
    Unknown { name: String, existing: Vec<String> },
    #[error("--set names \"{name}\" twice")]
    SetTwice { name: String },
    #[error(
        "\"{name}\" is secret and never goes through arguments, which every user of the machine can read: use --set {name}=@FILE or --set '{name}=$VARIABLE'"
    )]
    SecretInArguments { name: String },
    #[error(
        "the secret \"{name}\" stands in the clear in the station file: expected {{ env = \"X\" }}, {{ file = \"PATH\" }} or {{ command = [\"PROGRAM\"] }}"
    )]
    SecretInStationFile { name: String },
    #[error(
        "[previous] of the station file names \"{name}\", which is no salt of the profile's: its salts are {}",
        .salts.join(", ")
    )]
    NoSalt { name: String, salts: Vec<String> },
    #[error("cannot read the value \"{name}\": {error}")]
    Source { name: String, error: SecretError },
}

impl Given {
    /// Whether nobody gave anything.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.previous.is_empty()
    }

    /// Takes one argument of `--set`: `KEY=VALUE`, `KEY=@FILE` or `KEY=$VARIABLE`. A line's end at the
    /// end of a file does not count.
    ///
    /// # Errors
    /// When the profile has no such value, it is given twice, it cannot be read, or it is a secret in
    /// the clear. The argument itself is not repeated, because it may hold a secret.
    pub fn parse_set(&mut self, profile: &Profile, argument: &str) -> Result<(), GivenError> {
        let (name, value) = argument.split_once('=').ok_or(GivenError::NoEquals)?;
        let spec = profile.values.iter().find(|spec| spec.name == name);
        let Some(spec) = spec else { return Err(unknown(profile, name)) };
        let name = name.to_owned();
        if self.values.get(&name).is_some_and(|(_, origin)| *origin == Origin::Set) {
            return Err(GivenError::SetTwice { name });
        }
        let source = if let Some(path) = value.strip_prefix('@') {
            SecretSource::File(PathBuf::from(path))
        } else if let Some(variable) = value.strip_prefix('$') {
            SecretSource::environment(variable)
        } else if spec.secret {
            return Err(GivenError::SecretInArguments { name });
        } else {
            self.give(&name, Secret::new(value), Origin::Set);
            return Ok(());
        };
        self.give(&name, read(spec, &source)?, Origin::Set);
        Ok(())
    }

    /// Takes the unit's row of `--units`.
    pub fn take_row(&mut self, row: &UnitRow) {
        for (name, text) in row.values() {
            self.give(name, text.clone(), Origin::UnitsRow);
        }
    }

    /// Takes what the station remembers of a unit that it provisioned.
    pub fn take_remembered(&mut self, values: impl IntoIterator<Item = (String, Secret)>) {
        for (name, text) in values {
            self.give(&name, text, Origin::Remembered);
        }
    }

    /// Takes what the station file has for the profile: `[values]`, and `[services.wifi]` for a
    /// network whose SSID or password is one value of the unit. A file, variable or command is read
    /// only for a value that was not given before, so this is best taken last.
    ///
    /// # Errors
    /// When a secret stands in the clear or cannot be read.
    pub fn take_station(
        &mut self,
        profile: &Profile,
        station: &StationFile,
    ) -> Result<(), GivenError> {
        for spec in &profile.values {
            let Some(setting) = station_setting(profile, station, &spec.name) else { continue };
            if self.values.contains_key(&spec.name) {
                continue;
            }
            let name = || spec.name.clone();
            let text = match setting {
                Setting::Plain(_) if spec.secret => {
                    return Err(GivenError::SecretInStationFile { name: name() });
                }
                Setting::Plain(text) => Secret::new(text.expose()),
                Setting::Source(source) => read(spec, source)?,
            };
            self.give(&spec.name, text, Origin::StationFile);
        }
        self.take_previous(profile, station)
    }

    /// Takes the salts that are valid still. Those of other products of the station are not read.
    fn take_previous(
        &mut self,
        profile: &Profile,
        station: &StationFile,
    ) -> Result<(), GivenError> {
        let salts: Vec<&str> =
            profile.values.iter().filter_map(|spec| spec.source.salt()).collect();
        for (name, source) in &station.previous {
            let Some(spec) = profile.values.iter().find(|spec| spec.name == *name) else {
                continue;
            };
            let name = || name.clone();
            if !salts.contains(&spec.name.as_str()) {
                let salts = salts.iter().map(|&salt| salt.to_owned()).collect();
                return Err(GivenError::NoSalt { name: name(), salts });
            }
            self.previous.insert(name(), read(spec, source)?);
        }
        Ok(())
    }

    /// What a unit is told while it is tested, on a bench whose CA has that root (PEM).
    #[must_use]
    pub fn on_bench(&self, profile: &Profile, bench_root: &str) -> Self {
        let mut given = self.clone();
        for (name, template) in &profile.bench_values {
            let root = |symbol: &str| (symbol == BENCH_ROOT).then_some(bench_root);
            if let Ok(text) = template.render(root) {
                given.values.insert(name.clone(), (Secret::new(text), Origin::Bench));
            }
        }
        given
    }

    /// The salt before the one in force, where it is valid still.
    pub(super) fn previous(&self, salt: &str) -> Option<&Secret> {
        self.previous.get(salt)
    }

    /// What a service gave to the unit in an earlier run.
    pub(super) fn issued(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let issued = self.values.iter().filter(|(name, _)| name.starts_with("issued."));
        issued.map(|(name, (text, _))| (name.as_str(), text))
    }

    /// The names of the values that were given by hand or by a row of `--units`.
    pub fn set_names(&self) -> impl Iterator<Item = String> + '_ {
        let by_hand = |origin: Origin| matches!(origin, Origin::Set | Origin::UnitsRow);
        let set = self.values.iter().filter(move |(_, (_, origin))| by_hand(*origin));
        set.map(|(name, _)| name.clone())
    }

    /// All that was given, by whatever way, with the values' names.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.values.iter().map(|(name, (text, _))| (name.as_str(), text))
    }

    /// The text that was given for a value.
    pub fn text(&self, name: &str) -> Option<&Secret> {
        self.values.get(name).map(|(text, _)| text)
    }

    pub(super) fn get(&self, name: &str) -> Option<(&Secret, Origin)> {
        self.values.get(name).map(|(text, origin)| (text, *origin))
    }

    /// Keeps the text unless a giver of higher rank has one.
    fn give(&mut self, name: &str, text: Secret, origin: Origin) {
        let outranked = self.values.get(name).is_some_and(|(_, earlier)| *earlier < origin);
        if !outranked {
            self.values.insert(name.to_owned(), (text, origin));
        }
    }
}

fn station_setting<'a>(
    profile: &Profile,
    station: &'a StationFile,
    name: &str,
) -> Option<&'a Setting> {
    let service = |template: &crate::profile::Template, setting: &'a Option<Setting>| {
        setting.as_ref().filter(|_| template.lone_symbol() == Some(name))
    };
    let (wifi, planned) = (station.wifi.as_ref(), profile.wifi.as_ref());
    station
        .values
        .get(name)
        .or_else(|| service(&planned?.ssid, &wifi?.ssid))
        .or_else(|| service(&planned?.password, &wifi?.password))
}

fn read(spec: &ValueSpec, source: &SecretSource) -> Result<Secret, GivenError> {
    let text = match spec.min_bytes {
        0 => source.read_text(),
        _ => source.read(),
    };
    text.map_err(|error| GivenError::Source { name: spec.name.clone(), error })
}

fn unknown(profile: &Profile, name: &str) -> GivenError {
    let existing: Vec<String> = profile.values.iter().map(|spec| spec.name.clone()).collect();
    GivenError::Unknown { name: name.to_owned(), existing }
}
