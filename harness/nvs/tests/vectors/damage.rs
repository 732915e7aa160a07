//! The damaged images: what is done to which sound vector, and what a careful decoder must say.
//!
//! The findings are written from what the format means, not taken from a decoder's output. The
//! places are those in the bases, by entry:
//!
//! | base | entries |
//! | --- | --- |
//! | `settings` | 0 namespace, 1–2 `ssid`, 3–4 `pass`, 5 `retries`, 6–9 the chunk of `cal`, 10 its index, 11 `last` |
//! | `integers` | 0 namespace, 1 `u8`, … 8 `i64` |
//! | `strings` | 0 namespace, … 13–15 `quoted`, the last |
//! | `blob-8000` | page 0: 0 namespace, 1–125 chunk; page 1: chunk; page 2: 0–1 chunk, 2 index |
//! | `blobs-12000` | pages 0 to 2: the like; page 3: 0–1 chunk, 2 index, then the second blob |
//! | `namespaces-20` | 0 `room00`, 1 its `lamp`, 2 `room01`, 3 its `lamp`, … |
//!
//! Must not know how a decoder is asked.

use goldline_nvs::{
    Code::{self, *},
    Severity::{self, *},
};

/// An image made of a sound one.
pub struct Damaged {
    pub name: &'static str,
    /// The vector that it is made of.
    pub base: &'static str,
    pub change: fn(&mut Vec<u8>),
    pub says: Says,
}

/// Each finding: code, severity, page and entry.
pub type Says = &'static [(Code, Severity, Option<usize>, Option<usize>)];

