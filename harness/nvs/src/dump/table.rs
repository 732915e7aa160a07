//! A partition table, read as far as it can be.
//!
//! A row is 32 bytes: magic, type, subtype, address, size, a label of 16 bytes
//! padded with NUL, flags. Behind the rows comes the MD5 of them all, then blank
//! flash. Must not know where in a file a table may be.

use std::ops::Range;

use md5::{Digest, Md5 as Md5Hasher};

use super::{Kind, Partition, label_by_address};
use crate::format::{is_blank, read_u32};

const ROW_BYTES: usize = 32;
/// A table has a sector, of which the bootloader reads no more than this.
const TABLE_BYTES: usize = 0xC00;
const ROW_MAGIC: [u8; 2] = [0xAA, 0x50];
const DIGEST_MAGIC: [u8; 2] = [0xEB, 0xEB];

const TYPE: usize = 2;
const SUBTYPE: usize = 3;
const ADDRESS: usize = 4;
const SIZE: usize = 8;
const LABEL: Range<usize> = 12..28;
const FLAGS: usize = 28;
/// Of the row that holds the MD5.
const DIGEST: usize = 16;

pub(super) const APP: u8 = 0;
const DATA: u8 = 1;
const DATA_NVS: u8 = 2;
const DATA_NVS_KEYS: u8 = 4;
const FLAG_ENCRYPTED: u32 = 1;
const FLAG_READ_ONLY: u32 = 2;

/// Whether a table's rows are as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Md5 {
    /// They have the MD5 that the table carries.
    Right,
    /// They have another one: rows are damaged or missing.
    Wrong,
    /// The table carries none: it was made without, it is damaged, or the file
    /// ends in front of it.
    Missing,
}

/// What can be read of a table.
pub(super) struct Rows {
    /// In the order of the table; at least one.
    pub rows: Vec<Row>,
    pub md5: Md5,
}

/// A row with its magic.
pub(super) struct Row {
    label: String,
    pub kind: Kind,
    /// In the flash.
    pub address: usize,
    size: usize,
    flags: u32,
}

impl Rows {
    /// Reads the table at the start of `bytes`, unless what is there is none.
    ///
    /// Under a wrong MD5, rows behind a damaged one are read too. Then one of the
    /// first two rows and half of all must have their magic: the copy of a table
    /// in a value of an NVS page has a page's header and bitmap in front.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (all, _) = bytes[..bytes.len().min(TABLE_BYTES)].as_chunks::<ROW_BYTES>();
        let digest_at = all.iter().position(|row| row.starts_with(&DIGEST_MAGIC));
        let md5 = digest_at.map_or(Md5::Missing, |at| check_digest(&all[..at], &all[at]));
        let covered = match (md5, digest_at) {
            (Md5::Right, Some(at)) => &all[..at],
            _ => all,
        };
        let has_magic = |row: &&[u8; ROW_BYTES]| row.starts_with(&ROW_MAGIC);
        let rows: Vec<Row> = covered.iter().filter(has_magic).map(Row::parse).collect();
        let is_at_start = covered.iter().take(2).any(|row| has_magic(&row));
        let written = covered.iter().filter(|row| !is_blank(*row)).count();
        (is_at_start && rows.len() * 2 >= written).then_some(Self { rows, md5 })
    }
}

fn check_digest(rows: &[[u8; ROW_BYTES]], digest: &[u8; ROW_BYTES]) -> Md5 {
    match Md5Hasher::digest(rows.as_flattened())[..] == digest[DIGEST..] {
        true => Md5::Right,
        false => Md5::Wrong,
    }
}

impl Row {
    fn parse(row: &[u8; ROW_BYTES]) -> Self {
        let address = read_u32(row, ADDRESS) as usize;
        let kind = match (row[TYPE], row[SUBTYPE]) {
            (DATA, DATA_NVS) => Kind::Nvs,
            (DATA, DATA_NVS_KEYS) => Kind::NvsKeys,
            (type_code, subtype) => Kind::Other { type_code, subtype },
        };
        Self {
            label: label(&row[LABEL]).unwrap_or_else(|| label_by_address(address)),
            kind,
            address,
            size: read_u32(row, SIZE) as usize,
            flags: read_u32(row, FLAGS),
        }
    }

    /// Its bytes in a file of `length` bytes that begins at address `base`.
    pub fn range(&self, length: usize, base: usize) -> Range<usize> {
        // Of a partition that begins in front of the file nothing can be read.
        let Some(start) = self.address.checked_sub(base) else {
            return 0..0;
        };
        start.min(length)..start.saturating_add(self.size).min(length)
    }

    pub fn partition(self, length: usize, base: usize) -> Partition {
        Partition {
            range: self.range(length, base),
            label: self.label,
            kind: self.kind,
            flash_offset: self.address,
            size: self.size,
            is_encrypted_flag: self.flags & FLAG_ENCRYPTED != 0,
            is_read_only: self.flags & FLAG_READ_ONLY != 0,
        }
    }
}

/// A label that can be printed: a dump is a stranger's, a terminal obeys bytes.
fn label(field: &[u8]) -> Option<String> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let printable = |char: char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
    let label: String = String::from_utf8_lossy(&field[..end]).chars().map(printable).collect();
    (!label.is_empty()).then_some(label)
}
