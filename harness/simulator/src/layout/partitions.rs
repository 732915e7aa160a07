//! The partition table that is in flash, checked as the second-stage bootloader checks it.

use md5::{Digest, Md5};

use crate::flash::mapped::MappedFlash;
use crate::flash::{OutOfRange, SECTOR_SIZE};

/// Flash offset of the table.
pub const TABLE_OFFSET: u32 = 0x8000;
const TABLE_SIZE: u32 = 0xC00;
const ENTRY: usize = 32;
const ENTRY_MAGIC: u16 = 0x50AA;
const MD5_MAGIC: u16 = 0xEBEB;
const END_MAGIC: u16 = 0xFFFF;
const ENCRYPTED: u32 = 1;

const APP: u8 = 0;
const DATA: u8 = 1;
const DATA_OTA: u8 = 0;
const DATA_NVS: u8 = 2;
const FIRST_OTA_APP: u8 = 0x10;
const LAST_OTA_APP: u8 = 0x1F;

/// Why a bootloader refuses the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The table lies past the end of the flash.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// An entry begins with something else than its magic number.
    #[error("partition {index} invalid magic number {magic:#x}")]
    Magic {
        /// Which entry, from 0.
        index: usize,
        /// What was there.
        magic: u16,
    },
    /// A partition passes the end of the flash.
    #[error(
        "partition {index} invalid - offset {offset:#x} size {size:#x} exceeds flash chip size {chip:#x}"
    )]
    TooLarge {
        /// Which entry, from 0.
        index: usize,
        /// First byte.
        offset: u32,
        /// Bytes.
        size: u32,
        /// Size of the flash.
        chip: u32,
    },
    /// The digest does not fit the entries.
    #[error("Incorrect MD5 checksum")]
    Digest,
    /// There is no end mark.
    #[error("partition table has no terminating entry, not valid")]
    NoEnd,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Type: 0 application, 1 data.
    pub kind: u8,
    /// Subtype within the type.
    pub subtype: u8,
    /// First byte.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Name.
    pub label: String,
    /// Whether the flash encryption covers it.
    pub encrypted: bool,
}

impl Partition {
    /// First byte behind it.
    pub fn end(&self) -> u32 {
        self.offset.saturating_add(self.size)
    }

    /// Whether it holds an NVS.
    pub fn is_nvs(&self) -> bool {
        (self.kind, self.subtype) == (DATA, DATA_NVS)
    }

    /// The slot number of an OTA application.
    pub fn ota_slot(&self) -> Option<u8> {
        let is_ota = self.kind == APP && (FIRST_OTA_APP..=LAST_OTA_APP).contains(&self.subtype);
        is_ota.then(|| self.subtype - FIRST_OTA_APP)
    }

    /// What the bootloader calls this kind of partition.
    pub fn usage(&self) -> &'static str {
        match (self.kind, self.subtype) {
            (APP, 0) => "factory app",
            (APP, 0x20) => "test app",
            (APP, subtype) if subtype & 0xF0 == FIRST_OTA_APP => "OTA app",
            (DATA, DATA_OTA) => "OTA data",
            (DATA, 1) => "RF data",
            (DATA, DATA_NVS) => "WiFi data",
            (DATA, 4) => "NVS keys",
            (DATA, 5) => "efuse",
            _ => "Unknown",
        }
    }

    fn parse(entry: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| entry[at + i]));
        let label = entry[12..28].split(|byte| *byte == 0).next();
        Self {
            kind: entry[2],
            subtype: entry[3],
            offset: word(4),
            size: word(8),
            label: String::from_utf8_lossy(label.unwrap_or_default()).into_owned(),
            encrypted: word(28) & ENCRYPTED != 0,
        }
    }
}

/// A table that a bootloader accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTable {
    partitions: Vec<Partition>,
}

impl PartitionTable {
    /// Reads and checks the table in flash.
    pub fn read(flash: &MappedFlash<'_>) -> Result<Self, TableError> {
        let bytes = flash.read(TABLE_OFFSET, TABLE_SIZE)?;
        let mut partitions = Vec::new();
        for (index, entry) in bytes.chunks_exact(ENTRY).enumerate() {
            match u16::from_le_bytes([entry[0], entry[1]]) {
                ENTRY_MAGIC => {
                    let partition = Partition::parse(entry);
                    check_range(index, &partition, flash.size())?;
                    partitions.push(partition);
                }
                MD5_MAGIC => check_digest(entry, &bytes[..index * ENTRY])?,
                END_MAGIC if index > 0 => return Ok(Self { partitions }),
                magic => return Err(TableError::Magic { index, magic }),
            }
        }
        Err(TableError::NoEnd)
    }

    /// All partitions in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Partition> + Clone {
        self.partitions.iter()
    }

    /// The partition of that name.
    pub fn labelled(&self, label: &str) -> Option<&Partition> {
        self.iter().find(|partition| partition.label == label)
    }

    /// Applications, in the order of the table.
    pub fn apps(&self) -> impl Iterator<Item = &Partition> {
        self.iter().filter(|partition| partition.kind == APP)
    }

    /// The factory application.
    pub fn factory_app(&self) -> Option<&Partition> {
        self.apps().find(|app| app.subtype == 0)
    }

    /// The application of an OTA slot.
    pub fn ota_app(&self, slot: u8) -> Option<&Partition> {
        self.apps().find(|app| app.ota_slot() == Some(slot))
    }

    /// The OTA data.
    pub fn ota_data(&self) -> Option<&Partition> {
        self.iter().find(|partition| (partition.kind, partition.subtype) == (DATA, DATA_OTA))
    }

    /// The NVS in which a product keeps what its factory gave it: the first that is not named
    /// `nvs` as ESP-IDF's own, else that one.
    pub fn nvs_of_product(&self) -> Option<&Partition> {
        let mut nvs = self.iter().filter(|partition| partition.is_nvs());
        nvs.clone().find(|partition| partition.label != "nvs").or_else(|| nvs.next())
    }
}

fn check_range(index: usize, partition: &Partition, chip: u32) -> Result<(), TableError> {
    let end = partition.offset.checked_add(partition.size);
    let aligned = partition.offset.is_multiple_of(SECTOR_SIZE);
    match end {
        Some(end) if end <= chip && aligned => Ok(()),
        _ => Err(TableError::TooLarge {
            index,
            offset: partition.offset,
            size: partition.size,
            chip,
        }),
    }
}

fn check_digest(entry: &[u8], entries: &[u8]) -> Result<(), TableError> {
    let digest = Md5::digest(entries);
    if entry[16..] == digest[..] { Ok(()) } else { Err(TableError::Digest) }
}
