//! The shared vectors: images of the reference generator and of ESP-IDF, and
//! damaged ones. Skipped by name where they are not there.

use std::path::Path;

use crate::support::{parse_csv, read, vectors};
use goldline_nvs::crypt::{self, HmacKey, Keys};
use goldline_nvs::csv::Mode;
use goldline_nvs::identify::{Kind, identify};
use goldline_nvs::recover::{Loss, recover};
use goldline_nvs::{Code, Document, Finding, Image, Severity, Value, Version, generate};
use rstest::rstest;

struct Generated {
    name: String,
    size: usize,
    version: Version,
    key: Option<String>,
}

impl Generated {
    fn keys(&self, folder: &Path) -> Option<Keys> {
        let file = folder.join(format!("gen/keys/{}.bin", self.key.as_ref()?));
        Some(Keys::from_partition(&read(file)).unwrap())
    }
}

fn generated(folder: &Path) -> Vec<Generated> {
    let index: serde_json::Value =
        serde_json::from_slice(&read(folder.join("gen/index.json"))).unwrap();
    let index = index.as_object().unwrap();
    index
        .iter()
        .map(|(name, facts)| Generated {
            name: name.clone(),
            size: facts["size"].as_u64().unwrap() as usize,
            version: match facts["ver"].as_u64().unwrap() {
                1 => Version::V1,
                _ => Version::V2,
            },
            key: facts["enc"].as_str().map(str::to_owned),
        })
        .collect()
}

/// The reference overruns the key field there; nobody should reproduce it.
const REFUSED: &str = "47_unikey_long";

#[test]
fn generated_images_are_byte_identical() {
    let Some(folder) = vectors("generated_images_are_byte_identical") else {
        return;
    };
    let mut compared = 0;
    for case in generated(&folder) {
        let csv = folder.join("gen").join(format!("{}.csv", case.name));
        let keys = case.keys(&folder);
        let generate = |document: &Document| {
            let plain = generate(document, case.size, case.version).unwrap();
            match &keys {
                Some(keys) => crypt::encrypt(&plain, keys),
                None => plain,
            }
        };
        let expected = read(csv.with_extension("bin"));
        if case.name == REFUSED {
            assert!(parse_csv(&csv, Mode::Strict).is_err());
            assert!(parse_csv(&csv, Mode::Compat).is_err());
            continue;
        }
        let document = parse_csv(&csv, Mode::Compat).unwrap();
        let image = generate(&document);
        assert!(image == expected, "{} differs in compatible mode", case.name);
        match parse_csv(&csv, Mode::Strict) {
            Ok(document) => {
                let image = generate(&document);
                assert!(image == expected, "{} differs in strict mode", case.name);
            }
            Err(error) => assert!(
                ["25_reopen_ns", "27_dup_type"].contains(&case.name.as_str()),
                "{}: {error}",
                case.name
            ),
        }
        compared += 1;
    }
    assert!(compared >= 27, "only {compared} vectors compared");
}

#[test]
fn generated_images_are_sound_and_decode_to_their_csv() {
    let Some(folder) = vectors("generated_images_are_sound_and_decode_to_their_csv") else {
        return;
    };
    for case in generated(&folder) {
        let csv = folder.join("gen").join(format!("{}.csv", case.name));
        let Ok(document) = parse_csv(&csv, Mode::Strict) else {
            continue;
        };
        let mut bytes = read(csv.with_extension("bin"));
        if let Some(keys) = case.keys(&folder) {
            bytes = crypt::decrypt(&bytes, &keys).unwrap();
        }
        let image = Image::decode(&bytes).unwrap();
        assert_eq!(image.findings(), [], "{}", case.name);
        let view = image.device_view();
        let expected: Vec<_> = document.entries().collect();
        let found: Vec<_> =
            view.entries().iter().map(|entry| (entry.namespace, entry.key, &entry.value)).collect();
        assert_eq!(found, expected, "{}", case.name);
    }
}

/// Findings of a damaged vector, or nothing when it is not there.
fn findings(name: &str) -> Option<(Vec<u8>, Vec<Finding>)> {
    let folder = vectors(name)?;
    let bytes = read(folder.join("damaged").join(format!("{name}.bin")));
    let findings = Image::decode(&bytes).unwrap().findings();
    Some((bytes, findings))
}

