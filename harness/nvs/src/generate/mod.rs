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
use crate::value::Value;
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
    match (&row.value, version) {
        (Value::Str(text), Version::V1) if text.len() > STRING_V1_MAX_BYTES => {
            Err(too_long(text.len(), STRING_V1_MAX_BYTES))
        }
        (Value::Blob(bytes), Version::V1) if bytes.len() > BLOB_V1_MAX_BYTES => {
            Err(too_long(bytes.len(), BLOB_V1_MAX_BYTES))
        }
        (Value::Str(text), _) => {
            layout.string(row.namespace, &row.key, text);
            Ok(())
        }
        (Value::Blob(bytes), Version::V1) => {
            layout.blob_v1(row.namespace, &row.key, bytes);
            Ok(())
        }
        (Value::Blob(bytes), Version::V2) => {
            let chunks = layout.blob(row.namespace, &row.key, bytes);
            if chunks > CHUNKS_MAX {
                return Err(GenerateError::TooManyChunks {
                    namespace: document.namespace_of(row),
                    key: row.key,
                    position: row.position,
                });
            }
            Ok(())
        }
        (primitive, _) => {
            let (item_type, field) =
                primitive.primitive().expect("strings and blobs are matched above");
            layout.primitive(row.namespace, &row.key, item_type, field, primitive.len());
            Ok(())
        }
    }
}
