//! CSV as Espressif's generator reads it → [`Document`].
//!
//! Two modes. [`Mode::Strict`] refuses, with line and column, whatever the
//! reference generator (0.3.0) would silently store otherwise than written,
//! and accepts what it merely fails on (byte order mark, CRLF, spaces in the
//! header). [`Mode::Compat`] stores byte for byte what the reference stores.
//!
//! Beside `sta.ssid` or `sta.pswd` the reference writes `sta.apinfo`, `sta.pmk` and
//! `sta.apsw`, and with the credentials of an access point `ap.pmk_info`, whether or
//! not the CSV asks for them. A CSV of a live device says more: in strict mode its
//! own rows for these keys count, wherever they stand, and `none` in a column
//! `wifi_extras` keeps a row from having anything added. The reference reads such a
//! CSV too, but ignores that column and adds its keys nevertheless.
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
//! | a key that is also added beside WiFi keys | stored as the CSV has it | both are written |
//! | `none` in a column `wifi_extras` | nothing is added for this row | the column is ignored |
//! | encodings `float` and `double` | stored | refused |
//! | `HEX2BIN`, `BASE64`, `STRING` in capitals | refused | refused |
//! | rows before the first namespace | refused | refused |
//! | non-ASCII inline `binary` | refused | refused |
//! | blob over 508,000 bytes, > 254 namespaces | refused | refused |
//! | a PEM over several lines without quotes | refused | refused |
//! | a line beginning with `#` inside a quoted value | refused | refused |
//!
//! Lines end with LF, CRLF or CR; inside of a value each becomes LF, as in the
//! reference. File rows are read through [`Files`], since this crate does no I/O.

mod columns;
mod error;
mod lexer;
mod row;
#[cfg(test)]
mod tests;
mod writer;

use std::io;

use super::{Document, Position};

pub use super::encoding::EncodingError;
pub use super::mode::Mode;
pub use error::{CsvError, CsvErrors, Problem};
pub use writer::{Unwritable, WriteError, write};

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

/// Reads a whole CSV. `files` is asked for the content of `file` rows.
///
/// # Errors
/// Everything that is wrong, each with its position, in order. What follows only
/// from an earlier error is left out.
pub fn parse(bytes: &[u8], mode: Mode, files: &mut dyn Files) -> Result<Document, CsvErrors> {
    let text = lexer::text(bytes)?;
    let mut records = lexer::Records::new(&text, mode);
    let header = records.header()?;
    let mut reader = row::RowReader::new(columns::Columns::find(&header)?, mode, files);
    for record in records {
        reader.read(record);
    }
    reader.finish()
}
