//! `nvs show --format csv`: a device view as the CSV that `nvs generate` takes.
//!
//! What CSV cannot say (floats, text that is not UTF-8, keys that strict mode refuses) is an error
//! and never a changed value: the text is read back and compared before anyone sees it.

use std::fmt::Write;

use goldline_nvs::{
    DeviceView, Key, Value,
    csv::{Mode, NoFiles, parse},
    device::DeviceEntry,
};

use crate::cli::nvs::{problem::NvsProblem, secrets::Secrets, value::hex};

/// Namespace of ESP-IDF's WiFi driver.
const WIFI_NAMESPACE: &str = "nvs.net80211";
/// Keys that the generator adds by itself beside the credentials.
const ADDED_BY_GENERATOR: [&str; 4] = ["sta.apinfo", "sta.pmk", "sta.apsw", "ap.pmk_info"];

pub(super) fn text(
    view: &DeviceView,
    secrets: &Secrets,
    shows_secrets: bool,
) -> Result<String, NvsProblem> {
    let is_secret =
        |entry: &&DeviceEntry| secrets.is_secret(&entry.namespace, &entry.key, &entry.value);
    let hidden = view.entries().iter().filter(is_secret).count();
    if hidden > 0 && !shows_secrets {
        return Err(NvsProblem::CsvShowsSecrets { secrets: hidden });
    }
    let everything = rows(view, |_| true)?;
    match read_back(&everything, view) {
        Ok(()) => Ok(everything),
        Err(problem) => {
            let reduced = rows(view, |entry| !is_added_by_generator(entry))?;
            read_back(&reduced, view).map_err(|_| problem)?;
            Ok(reduced)
        }
    }
}

fn is_added_by_generator(entry: &DeviceEntry) -> bool {
    entry.namespace == *WIFI_NAMESPACE
        && ADDED_BY_GENERATOR.iter().any(|added| entry.key == **added)
}

/// The rows, a namespace's together, in the order of the flash.
fn rows(view: &DeviceView, is_wanted: impl Fn(&DeviceEntry) -> bool) -> Result<String, NvsProblem> {
    let mut text = String::from("key,type,encoding,value\n");
    for namespace in view.namespaces() {
        row(&mut text, &[&namespace.to_string(), "namespace", "", ""]);
        let own = view.entries().iter().filter(|entry| entry.namespace == *namespace);
        for entry in own.filter(|entry| is_wanted(entry)) {
            let (encoding, value) = encoded(entry)?;
            row(&mut text, &[&entry.key.to_string(), "data", encoding, &value]);
        }
    }
    Ok(text)
}

fn encoded(entry: &DeviceEntry) -> Result<(&'static str, String), NvsProblem> {
    let value = match &entry.value {
        Value::Str(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => return Err(not_csv(&entry.namespace, &entry.key, "it is not UTF-8")),
        },
        Value::Blob(bytes) => hex(bytes),
        Value::F32(_) | Value::F64(_) => {
            return Err(not_csv(&entry.namespace, &entry.key, "no encoding holds a float"));
        }
        number => goldline_nvs::snapshot::shown(number),
    };
    let encoding = match &entry.value {
        Value::Str(_) => "string",
        Value::Blob(_) => "hex2bin",
        number => number.type_name(),
    };
    Ok((encoding, value))
}

fn row(text: &mut String, fields: &[&str; 4]) {
    let fields = fields.map(quoted);
    writeln!(text, "{}", fields.join(",")).expect("a string takes all writes");
}

/// Quoted where the generator would read something else without.
fn quoted(field: &str) -> String {
    let is_plain = |c: char| !matches!(c, ',' | '"' | '\n' | '\r');
    let is_safe = field.chars().all(is_plain) && field.trim() == field && !field.starts_with('#');
    match is_safe {
        true => field.to_owned(),
        false => format!("\"{}\"", field.replace('"', "\"\"")),
    }
}

/// Whether the generator makes of the text what the device reads.
fn read_back(text: &str, view: &DeviceView) -> Result<(), NvsProblem> {
    let document = parse(text.as_bytes(), Mode::Strict, &mut NoFiles).map_err(|error| {
        let row = text.lines().nth(error.position.line as usize - 1).unwrap_or_default();
        let name = row.split(',').next().unwrap_or_default();
        NvsProblem::NotCsv { name: format!("`{name}`"), why: error.problem.to_string() }
    })?;
    let mut wanted: Vec<(Key, Key, &Value)> =
        view.entries().iter().map(|entry| (entry.namespace, entry.key, &entry.value)).collect();
    let mut made: Vec<(Key, Key, &Value)> = document.entries().collect();
    wanted.sort_by_key(|(namespace, key, _)| (*namespace, *key));
    made.sort_by_key(|(namespace, key, _)| (*namespace, *key));
    if let Some((wanted, _)) = wanted.iter().zip(&made).find(|(wanted, made)| wanted != made) {
        let why = "the generator would store another value";
        return Err(not_csv(&wanted.0, &wanted.1, why));
    }
    match wanted.len() == made.len() {
        true => Ok(()),
        false => Err(NvsProblem::NotCsv {
            name: WIFI_NAMESPACE.to_owned(),
            why: "the generator would add keys of its own".to_owned(),
        }),
    }
}

fn not_csv(namespace: &Key, key: &Key, why: &str) -> NvsProblem {
    NvsProblem::NotCsv { name: format!("{namespace}/{key}"), why: why.to_owned() }
}
