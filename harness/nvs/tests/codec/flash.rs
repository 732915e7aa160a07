//! Dumps of a flash, put together from their parts. Must not know what they prove.

use goldline_nvs::crypt::Keys;
use goldline_nvs::{Document, Value, Version, generate};
use md5::{Digest, Md5};

use crate::random::Random;

pub const NVS: (u8, u8) = (1, 2);
pub const NVS_KEYS: (u8, u8) = (1, 4);
pub const OTA_DATA: (u8, u8) = (1, 0);
pub const PHY: (u8, u8) = (1, 1);
pub const FACTORY: (u8, u8) = (0, 0);

pub type Row = [u8; 32];

/// A flash of `size` bytes with `parts` at their addresses.
pub fn flash(size: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0xFF; size];
    for (address, part) in parts {
        bytes[*address..address + part.len()].copy_from_slice(part);
    }
    bytes
}

/// A row of a partition table.
pub fn row(label: &str, (type_code, subtype): (u8, u8), address: u32, size: u32) -> Row {
    let mut row = [0; 32];
    row[..4].copy_from_slice(&[0xAA, 0x50, type_code, subtype]);
    row[4..8].copy_from_slice(&address.to_le_bytes());
    row[8..12].copy_from_slice(&size.to_le_bytes());
    row[12..12 + label.len()].copy_from_slice(label.as_bytes());
    row
}

/// A partition table: `rows` and the row with their MD5.
pub fn table(rows: &[Row]) -> Vec<u8> {
    let mut table = rows.concat();
    let digest = Md5::digest(&table);
    table.extend([0xEB, 0xEB]);
    table.extend([0xFF; 14]);
    table.extend(digest);
    table
}

/// An NVS partition with a key of its own.
pub fn nvs(key: &str, size: usize) -> Vec<u8> {
    let mut document = Document::new();
    document.insert("ns", key, Value::str("value")).unwrap();
    generate(&document, size, Version::V2).unwrap()
}

/// A sector with the keys of an encrypted NVS partition.
pub fn keys() -> Vec<u8> {
    Keys::new([9; 64]).to_partition().to_vec()
}

/// The record of the first boot of an application: the number 1 and its CRC.
pub fn ota_data() -> Vec<u8> {
    let mut record = vec![0xFF; 32];
    record[..4].copy_from_slice(&1u32.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new_with_initial(0xFFFF_FFFF);
    hasher.update(&record[..4]);
    record[28..].copy_from_slice(&hasher.finalize().to_le_bytes());
    record
}

/// An application or a bootloader: a header, then bytes as unlike noise as code is.
pub fn app(size: usize) -> Vec<u8> {
    let mut random = Random::new(1);
    let mut app: Vec<u8> = (0..size).map(|_| (random.below(16) * random.below(16)) as u8).collect();
    app[..8].copy_from_slice(&[0xE9, 4, 2, 0x20, 0x84, 0x12, 0x08, 0x40]);
    app[23] = 1;
    app
}

/// What flash encryption makes of anything.
pub fn noise(size: usize) -> Vec<u8> {
    let mut noise = vec![0; size];
    Random::new(size as u64).fill(&mut noise);
    noise
}

/// The rows of [`product`].
pub fn rows() -> [Row; 6] {
    [
        row("nvs", NVS, 0x9000, 0x3000),
        row("keys", NVS_KEYS, 0xC000, 0x1000),
        row("otadata", OTA_DATA, 0xD000, 0x2000),
        row("phy", PHY, 0xF000, 0x1000),
        row("factory", FACTORY, 0x1_0000, 0x1_0000),
        row("fctry", NVS, 0x2_0000, 0x4000),
    ]
}

/// The whole flash of a product with two NVS partitions and keys.
pub fn product() -> Vec<u8> {
    flash(
        0x2_4000,
        &[
            (0x1000, &app(0x5123)),
            (0x8000, &table(&rows())),
            (0x9000, &nvs("user", 0x3000)),
            (0xC000, &keys()),
            (0xD000, &ota_data()),
            (0xF000, b"PHYINIT\0 and 128 bytes of it"),
            (0x1_0000, &app(0xF000)),
            (0x2_0000, &nvs("factory", 0x4000)),
        ],
    )
}

/// The same flash, encrypted: all but what is blank and the NVS partitions is noise.
pub fn encrypted_product() -> Vec<u8> {
    flash(
        0x2_4000,
        &[
            (0x1000, &noise(0x6000)),
            (0x8000, &noise(0x1000)),
            (0x9000, &nvs("user", 0x3000)),
            (0xC000, &noise(0x4000)),
            (0x1_0000, &noise(0xF000)),
            (0x2_0000, &nvs("factory", 0x4000)),
        ],
    )
}
