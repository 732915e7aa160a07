//! One record → rows of the document. Knows the reference's habits; must not
//! know how records are split.

use super::columns::{Columns, NO_EXTRAS, Record, required};
use super::error::ErrorList;
use super::lexer::{Field, foreign_separator};
use super::{CsvError, CsvErrors, Files, Mode, Position, Problem};
use crate::document::encoding::{self, EncodingError, Source};
use crate::document::{Document, DocumentError, check_value, wifi};
use crate::key::{Key, KeyError};
use crate::value::Value;

/// Where rows go.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Nowhere: no namespace was opened yet.
    Nowhere,
    /// Into the namespace of that index.
    Namespace(u8),
    /// Nobody knows, since a namespace's row was wrong. That was said; the rows
    /// behind it are only looked at.
    Lost,
}

/// Turns records into a document, one after another.
///
/// Once there is an error, the document is given to nobody: it goes on only to
/// find the other errors.
pub(super) struct RowReader<'f> {
    columns: Columns,
    mode: Mode,
    files: &'f mut dyn Files,
    document: Document,
    errors: ErrorList,
    place: Place,
    /// Whether a line without commas is but the rest of a value that lost its
    /// quotes, which was said already.
    is_broken_off: bool,
    has_too_many_namespaces: bool,
    wifi: wifi::Injections,
    /// Keys that stand in the WiFi namespace because the generator adds them.
    added: Vec<Key>,
}

impl<'f> RowReader<'f> {
    pub fn new(columns: Columns, mode: Mode, files: &'f mut dyn Files) -> Self {
        Self {
            columns,
            mode,
            files,
            document: Document::new(),
            errors: ErrorList::default(),
            place: Place::Nowhere,
            is_broken_off: false,
            has_too_many_namespaces: false,
            wifi: wifi::Injections::default(),
            added: Vec::new(),
        }
    }

    pub fn finish(self) -> Result<Document, CsvErrors> {
        self.errors.into_errors().map_or(Ok(self.document), Err)
    }

    pub fn read(&mut self, record: Result<Vec<Field<'_>>, CsvError>) {
        let was_broken_off = std::mem::take(&mut self.is_broken_off);
        let fields = match record {
            Ok(fields) => fields,
            Err(error) => {
                self.is_broken_off = true;
                return self.errors.push(error);
            }
        };
        let is_single = fields.len() == 1;
        self.is_broken_off |= is_single;
        if is_single && was_broken_off {
            return;
        }
        if let Err(error) = self.row(&fields) {
            self.is_broken_off |= matches!(error.problem, Problem::UnquotedPem);
            self.errors.push(error);
        }
    }

