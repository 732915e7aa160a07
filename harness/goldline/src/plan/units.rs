//! `--units FILE.csv`: one row of values a unit.
//!
//! The header names the profile's values; cells may be quoted and hold commas. An empty cell gives
//! nothing, so that the next giver is asked. Cells may be secrets, so no message repeats one. Must not
//! check lengths: the bindings do.

use std::{collections::BTreeMap, fs, io, path::Path};

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
    id: Option<String>,
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

    /// What people call the unit: its first identifier in the file, else its line.
    pub fn label(&self) -> String {
        self.id.clone().unwrap_or_else(|| format!("line {}", self.line))
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
        let lines = Lines::of(bytes);
        let mut reader = csv::Reader::from_reader(bytes);
        let header = reader.headers().map_err(|error| locate(form_problem(&lines, &error)))?;
        let columns = columns(header, profile).map_err(locate)?;
        let mut identities = Identities::default();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| locate(form_problem(&lines, &error)))?;
            let line = lines.line_of(record.position());
            identities.refuse_twin(line, &record, &columns).map_err(locate)?;
            rows.push(row(line, &record, &columns));
        }
        if rows.is_empty() {
            return Err(locate((1, 1, UnitsProblem::Empty)));
        }
        Ok(Self { rows })
    }

    /// The units, in the file's order; at least one.
    pub fn rows(&self) -> &[UnitRow] {
        &self.rows
    }
}

/// A column of the file: a value, and whether no two units may share it.
struct Column {
    name: String,
    identity: bool,
}

fn columns(
    header: &csv::StringRecord,
    profile: &Profile,
) -> Result<Vec<Column>, (usize, usize, UnitsProblem)> {
    let mut columns: Vec<Column> = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let name = name.trim().to_owned();
        let Some(spec) = profile.values.iter().find(|spec| spec.name == name) else {
            let existing = profile.values.iter().map(|spec| spec.name.clone()).collect();
            return Err((1, index + 1, UnitsProblem::UnknownColumn { name, existing }));
        };
        if columns.iter().any(|column| column.name == name) {
            return Err((1, index + 1, UnitsProblem::ColumnTwice { name }));
        }
        columns.push(Column { name, identity: spec.id || spec.source == ValueSource::Lease });
    }
    Ok(columns)
}

/// The line of each identity that was seen, by column and text. Identities are no secrets.
#[derive(Default)]
struct Identities(BTreeMap<(usize, String), usize>);

impl Identities {
    fn refuse_twin(
        &mut self,
        line: usize,
        record: &csv::StringRecord,
        columns: &[Column],
    ) -> Result<(), (usize, usize, UnitsProblem)> {
        for (index, (column, cell)) in columns.iter().zip(record).enumerate() {
            if !column.identity || cell.is_empty() {
                continue;
            }
            if let Some(other) = self.0.insert((index, cell.to_owned()), line) {
                let problem = UnitsProblem::SameUnit { name: column.name.clone(), other };
                return Err((line, index + 1, problem));
            }
        }
        Ok(())
    }
}

fn row(line: usize, record: &csv::StringRecord, columns: &[Column]) -> UnitRow {
    let cells = || columns.iter().zip(record).filter(|(_, cell)| !cell.is_empty());
    let id = cells().find(|(column, _)| column.identity).map(|(_, cell)| cell.to_owned());
    let values = cells().map(|(column, cell)| (column.name.clone(), Secret::new(cell))).collect();
    UnitRow { line, id, values }
}

/// The offsets of all line feeds. The reader's own count lags behind for CRLF files and blank lines,
/// because it takes a row to begin right behind the row before.
struct Lines<'a> {
    bytes: &'a [u8],
    feeds: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let feeds = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        Self { bytes, feeds: feeds.map(|(offset, _)| offset).collect() }
    }

    /// The line where a row begins, from 1.
    fn line_of(&self, position: Option<&csv::Position>) -> usize {
        let offset = position.map_or(0, csv::Position::byte);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let blank = |byte: &&u8| matches!(**byte, b'\r' | b'\n');
        let start = offset + self.bytes[offset..].iter().take_while(blank).count();
        1 + self.feeds.partition_point(|&feed| feed < start)
    }
}

/// Words a fault of form without the row's content, which the reader's own message may show.
fn form_problem(lines: &Lines<'_>, error: &csv::Error) -> (usize, usize, UnitsProblem) {
    let line = lines.line_of(error.position());
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