pub const DAMAGED: &[Damaged] = &[
    Damaged {
        name: "cut-within-a-page",
        base: "settings",
        change: |image| image.truncate(0x5800),
        says: &[(ImageSize, Corruption, None, None)],
    },
    Damaged {
        name: "all-zeros",
        base: "settings",
        change: |image| image.fill(0),
        says: &[(NotNvs, Corruption, None, None)],
    },
    Damaged {
        name: "an-app-in-its-place",
        base: "settings",
        change: |image| image.fill(0xE9),
        says: &[(NotNvs, Corruption, None, None)],
    },
    Damaged {
        name: "encrypted-and-read-without-keys",
        base: "encrypted",
        change: |_| {},
        says: &[(LooksEncrypted, Corruption, None, None)],
    },
    // Every page is in use, so that nothing can be rewritten.
    Damaged {
        name: "no-page-left",
        base: "blob-8000",
        change: |image| image.truncate(3 * PAGE),
        says: &[(NoEmptyPage, Corruption, None, None)],
    },
    // Under three pages a device opens it for reading, which needs no other page.
    Damaged {
        name: "one-page-only",
        base: "settings",
        change: |image| image.truncate(PAGE),
        says: &[(NoEmptyPage, Note, None, None)],
    },
    // The blob's other pages are missing: its first chunk is the newest item there is.
    Damaged {
        name: "pages-cut-off",
        base: "blob-8000",
        change: |image| image.truncate(PAGE),
        says: &[
            (NoEmptyPage, Note, None, None),
            (NoActivePage, Note, Some(0), None),
            (OrphanChunk, PowerLoss, Some(0), Some(1)),
        ],
    },
    Damaged {
        name: "two-active-pages",
        base: "blob-8000",
        change: |image| set_page_state(image, 1, ACTIVE),
        says: &[(ActivePages, Note, Some(2), None)],
    },
    Damaged {
        name: "no-active-page",
        base: "settings",
        change: |image| set_page_state(image, 0, FULL),
        says: &[(NoActivePage, Note, Some(0), None)],
    },
    // The sequence number's lowest bit.
    Damaged {
        name: "header-bit",
        base: "settings",
        change: |image| image[4] ^= 1,
        says: &[(PageCrc, Corruption, Some(0), None)],
    },
    Damaged {
        name: "header-crc-bit",
        base: "settings",
        change: |image| image[31] ^= 0x80,
        says: &[(PageCrc, Corruption, Some(0), None)],
    },
    Damaged {
        name: "page-given-up",
        base: "settings",
        change: |image| set_page_state(image, 0, CORRUPT),
        says: &[(PageState, Corruption, Some(0), None)],
    },
    Damaged {
        name: "state-of-no-meaning",
        base: "settings",
        change: |image| set_page_state(image, 0, 0xFFFF_FFFA),
        says: &[(PageState, Corruption, Some(0), None)],
    },
    Damaged {
        name: "version-of-the-future",
        base: "settings",
        change: |image| {
            image[8] = 0xFD;
            mend_header(image, 0);
        },
        says: &[(PageVersion, Corruption, Some(0), None)],
    },
    Damaged {
        name: "byte-on-an-empty-page",
        base: "settings",
        change: |image| image[2 * PAGE + 0x800] = 0x55,
        says: &[(PageDirty, Corruption, Some(2), None)],
    },
    // A page is opened by writing its header, the state last.
    Damaged {
        name: "page-being-opened",
        base: "settings",
        change: |image| image.copy_within(4..32, PAGE + 4),
        says: &[(PageDirty, PowerLoss, Some(1), None)],
    },
    // The entries' order is that of the pages, which nothing tells now.
    Damaged {
        name: "sequence-number-twice",
        base: "blob-8000",
        change: |image| set_sequence(image, 1, 0),
        says: &[(DupSeq, Corruption, Some(1), None)],
    },
    // Page 1 has the namespace and two strings of page 0, which stays until all of it is copied.
    Damaged {
        name: "compaction-interrupted",
        base: "settings",
        change: |image| {
            image.copy_within(..PAGE, PAGE);
            image[PAGE + 64 + 5 * 32..2 * PAGE].fill(0xFF);
            (5..12).for_each(|entry| set_entry_state(image, 1, entry, EMPTY));
            set_sequence(image, 1, 1);
            set_page_state(image, 0, FREEING);
        },
        says: &[(PageFreeing, PowerLoss, Some(0), None)],
    },
    Damaged {
        name: "key-bit",
        base: "settings",
        change: |image| image[entry(1) + 8] ^= 0x20,
        says: &[(EntryCrc, Corruption, Some(0), Some(1))],
    },
    Damaged {
        name: "number-bit",
        base: "settings",
        change: |image| image[entry(5) + 24] ^= 0x04,
        says: &[(EntryCrc, Corruption, Some(0), Some(5))],
    },
    Damaged {
        name: "namespace-bit",
        base: "settings",
        change: |image| image[entry(0) + 8] ^= 0x01,
        says: &[
            (EntryCrc, Corruption, Some(0), Some(0)),
            (NoNamespace, Corruption, Some(0), Some(1)),
            (NoNamespace, Corruption, Some(0), Some(3)),
            (NoNamespace, Corruption, Some(0), Some(5)),
            (NoNamespace, Corruption, Some(0), Some(10)),
            (NoNamespace, Corruption, Some(0), Some(11)),
        ],
    },
    Damaged {
        name: "bitmap-of-no-meaning",
        base: "settings",
        change: |image| set_entry_state(image, 0, 5, 0b01),
        says: &[(EntryState, Corruption, Some(0), Some(5))],
    },
    Damaged {
        name: "span-over-the-page's-end",
        base: "settings",
        change: |image| change_entry(image, 1, |entry| entry[2] = 127),
        says: &[(Span, Corruption, Some(0), Some(1))],
    },
    Damaged {
        name: "span-of-none",
        base: "settings",
        change: |image| change_entry(image, 5, |entry| entry[2] = 0),
        says: &[(Span, Corruption, Some(0), Some(5))],
    },
    Damaged {
        name: "size-over-the-page's-end",
        base: "settings",
        change: |image| change_entry(image, 3, |entry| entry[25] = 0x20),
        says: &[(ItemSize, Corruption, Some(0), Some(3))],
    },
    // The chunk has nothing that counts it then, and is not what was written last.
    Damaged {
        name: "index-that-says-chunk",
        base: "settings",
        change: |image| change_entry(image, 10, |entry| entry[3] = 5),
        says: &[
            (OrphanChunk, Corruption, Some(0), Some(6)),
            (ChunkIndex, Corruption, Some(0), Some(10)),
        ],
    },
    Damaged {
        name: "type-of-no-meaning",
        base: "settings",
        change: |image| change_entry(image, 5, |entry| entry[1] = 0x33),
        says: &[(UnknownType, Corruption, Some(0), Some(5))],
    },
    Damaged {
        name: "key-without-its-nul",
        base: "settings",
        change: |image| change_entry(image, 5, |entry| entry[8..24].fill(b'k')),
        says: &[(BadKey, Corruption, Some(0), Some(5))],
    },
    Damaged {
        name: "string-without-its-nul",
        base: "settings",
        change: |image| {
            let crc = crc32(&[b"BenchNet"]);
            change_entry(image, 1, |entry| {
                entry[24] = 8;
                entry[28..].copy_from_slice(&crc);
            });
        },
        says: &[(NoNul, Corruption, Some(0), Some(1))],
    },
    Damaged {
        name: "string-bit",
        base: "settings",
        change: |image| image[entry(2) + 3] ^= 0x10,
        says: &[(DataCrc, Corruption, Some(0), Some(1))],
    },
    Damaged {
        name: "chunk-bit",
        base: "settings",
        change: |image| image[entry(8)] ^= 0x02,
        says: &[(DataCrc, Corruption, Some(0), Some(6))],
    },
    // The header is recorded, its payload is not, and nothing follows.
    Damaged {
        name: "string-being-written",
        base: "strings",
        change: |image| (14..16).for_each(|entry| set_entry_state(image, 0, entry, EMPTY)),
        says: &[(PayloadState, PowerLoss, Some(0), Some(13))],
    },
    // A device does not look behind an entry that was never written.
    Damaged {
        name: "torn-string",
        base: "settings",
        change: |image| set_entry_state(image, 0, 2, EMPTY),
        says: &[
            (PayloadState, Corruption, Some(0), Some(1)),
            (BehindGap, Corruption, Some(0), Some(3)),
            (BehindGap, Corruption, Some(0), Some(5)),
            (BehindGap, Corruption, Some(0), Some(6)),
            (BehindGap, Corruption, Some(0), Some(10)),
            (BehindGap, Corruption, Some(0), Some(11)),
        ],
    },
    // A device erases from behind, so that a header outlives its payload and not the reverse.
    Damaged {
        name: "string-being-erased",
        base: "settings",
        change: |image| set_entry_state(image, 0, 2, ERASED),
        says: &[(PayloadState, PowerLoss, Some(0), Some(1))],
    },
    Damaged {
        name: "payload-without-its-header",
        base: "settings",
        change: |image| set_entry_state(image, 0, 1, ERASED),
        says: &[(PayloadState, Corruption, Some(0), Some(1))],
    },
    Damaged {
        name: "number-being-written",
        base: "settings",
        change: |image| set_entry_state(image, 0, 11, EMPTY),
        says: &[(TornWrite, PowerLoss, Some(0), Some(11))],
    },
    Damaged {
        name: "gap-in-the-bitmap",
        base: "settings",
        change: |image| set_entry_state(image, 0, 5, EMPTY),
        says: &[
            (TornWrite, PowerLoss, Some(0), Some(5)),
            (BehindGap, Corruption, Some(0), Some(6)),
            (BehindGap, Corruption, Some(0), Some(10)),
            (BehindGap, Corruption, Some(0), Some(11)),
        ],
    },
    // The new value is recorded, the old one not yet erased.
    Damaged {
        name: "number-being-replaced",
        base: "integers",
        change: |image| write_again(image, 1, 9, |entry| entry[24] = 7),
        says: &[(DuplicateKey, PowerLoss, Some(0), Some(1))],
    },
    // The same with a value behind it, which a device would have written after the erase only.
    Damaged {
        name: "number-twice",
        base: "integers",
        change: |image| {
            write_again(image, 1, 9, |entry| entry[24] = 7);
            write_again(image, 2, 10, |entry| entry[8..11].copy_from_slice(b"new"));
        },
        says: &[(DuplicateKey, Corruption, Some(0), Some(1))],
    },
    // A device compares nothing within a page that it does not write to, and finds the first.
    Damaged {
        name: "number-twice-on-a-full-page",
        base: "integers",
        change: |image| {
            write_again(image, 1, 9, |entry| entry[24] = 7);
            set_page_state(image, 0, FULL);
        },
        says: &[(NoActivePage, Note, Some(0), None), (DuplicateKey, Corruption, Some(0), Some(9))],
    },
    Damaged {
        name: "index-that-promises-more",
        base: "settings",
        change: |image| change_entry(image, 10, |entry| entry[24] += 1),
        says: &[
            (OrphanChunk, Corruption, Some(0), Some(6)),
            (BlobSize, Corruption, Some(0), Some(10)),
        ],
    },
    Damaged {
        name: "index-that-promises-another-chunk",
        base: "settings",
        change: |image| change_entry(image, 10, |entry| entry[28] = 2),
        says: &[
            (OrphanChunk, Corruption, Some(0), Some(6)),
            (BlobSize, Corruption, Some(0), Some(10)),
        ],
    },
    // The second page of four is erased. An index is written when all of its chunks are there, and
    // is not the newest item here.
    Damaged {
        name: "chunk-lost-with-its-page",
        base: "blobs-12000",
        change: |image| image[PAGE..2 * PAGE].fill(0xFF),
        says: &[
            (OrphanChunk, Corruption, Some(0), Some(1)),
            (OrphanChunk, Corruption, Some(2), Some(0)),
            (OrphanChunk, Corruption, Some(3), Some(0)),
            (BlobSize, Corruption, Some(3), Some(2)),
        ],
    },
    // The second version's chunk is there, its index is not.
    Damaged {
        name: "blob-being-replaced",
        base: "settings",
        change: |image| {
            image.copy_within(entry(7)..entry(10), entry(13));
            (13..16).for_each(|entry| set_entry_state(image, 0, entry, WRITTEN));
            write_again(image, 6, 12, |entry| entry[3] = 0x80);
        },
        says: &[(OrphanChunk, PowerLoss, Some(0), Some(12))],
    },
    // The index goes first.
    Damaged {
        name: "blob-being-erased",
        base: "settings",
        change: |image| set_entry_state(image, 0, 10, ERASED),
        says: &[(OrphanChunk, PowerLoss, Some(0), Some(6))],
    },
    Damaged {
        name: "reserved-namespace-index",
        base: "settings",
        change: |image| change_entry(image, 0, |entry| entry[24] = 255),
        says: &[
            (NamespaceIndex, Corruption, Some(0), Some(0)),
            (NoNamespace, Corruption, Some(0), Some(1)),
            (NoNamespace, Corruption, Some(0), Some(3)),
            (NoNamespace, Corruption, Some(0), Some(5)),
            (NoNamespace, Corruption, Some(0), Some(10)),
            (NoNamespace, Corruption, Some(0), Some(11)),
        ],
    },
    Damaged {
        name: "namespace-index-twice",
        base: "namespaces-20",
        change: |image| change_entry(image, 2, |entry| entry[24] = 1),
        says: &[
            (NamespaceIndex, Corruption, Some(0), Some(2)),
            (NoNamespace, Corruption, Some(0), Some(3)),
        ],
    },
    Damaged {
        name: "item-of-no-namespace",
        base: "settings",
        change: |image| change_entry(image, 11, |entry| entry[0] = 9),
        says: &[(NoNamespace, Corruption, Some(0), Some(11))],
    },
];

