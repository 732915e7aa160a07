//! Partition tables that differ in an entry from the product's, each with the MD5 that it needs.
//!
//! Source of the layout: ESP-IDF's `esp_flash_partitions.h`, `esp_partition_info_t`: magic, type, subtype, offset,
//! size, label, flags; the entry of the MD5 begins with another magic.

use md5::{Digest, Md5};

const ENTRY: usize = 32;
const MAGIC: [u8; 2] = [0xAA, 0x50];
const MD5_MAGIC: [u8; 2] = [0xEB, 0xEB];
const DIGEST_AT: usize = 16;
const OFFSET: std::ops::Range<usize> = 4..8;
const SIZE: std::ops::Range<usize> = 8..12;
const LABEL: usize = 12;
const SECTOR: u32 = 0x1000;

/// What is wrong with a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wrong {
    /// A further entry, of nothing.
    More,
    /// The last entry is not there.
    Fewer,
    /// An entry begins a sector further behind.
    Moved {
        /// Which.
        entry: usize,
    },
    /// An entry has another name.
    Renamed {
        /// Which.
        entry: usize,
    },
}

impl Wrong {
    /// All of a table with so many entries.
    pub(super) fn all(entries: usize) -> impl Iterator<Item = Self> {
        let of_each = |entry| [Self::Moved { entry }, Self::Renamed { entry }];
        [Self::More, Self::Fewer].into_iter().chain((0..entries).flat_map(of_each))
    }

    /// What it is, and how an id ends.
    pub(super) fn words(self, names: &[String]) -> (String, String) {
        let name = |entry: usize| names.get(entry).map_or("", String::as_str);
        match self {
            Self::More => ("has one more entry".to_owned(), "more".to_owned()),
            Self::Fewer => ("lacks its last entry".to_owned(), "fewer".to_owned()),
            Self::Moved { entry } => (
                format!("has {} a sector too far behind", name(entry)),
                format!("{}.moved", name(entry)),
            ),
            Self::Renamed { entry } => (
                format!("has another name for {}", name(entry)),
                format!("{}.renamed", name(entry)),
            ),
        }
    }

    /// Changes a table; one that cannot be read stays as it is.
    pub(super) fn make(self, table: &mut [u8]) {
        let mut entries: Vec<[u8; ENTRY]> = entries(table);
        let has_digest = table.chunks(ENTRY).any(|entry| entry.starts_with(&MD5_MAGIC));
        match self {
            Self::More => entries.extend(entries.last().copied().map(|last| {
                let mut more = last;
                let begin = word(&last[OFFSET]).wrapping_add(word(&last[SIZE]));
                more[OFFSET].copy_from_slice(&begin.to_le_bytes());
                more[SIZE].copy_from_slice(&SECTOR.to_le_bytes());
                rename(&mut more);
                more
            })),
            Self::Fewer => {
                entries.pop();
            }
            Self::Moved { entry } => {
                if let Some(entry) = entries.get_mut(entry) {
                    let begin = word(&entry[OFFSET]).wrapping_add(SECTOR);
                    let size = word(&entry[SIZE]).saturating_sub(SECTOR).max(SECTOR);
                    entry[OFFSET].copy_from_slice(&begin.to_le_bytes());
                    entry[SIZE].copy_from_slice(&size.to_le_bytes());
                }
            }
            Self::Renamed { entry } => {
                if let Some(entry) = entries.get_mut(entry) {
                    rename(entry);
                }
            }
        }
        let bytes = entries.concat();
        table.fill(0xFF);
        table[..bytes.len()].copy_from_slice(&bytes);
        if has_digest {
            let entry = &mut table[bytes.len()..][..ENTRY];
            entry[..2].copy_from_slice(&MD5_MAGIC);
            entry[DIGEST_AT..].copy_from_slice(&Md5::digest(&bytes));
        }
    }
}

/// The entries of a table, up to the first that is none.
pub(super) fn entries(table: &[u8]) -> Vec<[u8; ENTRY]> {
    let entries = table.chunks_exact(ENTRY).take_while(|entry| entry.starts_with(&MAGIC));
    entries.map(|entry| entry.try_into().expect("a chunk has its size")).collect()
}

/// Their names.
pub(super) fn names(table: &[u8]) -> Vec<String> {
    let name = |entry: &[u8; ENTRY]| {
        let label = entry[LABEL..LABEL + 16].split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(label).into_owned()
    };
    entries(table).iter().map(name).collect()
}

fn rename(entry: &mut [u8; ENTRY]) {
    entry[LABEL] = if entry[LABEL] == b'x' { b'y' } else { b'x' };
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use esp_idf_part::PartitionTable;

    use super::*;

    fn table() -> Vec<u8> {
        let csv = "nvs,data,nvs,0x9000,0x6000,\nota_0,app,ota_0,0x10000,0x100000,\nmore,data,spiffs,0x200000,0x10000,\n";
        let table = PartitionTable::try_from_str(csv).expect("a table").to_bin();
        let mut bytes = table.expect("its bytes");
        bytes.resize(0x1000, 0xFF);
        bytes
    }

    #[test]
    fn a_wrong_table_is_a_table() {
        let good = table();
        assert_eq!(names(&good), ["nvs", "ota_0", "more"]);
        for wrong in Wrong::all(3) {
            let mut bytes = good.clone();
            wrong.make(&mut bytes);
            assert_ne!(bytes, good, "{wrong:?}");
            let read = PartitionTable::try_from_bytes(bytes[..0xC00].to_vec());
            // Applications begin at whole megabits: another reader may refuse that, and the MD5 is sound.
            if !matches!(wrong, Wrong::Moved { entry: 1 }) {
                read.unwrap_or_else(|error| panic!("{wrong:?}: {error}"));
            }
        }
        let mut more = good.clone();
        Wrong::More.make(&mut more);
        assert_eq!(names(&more), ["nvs", "ota_0", "more", "xore"]);
        let mut fewer = good;
        Wrong::Fewer.make(&mut fewer);
        assert_eq!(names(&fewer), ["nvs", "ota_0"]);
    }
}
