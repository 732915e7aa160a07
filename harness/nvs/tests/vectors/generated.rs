//! Images of Espressif's generator: ours of the same CSV are the same bytes, and theirs are sound
//! and hold what the CSV says.

use goldline_nvs::{
    Document, Image, Value, Version,
    crypt::{self, HmacKey, Keys},
    csv::{self, Mode},
    generate,
    identify::{Kind, identify},
};
use libtest_mimic::Trial;

use crate::{
    index::{KeyFile, Modes, Vector, own, own_folder, read, repository},
    others,
};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for vector in own() {
        let name = format!("own::{}", vector.name);
        trials.push(Trial::test(name, move || {
            the_image_is_the_generators(&vector);
            the_generators_image_holds_what_the_csv_says(&vector);
            Ok(())
        }));
    }
    trials.push(Trial::test("own::every_input_is_in_the_index", || {
        every_input_is_in_the_index();
        Ok(())
    }));
    trials.push(Trial::test("own::a_blob_over_pages_is_joined", || {
        a_blob_over_pages_is_joined();
        Ok(())
    }));
    trials.push(Trial::test("own::an_hmac_key_gives_the_generators_keys", || {
        let keys = repository().join("golden/nvs-vectors/keys-of-hmac.snap.bin");
        gives_the_keys(&read(own_folder().join("keys/hmac.bin")), &read(keys));
        Ok(())
    }));
    trials.push(others::trial("the_images_are_the_generators", |folder| {
        let vectors = others::generated(folder);
        vectors.iter().for_each(the_image_is_the_generators);
        assert!(vectors.len() >= 27, "only {} vectors", vectors.len());
    }));
    trials.push(others::trial("the_generators_images_hold_what_the_csvs_say", |folder| {
        others::generated(folder).iter().for_each(the_generators_image_holds_what_the_csv_says);
    }));
    trials.push(others::trial("an_hmac_key_gives_the_generators_keys", |folder| {
        let file = |name| read(folder.join(name));
        gives_the_keys(&file("gen/hmac_key.bin"), &file("gen/keys/h.bin"));
        let keys = file("idf/sample_encryption_keys_hmac.bin");
        gives_the_keys(&file("idf/sample_hmac_key.bin"), &keys);
    }));
    trials
}

fn the_image_is_the_generators(vector: &Vector) {
    let name = &vector.name;
    let expected = vector.image();
    let is_same = |document: &Document| image(vector, document) == expected;
    let (strict, compat) = (parse(vector, Mode::Strict), parse(vector, Mode::Compat));
    match vector.modes {
        Modes::Both => {
            let strict = strict.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(is_same(&strict), "{name} differs in strict mode");
        }
        Modes::Compat => assert!(strict.is_err(), "{name} is taken by the strict mode"),
        Modes::None => {
            assert!(strict.is_err() && compat.is_err(), "{name} is taken");
            return;
        }
    }
    let compat = compat.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(is_same(&compat), "{name} differs in compatible mode");
}

fn the_generators_image_holds_what_the_csv_says(vector: &Vector) {
    if vector.modes != Modes::Both {
        return;
    }
    let name = &vector.name;
    let expected = parse(vector, Mode::Strict).expect("the other test has parsed it");
    let mut bytes = vector.image();
    if let Some(key) = &vector.key {
        assert_eq!(identify(&bytes), Kind::EncryptedNvs, "{name}");
        let plain = crypt::decrypt(&bytes, &keys(key)).expect("the key is the image's");
        assert!(crypt::encrypt(&plain, &keys(key)) == bytes, "{name} does not encrypt back");
        bytes = plain;
    }
    let image = Image::decode(&bytes).expect("an image of whole pages");
    assert_eq!(image.findings(), [], "{name}");
    let view = image.device_view();
    let found: Vec<_> =
        view.entries().iter().map(|entry| (entry.namespace, entry.key, &entry.value)).collect();
    assert_eq!(found, expected.entries().collect::<Vec<_>>(), "{name}");
}

fn a_blob_over_pages_is_joined() {
    let vectors = own();
    let vector = vectors.iter().find(|vector| vector.name == "blob-8000").expect("a vector");
    let bytes = vector.image();
    let view = Image::decode(&bytes).expect("an image of whole pages").device_view();
    // What the CSV counts by: a number of five digits and a blank for each six bytes.
    let mut counted: String = (0..8000).step_by(6).map(|number| format!("{number:05} ")).collect();
    counted.truncate(8000);
    assert_eq!(view.get("blobs", "blob"), Some(&Value::Blob(counted.into_bytes())));
}

fn gives_the_keys(hmac: &[u8], keys: &[u8]) {
    assert_eq!((identify(hmac), identify(keys)), (Kind::HmacKey, Kind::KeyPartition));
    let derived = HmacKey::new(hmac).expect("32 bytes").derive();
    // No assert_eq: it would print keys.
    assert!(*derived.to_partition() == *keys, "other keys than the generator's");
}

fn every_input_is_in_the_index() {
    let listed: Vec<_> = own().into_iter().map(|vector| vector.csv).collect();
    let files = std::fs::read_dir(own_folder()).expect("the vectors can be listed");
    let files = files.map(|file| file.expect("a file").path());
    let csvs = files.filter(|path| path.extension().is_some_and(|extension| extension == "csv"));
    let unlisted: Vec<_> = csvs.filter(|csv| !listed.contains(csv)).collect();
    assert!(unlisted.is_empty(), "not in index.toml: {unlisted:?}");
}

fn image(vector: &Vector, document: &Document) -> Vec<u8> {
    let version = if vector.version == 1 { Version::V1 } else { Version::V2 };
    let plain = generate(document, vector.size, version)
        .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
    match &vector.key {
        Some(key) => crypt::encrypt(&plain, &keys(key)),
        None => plain,
    }
}

/// Keys out of a file.
pub fn keys(file: &KeyFile) -> Keys {
    match file {
        KeyFile::Keys(path) => Keys::from_partition(&read(path)).expect("a key partition"),
        KeyFile::Hmac(path) => HmacKey::new(&read(path)).expect("an HMAC key").derive(),
    }
}

/// File rows of vectors are relative to their folder.
fn parse(vector: &Vector, mode: Mode) -> Result<Document, String> {
    let folder = vector.csv.parent().expect("a file has a folder").to_owned();
    let mut files = |name: &str| std::fs::read(folder.join(name));
    csv::parse(&read(&vector.csv), mode, &mut files).map_err(|error| format!("{error:?}"))
}
