//! What a device reads → CSV that strict mode reads as the same content, and the
//! reference generator too, save for floats and for what a live device keeps
//! beside WiFi credentials. It shows every value, secrets too: that is its purpose.
//!
//! Nothing is changed on the way: each text is read back and compared before
//! anyone sees it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use super::columns::{EXTRAS_COLUMN, NO_EXTRAS};
use super::{Mode, NoFiles, parse};
use crate::device::{DeviceEntry, DeviceView};
use crate::document::{Document, DocumentError, encoding, wifi};
use crate::key::Key;
use crate::value::Value;

/// What cannot be written as CSV, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteError {
    /// The namespace.
    pub namespace: Key,
    /// The key in it; none where it is the namespace itself.
    pub key: Option<Key>,
    /// Why.
    pub why: Unwritable,
}

/// Why something cannot be written as CSV.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// A string that is not UTF-8.
    #[error("the string is not UTF-8, and a CSV is")]
    NotUtf8,
    /// A string with a line that the reference generator drops.
    #[error(
        "a line of the string begins with `#`, which the generator takes for a comment; put it into a file, and write a `file` row"
    )]
    CommentLine,
    /// A string with a carriage return, which is read as a line feed.
    #[error(
        "the string has a carriage return, which a CSV does not keep; put it into a file, and write a `file` row"
    )]
    CarriageReturn,
    /// A name that no tool writes.
    #[error("the name is not 1 to 15 characters of UTF-8 with nothing behind its end")]
    Name,
    /// A key that is there in two types.
    #[error("the key is there in two types, and a CSV can hold one")]
    TwoTypes,
    /// A name or a value that the generator cannot store.
    #[error(transparent)]
    Document(DocumentError),
    /// The CSV would give something else. It is a fault of this writer.
    #[error("the generator would store something else")]
    ReadsOtherwise,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, key, why } = self;
        match key {
            Some(key) => write!(f, "{namespace}/{key} cannot be written as CSV: {why}"),
            None => write!(f, "the namespace {namespace} cannot be written as CSV: {why}"),
        }
    }
}

impl std::error::Error for WriteError {}

/// The CSV of everything in a view, grouped by namespace, in the order of the flash.
///
/// Keys that the generator adds by itself beside WiFi credentials are left out
/// where it would add the very same; else they are written, and where it would
/// add too much, a column keeps it from that.
///
/// # Errors
/// What no CSV can hold, of which the first is named.
pub fn write(view: &DeviceView) -> Result<String, WriteError> {
    let table = Table::of(view)?;
    let made = |form: &Form| {
        let csv = table.csv(*form);
        table.read_back(&csv).map(|()| csv)
    };
    let (last, others) = table.forms().split_last().expect("there is always a form to try");
    others.iter().find_map(|form| made(form).ok()).map_or_else(|| made(last), Ok)
}

/// What is said of the keys that the generator adds by itself.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Nothing: it will add them.
    Added,
    /// What they hold.
    Written,
    /// What they hold, and that nothing is to be added.
    WrittenAlone,
}

/// The rows of a CSV.
struct Table<'v> {
    /// What the CSV must be read as.
    view: &'v DeviceView,
    rows: Vec<Row>,
}

struct Row {
    namespace: Key,
    key: Key,
    /// Encoding and value; none in a namespace's own row.
    content: Option<(&'static str, String)>,
}

impl<'v> Table<'v> {
    fn of(view: &'v DeviceView) -> Result<Self, WriteError> {
        let mut groups: HashMap<Key, Vec<&DeviceEntry>> = HashMap::new();
        for entry in view.entries() {
            groups.entry(entry.namespace).or_default().push(entry);
        }
        let mut document = Document::new();
        let mut rows = Vec::with_capacity(view.namespaces().len() + view.entries().len());
        for &namespace in view.namespaces() {
            let failed = |why| WriteError { namespace, key: None, why };
            let name = name(&namespace).map_err(failed)?;
            document.namespace(name).map_err(|error| failed(Unwritable::Document(error)))?;
            rows.push(Row { namespace, key: namespace, content: None });
            for entry in groups.get(&namespace).into_iter().flatten() {
                let key = entry.key;
                let failed = |why| WriteError { namespace, key: Some(key), why };
                let content = content(entry, &mut document).map_err(failed)?;
                rows.push(Row { namespace, key, content: Some(content) });
            }
        }
        Ok(Self { view, rows })
    }

