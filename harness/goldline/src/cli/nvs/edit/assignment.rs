//! `NAMESPACE/KEY:ENCODING=VALUE` → a key and its value.

use goldline_nvs::{DeviceView, Key, SecretRule, Value, document::value_of_text};

use super::source::Source;
use crate::cli::nvs::{files, name, problem::NvsProblem};

/// A key to set. The encodings are those of the CSV.
pub(super) struct Assignment {
    pub(super) namespace: String,
    pub(super) key: String,
    pub(super) value: Value,
}

impl Assignment {
    /// Reads one argument of `--set`. No error repeats the value.
    pub(super) fn parse(argument: &str, view: &DeviceView) -> Result<Self, NvsProblem> {
        let (namespace, key, encoding, source) = split(argument, view).ok_or(NvsProblem::Form {
            option: "--set",
            form: "NAMESPACE/KEY:ENCODING=VALUE, =@FILE or =$VARIABLE",
        })?;
        let source = Source::parse(source);
        let name = format!("{namespace}/{key}");
        let value = value(&name, encoding, &source)?;
        let is_inline = matches!(source, Source::Inline(_));
        if is_inline && is_secret(namespace, key, &value) {
            return Err(NvsProblem::SecretInArguments { name });
        }
        Ok(Self { namespace: namespace.to_owned(), key: key.to_owned(), value })
    }
}

fn split<'a>(argument: &'a str, view: &DeviceView) -> Option<(&'a str, &'a str, &'a str, &'a str)> {
    let (place, value) = argument.split_once('=')?;
    let (name, encoding) = place.rsplit_once(':')?;
    let (namespace, key) = name::split(name, view)?;
    Some((namespace, key, encoding, value))
}

fn value(name: &str, encoding: &str, source: &Source) -> Result<Value, NvsProblem> {
    if let (Some(path), "binary") = (source.file(), encoding) {
        return Ok(Value::Blob(files::read(path)?.to_vec()));
    }
    let bytes = source.read()?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| NvsProblem::NotText { name: name.to_owned(), place: source.place() })?;
    let failed = |error| NvsProblem::Value { name: name.to_owned(), error };
    value_of_text(encoding, text).map_err(failed)
}

/// By the careful rule; a name that NVS refuses is refused later, with the reason.
fn is_secret(namespace: &str, key: &str, value: &Value) -> bool {
    let (Ok(namespace), Ok(key)) = (Key::new(namespace), Key::new(key)) else { return false };
    SecretRule::careful().is_secret(&namespace, &key, value)
}
