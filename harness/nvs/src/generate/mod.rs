//! Document → image bytes, laid out as the reference generator does.
//!
//! Must not know where the document came from. Sizes are bytes.

pub(crate) mod layout;

use crate::document::{Document, Position, Row};
use crate::format::Version;
use crate::key::Key;
use crate::limits::{
    BLOB_V1_MAX_BYTES, CHUNKS_MAX, PAGE_BYTES, READ_WRITE_MIN_BYTES, STRING_V1_MAX_BYTES,
};
use crate::value::Stored;
use layout::Layout;

/// Why an image cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// Not a whole number of pages.
    #[error("the size {size:#x} is not a multiple of 0x1000; use {:#x}", size.next_multiple_of(PAGE_BYTES).max(READ_WRITE_MIN_BYTES))]
    Size {
        /// As asked for, in bytes.
        size: usize,
    },
    /// More data than the partition holds.
    #[error(
        "the data needs {entries} entries in {pages} pages, {size:#x} bytes offer {available}; use a partition of at least {needed:#x} bytes"
    )]
    DoesNotFit {
        /// Entries of 32 bytes that the data takes.
        entries: usize,
        /// Pages that these take, without the one a device keeps free.
        pages: usize,
        /// As asked for, in bytes.
        size: usize,
        /// Pages that this size offers for data.
        available: usize,
        /// Smallest size that would do, in bytes.
        needed: usize,
    },
    /// Format version 1 keeps every value in one page.
    #[error(
        "{}`{namespace}/{key}` has {bytes} bytes, version 1 allows {max}; use version 2 or shorten it",
        place(*position)
    )]
    TooLongForV1 {
        /// Of the value.
        namespace: Key,
        /// Of the value.
        key: Key,
        /// Length of the value.
        bytes: usize,
        /// The longest that version 1 allows for this type.
        max: usize,
        /// In the CSV, when the document came from one.
        position: Option<Position>,
    },
    /// A long blob that begins late in a page needs one chunk too many.
    #[error(
        "{}`{namespace}/{key}` would take more than 127 chunks from where it begins; put it first or shorten it",
        place(*position)
    )]
    TooManyChunks {
        /// Of the value.
        namespace: Key,
        /// Of the value.
        key: Key,
        /// In the CSV, when the document came from one.
        position: Option<Position>,
    },
}

fn place(position: Option<Position>) -> String {
    position.map_or_else(String::new, |position| format!("{position}: "))
}

/// Makes an image of exactly `size` bytes.
///
/// Below 0x3000 bytes no page is kept free: a device can then only read it.
///
/// # Errors
/// [`GenerateError`]; no bytes are returned then.
pub fn generate(
    document: &Document,
    size: usize,
    version: Version,
) -> Result<Vec<u8>, GenerateError> {
    if size == 0 || !size.is_multiple_of(PAGE_BYTES) {
        return Err(GenerateError::Size { size });
    }
    let mut layout = Layout::new(version, size);
    for row in document.rows() {
        write(&mut layout, document, row, version)?;
    }
    let used = layout.pages();
    let reserved = usize::from(size >= READ_WRITE_MIN_BYTES);
    let available = size / PAGE_BYTES - reserved;
    if used > available {
        return Err(GenerateError::DoesNotFit {
            entries: layout.entries(),
            pages: used,
            size,
            available,
            needed: smallest_for(used),
        });
    }
    Ok(layout.finish(size))
}

/// Smallest partition that offers `pages` pages for data.
fn smallest_for(pages: usize) -> usize {
    let read_only_max = READ_WRITE_MIN_BYTES / PAGE_BYTES - 1;
    match pages <= read_only_max {
        true => READ_WRITE_MIN_BYTES,
        false => (pages + 1) * PAGE_BYTES,
    }
}

fn write(
    layout: &mut Layout,
    document: &Document,
    row: &Row,
    version: Version,
) -> Result<(), GenerateError> {
    let too_long = |bytes, max| GenerateError::TooLongForV1 {
        namespace: document.namespace_of(row),
        key: row.key,
        bytes,
        max,
        position: row.position,
    };
    let Row { namespace, key, .. } = row;
    match (row.value.stored(), version) {
        (Stored::Field(field), _) => layout.field(*namespace, key, field),
        (Stored::Text(text), Version::V1) if text.len() > STRING_V1_MAX_BYTES => {
            return Err(too_long(text.len(), STRING_V1_MAX_BYTES));
        }
        (Stored::Text(text), _) => layout.string(*namespace, key, text),
        (Stored::Blob(bytes), Version::V1) if bytes.len() > BLOB_V1_MAX_BYTES => {
            return Err(too_long(bytes.len(), BLOB_V1_MAX_BYTES));
        }
        (Stored::Blob(bytes), Version::V1) => layout.blob_v1(*namespace, key, bytes),
        (Stored::Blob(bytes), Version::V2) => {
            if layout.blob(*namespace, key, bytes) > CHUNKS_MAX {
                return Err(GenerateError::TooManyChunks {
                    namespace: document.namespace_of(row),
                    key: row.key,
                    position: row.position,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn document(values: &[Value]) -> Document {
        let mut document = Document::new();
        for (number, value) in values.iter().enumerate() {
            let key = format!("k{number}");
            document.insert("ns", &key, value.clone()).unwrap();
        }
        document
    }

    #[test]
    fn the_size_that_is_said_to_be_needed_is_the_smallest_that_does() {
        for blob_bytes in [8000, 12_000, 100_000] {
            let document = document(&[Value::U8(1), Value::Blob(vec![0; blob_bytes])]);
            let error = generate(&document, 0x1000, Version::V2).unwrap_err();
            let GenerateError::DoesNotFit { needed, pages, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(generate(&document, needed, Version::V2).unwrap().len(), needed);
            assert_eq!(pages, needed / PAGE_BYTES - 1);
            assert!(needed == 0x3000 || generate(&document, needed - 0x1000, Version::V2).is_err());
        }
    }

    #[test]
    fn a_size_that_is_no_whole_number_of_pages_is_refused() {
        for size in [0, 1, 0x5FFF, 0x6001] {
            let error = generate(&document(&[]), size, Version::V2).unwrap_err();
            assert_eq!(error, GenerateError::Size { size });
        }
    }

    #[test]
    fn a_blob_of_the_largest_size_fits_only_from_a_pages_start() {
        let largest = Value::Blob(vec![0; crate::limits::BLOB_MAX_BYTES]);
        let late = document(&[largest]);
        let error = generate(&late, 0x10_0000, Version::V2).unwrap_err();
        assert!(matches!(error, GenerateError::TooManyChunks { .. }), "{error}");
    }

    #[test]
    fn version_1_refuses_what_it_cannot_hold() {
        for value in [Value::Blob(vec![0; 1985]), Value::str(&"x".repeat(1984))] {
            let error = generate(&document(&[value]), 0x6000, Version::V1).unwrap_err();
            assert!(matches!(error, GenerateError::TooLongForV1 { .. }), "{error}");
        }
    }
}