/// The one that is judged after decryption: a bit of the ciphertext of a string's payload. XTS
/// garbles the whole block of 16 bytes, and no other.
pub const DAMAGED_CIPHERTEXT: Damaged = Damaged {
    name: "ciphertext-bit",
    base: "encrypted",
    change: |image| image[entry(2) + 3] ^= 0x10,
    says: &[(DataCrc, Corruption, Some(0), Some(1))],
};

const PAGE: usize = 4096;

const ACTIVE: u32 = 0xFFFF_FFFE;
const FULL: u32 = 0xFFFF_FFFC;
const FREEING: u32 = 0xFFFF_FFF8;
const CORRUPT: u32 = 0xFFFF_FFF0;

const EMPTY: u8 = 0b11;
const WRITTEN: u8 = 0b10;
const ERASED: u8 = 0b00;

/// Offset of an entry of page 0.
const fn entry(index: usize) -> usize {
    64 + index * 32
}

/// The state is not part of the header's CRC.
fn set_page_state(image: &mut [u8], page: usize, word: u32) {
    image[page * PAGE..][..4].copy_from_slice(&word.to_le_bytes());
}

fn set_sequence(image: &mut [u8], page: usize, number: u32) {
    image[page * PAGE + 4..][..4].copy_from_slice(&number.to_le_bytes());
    mend_header(image, page);
}

