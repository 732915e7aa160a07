//! Firmware that does otherwise than the product's: each thing that a description says, changed one at a time.
//!
//! Must not know how a mutant is run. Of firmware of the product's own that is no description, there are none.

mod leaves;
mod meaning;
mod rules;

use serde::Serialize;
use toml::{Table, Value};

use super::mutant::{Change, Kind, Must, Mutant};
use crate::{
    image::{ImageError, firmware_description},
    profile::{AppSource, Profile},
};
use leaves::{Leaf, leaves, with};
use rules::Rule;

/// What can be changed of the firmware of a product, and what cannot be told.
#[derive(Clone, Debug, Default)]
pub struct FirmwareMutants {
    /// One of each leaf.
    pub mutants: Vec<Mutant>,
    /// Leaves that no run can tell from others, and why.
    pub untold: Vec<Untold>,
    /// Leaves of which nobody said what they mean: each has a mutant all the same.
    pub unknown: Vec<String>,
}

/// A leaf of a description that no run can tell from another value of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct Untold {
    /// Model and path, such as `espvault.app.version`.
    pub leaf: String,
    /// Why.
    pub because: &'static str,
}

/// No mutants can be made of a firmware.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// A description is not there.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It is no TOML.
    #[error("the firmware description {model} is no TOML: {source}")]
    Toml {
        /// Its name.
        model: String,
        /// What is wrong.
        source: toml::de::Error,
    },
}

/// What a firmware is for a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The unit ships with it, or was provisioned by it.
    Own,
    /// The unit is updated to it for a while.
    Update,
}

/// Every firmware of a product that is described, changed in one place.
///
/// # Errors
/// [`DescriptionError`] when a description cannot be read.
pub fn firmware_mutants(profile: &Profile) -> Result<FirmwareMutants, DescriptionError> {
    let mut all = FirmwareMutants::default();
    for (model, part) in models(profile) {
        let text = firmware_description(model)?;
        let description = text.parse::<Table>();
        let description = description
            .map_err(|source| DescriptionError::Toml { model: model.to_owned(), source })?;
        all.add(model, part, &description, profile);
    }
    Ok(all)
}

/// The descriptions that a product has; what its bad update is, is the test's own.
fn models(profile: &Profile) -> Vec<(&str, Part)> {
    let factory = profile.factory.iter().map(|factory| (&factory.app, Part::Own));
    let update = profile.ota.iter().map(|ota| (&ota.update.app, Part::Update));
    let all = [(&profile.images.app, Part::Own)].into_iter().chain(factory).chain(update);
    let mut models: Vec<(&str, Part)> = Vec::new();
    for (app, part) in all {
        if let AppSource::Model { name } = app
            && models.iter().all(|(known, _)| known != name)
        {
            models.push((name, part));
        }
    }
    models
}

impl FirmwareMutants {
    fn add(&mut self, model: &str, part: Part, description: &Table, profile: &Profile) {
        for leaf in leaves(description) {
            let path: Vec<&str> = leaf.path.iter().map(String::as_str).collect();
            let rule = match part {
                Part::Own => rules::of(&path, &leaf.value, description, profile),
                Part::Update => rules::of_update(&path, &leaf.value, description, profile),
            };
            let name = format!("{model}.{}", path.join("."));
            let changed = |value, named| mutant(model, description, &leaf, value, named);
            match rule {
                Rule::Change { value, named } => self.mutants.push(changed(value, named)),
                Rule::NoRunCanTell(because) => self.untold.push(Untold { leaf: name, because }),
                Rule::Unknown => {
                    self.unknown.push(name);
                    let named = leaf.path.last().cloned().into_iter();
                    let text = leaf.value.as_str().map(str::to_owned);
                    let named = named.chain(text.filter(|text| !text.is_empty())).collect();
                    self.mutants.extend(another(&leaf.value).map(|value| Mutant {
                        remedy: meaning::UNKNOWN.to_owned(),
                        ..changed(value, named)
                    }));
                }
            }
        }
    }
}

fn mutant(model: &str, description: &Table, leaf: &Leaf, to: Value, named: Vec<String>) -> Mutant {
    let path = leaf.path.join(".");
    let section = leaf.path.first().map_or("", String::as_str);
    let (means, remedy) = meaning::of(section);
    Mutant {
        kind: Kind::Firmware,
        id: format!("{}.{}.{path}", Kind::Firmware, model_in_id(model)),
        what: match is_secret(&leaf.path) {
            true => format!("the firmware has another value for {path}"),
            false => format!("the firmware has {to} for {path}, and not {}", leaf.value),
        },
        means: means.to_owned(),
        remedy: remedy.to_owned(),
        must: Must::Fail { naming: named },
        change: Change::Firmware {
            model: model.to_owned(),
            description: with(description, &leaf.path, to).to_string(),
        },
    }
}

/// Whether a leaf can hold a secret itself, and not the name of the setting that does: what is built into a firmware, and
/// what its own network asks for.
fn is_secret(path: &[String]) -> bool {
    const NAMES_SETTINGS: [&str; 5] = ["settings", "wifi", "mqtt", "ca_call", "console"];
    const SECRETS: [&str; 5] = ["password", "passphrase", "psk", "secret", "token"];
    let Some((section, rest)) = path.split_first() else { return false };
    let is_named_so = |word: &String| SECRETS.iter().any(|secret| word.contains(secret));
    section == "constants"
        || (!NAMES_SETTINGS.contains(&section.as_str()) && rest.iter().any(is_named_so))
}

/// A description by path is named by its file: an id holds no path of a machine.
fn model_in_id(model: &str) -> &str {
    let file = model.rsplit('/').next().unwrap_or(model);
    file.strip_suffix(".toml").unwrap_or(file)
}

/// Another value of the same type; `None` where nothing else is known.
fn another(value: &Value) -> Option<Value> {
    Some(match value {
        Value::String(text) => Value::from(format!("{text}x")),
        Value::Integer(number) => Value::from(number.wrapping_add(1)),
        Value::Float(number) => Value::from(number + 1.0),
        Value::Boolean(truth) => Value::from(!truth),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::find;

    /// What is built into a firmware, and the password of its own network.
    #[test]
    fn no_mutant_tells_a_secret_of_a_description() {
        let told = |profile: &str, secret: &str| {
            let product = find(profile, None).expect("it ships");
            let mutants = firmware_mutants(&product).expect("it is described").mutants;
            let path = |mutant: &Mutant| mutant.id.clone();
            let of_secret = mutants.iter().filter(|it| it.what.contains("another value for"));
            assert!(of_secret.count() > 0, "{profile} has secrets");
            mutants.iter().filter(|it| it.what.contains(secret)).map(path).collect::<Vec<_>>()
        };
        assert_eq!(told("safesignal", "built-into-the-firmware"), Vec::<String>::new());
        assert_eq!(told("zeroconf-portal", "configure-me"), Vec::<String>::new());
    }
}
