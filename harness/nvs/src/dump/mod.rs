//! Where the NVS partitions lie in a file: by the partition table of a flash
//! dump, or by their pages where no table can be read.
//!
//! Says where they are, not what is in them: a partition that the table calls
//! NVS may be blank, damaged or something else. Addresses are bytes from the
//! start of the flash, offsets and ranges bytes from the start of the file.

mod sector;
mod survey;
mod table;

use std::fmt;
use std::ops::Range;

use crate::limits::PAGE_BYTES;
use survey::Survey;
use table::{Row, Rows};

pub use sector::Content;
pub use table::Md5;

/// Where ESP-IDF keeps the partition table unless told otherwise.
pub const TABLE_ADDRESS: usize = 0x8000;

/// What a file holds, as far as where its NVS partitions lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// One partition by itself, or nothing of ours: see
    /// [`identify`](crate::identify()).
    Single,
    /// More of the flash than one partition.
    Dump(Dump),
}

/// A stretch of flash with a partition table or several partitions in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// Flash address of the file's first byte; 0 where nothing tells.
    pub flash_base: usize,
    /// Where the partitions are known from.
    pub table: Table,
    /// Those of the table in its order, then those that were found by their pages.
    pub partitions: Vec<Partition>,
    /// Noise where a bootloader and the table belong: all but the NVS partitions
    /// is encrypted by the flash's own encryption.
    pub flash_encryption: bool,
}

/// Where the partitions of a dump are known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// A partition table. Unless its MD5 is right, NVS pages that no row speaks
    /// of are listed beside its rows.
    At {
        /// Offset in the file.
        offset: usize,
        /// Whether its rows are as they were written.
        md5: Md5,
    },
    /// None that can be read: partitions were found by their pages, and their
    /// extents are guesses.
    NotReadable,
}

/// A partition of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As the table has it, safe to print; `@0x9000` of one without a name. Two
    /// partitions may have the same.
    pub label: String,
    /// What the table says it is for.
    pub kind: Kind,
    /// Flash address of its first byte.
    pub flash_offset: usize,
    /// Its bytes in the file, cut to what the file holds; empty when it holds
    /// none of them or not the first.
    pub range: Range<usize>,
    /// Bytes, as the table says.
    pub size: usize,
    /// The table's flag `encrypted`: the flash's encryption covers it.
    pub is_encrypted_flag: bool,
    /// The table's flag `readonly`.
    pub is_read_only: bool,
}

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys and values.
    Nvs,
    /// The keys of encrypted NVS partitions.
    NvsKeys,
    /// Anything else, by the table's codes.
    Other {
        /// 0 application, 1 data, from 0x40 a product's own.
        type_code: u8,
        /// Subtype within the type.
        subtype: u8,
    },
}

/// Why a file has no partition table where one was said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// A table begins a sector of the flash.
    #[error(
        "a partition table cannot be at {offset:#x}, only at a multiple of 0x1000; give another offset"
    )]
    NotASector {
        /// The offset that was given.
        offset: usize,
    },
    /// The file ends in front of it and does not begin with it either.
    #[error(
        "no partition table at {offset:#x}: the file has {bytes:#x} bytes and does not begin with a table; {}",
        advice(*.elsewhere)
    )]
    Beyond {
        /// The offset that was given.
        offset: usize,
        /// Length of the file.
        bytes: usize,
        /// Where a table is instead.
        elsewhere: Option<usize>,
    },
    /// Something else is there.
    #[error("no partition table at {offset:#x}: {found} is there; {}", advice(*.elsewhere))]
    NoTable {
        /// The offset that was given.
        offset: usize,
        /// What is there.
        found: Content,
        /// Where a table is instead.
        elsewhere: Option<usize>,
    },
}

fn advice(elsewhere: Option<usize>) -> String {
    match elsewhere {
        Some(offset) => format!("there is one at {offset:#x}: give that offset, or none"),
        None => "give no offset to have partitions looked for by their pages".to_owned(),
    }
}

/// Says where the NVS partitions in `bytes` are; takes time in proportion to
/// their length.
///
/// `table_offset` is the flash address of the partition table, where it is known
/// not to be [`TABLE_ADDRESS`]; the file may begin at address 0 or at the table.
///
/// # Errors
/// A `table_offset` was given and no table is there.
pub fn look(bytes: &[u8], table_offset: Option<usize>) -> Result<Contents, DumpError> {
    let Some(offset) = table_offset else {
        let dump = Placed::find(bytes).map(|table| by_table(bytes, table));
        let dump = dump.or_else(|| by_pages(bytes));
        return Ok(dump.map_or(Contents::Single, Contents::Dump));
    };
    if !offset.is_multiple_of(PAGE_BYTES) {
        return Err(DumpError::NotASector { offset });
    }
    let found = || Placed::find(bytes);
    match Placed::at(bytes, offset).or_else(found) {
        Some(table) if table.address() == offset => Ok(Contents::Dump(by_table(bytes, table))),
        other => Err(no_table(bytes, offset, other.map(|table| table.address()))),
    }
}

