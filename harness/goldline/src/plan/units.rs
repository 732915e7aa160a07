//! `--units FILE.csv`: one row of values a unit.
//!
//! The header names the profile's values; cells may be quoted and hold commas. An empty cell gives
//! nothing, so that the next giver is asked. Cells may be secrets, so no message repeats one. Must not
//! check lengths: the bindings do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use crate::{
    profile::{Profile, ValueSource, did_you_mean},
    secret::Secret,
};

/// The units of a file, in its order.
#[derive(Clone, Debug)]
pub struct Units {
    rows: Vec<UnitRow>,
}

/// One unit's values.
#[derive(Clone, Debug)]
pub struct UnitRow {
    line: usize,
    values: BTreeMap<String, Secret>,
}

/// What is wrong in a file of units, and where.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct UnitsError {
    /// The file's name.
    pub file: String,
    /// From 1; a row with line breaks in it counts where it begins.
    pub line: usize,
    /// The cell, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: UnitsProblem,
}

/// What is wrong in a file of units.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum UnitsProblem {
    #[error("cannot read the file: {0}")]
    Unreadable(io::Error),
    #[error("the file holds no unit: expected a header and one row for each unit")]
    Empty,
    #[error("the profile has no value \"{name}\": it has {}{}", .existing.join(", "), did_you_mean(.name, .existing.iter().map(String::as_str)))]
    UnknownColumn { name: String, existing: Vec<String> },
    #[error("a second column has the name \"{name}\"")]
    ColumnTwice { name: String },
    #[error("the row has {found} cells: expected {expected}, as the header has")]
    CellCount { found: u64, expected: u64 },
    #[error("the row is not UTF-8 text")]
    NotText,
    #[error(
        "the row cannot be read: expected comma-separated cells, quoted with \" where they hold a comma"
    )]
    Form,
    #[error("the unit of line {other} has the same {name}")]
    SameUnit { name: String, other: usize },
}

impl UnitRow {
    /// The line where the row begins, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The cells that are not empty, by value name.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.values.iter().map(|(name, text)| (name.as_str(), text))
    }
}

impl Units {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or as [`Units::parse`].
    pub fn load(path: &Path, profile: &Profile) -> Result<Self, UnitsError> {
        let file = path.display().to_string();
        match fs::read(path) {
            Ok(bytes) => Self::parse(&file, &bytes, profile),
            Err(error) => {
                let problem = UnitsProblem::Unreadable(error);
                Err(UnitsError { file, line: 1, column: 1, problem })
            }
        }
    }

    /// Reads the CSV in `bytes`. `file` is the name that errors show.
    ///
    /// # Errors
    /// When the form is wrong, a column is not a value of the profile, two units share a public id or
    /// a number, or there is no unit at all.
    pub fn parse(file: &str, bytes: &[u8], profile: &Profile) -> Result<Self, UnitsError> {
        let locate =
            |(line, column, problem)| UnitsError { file: file.to_owned(), line, column, problem };
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut reader = csv::Reader::from_reader(bytes);
        let header = reader.headers().map_err(|error| locate(form_problem(bytes, &error)))?.clone();
        let columns = columns(&header, profile).map_err(locate)?;
        let mut units = Self { rows: Vec::new() };
        for record in reader.records() {
            let record = record.map_err(|error| locate(form_problem(bytes, &error)))?;
            let row = row(bytes, &record, &columns);
            units.refuse_twin(&row, &columns, profile).map_err(locate)?;
            units.rows.push(row);
        }
        if units.rows.is_empty() {
            return Err(locate((1, 1, UnitsProblem::Empty)));
        }
        Ok(units)
    }

    /// The units, in the file's order; at least one.
    pub fn rows(&self) -> &[UnitRow] {
        &self.rows
    }

    fn refuse_twin(
        &self,
        row: &UnitRow,
        columns: &[String],
        profile: &Profile,
    ) -> Result<(), (usize, usize, UnitsProblem)> {
        let unique =
            |spec: &&crate::profile::ValueSpec| spec.id || spec.source == ValueSource::Lease;
        for spec in profile.values.iter().filter(unique) {
            let Some(text) = row.values.get(&spec.name) else { continue };
            let twin = self.rows.iter().find(|other| other.values.get(&spec.name) == Some(text));
            if let Some(twin) = twin {
                let column = columns.iter().position(|column| *column == spec.name).unwrap_or(0);
                let problem = UnitsProblem::SameUnit { name: spec.name.clone(), other: twin.line };
                return Err((row.line, column + 1, problem));
            }
        }
        Ok(())
    }
}

fn columns(
    header: &csv::StringRecord,
    profile: &Profile,
) -> Result<Vec<String>, (usize, usize, UnitsProblem)> {
    let existing: Vec<String> = profile.values.iter().map(|spec| spec.name.clone()).collect();
    let mut seen = BTreeSet::new();
    for (index, name) in header.iter().enumerate() {
        let name = name.trim();
        if !existing.iter().any(|value| value == name) {
            let name = name.to_owned();
            return Err((1, index + 1, UnitsProblem::UnknownColumn { name, existing }));
        }
        if !seen.insert(name) {
            return Err((1, index + 1, UnitsProblem::ColumnTwice { name: name.to_owned() }));
        }
    }
    Ok(header.iter().map(|name| name.trim().to_owned()).collect())
}

fn row(bytes: &[u8], record: &csv::StringRecord, columns: &[String]) -> UnitRow {
    let values = columns
        .iter()
        .zip(record)
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(name, cell)| (name.clone(), Secret::new(cell)))
        .collect();
    UnitRow { line: line_of(bytes, record.position()), values }
}

/// The line where a row begins. The reader's own count lags behind for CRLF files, because it takes
/// a row to begin at the line feed of the row before.
fn line_of(bytes: &[u8], position: Option<&csv::Position>) -> usize {
    let offset = position.map_or(0, csv::Position::byte);
    let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let skipped = bytes[offset..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    1 + bytes[..offset + skipped].iter().filter(|&&byte| byte == b'\n').count()
}

/// Words a fault of form without the row's content, which the reader's own message may show.
fn form_problem(bytes: &[u8], error: &csv::Error) -> (usize, usize, UnitsProblem) {
    let line = line_of(bytes, error.position());
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let column = usize::try_from((*len).min(*expected_len)).unwrap_or(usize::MAX);
            let problem = UnitsProblem::CellCount { found: *len, expected: *expected_len };
            (line, column.max(1), problem)
        }
        csv::ErrorKind::Utf8 { err, .. } => (line, err.field() + 1, UnitsProblem::NotText),
        _ => (line, 1, UnitsProblem::Form),
    }
}
