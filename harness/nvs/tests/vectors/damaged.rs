//! Of each damaged image exactly what is wrong is said, and where: of those in the table, and of
//! those of others.

use std::path::Path;

use goldline_nvs::{
    Code, Image, Severity,
    crypt::{self, DecryptError, Keys},
};
use libtest_mimic::Trial;

use crate::{
    damage::{DAMAGED, DAMAGED_CIPHERTEXT, Damaged, Says},
    generated::keys,
    index::{Vector, own, own_folder, read},
    others,
};

pub fn trials() -> Vec<Trial> {
    let own_trial = |name: &str, body: fn()| {
        Trial::test(format!("damaged::{name}"), move || {
            body();
            Ok(())
        })
    };
    let of_row = |damaged: &'static Damaged| {
        Trial::test(format!("damaged::{}", damaged.name), || {
            says(&image(damaged), damaged.says);
            Ok(())
        })
    };
    let of_others = |(name, expected): &'static (&str, Says)| {
        others::trial(&format!("damaged::{name}"), |folder| says(&foreign(folder, name), expected))
    };
    let mut trials: Vec<Trial> = DAMAGED.iter().map(of_row).collect();
    trials.push(own_trial("the_names_are_unique", the_names_are_unique));
    trials.push(own_trial("ciphertext_shows_after_decryption", ciphertext_shows_after_decryption));
    trials.extend(OF_OTHERS.iter().map(of_others));
    trials.push(others::trial("damaged::d15_torn_string", a_torn_string_of_others));
    trials.push(others::trial("damaged::d25_enc_bitflip", ciphertext_of_others));
    trials
}

/// The image of a row of the table.
pub fn image(damaged: &Damaged) -> Vec<u8> {
    let mut bytes = base(damaged).image();
    let sound = bytes.clone();
    (damaged.change)(&mut bytes);
    assert!(bytes != sound || damaged.base == "encrypted", "{} changes nothing", damaged.name);
    bytes
}

/// The image of the row of that name.
pub fn image_of(name: &str) -> Vec<u8> {
    let row = DAMAGED.iter().find(|damaged| damaged.name == name);
    image(row.unwrap_or_else(|| panic!("no damaged image is named {name}")))
}

fn base(damaged: &Damaged) -> Vector {
    let base = own().into_iter().find(|vector| vector.name == damaged.base);
    base.unwrap_or_else(|| panic!("{}: no vector is named {}", damaged.name, damaged.base))
}

fn says(bytes: &[u8], expected: Says) {
    let findings = Image::decode(bytes).expect("an image of a page at least").findings();
    let found: Vec<_> = findings
        .iter()
        .map(|finding| (finding.code, finding.severity, finding.page, finding.entry))
        .collect();
    assert_eq!(found, expected, "{findings:#?}");
}

fn the_names_are_unique() {
    let mut names: Vec<_> = DAMAGED.iter().map(|damaged| damaged.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

fn ciphertext_shows_after_decryption() {
    let bytes = image(&DAMAGED_CIPHERTEXT);
    says(&bytes, &[(Code::LooksEncrypted, Severity::Corruption, None, None)]);
    let key = base(&DAMAGED_CIPHERTEXT).key.expect("an encrypted vector has a key");
    let plain = crypt::decrypt(&bytes, &keys(&key)).expect("the key is the image's");
    says(&plain, DAMAGED_CIPHERTEXT.says);
    let other = crate::index::KeyFile::Hmac(own_folder().join("keys/hmac.bin"));
    assert_eq!(crypt::decrypt(&bytes, &keys(&other)), Err(DecryptError::WrongKey));
}

/// What is said of the damaged images of others, as their index describes them.
const OF_OTHERS: &[(&str, Says)] = {
    use goldline_nvs::{Code::*, Severity::*};
    &[
        ("d01_hdr_seq_flip", &[(PageCrc, Corruption, Some(0), None)]),
        ("d03_state_corrupt", &[(PageState, Corruption, Some(0), None)]),
        ("d05_version_newer", &[(PageVersion, Corruption, Some(0), None)]),
        ("d07_key_flip", &[(EntryCrc, Corruption, Some(0), Some(1))]),
        ("d09_span_overrun", &[(Span, Corruption, Some(0), Some(1))]),
        ("d11_type_unknown", &[(UnknownType, Corruption, Some(0), Some(1))]),
        (
            "d13_truncated_pages",
            &[
                (NoEmptyPage, Note, None, None),
                (NoActivePage, Note, Some(0), None),
                (OrphanChunk, PowerLoss, Some(0), Some(1)),
            ],
        ),
        ("d17_dup_after_powerloss", &[(DuplicateKey, PowerLoss, Some(0), Some(1))]),
        ("d19_dup_sequence", &[(DupSeq, Corruption, Some(1), None)]),
        ("d21_empty_page_dirty", &[(PageDirty, Corruption, Some(2), None)]),
        (
            "d23_blob_index_lies",
            &[
                (OrphanChunk, Corruption, Some(0), Some(1)),
                (BlobSize, Corruption, Some(0), Some(2)),
            ],
        ),
    ]
};

/// A damaged image of others.
pub fn foreign(folder: &Path, name: &str) -> Vec<u8> {
    read(folder.join(format!("damaged/{name}.bin")))
}

fn a_torn_string_of_others(folder: &Path) {
    let bytes = foreign(folder, "d15_torn_string");
    let image = Image::decode(&bytes).expect("an image of a page at least");
    let findings = image.findings();
    assert_eq!((findings[0].code, findings[0].entry), (Code::PayloadState, Some(1)));
    let rest: Vec<_> = findings[1..].iter().map(|finding| finding.code).collect();
    assert!(rest.iter().all(|code| *code == Code::BehindGap), "{rest:?}");
    assert_eq!(image.device_view().entries(), []);
    assert!(image.items().any(|item| item.header.key() == *"pass"));
}

fn ciphertext_of_others(folder: &Path) {
    let bytes = foreign(folder, "d25_enc_bitflip");
    says(&bytes, &[(Code::LooksEncrypted, Severity::Corruption, None, None)]);
    let keys = |name: &str| {
        Keys::from_partition(&read(folder.join(format!("gen/keys/{name}.bin")))).expect("keys")
    };
    let plain = crypt::decrypt(&bytes, &keys("k")).expect("the key is the image's");
    says(&plain, &[(Code::DataCrc, Severity::Corruption, Some(0), Some(1))]);
    assert_eq!(crypt::decrypt(&bytes, &keys("h")), Err(DecryptError::WrongKey));
}