    /// Reads a row. What is wrong goes into the list, or is returned where
    /// nothing more can be said of this row.
    fn row(&mut self, fields: &[Field<'_>]) -> Result<(), CsvError> {
        if let [field] = fields
            && let Some(error) = other_separator(field)
        {
            return Err(error);
        }
        let record = self.columns.pick(fields, self.mode)?;
        let key = match self.mode {
            Mode::Strict => Key::new(&record.key.text),
            Mode::Compat => compatible_key(&record.key.text),
        };
        let key = key.map_err(|error| Problem::from(error).at_position(record.key.position()));
        match (record.kind.text.trim(), self.mode) {
            ("namespace", _) => {
                self.place = match key.and_then(|name| self.namespace(name, &record)) {
                    Ok(place) => place,
                    Err(error) => {
                        self.errors.push(error);
                        Place::Lost
                    }
                };
                Ok(())
            }
            ("file", _) => self.entry(key, &record, true),
            ("data", _) | (_, Mode::Compat) => self.entry(key, &record, false),
            (_, Mode::Strict) => {
                self.errors.keep(key);
                Err(Problem::UnknownType.at_position(record.kind.position()))
            }
        }
    }

    fn namespace(&mut self, name: Key, record: &Record<'_, '_>) -> Result<Place, CsvError> {
        let position = record.key.position();
        if let Some(index) = self.document.index_of(&name) {
            if self.mode == Mode::Strict {
                let error = Problem::ReopenedNamespace { name }.at_position(position);
                self.errors.push(error);
                return Ok(Place::Namespace(index));
            }
            // The reference keeps writing to the last new namespace.
            return Ok(self.place);
        }
        match self.document.define_namespace(name, Some(position)) {
            Ok(index) => Ok(Place::Namespace(index)),
            // One is said; the others are of its kind.
            Err(_) if self.has_too_many_namespaces => Ok(Place::Lost),
            Err(error) => {
                self.has_too_many_namespaces =
                    matches!(error, DocumentError::TooManyNamespaces { .. });
                Err(Problem::from(error).at_position(position))
            }
        }
    }

    fn entry(
        &mut self,
        key: Result<Key, CsvError>,
        record: &Record<'_, '_>,
        from_file: bool,
    ) -> Result<(), CsvError> {
        let key = self.errors.keep(key);
        let encoding = required(record.encoding, record.key, "encoding")?;
        let field = required(record.value, record.key, "value")?;
        if is_cut_pem(field) {
            return Err(Problem::UnquotedPem.at_position(field.position()));
        }
        let value = self.value(encoding, field, from_file);
        let value = self.errors.keep(value);
        let Some(key) = key else { return Ok(()) };
        let position = record.key.position();
        match self.place {
            Place::Namespace(namespace) => {
                let row = EntryRow { namespace, key, position, text: &field.text, from_file };
                self.store(&row, value, record.extras)
            }
            Place::Lost => Ok(()),
            Place::Nowhere => {
                self.place = Place::Lost;
                let key = key.to_string();
                Err(Problem::NoNamespace { key }.at_position(position))
            }
        }
    }

    /// Stores an entry, and what the generator adds beside it.
    fn store(
        &mut self,
        row: &EntryRow<'_>,
        value: Option<Value>,
        extras: Option<&Field<'_>>,
    ) -> Result<(), CsvError> {
        let allowed = self.allows_extras(extras).and_then(|is_allowed| {
            self.check_wifi(row, is_allowed)?;
            Ok(is_allowed)
        });
        let is_allowed = self.errors.keep(allowed).unwrap_or_default();
        // A key whose value is wrong is there nevertheless: a second one is an error.
        let is_sound = value.is_some();
        let value = value.unwrap_or(Value::U8(0));
        if !is_allowed || !is_sound {
            return self.push(row, value);
        }
        let extras = self.wifi.on_row(row.key.as_str().unwrap_or_default(), row.text);
        if let Some((name, value)) = extras.before {
            self.add(row, name, value);
        }
        self.push(row, value)?;
        for (name, value) in extras.after {
            self.add(row, name, value);
        }
        Ok(())
    }

    /// Whether the generator may add keys beside a row.
    fn allows_extras(&self, field: Option<&Field<'_>>) -> Result<bool, CsvError> {
        match (self.mode, field.map(|field| (field, field.text.trim()))) {
            (Mode::Compat, _) | (_, None | Some((_, ""))) => Ok(true),
            (_, Some((_, NO_EXTRAS))) => Ok(false),
            (_, Some((field, _))) => Err(Problem::WifiExtras.at_position(field.position())),
        }
    }

    fn value(
        &mut self,
        encoding: &Field<'_>,
        field: &Field<'_>,
        from_file: bool,
    ) -> Result<Value, CsvError> {
        let content;
        let source = if from_file {
            let read = self.files.read(&field.text);
            content = read.map_err(|source| {
                let path = field.text.clone().into_owned();
                Problem::File { path, source }.at_position(field.position())
            })?;
            Source::File(&content)
        } else {
            Source::Inline(&field.text)
        };
        let value = encoding::decode(encoding.text.trim(), source, self.mode).map_err(|error| {
            let position = match error {
                EncodingError::Unknown { .. }
                | EncodingError::Capitals { .. }
                | EncodingError::NotInReference { .. }
                | EncodingError::FillForm { .. } => encoding.position(),
                _ => field.position(),
            };
            Problem::from(error).at_position(position)
        })?;
        check_value(&value).map_err(|error| Problem::from(error).at_position(field.position()))?;
        Ok(value)
    }

    /// The reference's extra keys are right in the WiFi driver's namespace only.
    fn check_wifi(&self, row: &EntryRow<'_>, allows_extras: bool) -> Result<(), CsvError> {
        let &EntryRow { key, position, from_file, .. } = row;
        if !wifi::is_trigger(key.as_str().unwrap_or_default()) {
            return Ok(());
        }
        if from_file {
            return Err(Problem::WifiKeyFromFile { key }.at_position(position));
        }
        let namespace = self.document.namespaces()[usize::from(row.namespace) - 1];
        if self.mode == Mode::Strict && allows_extras && namespace != *wifi::NAMESPACE {
            return Err(Problem::WifiKeyElsewhere { key }.at_position(position));
        }
        Ok(())
    }

    fn push(&mut self, row: &EntryRow<'_>, value: Value) -> Result<(), CsvError> {
        let &EntryRow { namespace, key, position, .. } = row;
        if self.mode == Mode::Compat {
            self.document.push(namespace, key, value, Some(position));
            return Ok(());
        }
        if let Some(at) = self.added.iter().position(|added| *added == key)
            && self.document.namespaces()[usize::from(namespace) - 1] == *wifi::NAMESPACE
        {
            // The CSV's own word counts, and in its place.
            self.added.swap_remove(at);
            self.document.remove(wifi::NAMESPACE, key.as_str().unwrap_or_default());
        }
        self.document
            .push_unique(namespace, key, value, Some(position))
            .map_err(|error| Problem::from(error).at_position(position))
    }

    /// Adds a key as the generator does, unless the CSV has said what it holds.
    fn add(&mut self, row: &EntryRow<'_>, name: &str, value: Value) {
        let (key, position) = (Key::padded(name.as_bytes()), Some(row.position));
        match self.mode {
            Mode::Compat => self.document.push(row.namespace, key, value, position),
            Mode::Strict => {
                if self.document.push_unique(row.namespace, key, value, position).is_ok() {
                    self.added.push(key);
                }
            }
        }
    }
}

/// A row of a known namespace with a sound key.
struct EntryRow<'r> {
    namespace: u8,
    key: Key,
    position: Position,
    text: &'r str,
    from_file: bool,
}