/// A table with its place in the file and the file's place in the flash.
struct Placed {
    offset: usize,
    flash_base: usize,
    rows: Rows,
}

impl Placed {
    /// The table at the usual address, also a damaged one; else the only sound
    /// one at the start of a sector.
    fn find(bytes: &[u8]) -> Option<Self> {
        let usual = Self::at(bytes, TABLE_ADDRESS);
        let placed = usual.or_else(|| Self::only_sound_one(bytes))?;
        match placed.offset {
            TABLE_ADDRESS => Some(placed),
            _ => Some(placed.with_likely_base(bytes)),
        }
    }

    /// The table at flash address `address` of a file that begins at address 0
    /// or at the table; a sound one before a damaged one.
    fn at(bytes: &[u8], address: usize) -> Option<Self> {
        let in_whole = Self::read(bytes, address, 0);
        let at_start = Self::read(bytes, 0, address);
        match (in_whole, at_start) {
            (Some(whole), Some(start)) if !whole.is_sound() && start.is_sound() => Some(start),
            (whole, start) => whole.or(start),
        }
    }

    fn only_sound_one(bytes: &[u8]) -> Option<Self> {
        let offsets = (0..bytes.len()).step_by(PAGE_BYTES);
        let mut sound = offsets
            .filter_map(|offset| Self::read(bytes, offset, 0))
            .filter(|placed| placed.is_sound());
        let first = sound.next()?;
        sound.next().is_none().then_some(first)
    }

    fn read(bytes: &[u8], offset: usize, flash_base: usize) -> Option<Self> {
        let rows = Rows::read(bytes.get(offset..)?)?;
        Some(Self { offset, flash_base, rows })
    }

    /// Of the table, in the flash.
    fn address(&self) -> usize {
        self.flash_base + self.offset
    }

    fn is_sound(&self) -> bool {
        self.rows.md5 == Md5::Right
    }

    /// Files begin at any address, a table says nothing of its own, and products
    /// move it: the base counts by which most partitions begin as they should.
    /// Tried are the usual places, and each at which an NVS row would begin at NVS pages.
    fn with_likely_base(self, bytes: &[u8]) -> Self {
        // Enough for any product; a file full of NVS pages must not cost time.
        const STARTS_MAX: usize = 16;
        let rows = &self.rows.rows;
        let lowest = rows.iter().map(|row| row.address).min().unwrap_or_default();
        let table_addresses = match self.offset {
            0 => [TABLE_ADDRESS, lowest.saturating_sub(PAGE_BYTES)],
            offset => [offset, TABLE_ADDRESS],
        };
        let usual = table_addresses.iter().filter_map(|address| address.checked_sub(self.offset));
        let (sectors, _) = bytes.as_chunks::<PAGE_BYTES>();
        let is_nvs = |at: usize| Content::of(&sectors[at]) == Content::NvsPage;
        let starts = (1..sectors.len()).filter(|at| is_nvs(*at) && !is_nvs(at - 1));
        let starts: Vec<usize> = starts.take(STARTS_MAX).map(|at| at * PAGE_BYTES).collect();
        let nvs = rows.iter().filter(|row| row.kind == Kind::Nvs).take(STARTS_MAX);
        let by_content = nvs.flat_map(|row| {
            starts.iter().filter_map(|start| row.address.checked_sub(*start)).collect::<Vec<_>>()
        });
        let bases: Vec<usize> = usual.chain(by_content).collect();
        let fits = |base: usize| rows.iter().filter(|row| fits(row, bytes, base)).count();
        // The first of the best.
        let best = bases.into_iter().rev().max_by_key(|base| fits(*base));
        Self { flash_base: best.unwrap_or(self.flash_base), ..self }
    }
}

