//! Flash size and partitions of a product.
//!
//! Holds the invariant that partitions lie aligned, in order, apart, behind bootloader and partition
//! table, and inside the flash. Must not know what is written into them. Offsets and sizes are bytes.

use std::ops::Range;

/// Flash size and partitions, ordered by offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlashMap {
    size: u32,
    partitions: Vec<Partition>,
}

/// Where ESP-IDF keeps the partition table unless told otherwise.
pub const TABLE_OFFSET: u32 = 0x8000;
/// One erase unit; the partition table takes one, and every partition whole ones.
pub const SECTOR: u32 = 0x1000;
/// The chip's cache maps apps in pages of this size.
pub const APP_ALIGNMENT: u32 = 0x10000;
/// The longest name of a partition: a field of 16 bytes with its NUL.
pub const LONGEST_NAME: usize = 15;
/// A smaller NVS partition leaves the device no empty page to write to.
pub const SMALLEST_NVS: u32 = 3 * SECTOR;

const OTA_DATA_SIZE: u32 = 2 * SECTOR;
const MEBIBYTE: u32 = 1 << 20;
const SUBTYPES_OF_DATA: [&str; 11] = [
    "ota",
    "phy",
    "nvs",
    "coredump",
    "nvs_keys",
    "efuse",
    "undefined",
    "esphttpd",
    "fat",
    "spiffs",
    "littlefs",
];

/// One partition; offset and size in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// At most 15 ASCII characters.
    pub name: String,
    /// Type and subtype.
    pub kind: PartitionKind,
    /// From the start of the flash.
    pub offset: u32,
    /// A multiple of 4096.
    pub size: u32,
    /// The `encrypted` flag.
    pub encrypted: bool,
}

/// Type and subtype as in ESP-IDF's CSV, such as `data` and `nvs`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionKind {
    /// `app` or `data`.
    pub kind: String,
    /// Such as `nvs`, `ota_0`, `phy`.
    pub subtype: String,
}

/// Which statement of a partition is at fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartitionField {
    Name,
    Type,
    Subtype,
    Offset,
    Size,
    Encrypted,
}

/// One partition breaks the map.
#[derive(Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// Its place in the list that was given.
    pub index: usize,
    /// Its statement at fault.
    pub field: PartitionField,
    /// What is wrong.
    pub error: FlashMapError,
}

/// What is wrong with a partition or a flash size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum FlashMapError {
    #[error("\"{text}\" is not a flash size: expected a power of two from \"1MB\" to \"128MB\"")]
    FlashSize { text: String },
    #[error(
        "the partition name \"{name}\" is {length} characters long: expected 1 to {LONGEST_NAME} printable ASCII characters"
    )]
    Name { name: String, length: usize },
    #[error("a second partition has the name \"{name}\"")]
    NameTwice { name: String },
    #[error("unknown partition type \"{kind}\": expected app or data")]
    Type { kind: String },
    #[error("unknown subtype \"{subtype}\" of type {kind}: expected one of {expected}")]
    Subtype { kind: String, subtype: String, expected: String },
    #[error(
        "the offset {offset:#x} of partition \"{name}\" is not a multiple of {alignment:#x}, as type {kind} needs"
    )]
    OffsetAlignment { name: String, kind: String, offset: u32, alignment: u32 },
    #[error(
        "the offset {offset:#x} of partition \"{name}\" lies in front of {first:#x}, over the bootloader or the partition table"
    )]
    OverTable { name: String, offset: u32, first: u32 },
    #[error(
        "the size {size:#x} of partition \"{name}\" is not a multiple of {SECTOR:#x} above zero"
    )]
    Size { name: String, size: u32 },
    #[error(
        "partition \"{name}\" ends at {end:#x}, behind the end of the flash at {flash_size:#x}"
    )]
    OutsideFlash { name: String, end: u64, flash_size: u32 },
    #[error(
        "partition \"{name}\" at {offset:#x} overlaps \"{other}\", which lies at {other_offset:#x} to {other_end:#x}"
    )]
    Overlap { name: String, offset: u32, other: String, other_offset: u32, other_end: u32 },
    #[error(
        "the NVS partition \"{name}\" is {size:#x} bytes: expected {SMALLEST_NVS:#x} or more, because the device needs one empty page"
    )]
    NvsTooSmall { name: String, size: u32 },
    #[error("the OTA data partition \"{name}\" is {size:#x} bytes: expected {OTA_DATA_SIZE:#x}")]
    OtaDataSize { name: String, size: u32 },
    #[error(
        "the NVS partition \"{name}\" has the flag `encrypted`, which ESP-IDF refuses at run time with ESP_ERR_NVS_WRONG_ENCRYPTION (0x1119)"
    )]
    EncryptedNvs { name: String },
}

impl FlashMap {
    /// Flash size in bytes.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Where the partition table lies.
    pub fn table_offset(&self) -> u32 {
        TABLE_OFFSET
    }

    /// The partitions, by offset.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The partition of that name.
    pub fn partition(&self, name: &str) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.name == name)
    }

    /// The partition that holds the whole range of offsets; `None` when the range leaves it, lies
    /// between partitions, or is empty. What is written must lie in a partition of its own type.
    pub fn partition_holding(&self, range: Range<u32>) -> Option<&Partition> {
        self.partitions.iter().find(|partition| {
            !range.is_empty() && partition.offset <= range.start && range.end <= partition.end()
        })
    }

    /// Puts partitions on a flash of `size` bytes.
    ///
    /// # Errors
    /// Every partition that breaks the map, by its place in the list.
    pub fn new(size: u32, partitions: Vec<Partition>) -> Result<Self, Vec<Misplaced>> {
        let mut misplaced = Vec::new();
        for (index, partition) in partitions.iter().enumerate() {
            let earlier = &partitions[..index];
            let faults = partition.fault(size).or_else(|| partition.clash(earlier));
            misplaced.extend(faults.map(|(field, error)| Misplaced { index, field, error }));
        }
        if !misplaced.is_empty() {
            return Err(misplaced);
        }
        let mut map = Self { size, partitions };
        map.partitions.sort_by_key(|partition| partition.offset);
        Ok(map)
    }
}

