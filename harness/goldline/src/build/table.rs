//! A partition table as a build has it: binary as it is flashed, or CSV.
//!
//! Whether the partitions fit a flash is the flash map's to judge.

use std::{
    fs, io,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use esp_idf_part::{AppType, DataType, Flags, PartitionTable};

/// First bytes of an entry, and of the line with the MD5 behind the last.
const ENTRY_MAGIC: [u8; 2] = [0xAA, 0x50];
const MD5_MAGIC: [u8; 2] = [0xEB, 0xEB];
const ENTRY: usize = 32;
const SECTOR: usize = 0x1000;
const LARGEST: usize = 0xC00;
const LARGEST_FLASH: u64 = 128 << 20;

/// A partition table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// As it lies in flash, 0xC00 bytes.
    pub bytes: Vec<u8>,
    /// In the table's order.
    pub rows: Vec<Row>,
}

/// One partition; offset and size in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each field is the table's own")]
pub struct Row {
    pub name: String,
    pub kind: String,
    pub subtype: String,
    pub offset: u32,
    pub size: u32,
    pub encrypted: bool,
}

/// A partition table cannot be taken.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum TableError {
    #[error("cannot read {path}: {source}; correct the path of the partition table")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is no partition table: {reason}; expected ESP-IDF's CSV, or its binary")]
    Form { path: PathBuf, reason: String },
    #[error(
        "{path}:{line}: {field} \"{found}\" is not known: expected one that ESP-IDF names itself"
    )]
    Unknown { path: PathBuf, line: usize, field: &'static str, found: String },
    #[error("{path}:{line}: \"{found}\" is more than any flash has, 128 MB")]
    Beyond { path: PathBuf, line: usize, found: String },
}

impl Table {
    /// Reads a table from a file of either form.
    ///
    /// # Errors
    /// [`TableError`] names the file and what is wrong.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let bytes =
            fs::read(path).map_err(|source| TableError::File { path: path.to_owned(), source })?;
        Self::parse(path, &bytes)
    }

    /// The table in some bytes; `path` is what errors show.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, TableError> {
        let refuse = |reason: String| TableError::Form { path: path.to_owned(), reason };
        if bytes.starts_with(&ENTRY_MAGIC) {
            let bytes = whole_binary(bytes).map_err(|reason| refuse(reason.to_owned()))?;
            refuse_unknown_entry(path, &bytes)?;
            let rows = rows_of(parsed(bytes.clone()).map_err(refuse)?);
            return Ok(Self { bytes, rows });
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| refuse("it is neither text nor binary".to_owned()))?;
        refuse_unknown_row(path, text)?;
        let table = parsed(text.as_bytes().to_vec()).map_err(refuse)?;
        let bytes = table.to_bin().map_err(|error| refuse(error.to_string()))?;
        Ok(Self { bytes, rows: rows_of(table) })
    }

    /// What the boot loader starts: the slot that the OTA data names, or else factory, or else the first slot.
    pub fn starts(&self, ota_data: Option<&[u8]>) -> Option<&Row> {
        let app = |subtype: &str| {
            self.rows.iter().find(|row| row.kind == "app" && row.subtype == subtype)
        };
        let slots = self.rows.iter().filter(|row| row.subtype.starts_with("ota_")).count();
        let named = ota_data.and_then(sequence).and_then(|sequence| {
            let slot = (sequence - 1).checked_rem(u32::try_from(slots).ok()?)?;
            app(&format!("ota_{slot}"))
        });
        named.or_else(|| app("factory")).or_else(|| app("ota_0"))
    }

    /// The partition that an offset lies in.
    pub fn holding(&self, offset: u32) -> Option<&Row> {
        self.rows.iter().find(|row| row.offset <= offset && offset - row.offset < row.size)
    }

    /// Where the OTA data lies.
    pub(super) fn ota_data(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.kind == "data" && row.subtype == "ota")
    }
}

