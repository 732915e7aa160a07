//! The values that a firmware reads from its NVS at each start.

use std::collections::BTreeMap;
use std::fmt;

use super::description::{self, Description, Setting, SettingKind};
use super::nvs_error::NvsError;
use super::nvs_keys::NvsKeys;
use super::storage::Storage;
use crate::flash::Nor;
use crate::hex::hex;
use crate::layout::partitions::PartitionTable;

/// What was read, by the names of the description. Never printed as a whole: it holds secrets.
#[derive(Default, Clone)]
pub(super) struct Settings(BTreeMap<String, String>);

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why the firmware has no settings, in the words that it prints.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("Failed to init NVS partition '{partition}': {error}")]
    Partition { partition: String, error: NvsError },
    #[error("Failed to open NVS namespace '{namespace}': {error}")]
    Namespace { namespace: String, error: NvsError },
    #[error("Failed to load {key} from NVS: {error}")]
    Key { key: String, error: NvsError },
}

impl Settings {
    /// Reads all settings.
    pub(super) fn load(
        wanted: &description::Settings,
        table: &PartitionTable,
        flash: &mut Nor,
        keys: Option<&NvsKeys>,
    ) -> Result<Self, SettingsError> {
        let partition_failed =
            |error| SettingsError::Partition { partition: wanted.partition.clone(), error };
        let partition = table
            .labelled(&wanted.partition)
            .filter(|partition| partition.is_nvs())
            .ok_or(NvsError::PartitionNotFound)
            .map_err(partition_failed)?;
        let mut storage = Storage::open(partition, flash, keys).map_err(partition_failed)?;
        let values = read_all(wanted, &mut storage);
        storage.close(flash);
        values.map(Self)
    }

    /// The settings, and beside them what the application image holds.
    pub(super) fn with_constants(mut self, constants: &BTreeMap<String, String>) -> Self {
        self.0.extend(constants.iter().map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// The settings, and beside them the id that the firmware made.
    pub(super) fn with_device_id(mut self, id: Option<String>) -> Self {
        self.0.extend(id.map(|id| (description::DEVICE_ID.to_owned(), id)));
        self
    }

    /// The settings, with another value for one of them.
    pub(super) fn with_value(mut self, name: &str, value: String) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// A value by its name in the description.
    pub(super) fn value(&self, name: &str) -> &str {
        // The description's references were checked when it was parsed.
        self.0.get(name).map_or("", String::as_str)
    }

    /// What a firmware that waits to be provisioned found missing.
    pub(super) fn missing(&self, description: &Description) -> Vec<SettingsError> {
        let Some(provisioning) = &description.provisioning else { return Vec::new() };
        let settings = &description.settings;
        let error = NvsError::NotFound;
        if settings.values.keys().all(|name| self.value(name).is_empty()) {
            return vec![SettingsError::Namespace { namespace: settings.namespace.clone(), error }];
        }
        let wanted = provisioning.required.iter().chain(&provisioning.flag);
        let missing = wanted.filter(|name| self.value(name).is_empty());
        let keys = missing.filter_map(|name| Some(settings.values.get(name)?.key.clone()));
        keys.map(|key| SettingsError::Key { key, error }).collect()
    }

    /// Takes values that were just stored.
    pub(super) fn put(&mut self, values: &BTreeMap<String, String>) {
        self.0.extend(values.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// A template with each `{name}` replaced by its value, and `{name?}` by whether there is one.
    ///
    /// Only the template's own names count: a value with braces arrives as it is.
    pub(super) fn fill(&self, template: &str) -> String {
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            match after.split_once('}').and_then(|(name, end)| Some((self.filling(name)?, end))) {
                Some((value, end)) => {
                    text.push_str(value);
                    rest = end;
                }
                None => {
                    text.push('{');
                    rest = after;
                }
            }
        }
        text + rest
    }

    fn filling(&self, name: &str) -> Option<&str> {
        match name.strip_suffix('?') {
            Some(name) => Some(if self.value(name).is_empty() { "none" } else { "stored" }),
            None => self.0.get(name).map(String::as_str),
        }
    }
}

fn read_all(
    wanted: &description::Settings,
    storage: &mut Storage,
) -> Result<BTreeMap<String, String>, SettingsError> {
    let namespace = &wanted.namespace;
    if !storage.has_namespace(namespace) {
        // A firmware that does without all of its settings asks for them later.
        if wanted.values.values().all(|setting| setting.optional || setting.default.is_some()) {
            return Ok(defaults(wanted));
        }
        return Err(SettingsError::Namespace {
            namespace: namespace.clone(),
            error: NvsError::NotFound,
        });
    }
    let ordered = wanted.order.iter();
    let others = wanted.values.keys();
    let others = others.filter(|name| !wanted.order.contains(name));
    let mut values = BTreeMap::new();
    for name in ordered.chain(others) {
        let setting = &wanted.values[name];
        match read(namespace, setting, storage) {
            Ok(value) => {
                values.insert(name.clone(), value);
            }
            Err(NvsError::NotFound) if setting.default.is_some() => {
                values.extend(setting.default.clone().map(|value| (name.clone(), value)));
            }
            Err(NvsError::NotFound) if setting.optional => {}
            Err(error) => return Err(SettingsError::Key { key: setting.key.clone(), error }),
        }
    }
    Ok(values)
}

fn defaults(wanted: &description::Settings) -> BTreeMap<String, String> {
    let given = wanted.values.iter();
    given.filter_map(|(name, setting)| Some((name.clone(), setting.default.clone()?))).collect()
}

fn read(namespace: &str, setting: &Setting, storage: &mut Storage) -> Result<String, NvsError> {
    let value = match setting.kind {
        SettingKind::String => storage.string(namespace, &setting.key)?,
        SettingKind::U8 | SettingKind::Bool => storage.byte(namespace, &setting.key)?.to_string(),
        SettingKind::U16 => storage.half_word(namespace, &setting.key)?.to_string(),
        SettingKind::I32 => storage.signed_word(namespace, &setting.key)?.to_string(),
        SettingKind::U32 => storage.word(namespace, &setting.key)?.to_string(),
        SettingKind::Blob => {
            let blob = storage.blob(namespace, &setting.key)?;
            if blob.len() > setting.max_bytes {
                return Err(NvsError::InvalidLength);
            }
            return Ok(hex(&blob));
        }
    };
    if value.len() > setting.max_bytes {
        return Err(NvsError::InvalidLength);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_braces_arrives_as_it_is() {
        let given = [("ssid", "{passphrase}"), ("passphrase", "secret"), ("a", "{ssid}")];
        let settings =
            Settings(given.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(settings.fill("SSID='{ssid}' {a}"), "SSID='{passphrase}' {ssid}");
        assert_eq!(settings.fill("{ssid?} {key?} {other} {"), "stored none {other} {");
    }
}