impl Partition {
    /// The first offset behind it.
    pub fn end(&self) -> u32 {
        // The map's constructor keeps the sum inside the flash; before it, the largest offset serves.
        self.offset.saturating_add(self.size)
    }

    /// Whether type and subtype are these.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.kind == kind && self.kind.subtype == subtype
    }

    /// Whether an application may be written to it.
    pub fn is_app(&self) -> bool {
        self.kind.kind == "app"
    }

    /// What is wrong with it alone.
    fn fault(&self, flash_size: u32) -> Option<(PartitionField, FlashMapError)> {
        self.name_fault()
            .or_else(|| self.kind_fault())
            .or_else(|| self.place_fault(flash_size))
            .or_else(|| self.content_fault())
    }

    fn name_fault(&self) -> Option<(PartitionField, FlashMapError)> {
        let length = self.name.chars().count();
        let good = (1..=LONGEST_NAME).contains(&length)
            && self.name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
        let error = || FlashMapError::Name { name: self.name.clone(), length };
        (!good).then(|| (PartitionField::Name, error()))
    }

    fn kind_fault(&self) -> Option<(PartitionField, FlashMapError)> {
        let PartitionKind { kind, subtype } = &self.kind;
        let (known, expected) = match kind.as_str() {
            "app" => (is_app_subtype(subtype), "factory, test, ota_0 to ota_15".to_owned()),
            "data" => (SUBTYPES_OF_DATA.contains(&subtype.as_str()), SUBTYPES_OF_DATA.join(", ")),
            _ => {
                return Some((PartitionField::Type, FlashMapError::Type { kind: kind.clone() }));
            }
        };
        let (kind, subtype) = (kind.clone(), subtype.clone());
        (!known).then_some((
            PartitionField::Subtype,
            FlashMapError::Subtype { kind, subtype, expected },
        ))
    }

    fn place_fault(&self, flash_size: u32) -> Option<(PartitionField, FlashMapError)> {
        let (name, offset, size) = (self.name.clone(), self.offset, self.size);
        let alignment = if self.is_app() { APP_ALIGNMENT } else { SECTOR };
        let first = TABLE_OFFSET + SECTOR;
        let end = u64::from(offset) + u64::from(size);
        if offset < first {
            let error = FlashMapError::OverTable { name, offset, first };
            return Some((PartitionField::Offset, error));
        }
        if !offset.is_multiple_of(alignment) {
            let kind = self.kind.kind.clone();
            let error = FlashMapError::OffsetAlignment { name, kind, offset, alignment };
            return Some((PartitionField::Offset, error));
        }
        if size == 0 || !size.is_multiple_of(SECTOR) {
            return Some((PartitionField::Size, FlashMapError::Size { name, size }));
        }
        if end > u64::from(flash_size) {
            let field =
                if offset >= flash_size { PartitionField::Offset } else { PartitionField::Size };
            return Some((field, FlashMapError::OutsideFlash { name, end, flash_size }));
        }
        None
    }

    fn content_fault(&self) -> Option<(PartitionField, FlashMapError)> {
        let (name, size) = (self.name.clone(), self.size);
        if self.is("data", "nvs") && self.encrypted {
            return Some((PartitionField::Encrypted, FlashMapError::EncryptedNvs { name }));
        }
        if self.is("data", "nvs") && size < SMALLEST_NVS {
            return Some((PartitionField::Size, FlashMapError::NvsTooSmall { name, size }));
        }
        if self.is("data", "ota") && size != OTA_DATA_SIZE {
            return Some((PartitionField::Size, FlashMapError::OtaDataSize { name, size }));
        }
        None
    }

    /// What is wrong with it beside its neighbours.
    fn clash(&self, others: &[Self]) -> Option<(PartitionField, FlashMapError)> {
        let name = self.name.clone();
        if others.iter().any(|other| other.name == name) {
            return Some((PartitionField::Name, FlashMapError::NameTwice { name }));
        }
        let other =
            others.iter().find(|other| other.offset < self.end() && self.offset < other.end())?;
        let error = FlashMapError::Overlap {
            name,
            offset: self.offset,
            other: other.name.clone(),
            other_offset: other.offset,
            other_end: other.end(),
        };
        Some((PartitionField::Offset, error))
    }
}

fn is_app_subtype(subtype: &str) -> bool {
    let slot = subtype.strip_prefix("ota_").and_then(|slot| slot.parse::<u8>().ok());
    // The spelling is compared as well, because `ota_+1` and `ota_01` would parse.
    matches!(subtype, "factory" | "test")
        || slot.is_some_and(|slot| slot < 16 && subtype == format!("ota_{slot}"))
}

/// Reads a flash size such as `4MB`; bytes.
pub(super) fn parse_flash_size(text: &str) -> Result<u32, FlashMapError> {
    let refused = || FlashMapError::FlashSize { text: text.to_owned() };
    let megabytes: u32 =
        text.strip_suffix("MB").and_then(|number| number.parse().ok()).ok_or_else(refused)?;
    if megabytes.is_power_of_two() && megabytes <= 128 && text == format!("{megabytes}MB") {
        Ok(megabytes * MEBIBYTE)
    } else {
        Err(refused())
    }
}