fn mend_header(image: &mut [u8], page: usize) {
    let header = &mut image[page * PAGE..][..32];
    let crc = crc32(&[&header[4..28]]);
    header[28..].copy_from_slice(&crc);
}

fn set_entry_state(image: &mut [u8], page: usize, entry: usize, bits: u8) {
    let byte = &mut image[page * PAGE + 32 + entry / 4];
    let shift = entry % 4 * 2;
    *byte = *byte & !(0b11 << shift) | bits << shift;
}

/// Changes an entry of page 0 and gives it a CRC that is right.
fn change_entry(image: &mut [u8], index: usize, change: impl FnOnce(&mut [u8])) {
    let entry = &mut image[entry(index)..][..32];
    change(entry);
    let crc = crc32(&[&entry[..4], &entry[8..]]);
    entry[4..8].copy_from_slice(&crc);
}

/// Writes an entry of page 0 once more behind the others, changed.
fn write_again(image: &mut [u8], from: usize, to: usize, change: impl FnOnce(&mut [u8])) {
    image.copy_within(entry(from)..entry(from) + 32, entry(to));
    change_entry(image, to, change);
    set_entry_state(image, 0, to, WRITTEN);
}

/// The format's CRC, which begins at 0xFFFFFFFF as zlib means it.
fn crc32(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new_with_initial(0xFFFF_FFFF);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_le_bytes()
}