    /// The forms to try; the first is the one that others read best.
    fn forms(&self) -> &'static [Form] {
        match self.rows.iter().any(Row::is_wifi_trigger) {
            true => &[Form::Added, Form::Written, Form::WrittenAlone],
            false => &[Form::Written],
        }
    }

    fn csv(&self, form: Form) -> String {
        let mut csv = String::from("key,type,encoding,value");
        if form == Form::WrittenAlone {
            csv.extend([",", EXTRAS_COLUMN]);
        }
        csv.push('\n');
        let is_left_out = |row: &&Row| form == Form::Added && row.is_added_by_generator();
        for row in self.rows.iter().filter(|row| !is_left_out(row)) {
            let key = quoted(row.key.as_str().unwrap_or_default());
            match &row.content {
                None => csv.extend([&key, ",namespace,,"]),
                Some((encoding, text)) => {
                    csv.extend([&key, ",data,", encoding, ",", &quoted(text)]);
                }
            }
            match form {
                Form::WrittenAlone if row.is_wifi_trigger() => csv.extend([",", NO_EXTRAS]),
                Form::WrittenAlone => csv.push(','),
                Form::Added | Form::Written => {}
            }
            csv.push('\n');
        }
        csv
    }

    /// Finds out whether the CSV is read as what it was made of.
    fn read_back(&self, csv: &str) -> Result<(), WriteError> {
        let document = parse(csv.as_bytes(), Mode::Strict, &mut NoFiles).unwrap_or_default();
        let differs =
            |namespace, key| WriteError { namespace, key, why: Unwritable::ReadsOtherwise };
        let mut read: HashMap<(Key, Key), &Value> =
            document.entries().map(|(namespace, key, value)| ((namespace, key), value)).collect();
        for DeviceEntry { namespace, key, value, .. } in self.view.entries() {
            if read.remove(&(*namespace, *key)) != Some(value) {
                return Err(differs(*namespace, Some(*key)));
            }
        }
        let defined = document.namespaces();
        let missing = self.view.namespaces().iter().find(|name| !defined.contains(name));
        match (read.keys().next(), missing) {
            (Some((namespace, key)), _) => Err(differs(*namespace, Some(*key))),
            (None, Some(namespace)) => Err(differs(*namespace, None)),
            (None, None) => Ok(()),
        }
    }
}

impl Row {
    fn is_wifi_trigger(&self) -> bool {
        self.content.is_some() && wifi::is_trigger(self.key.as_str().unwrap_or_default())
    }

    fn is_added_by_generator(&self) -> bool {
        self.namespace == *wifi::NAMESPACE
            && self.content.is_some()
            && wifi::is_added(self.key.as_str().unwrap_or_default())
    }
}

/// Encoding and text of an entry, which the document takes if anything can.
fn content(
    entry: &DeviceEntry,
    document: &mut Document,
) -> Result<(&'static str, String), Unwritable> {
    let DeviceEntry { namespace, key, value, .. } = entry;
    let inserted = document.insert(name(namespace)?, name(key)?, value.clone());
    inserted.map_err(|error| match error {
        DocumentError::DuplicateKey { .. } => Unwritable::TwoTypes,
        other => Unwritable::Document(other),
    })?;
    let (encoding, text) = encoding::encode(value).map_err(|_| Unwritable::NotUtf8)?;
    if text.contains('\r') {
        return Err(Unwritable::CarriageReturn);
    }
    if text.contains("\n#") {
        return Err(Unwritable::CommentLine);
    }
    Ok((encoding, text))
}

fn name(key: &Key) -> Result<&str, Unwritable> {
    key.as_str().filter(|_| key.is_well_formed()).ok_or(Unwritable::Name)
}

/// In quotes where the reader needs them.
fn quoted(text: &str) -> Cow<'_, str> {
    let needs_quotes = text.contains(['"', ',', '\n'])
        || text.starts_with('#')
        || text.starts_with("-----")
        || text.trim().len() < text.len();
    match needs_quotes {
        true => Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))),
        false => Cow::Borrowed(text),
    }
}
