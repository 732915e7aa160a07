//! What a golden unit, or a CSV beside the build, has in its NVS: keys, and whether they are secret.
//!
//! Knows nothing of profiles.

use std::{
    fs,
    path::{Path, PathBuf},
};

use goldline_nvs::{Image, Key, SecretRule, Value, csv};

use super::DraftError;
use crate::{
    build::{Row, Table},
    check::FRAMEWORKS,
    hex::hex,
};

/// Every entry there is, and where it was found.
pub(super) struct Entries {
    /// The partition that holds the firmware's own; `None` where only the keys are known.
    pub(super) partition: Option<Row>,
    pub(super) from: Origin,
    /// In the order of the NVS.
    pub(super) list: Vec<Entry>,
    /// What a profile cannot say, by name.
    pub(super) left_out: Vec<String>,
}

/// Where entries are known from.
pub(super) enum Origin {
    Dump,
    Csv(PathBuf),
    Nothing,
}

/// One key.
pub(super) struct Entry {
    pub(super) namespace: String,
    pub(super) key: String,
    /// As profiles and CSVs call it.
    pub(super) encoding: &'static str,
    /// As a profile writes it: digits of a blob.
    pub(super) text: String,
    pub(super) secret: bool,
}

/// The partition of a dump with most keys that are the firmware's own.
pub(super) fn of_dump(dump: &[u8], table: &Table) -> Result<Entries, DraftError> {
    let mut found: Vec<Entries> = Vec::new();
    for row in table.rows.iter().filter(|row| row.kind == "data" && row.subtype == "nvs") {
        let range = row.offset as usize..row.offset as usize + row.size as usize;
        let bytes = dump.get(range.clone()).ok_or_else(|| DraftError::ShortDump {
            partition: row.name.clone(),
            found: dump.len(),
            expected: range.end,
        })?;
        let image = Image::decode(bytes).map_err(|error| DraftError::Nvs {
            partition: row.name.clone(),
            reason: error.to_string(),
        })?;
        let view = image.device_view();
        let items = view.entries().iter().map(|item| (&item.namespace, &item.key, &item.value));
        found.push(of_items(Some(row.clone()), Origin::Dump, items));
    }
    let most = found.into_iter().max_by_key(|entries| entries.list.len());
    most.filter(|entries| !entries.list.is_empty()).ok_or(DraftError::NoEntries)
}

/// The CSV of an NVS partition in the build folder or beside it; nothing where there is none.
pub(super) fn beside(build: &Path, table: &Table) -> Result<Entries, DraftError> {
    let nothing =
        Entries { partition: None, from: Origin::Nothing, list: Vec::new(), left_out: Vec::new() };
    let around = match build.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Some(Path::new(".")),
        parent => parent,
    };
    let csvs = [Some(build), around].into_iter().flatten().flat_map(csvs_in);
    let Some(path) = csvs.into_iter().next() else { return Ok(nothing) };
    let read = |path: &Path| {
        fs::read(path).map_err(|source| DraftError::Csv { path: path.to_owned(), source })
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = |name: &str| fs::read(folder.join(name));
    let document = csv::parse(&read(&path)?, csv::Mode::Compat, &mut files)
        .map_err(|errors| DraftError::CsvForm { path: path.clone(), errors })?;
    let entries: Vec<(Key, Key, &Value)> = document.entries().collect();
    let items = entries.iter().map(|(namespace, key, value)| (namespace, key, *value));
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let row = table.rows.iter().find(|row| row.subtype == "nvs" && row.name == stem);
    Ok(of_items(row.cloned(), Origin::Csv(path.clone()), items))
}

/// Those that begin as the generator of Espressif wants it, by name.
fn csvs_in(folder: &Path) -> Vec<PathBuf> {
    let is_nvs = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let fields = first.into_iter().flat_map(|line| line.split(',')).map(str::trim);
        fields.eq(["key", "type", "encoding", "value"])
    };
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "csv"))
        .filter(is_nvs)
        .collect();
    paths.sort();
    paths
}

fn of_items<'a>(
    partition: Option<Row>,
    from: Origin,
    items: impl Iterator<Item = (&'a Key, &'a Key, &'a Value)>,
) -> Entries {
    let rule = SecretRule::careful();
    let mut entries = Entries { partition, from, list: Vec::new(), left_out: Vec::new() };
    for (namespace, key, value) in items {
        let (name, key_text) = (namespace.to_string(), key.to_string());
        if FRAMEWORKS.contains(&name.as_str()) || name == "nvs.net80211" {
            continue;
        }
        let secret = rule.is_secret(namespace, key, value);
        match written(value) {
            Some((encoding, text)) => {
                entries.list.push(Entry { namespace: name, key: key_text, encoding, text, secret });
            }
            None => entries.left_out.push(format!("{name}/{key_text}, a {}", value.type_name())),
        }
    }
    entries
}

/// How a profile writes a value; `None` for one that it has no encoding for.
fn written(value: &Value) -> Option<(&'static str, String)> {
    Some(match value {
        Value::U8(number) => ("u8", number.to_string()),
        Value::I8(number) => ("i8", number.to_string()),
        Value::U16(number) => ("u16", number.to_string()),
        Value::I16(number) => ("i16", number.to_string()),
        Value::U32(number) => ("u32", number.to_string()),
        Value::I32(number) => ("i32", number.to_string()),
        Value::U64(number) => ("u64", number.to_string()),
        Value::I64(number) => ("i64", number.to_string()),
        Value::Str(_) => {
            let text = value.as_str()?;
            let is_plain = text.chars().all(|c| c == '\n' || !c.is_control());
            return is_plain.then(|| ("string", text.to_owned()));
        }
        Value::Blob(bytes) => ("hex2bin", hex(bytes)),
        Value::F32(_) | Value::F64(_) => return None,
    })
}