#[rstest]
#[case("d01_hdr_seq_flip", &[(Code::PageCrc, Severity::Corruption, Some(0), None)])]
#[case("d03_state_corrupt", &[(Code::PageState, Severity::Corruption, Some(0), None)])]
#[case("d05_version_newer", &[(Code::PageVersion, Severity::Corruption, Some(0), None)])]
#[case("d07_key_flip", &[(Code::EntryCrc, Severity::Corruption, Some(0), Some(1))])]
#[case("d09_span_overrun", &[(Code::Span, Severity::Corruption, Some(0), Some(1))])]
#[case("d11_type_unknown", &[(Code::UnknownType, Severity::Corruption, Some(0), Some(1))])]
#[case("d13_truncated_pages", &[
    (Code::NoEmptyPage, Severity::Note, None, None),
    (Code::NoActivePage, Severity::Note, Some(0), None),
    (Code::OrphanChunk, Severity::PowerLoss, Some(0), Some(1)),
])]
#[case("d17_dup_after_powerloss", &[(Code::DuplicateKey, Severity::PowerLoss, Some(0), Some(1))])]
#[case("d19_dup_sequence", &[(Code::DupSeq, Severity::Corruption, Some(1), None)])]
#[case("d21_empty_page_dirty", &[(Code::PageDirty, Severity::Corruption, Some(2), None)])]
#[case("d23_blob_index_lies", &[
    (Code::OrphanChunk, Severity::Corruption, Some(0), Some(1)),
    (Code::BlobSize, Severity::Corruption, Some(0), Some(2)),
])]
fn damage_is_named(
    #[case] name: &str,
    #[case] expected: &[(Code, Severity, Option<usize>, Option<usize>)],
) {
    let Some((_, findings)) = findings(name) else {
        return;
    };
    let found: Vec<_> = findings
        .iter()
        .map(|finding| (finding.code, finding.severity, finding.page, finding.entry))
        .collect();
    assert_eq!(found, expected, "{findings:#?}");
}

#[test]
fn a_torn_string_takes_what_follows_with_it() {
    let Some((bytes, findings)) = findings("d15_torn_string") else {
        return;
    };
    assert_eq!((findings[0].code, findings[0].entry), (Code::PayloadState, Some(1)));
    let rest: Vec<_> = findings[1..].iter().map(|finding| finding.code).collect();
    assert!(rest.iter().all(|code| *code == Code::BehindGap), "{rest:?}");
    let image = Image::decode(&bytes).unwrap();
    assert_eq!(image.device_view().entries(), []);
    assert!(image.items().any(|item| item.header.key() == *"pass"));
}

#[test]
fn single_bit_repairs_are_named() {
    let Some((_, header)) = findings("d01_hdr_seq_flip") else {
        return;
    };
    assert_eq!(
        header[0].repair.map(|repair| repair.to_string()).as_deref(),
        Some("flipping bit 0 of byte 4 of the page restores the CRC")
    );
    let (_, entry) = findings("d07_key_flip").unwrap();
    assert_eq!(
        entry[0].repair.map(|repair| repair.to_string()).as_deref(),
        Some("flipping bit 5 of byte 0x68 restores the CRC; the key was `ssid`")
    );
}

#[test]
fn the_newer_of_two_values_wins_after_a_power_loss() {
    let Some((bytes, _)) = findings("d17_dup_after_powerloss") else {
        return;
    };
    let view = Image::decode(&bytes).unwrap().device_view();
    assert_eq!(view.get("ns", "k_u8"), Some(&Value::U8(7)));
    assert_eq!(view.entries().len(), 8);
}

#[test]
fn items_of_a_lost_page_stay_listed() {
    let Some((bytes, _)) = findings("d01_hdr_seq_flip") else {
        return;
    };
    let image = Image::decode(&bytes).unwrap();
    assert_eq!(image.device_view().entries(), []);
    assert!(image.items().any(|item| item.header.key() == *"retries"));
}

#[rstest]
#[case::bootloader("bootloader__nvs_partition.bin", "storage", "u8_key", Value::U8(255))]
#[case::test_app("test_nvs_data.bin", "namespace_two", "only_in_two", Value::U8(1))]
fn images_of_esp_idf_decode(
    #[case] file: &str,
    #[case] namespace: &str,
    #[case] key: &str,
    #[case] expected: Value,
) {
    let Some(folder) = vectors(file) else { return };
    let bytes = read(folder.join("idf").join(file));
    let image = Image::decode(&bytes).unwrap();
    // Older generators left no ACTIVE page behind, which is worth a note only.
    let worst = image.findings().into_iter().map(|finding| finding.severity).max();
    assert!(worst <= Some(Severity::Note), "{worst:?}");
    assert_eq!(image.device_view().get(namespace, key), Some(&expected));
}

#[test]
fn a_blob_over_pages_is_joined() {
    let Some(folder) = vectors("a_blob_over_pages_is_joined") else {
        return;
    };
    let bytes = read(folder.join("idf/test_nvs_data.bin"));
    let blob = read(folder.join("idf/multi_page_blob.bin"));
    let view = Image::decode(&bytes).unwrap().device_view();
    let found = view.get("namespace_one", "example_b_long");
    assert_eq!(found, Some(&Value::Blob(blob)));
}

