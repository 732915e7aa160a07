//! Flash size and partitions of a product.
//!
//! Holds the invariant that partitions lie aligned, in order, apart, and inside the flash.

/// Flash size and partitions, ordered by offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlashMap {
    pub(super) size: u32,
    pub(super) partitions: Vec<Partition>,
}

/// Where ESP-IDF keeps the partition table unless told otherwise.
pub const TABLE_OFFSET: u32 = 0x8000;

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
}