/// Whether `row`'s partition begins as one of its kind, if the file begins at `base`.
fn fits(row: &Row, bytes: &[u8], base: usize) -> bool {
    // Enough to see past a few blank pages; a damaged size must not cost time.
    const LOOK_AT: usize = 8;
    let range = row.range(bytes.len(), base);
    let (pages, _) = bytes[range].as_chunks::<PAGE_BYTES>();
    let contents = pages.iter().take(LOOK_AT).map(Content::of);
    let first = contents.into_iter().find(|content| *content != Content::Blank);
    match row.kind {
        Kind::Nvs => first == Some(Content::NvsPage),
        Kind::NvsKeys => first == Some(Content::Keys),
        Kind::Other { type_code, .. } => {
            type_code == table::APP && first == Some(Content::AppImage)
        }
    }
}

fn by_table(bytes: &[u8], placed: Placed) -> Dump {
    let Placed { offset, flash_base, rows: Rows { rows, md5 } } = placed;
    let mut partitions: Vec<Partition> =
        rows.into_iter().map(|row| row.partition(bytes.len(), flash_base)).collect();
    if md5 != Md5::Right {
        let found = Survey::of(bytes).without(&partitions).partitions(flash_base);
        partitions.extend(found);
    }
    let table = Table::At { offset, md5 };
    Dump { flash_base, table, partitions, flash_encryption: false }
}

fn by_pages(bytes: &[u8]) -> Option<Dump> {
    let survey = Survey::of(bytes);
    let encrypted_from = survey.flash_encryption();
    if encrypted_from.is_none() && !survey.holds_more_than_nvs() {
        return None;
    }
    let flash_base = encrypted_from.unwrap_or_default();
    Some(Dump {
        flash_base,
        table: Table::NotReadable,
        partitions: survey.partitions(flash_base),
        flash_encryption: encrypted_from.is_some(),
    })
}

fn no_table(bytes: &[u8], offset: usize, elsewhere: Option<usize>) -> DumpError {
    match bytes.get(offset..) {
        None | Some([]) => DumpError::Beyond { offset, bytes: bytes.len(), elsewhere },
        Some(rest) => {
            let sector = rest.first_chunk();
            let found = sector.map_or(Content::Unknown, Content::of);
            DumpError::NoTable { offset, found, elsewhere }
        }
    }
}

/// NVS pages of a dump that lie in no NVS partition of its table, such as those of an earlier layout
/// or of another unit in an application's slot: no device reads them.
pub fn stray_nvs(bytes: &[u8], dump: &Dump) -> Vec<Partition> {
    let found = Survey::of(bytes).without(&dump.partitions).partitions(dump.flash_base);
    found.into_iter().filter(|partition| partition.kind == Kind::Nvs).collect()
}

/// Whether bytes are one NVS partition and nothing else: each sector a page of one, damaged or
/// not, or erased, and not all erased. For those who are about to write over them.
pub fn is_nvs_partition(bytes: &[u8]) -> bool {
    let (sectors, rest) = bytes.as_chunks::<PAGE_BYTES>();
    let is_nvs = |sector| matches!(Content::of(sector), Content::NvsPage);
    let is_other = |sector: &[u8; PAGE_BYTES]| {
        !matches!(Content::of(sector), Content::NvsPage | Content::Blank)
            && !sector::may_be_damaged_page(sector)
    };
    rest.is_empty() && sectors.iter().any(is_nvs) && !sectors.iter().any(is_other)
}

impl Dump {
    /// The NVS partitions, with those that the file holds nothing of.
    pub fn nvs(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.iter().filter(|partition| partition.kind == Kind::Nvs)
    }

    /// The partitions for the keys of encrypted NVS partitions.
    pub fn key_partitions(&self) -> impl Iterator<Item = &Partition> {
        self.partitions.iter().filter(|partition| partition.kind == Kind::NvsKeys)
    }
}

impl Partition {
    /// Whether the file holds less of it than the table promises.
    pub fn is_cut_short(&self) -> bool {
        self.range.len() < self.size
    }

    /// One that no table speaks of, named by its address.
    fn found(kind: Kind, range: Range<usize>, flash_base: usize) -> Self {
        let flash_offset = flash_base + range.start;
        Self {
            label: label_by_address(flash_offset),
            kind,
            flash_offset,
            size: range.len(),
            range,
            is_encrypted_flag: false,
            is_read_only: false,
        }
    }
}

fn label_by_address(flash_offset: usize) -> String {
    format!("@{flash_offset:#x}")
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Nvs => f.write_str("NVS"),
            Kind::NvsKeys => f.write_str("NVS keys"),
            Kind::Other { type_code: table::APP, .. } => f.write_str("an application"),
            Kind::Other { type_code, subtype } => {
                write!(f, "type {type_code:#04x}, subtype {subtype:#04x}")
            }
        }
    }
}