#[test]
fn the_old_blob_format_is_read() {
    let Some(folder) = vectors("the_old_blob_format_is_read") else {
        return;
    };
    let bytes = read(folder.join("idf/part_old_blob_format.bin"));
    let image = Image::decode(&bytes).unwrap();
    let view = image.device_view();
    let is_blob = |entry: &&goldline_nvs::device::DeviceEntry| entry.value.type_name() == "blob";
    assert!(view.entries().iter().any(|entry| is_blob(&entry)), "{view:?}");
}

#[test]
fn an_encrypted_image_is_said_to_be_one_and_its_damage_shows_after_decryption() {
    let Some((bytes, findings)) = findings("d25_enc_bitflip") else {
        return;
    };
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::LooksEncrypted]);
    let folder = vectors("d25_enc_bitflip").unwrap();
    let keys = Keys::from_partition(&read(folder.join("gen/keys/k.bin"))).unwrap();
    let plain = crypt::decrypt(&bytes, &keys).unwrap();
    let findings = Image::decode(&plain).unwrap().findings();
    let found: Vec<_> =
        findings.iter().map(|finding| (finding.code, finding.page, finding.entry)).collect();
    assert_eq!(found, [(Code::DataCrc, Some(0), Some(1))], "{findings:#?}");
    let other = Keys::from_partition(&read(folder.join("gen/keys/h.bin"))).unwrap();
    let refused = crypt::decrypt(&bytes, &other);
    assert_eq!(refused, Err(crypt::DecryptError::WrongKey));
}

#[test]
fn an_hmac_key_gives_the_keys_that_the_reference_derives() {
    let Some(folder) = vectors("an_hmac_key_gives_the_keys_that_the_reference_derives") else {
        return;
    };
    for (hmac, keys) in [
        ("gen/hmac_key.bin", "gen/keys/h.bin"),
        ("idf/sample_hmac_key.bin", "idf/sample_encryption_keys_hmac.bin"),
    ] {
        let (hmac, keys) = (read(folder.join(hmac)), read(folder.join(keys)));
        assert_eq!(identify(&hmac), Kind::HmacKey);
        assert_eq!(identify(&keys), Kind::KeyPartition);
        let derived = HmacKey::new(&hmac).unwrap().derive();
        assert_eq!(*derived.to_partition(), keys);
    }
}

#[rstest]
#[case("bootloader__partition_encrypted.bin", "bootloader__encryption_keys.bin")]
#[case("bootloader__partition_encrypted_hmac.bin", "bootloader__nvs_enc_hmac_key.bin")]
#[case("test_apps__partition_encrypted.bin", "test_apps__encryption_keys.bin")]
#[case("test_apps__partition_encrypted_hmac.bin", "sample_hmac_key.bin")]
fn encrypted_images_of_esp_idf_decode(#[case] image: &str, #[case] key: &str) {
    let Some(folder) = vectors(image) else { return };
    let file = |name| read(folder.join("idf").join(name));
    let key = file(key);
    let keys = match identify(&key) {
        Kind::HmacKey => HmacKey::new(&key).unwrap().derive(),
        _ => Keys::from_partition(&key).unwrap(),
    };
    let bytes = file(image);
    assert_eq!(identify(&bytes), Kind::EncryptedNvs);
    let plain = crypt::decrypt(&bytes, &keys).unwrap();
    let decoded = Image::decode(&plain).unwrap();
    let worst = decoded.findings().into_iter().map(|f| f.severity).max();
    assert!(worst <= Some(Severity::Note), "{:#?}", decoded.findings());
    assert!(decoded.device_view().entries().len() > 5);
    assert!(crypt::encrypt(&plain, &keys) == bytes, "{image} does not encrypt back");
}

#[test]
fn what_a_device_loses_is_recovered() {
    let recovered = |name: &str| {
        let (bytes, _) = findings(name)?;
        let values = recover(&Image::decode(&bytes).unwrap());
        let named = values.into_iter().map(|r| (r.key.to_string(), r.value, r.loss));
        Some(named.collect::<Vec<_>>())
    };
    let Some(page) = recovered("d01_hdr_seq_flip") else {
        return;
    };
    assert_eq!(page[0], ("ssid".to_owned(), Value::str("MyNet"), Loss::Page));
    assert_eq!(page.len(), 8, "all values of the page, the blob among them");
    let header = recovered("d07_key_flip").unwrap();
    assert_eq!(header, [("ssid".to_owned(), Value::str("MyNet"), Loss::Header)]);
}
