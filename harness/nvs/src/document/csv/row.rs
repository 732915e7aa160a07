//! One record → rows of the document. Knows the columns and the reference's
//! habits; must not know how records are split.

use super::lexer::Field;
use super::{CsvError, Files, Mode, Position, Problem};
use crate::document::encoding::{self, EncodingError, Source};
use crate::document::{Document, check_value, wifi};
use crate::key::{Key, KeyError};
use crate::value::Value;

/// Which field of a record is which column.
pub(super) struct Columns {
    count: usize,
    key: usize,
    kind: usize,
    encoding: usize,
    value: usize,
}

/// A record by column names. Missing fields are `None`.
pub(super) struct Record<'r, 't> {
    key: &'r Field<'t>,
    kind: Option<&'r Field<'t>>,
    encoding: Option<&'r Field<'t>>,
    value: Option<&'r Field<'t>>,
}

impl Columns {
    pub fn find(header: &[Field<'_>]) -> Result<Self, CsvError> {
        let find = |column: &'static str| {
            let found = header.iter().rposition(|field| field.text.trim() == column);
            found.ok_or_else(|| {
                let position = header[0].position();
                Problem::NoColumn { column }.at_position(position)
            })
        };
        Ok(Self {
            count: header.len(),
            key: find("key")?,
            kind: find("type")?,
            encoding: find("encoding")?,
            value: find("value")?,
        })
    }

    pub fn pick<'r, 't>(
        &self,
        fields: &'r [Field<'t>],
        mode: Mode,
    ) -> Result<Record<'r, 't>, CsvError> {
        let extra = fields.get(self.count..).unwrap_or_default();
        if let Some(field) = extra.iter().find(|field| !field.text.trim().is_empty())
            && mode == Mode::Strict
        {
            let (expected, found) = (self.count, fields.len());
            return Err(Problem::ExtraFields { expected, found }.at_position(field.position()));
        }
        let first = fields[0].position();
        let missing = || Problem::MissingField { column: "key" }.at_position(first);
        Ok(Record {
            key: fields.get(self.key).ok_or_else(missing)?,
            kind: fields.get(self.kind),
            encoding: fields.get(self.encoding),
            value: fields.get(self.value),
        })
    }
}

/// Turns records into a document, one after another.
pub(super) struct RowReader<'f> {
    mode: Mode,
    files: &'f mut dyn Files,
    document: Document,
    /// Index of the namespace that rows go to; 0 before the first.
    current: u8,
    wifi: wifi::Injections,
}

impl<'f> RowReader<'f> {
    pub fn new(mode: Mode, files: &'f mut dyn Files) -> Self {
        Self {
            mode,
            files,
            document: Document::new(),
            current: 0,
            wifi: wifi::Injections::default(),
        }
    }

    pub fn finish(self) -> Document {
        self.document
    }

    pub fn read(&mut self, record: &Record<'_, '_>) -> Result<(), CsvError> {
        let kind = required(record.kind, record.key, "type")?;
        let name = record.key;
        let key = match self.mode {
            Mode::Strict => Key::new(&name.text),
            Mode::Compat => compatible_key(&name.text),
        };
        let key = key.map_err(|error| Problem::from(error).at_position(name.position()))?;
        match (kind.text.trim(), self.mode) {
            ("namespace", _) => self.namespace(key, name.position()),
            ("file", _) => self.entry(key, record, true),
            ("data", _) | (_, Mode::Compat) => self.entry(key, record, false),
            (other, Mode::Strict) => {
                let found = other.to_owned();
                Err(Problem::UnknownType { found }.at_position(kind.position()))
            }
        }
    }

    fn namespace(&mut self, name: Key, position: Position) -> Result<(), CsvError> {
        if self.document.index_of(&name).is_some() {
            // The reference keeps writing to the last new namespace.
            return match self.mode {
                Mode::Strict => Err(Problem::ReopenedNamespace { name }.at_position(position)),
                Mode::Compat => Ok(()),
            };
        }
        self.current = self
            .document
            .define_namespace(name, Some(position))
            .map_err(|error| Problem::from(error).at_position(position))?;
        Ok(())
    }

    fn entry(
        &mut self,
        key: Key,
        record: &Record<'_, '_>,
        from_file: bool,
    ) -> Result<(), CsvError> {
        let position = record.key.position();
        if self.current == 0 {
            let key = key.to_string();
            return Err(Problem::NoNamespace { key }.at_position(position));
        }
        let encoding = required(record.encoding, record.key, "encoding")?;
        let value_field = required(record.value, record.key, "value")?;
        if is_cut_pem(value_field) {
            return Err(Problem::UnquotedPem.at_position(value_field.position()));
        }
        let value = self.value(encoding, value_field, from_file)?;
        self.check_wifi(key, position, from_file)?;
        let name = key.as_str().unwrap_or_default();
        let extras = self.wifi.on_row(name, &value_field.text);
        if let Some((name, value)) = extras.before {
            self.push(Key::padded(name.as_bytes()), value, position, position)?;
        }
        self.push(key, value, position, value_field.position())?;
        for (name, value) in extras.after {
            self.push(Key::padded(name.as_bytes()), value, position, position)?;
        }
        Ok(())
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
        encoding::decode(encoding.text.trim(), source, self.mode).map_err(|error| {
            let position = match error {
                EncodingError::Unknown { .. }
                | EncodingError::Capitals { .. }
                | EncodingError::FillForm { .. } => encoding.position(),
                _ => field.position(),
            };
            Problem::from(error).at_position(position)
        })
    }

    /// The reference's extra keys are right in the WiFi driver's namespace only.
    fn check_wifi(&self, key: Key, position: Position, from_file: bool) -> Result<(), CsvError> {
        if !wifi::is_trigger(key.as_str().unwrap_or_default()) {
            return Ok(());
        }
        if from_file {
            return Err(Problem::WifiKeyFromFile { key }.at_position(position));
        }
        let namespace = self.document.namespaces()[usize::from(self.current) - 1];
        if self.mode == Mode::Strict && namespace != *wifi::NAMESPACE {
            return Err(Problem::WifiKeyElsewhere { key }.at_position(position));
        }
        Ok(())
    }

    fn push(
        &mut self,
        key: Key,
        value: Value,
        key_position: Position,
        value_position: Position,
    ) -> Result<(), CsvError> {
        check_value(&value).map_err(|error| Problem::from(error).at_position(value_position))?;
        let namespace = self.current;
        match self.mode {
            Mode::Strict => self
                .document
                .push_unique(namespace, key, value, Some(key_position))
                .map_err(|error| Problem::from(error).at_position(key_position)),
            Mode::Compat => {
                self.document.push(namespace, key, value, Some(key_position));
                Ok(())
            }
        }
    }
}

fn required<'r, 't>(
    field: Option<&'r Field<'t>>,
    key: &Field<'_>,
    column: &'static str,
) -> Result<&'r Field<'t>, CsvError> {
    field.ok_or_else(|| Problem::MissingField { column }.at_position(key.position()))
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
