//! Fixtures of ESP-IDF, which only others have: images of older generators and encrypted ones.

use std::path::Path;

use goldline_nvs::{
    Image, Severity, Value,
    crypt::{self, HmacKey, Keys},
    dump,
    identify::{Kind, identify},
};
use libtest_mimic::Trial;

use crate::{index::read, others};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        others::trial("esp_idf::bootloader", |folder| {
            holds(folder, "bootloader__nvs_partition.bin", "storage", "u8_key", &Value::U8(255));
        }),
        others::trial("esp_idf::test_app", |folder| {
            holds(folder, "test_nvs_data.bin", "namespace_two", "only_in_two", &Value::U8(1));
        }),
        others::trial("esp_idf::a_blob_over_pages_is_joined", |folder| {
            let blob = Value::Blob(read(folder.join("idf/multi_page_blob.bin")));
            holds(folder, "test_nvs_data.bin", "namespace_one", "example_b_long", &blob);
        }),
        others::trial("esp_idf::the_old_blob_format_is_read", the_old_blob_format_is_read),
        others::trial("no_image_is_taken_for_a_dump", no_image_is_taken_for_a_dump),
    ];
    trials.extend(ENCRYPTED.map(|(image, key)| {
        others::trial(&format!("esp_idf::{image}"), move |folder| decrypts(folder, image, key))
    }));
    trials
}

fn no_image_is_taken_for_a_dump(folder: &Path) {
    for part in ["damaged", "gen", "idf"] {
        let files = std::fs::read_dir(folder.join(part)).expect("the vectors have this folder");
        let paths = files.map(|file| file.expect("an entry").path());
        for path in paths.filter(|path| path.extension().is_some_and(|end| end == "bin")) {
            let contents = dump::look(&read(&path), None);
            assert_eq!(contents, Ok(dump::Contents::Single), "{}", path.display());
        }
    }
}

/// Images and their keys.
const ENCRYPTED: [(&str, &str); 4] = [
    ("bootloader__partition_encrypted", "bootloader__encryption_keys"),
    ("bootloader__partition_encrypted_hmac", "bootloader__nvs_enc_hmac_key"),
    ("test_apps__partition_encrypted", "test_apps__encryption_keys"),
    ("test_apps__partition_encrypted_hmac", "sample_hmac_key"),
];

fn holds(folder: &Path, file: &str, namespace: &str, key: &str, value: &Value) {
    let bytes = read(folder.join("idf").join(file));
    let image = Image::decode(&bytes).expect("an image of whole pages");
    is_sound(&image);
    assert_eq!(image.device_view().get(namespace, key), Some(value));
}

/// Older generators left no ACTIVE page behind, which is worth a note only.
fn is_sound(image: &Image<'_>) {
    let worst = image.findings().into_iter().map(|finding| finding.severity).max();
    assert!(worst <= Some(Severity::Note), "{:#?}", image.findings());
}

fn the_old_blob_format_is_read(folder: &Path) {
    let bytes = read(folder.join("idf/part_old_blob_format.bin"));
    let view = Image::decode(&bytes).expect("an image of whole pages").device_view();
    assert!(view.entries().iter().any(|entry| entry.value.type_name() == "blob"), "{view:?}");
}

fn decrypts(folder: &Path, image: &str, key: &str) {
    let file = |name| read(folder.join(format!("idf/{name}.bin")));
    let (bytes, key) = (file(image), file(key));
    let keys = match identify(&key) {
        Kind::HmacKey => HmacKey::new(&key).expect("32 bytes").derive(),
        _ => Keys::from_partition(&key).expect("a key partition"),
    };
    assert_eq!(identify(&bytes), Kind::EncryptedNvs);
    let plain = crypt::decrypt(&bytes, &keys).expect("the key is the image's");
    let decoded = Image::decode(&plain).expect("an image of whole pages");
    is_sound(&decoded);
    assert!(decoded.device_view().entries().len() > 5);
    assert!(crypt::encrypt(&plain, &keys) == bytes, "{image} does not encrypt back");
}
