//! What can be wrong with a CSV, and where. No message repeats a value.

use std::fmt;
use std::io;

use super::{EncodingError, Position};
use crate::document::DocumentError;
use crate::key::{Key, KeyError};

/// Longest list of errors; a file that has more is of another kind.
const LISTED_MAX: usize = 50;

/// Everything that is wrong with a CSV, in the order of the file: at least one
/// error. Of very many only the first are kept.
#[derive(Debug)]
pub struct CsvErrors {
    listed: Vec<CsvError>,
    omitted: usize,
}

impl CsvErrors {
    /// The errors, of which there is at least one.
    pub fn listed(&self) -> &[CsvError] {
        &self.listed
    }

    /// How many more there are.
    pub fn omitted(&self) -> usize {
        self.omitted
    }
}

impl From<CsvError> for CsvErrors {
    fn from(error: CsvError) -> Self {
        Self { listed: vec![error], omitted: 0 }
    }
}

impl fmt::Display for CsvErrors {
    /// One line an error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.listed.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{error}")?;
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for CsvErrors {}

/// Errors as they are found.
#[derive(Debug, Default)]
pub(super) struct ErrorList {
    listed: Vec<CsvError>,
    omitted: usize,
}

impl ErrorList {
    pub fn push(&mut self, error: CsvError) {
        match self.listed.len() < LISTED_MAX {
            true => self.listed.push(error),
            false => self.omitted += 1,
        }
    }

    /// The value, or nothing and its error in the list.
    pub fn keep<T>(&mut self, result: Result<T, CsvError>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// The errors in the order of the file, if there are any.
    pub fn into_errors(self) -> Option<CsvErrors> {
        let Self { mut listed, omitted } = self;
        listed.sort_by_key(|error| error.position);
        (!listed.is_empty()).then_some(CsvErrors { listed, omitted })
    }
}

/// What is wrong with a CSV, and where.
#[derive(Debug)]
pub struct CsvError {
    /// Where the offending field begins.
    pub position: Position,
    /// What is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.problem)
    }
}

impl std::error::Error for CsvError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

/// What can be wrong with a CSV.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The bytes are not UTF-8.
    #[error("the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The first wrong byte.
        byte: u8,
    },
    /// No header line at all.
    #[error("no header found; begin with the line `key,type,encoding,value`")]
    NoHeader,
    /// A column is missing in the header.
    #[error("the header has no column `{column}`; it must name key, type, encoding and value")]
    NoColumn {
        /// Its name.
        column: &'static str,
    },
    /// Another separator than the comma, as spreadsheets of some countries write it.
    #[error("the separator of this file is {}, and must be `,`; export it again with commas", named(*found))]
    Separator {
        /// The one that is there.
        found: char,
    },
    /// A quote that is never closed.
    #[error("the quote opened here is never closed; add `\"` at the end of the value")]
    OpenQuote,
    /// Something between a closing quote and the next comma.
    #[error("text after the closing quote; write `\"\"` for a quote inside of a quoted value")]
    TextAfterQuote,
    /// A comment line inside of a value, which the reference drops.
    #[error(
        "a line of a quoted value begins with `#`, which the reference generator drops as a comment; put the value into a file row"
    )]
    CommentInQuote,
    /// Too many fields, typically an unquoted comma.
    #[error("{found} fields where the header has {expected}; quote a value that contains a comma")]
    ExtraFields {
        /// Columns of the header.
        expected: usize,
        /// Fields of this row.
        found: usize,
    },
    /// Too few fields.
    #[error("no field for the column `{column}`; write key,type,encoding,value")]
    MissingField {
        /// Its name.
        column: &'static str,
    },
    /// A PEM that starts outside of quotes and so ends with its first line.
    #[error("a PEM has several lines: put it between quotes, or use a `file` row")]
    UnquotedPem,
    /// A type that the reference would silently take as `data`.
    #[error(
        // Not what stands there: a value that slipped into this column may be a secret.
        "the type is not one of data, file, namespace; write `data` and put the kind of value under encoding"
    )]
    UnknownType,
    /// A row of data before the first namespace.
    #[error("`{key}` stands before the first namespace; begin with a row `name,namespace,,`")]
    NoNamespace {
        /// The row's key.
        key: String,
    },
    /// A namespace opened for the second time.
    #[error("the namespace `{name}` was opened before; move these rows up to its other rows")]
    ReopenedNamespace {
        /// Its name.
        name: Key,
    },
    /// A WiFi key for which the reference adds keys of its own.
    #[error(
        "the reference generator adds further keys beside `{key}`, which belong to the namespace nvs.net80211; move it there, choose another name, or use the compatible mode"
    )]
    WifiKeyElsewhere {
        /// The key.
        key: Key,
    },
    /// A WiFi key as a file row: the reference stores the path instead.
    #[error(
        "the reference generator stores the path of a file row for `{key}`; write the value inline"
    )]
    WifiKeyFromFile {
        /// The key.
        key: Key,
    },
    /// Something else than `none` in the column `wifi_extras`.
    #[error("the column `wifi_extras` takes `none`, by which nothing is added, or nothing")]
    WifiExtras,
    /// A file row whose file could not be read.
    #[error("cannot read `{path}`: {source}")]
    File {
        /// As the row has it.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The encoding or the value in it.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// A name or a value that NVS cannot hold.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

fn named(separator: char) -> String {
    match separator {
        '\t' => "a tab".to_owned(),
        other => format!("`{other}`"),
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Problem::Document(DocumentError::Key(error))
    }
}

impl Problem {
    pub(super) fn at(self, line: u32, column: u32) -> CsvError {
        self.at_position(Position { line, column })
    }

    pub(super) fn at_position(self, position: Position) -> CsvError {
        CsvError { position, problem: self }
    }
}