/// The error of a row that is split by something else than commas.
fn other_separator(field: &Field<'_>) -> Option<CsvError> {
    let is_row = |columns: &[&str]| {
        columns.get(1).is_some_and(|kind| matches!(*kind, "data" | "file" | "namespace"))
    };
    let (found, before) = foreign_separator(&field.text, is_row)?;
    let Position { line, column } = field.position();
    let column = column.saturating_add(u32::try_from(before.chars().count()).unwrap_or(u32::MAX));
    Some(Problem::Separator { found }.at(line, column))
}

/// A name that the reference stores intact: 15 characters are its limit, but
/// only 15 bytes have room.
fn compatible_key(name: &str) -> Result<Key, KeyError> {
    if name.is_empty() {
        return Err(KeyError::Empty);
    }
    if name.len() > crate::limits::KEY_MAX_BYTES {
        return Err(KeyError::too_long(name));
    }
    if let Some(character) = name.chars().find(|character| character.is_control()) {
        let name = name.to_owned();
        return Err(KeyError::NotAscii { name, character });
    }
    Ok(Key::padded(name.as_bytes()))
}

/// A first PEM line that an unquoted field has cut off from the rest.
fn is_cut_pem(field: &Field<'_>) -> bool {
    !field.quoted && field.text.starts_with("-----BEGIN ")
}