/// The sequence number of OTA data that its maker wrote; `None` leaves the choice to the boot loader.
fn sequence(ota_data: &[u8]) -> Option<u32> {
    let record = |sector: &[u8]| {
        let word = |at: usize| Some(u32::from_le_bytes(sector.get(at..at + 4)?.try_into().ok()?));
        let sequence = word(0)?;
        let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
        crc.update(&sequence.to_le_bytes());
        let sound = word(28)? == crc.finalize();
        (sound && sequence != 0 && sequence != u32::MAX).then_some(sequence)
    };
    ota_data.chunks(SECTOR).filter_map(record).max()
}

/// The table without what pads it behind, as long as ESP-IDF makes it.
fn whole_binary(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (table, behind) = bytes.split_at(bytes.len().min(LARGEST));
    if behind.iter().any(|byte| *byte != 0xFF) {
        return Err("it is longer than 0xC00 bytes");
    }
    let mut table = table.to_vec();
    table.resize(LARGEST, 0xFF);
    Ok(table)
}

/// The parser unwraps what it does not know.
fn refuse_unknown_entry(path: &Path, bytes: &[u8]) -> Result<(), TableError> {
    for (index, entry) in bytes.chunks_exact(ENTRY).enumerate() {
        if entry.starts_with(&MD5_MAGIC) || !entry.starts_with(&ENTRY_MAGIC) {
            continue;
        }
        let unknown = |field, found: String| {
            Err(TableError::Unknown { path: path.to_owned(), line: index + 1, field, found })
        };
        let (kind, subtype) = (entry[2], entry[3]);
        if !is_known(kind, subtype) {
            return unknown("subtype", format!("{subtype:#04x}"));
        }
        let flags = u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]);
        if Flags::from_bits(flags).is_none() {
            return unknown("flags", format!("{flags:#x}"));
        }
    }
    Ok(())
}

/// The same of a CSV, where subtypes may be numbers.
fn refuse_unknown_row(path: &Path, text: &str) -> Result<(), TableError> {
    for (index, line) in text.lines().enumerate() {
        let mut fields = line.split(',').map(str::trim).skip(1);
        let (Some(kind), Some(subtype)) = (fields.next(), fields.next()) else { continue };
        let kind = match kind {
            "app" => Some(0),
            "data" => Some(1),
            number => parse_number(number),
        };
        if let Some(place) = fields.by_ref().take(2).find(|place| is_beyond(place)) {
            let (path, found) = (path.to_owned(), place.to_owned());
            return Err(TableError::Beyond { path, line: index + 1, found });
        }
        if let (Some(kind), Some(number)) = (kind, parse_number(subtype))
            && !is_known(kind, number)
        {
            let (path, found) = (path.to_owned(), subtype.to_owned());
            return Err(TableError::Unknown { path, line: index + 1, field: "subtype", found });
        }
    }
    Ok(())
}

fn parse_number(text: &str) -> Option<u8> {
    match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether an offset or a size is larger than any flash, where the parser's sums would overflow.
fn is_beyond(text: &str) -> bool {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1 << 10),
        None => text.strip_suffix(['m', 'M']).map_or((text, 1), |digits| (digits, 1 << 20)),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.is_empty() => {
            Some(digits.parse().unwrap_or(u64::MAX))
        }
        None => None,
    };
    number.is_some_and(|number| number.saturating_mul(factor) > LARGEST_FLASH)
}

fn is_known(kind: u8, subtype: u8) -> bool {
    match kind {
        0 => AppType::from_repr(subtype.into()).is_some(),
        1 => DataType::from_repr(subtype.into()).is_some(),
        _ => true,
    }
}

/// Sums of what a file says overflow in it.
fn parsed(bytes: Vec<u8>) -> Result<PartitionTable, String> {
    match catch_unwind(|| PartitionTable::try_from(bytes)) {
        Ok(table) => table.map_err(|error| error.to_string()),
        Err(_) => Err("an offset or a size in it is beyond every flash".to_owned()),
    }
}

fn rows_of(table: PartitionTable) -> Vec<Row> {
    let row = |partition: &esp_idf_part::Partition| Row {
        name: partition.name(),
        kind: partition.ty().to_string(),
        subtype: partition.subtype().to_string(),
        offset: partition.offset(),
        size: partition.size(),
        encrypted: partition.flags().contains(Flags::ENCRYPTED),
    };
    table.partitions().iter().map(row).collect()
}
