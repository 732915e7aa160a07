//! Which field of a record is which column. Must not know what a row means.

use super::lexer::Field;
use super::{CsvError, Mode, Problem};

/// The column that can keep the generator from adding WiFi keys. Other readers
/// ignore it, as every column that they do not know.
pub(super) const EXTRAS_COLUMN: &str = "wifi_extras";
/// What stands in it where nothing is to be added.
pub(super) const NO_EXTRAS: &str = "none";

/// Which field of a record is which column.
pub(super) struct Columns {
    count: usize,
    key: usize,
    kind: usize,
    encoding: usize,
    value: usize,
    extras: Option<usize>,
}

/// A record by column names. Missing fields are `None`.
pub(super) struct Record<'r, 't> {
    pub key: &'r Field<'t>,
    pub kind: &'r Field<'t>,
    pub encoding: Option<&'r Field<'t>>,
    pub value: Option<&'r Field<'t>>,
    pub extras: Option<&'r Field<'t>>,
}

impl Columns {
    pub fn find(header: &[Field<'_>]) -> Result<Self, CsvError> {
        let position = |column| header.iter().rposition(|field| field.text.trim() == column);
        let find = |column: &'static str| {
            let missing = || Problem::NoColumn { column }.at_position(header[0].position());
            position(column).ok_or_else(missing)
        };
        Ok(Self {
            count: header.len(),
            key: find("key")?,
            kind: find("type")?,
            encoding: find("encoding")?,
            value: find("value")?,
            extras: position(EXTRAS_COLUMN),
        })
    }

    /// The fields of a record by column; key and type are always needed.
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
        let first = &fields[0];
        let key = required(fields.get(self.key), first, "key")?;
        Ok(Record {
            key,
            kind: required(fields.get(self.kind), key, "type")?,
            encoding: fields.get(self.encoding),
            value: fields.get(self.value),
            extras: self.extras.and_then(|extras| fields.get(extras)),
        })
    }
}

/// The field of a column that a row needs.
pub(super) fn required<'r, 't>(
    field: Option<&'r Field<'t>>,
    key: &Field<'_>,
    column: &'static str,
) -> Result<&'r Field<'t>, CsvError> {
    field.ok_or_else(|| Problem::MissingField { column }.at_position(key.position()))
}
