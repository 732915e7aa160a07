//! CSV as Espressif's generator reads it → [`Document`].
//!
//! Two modes. [`Mode::Strict`] refuses, with line and column, whatever the
//! reference generator (0.3.0) would silently store otherwise than written,
//! and accepts what it merely fails on (byte order mark, CRLF, spaces in the
//! header). [`Mode::Compat`] stores byte for byte what the reference stores.
//!
//! Where the reference is wrong, this is what happens:
//!
//! | in the CSV | strict | compatible |
//! | --- | --- | --- |
//! | a namespace opened twice | refused | as the reference: later rows go to the last *new* namespace |
//! | a key twice | refused | both are written |
//! | a type other than `data`, `file`, `namespace` | refused | taken as `data` |
//! | more fields than columns | refused, unless empty | dropped |
//! | a space around a key | refused | part of the key |
//! | text after a closing quote | refused | part of the value |
//! | base64 with foreign characters | refused | they are skipped |
//! | non-ASCII key | refused | stored, while it has at most 15 bytes |
//! | a size of 0x2000 with one page of data | 0x2000 bytes | 0x2000 bytes (the reference: 0x1000) |
//! | WiFi keys outside of `nvs.net80211` | refused | extra keys are added as by the reference |
//! | `HEX2BIN`, `BASE64`, `STRING` in capitals | refused | refused |
//! | rows before the first namespace | refused | refused |
//! | non-ASCII inline `binary` | refused | refused |
//! | blob over 508,000 bytes, > 254 namespaces | refused | refused |
//! | a PEM over several lines without quotes | refused | refused |
//! | a line beginning with `#` inside a quoted value | refused | refused |
//!
//! Lines end with LF, CRLF or CR; inside of a value each becomes LF, as in the
//! reference. File rows are read through [`Files`], since this crate does no I/O.

mod lexer;
mod row;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::io;

use super::{Document, DocumentError, Position};
use crate::key::{Key, KeyError};

pub use super::encoding::EncodingError;
pub use writer::{WriteError, write};

/// How to treat what the reference generator gets wrong; see the module's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuse it.
    #[default]
    Strict,
    /// Do as the reference does, as far as the table says.
    Compat,
}

/// Where the contents of `file` rows come from.
pub trait Files {
    /// The whole file that the CSV names by `path`.
    ///
    /// # Errors
    /// Whatever hinders reading it; it becomes part of the row's error.
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>>;
}

impl<F: FnMut(&str) -> io::Result<Vec<u8>>> Files for F {
    fn read(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self(path)
    }
}

/// Refuses every `file` row: for a CSV that comes from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&mut self, _path: &str) -> io::Result<Vec<u8>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "file rows are not allowed here"))
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
        "the type `{found}` is not one of data, file, namespace; write `data` and put the kind of value under encoding"
    )]
    UnknownType {
        /// What stands there.
        found: String,
    },
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

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Problem::Document(DocumentError::Key(error))
    }
}

/// Reads a whole CSV. `files` is asked for the content of `file` rows.
///
/// # Errors
/// The first thing that is wrong, with its position.
pub fn parse(bytes: &[u8], mode: Mode, files: &mut dyn Files) -> Result<Document, CsvError> {
    let text = lexer::text(bytes)?;
    let mut records = lexer::Records::new(&text, mode);
    let Some(header) = records.next_record()? else {
        return Err(Problem::NoHeader.at(1, 1));
    };
    let columns = row::Columns::find(&header)?;
    let mut reader = row::RowReader::new(mode, files);
    while let Some(record) = records.next_record()? {
        reader.read(&columns.pick(&record, mode)?)?;
    }
    Ok(reader.finish())
}

impl Problem {
    fn at(self, line: u32, column: u32) -> CsvError {
        self.at_position(Position { line, column })
    }

    fn at_position(self, position: Position) -> CsvError {
        CsvError { position, problem: self }
    }
}
