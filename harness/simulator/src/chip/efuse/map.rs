//! Where each chip keeps what in its eFuse controller: data only.

/// Where a chip keeps what in its eFuse controller.
#[derive(Debug)]
pub struct EfuseMap {
    /// First address of the controller.
    pub base: u32,
    /// Bytes of its address range.
    pub length: u32,
    /// Offset of the configuration register.
    pub configuration: u32,
    /// Offset of the command register.
    pub command: u32,
    /// Whether a command names one block, which all share their write registers.
    pub one_block_at_a_time: bool,
    /// Blocks by number.
    pub blocks: &'static [Block],
    /// Word of block 0 and lowest bit of the field that disables reading.
    pub read_disable: (u32, u32),
    /// Where the MAC address is read.
    pub mac: MacPlace,
    /// Security switches in block 0.
    pub security: SecurityFields,
    /// Words (read offset, bits) that the chip's factory burnt beside the MAC address.
    pub factory: &'static [(u32, u32)],
}

/// A field of block 0.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Word within the block.
    pub word: u32,
    /// Lowest bit.
    pub shift: u32,
    /// Number of bits.
    pub bits: u32,
}

pub(super) const fn field(word: u32, shift: u32, bits: u32) -> Field {
    Field { word, shift, bits }
}

/// Security switches in block 0.
#[derive(Debug)]
pub struct SecurityFields {
    /// Flash encryption is on when an odd number of these bits is burnt.
    pub flash_crypt_count: Field,
    /// The ROM starts signed bootloaders only.
    pub secure_boot: Field,
    /// The ROM loader neither reads nor runs anything.
    pub secure_download: Option<Field>,
    /// There is no ROM loader any more.
    pub download_off: Field,
    /// What each key block is for.
    pub key_purposes: &'static [Field],
    /// Which key encrypts the flash, and how.
    pub flash_key: FlashKey,
}

/// Which key encrypts the flash, and how. Blocks are numbers.
#[derive(Debug)]
pub enum FlashKey {
    /// AES-256; `quarters` says which parts of the key are mixed with the address.
    Tweaked {
        /// The key.
        block: usize,
        /// One bit for each quarter of the key.
        quarters: Field,
    },
    /// AES-XTS with a block that is for nothing else.
    Xts {
        /// The key.
        block: usize,
    },
    /// AES-XTS with the blocks whose purpose says so.
    XtsByPurpose,
}

/// One block of fuses.
#[derive(Debug)]
pub struct Block {
    /// Offset of its first read register.
    pub read: u32,
    /// Offset of its first write register.
    pub write: u32,
    /// Length in words.
    pub words: u32,
    /// Bit of the first word of block 0 that protects it from burning.
    pub write_protect: Option<u32>,
    /// Mask within the read-disable field: any of these bits makes it read 0.
    pub read_protect: u32,
}

/// How the MAC address is laid out.
#[derive(Debug)]
pub struct MacPlace {
    /// Offset of the low word.
    pub offset: u32,
    /// What the upper half of the high word holds.
    pub beside: Beside,
}

/// What stands beside the MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// Its CRC-8.
    Crc,
    /// The two bytes that make an EUI-64 of it.
    Extension,
}

const fn block(read: u32, words: u32, write_protect: u32, read_protect: u32) -> Block {
    Block { read, write: 0, words, write_protect: Some(write_protect), read_protect }
}

/// Blocks of the S2, S3, C3, C6 and H2.
const MODERN_BLOCKS: &[Block] = &[
    Block { read: 0x2C, write: 0, words: 6, write_protect: None, read_protect: 0 },
    block(0x44, 6, 20, 0),
    block(0x5C, 8, 21, 0),
    block(0x7C, 8, 22, 0),
    block(0x9C, 8, 23, 1 << 0),
    block(0xBC, 8, 24, 1 << 1),
    block(0xDC, 8, 25, 1 << 2),
    block(0xFC, 8, 26, 1 << 3),
    block(0x11C, 8, 27, 1 << 4),
    block(0x13C, 8, 28, 1 << 5),
    block(0x15C, 8, 29, 1 << 6),
];

const MODERN_KEY_PURPOSES: &[Field] = &[
    field(2, 24, 4),
    field(2, 28, 4),
    field(3, 0, 4),
    field(3, 4, 4),
    field(3, 8, 4),
    field(3, 12, 4),
];

/// The controller of the S2, S3, C3, C6 and H2.
pub(in crate::chip) const fn modern(
    base: u32,
    beside: Beside,
    factory: &'static [(u32, u32)],
) -> EfuseMap {
    EfuseMap {
        base,
        length: 0x200,
        configuration: 0x1CC,
        command: 0x1D4,
        one_block_at_a_time: true,
        blocks: MODERN_BLOCKS,
        read_disable: (1, 0),
        mac: MacPlace { offset: 0x44, beside },
        security: SecurityFields {
            flash_crypt_count: field(2, 18, 3),
            secure_boot: field(3, 20, 1),
            secure_download: Some(field(4, 5, 1)),
            download_off: field(4, 0, 1),
            key_purposes: MODERN_KEY_PURPOSES,
            flash_key: FlashKey::XtsByPurpose,
        },
        factory,
    }
}
